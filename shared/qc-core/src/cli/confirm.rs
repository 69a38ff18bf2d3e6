//! Asking a person before something happens, the same for every verb: `--yes` or an answer on the
//! terminal; where nobody can be asked, exit 2 and the flag.

use std::io::{self, BufRead, Write};

use super::{ErrorCode, Exit, Failure, Globals, Output};

/// A question that must be answered before something happens.
#[derive(Debug)]
pub struct Confirm<'a> {
    /// What is asked, without what may be answered.
    pub question: &'a str,
    /// What has to be typed; none where a yes will do.
    pub word: Option<&'a str>,
    /// What wants an answer, as the begin of a sentence: `signing`.
    pub what: &'a str,
    /// The flags that are an answer.
    pub flags: &'a str,
    /// The code where nobody can be asked.
    pub unasked: ErrorCode,
    /// The code of any other answer.
    pub refused: ErrorCode,
}

impl Confirm<'_> {
    /// Asks on the terminal. Without one, and with `--no-input`, that is refused.
    pub fn ask(&self, globals: &Globals, out: &Output) -> Result<(), Failure> {
        if globals.no_input || !out.can_ask() {
            return Err(self.nobody());
        }
        self.answered(&mut io::stdin().lock(), &mut io::stderr().lock())
    }

    fn nobody(&self) -> Failure {
        let (what, flags) = (self.what, self.flags);
        let message = format!("{what} wants {flags} where nobody can be asked");
        Failure::new(Exit::Usage, self.unasked, message)
    }

    fn answered(&self, input: &mut impl BufRead, shown: &mut impl Write) -> Result<(), Failure> {
        let hint = if self.word.is_some() { "" } else { " [y/N]" };
        let _nobody_listens = write!(shown, "{}{hint} ", self.question);
        let _nobody_listens = shown.flush();
        let refused = |message| Failure::new(Exit::Refused, self.refused, message);
        let mut line = String::new();
        input.read_line(&mut line).map_err(|error| {
            refused("not confirmed: the terminal cannot be read").because(&error)
        })?;
        let answer = line.trim();
        let is_yes = match self.word {
            Some(word) => answer == word,
            None => matches!(answer, "y" | "Y" | "yes"),
        };
        if is_yes {
            return Ok(());
        }
        Err(refused("not confirmed; nothing has changed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirm(word: Option<&str>) -> Confirm<'_> {
        Confirm {
            question: "Sign these?",
            word,
            what: "signing",
            flags: "--yes",
            unasked: "QC2152",
            refused: "QC2153",
        }
    }

    #[test]
    fn only_a_yes_is_one() {
        let check = |word, answer: &str, goes_on: bool| {
            let mut shown = Vec::new();
            let asked = confirm(word).answered(&mut answer.as_bytes(), &mut shown);
            assert_eq!(asked.is_ok(), goes_on, "{word:?} {answer:?}");
            if let Err(failure) = asked {
                assert_eq!((failure.exit, failure.code), (Exit::Refused, "QC2153"));
                assert!(failure.message.starts_with("not confirmed"), "{failure}");
            }
            String::from_utf8(shown).unwrap()
        };
        for yes in ["y\n", "Y\n", "yes\n", "  y  \r\n", "y"] {
            assert_eq!(check(None, yes, true), "Sign these? [y/N] ");
        }
        for no in ["\n", "", "n\n", "yess\n", "no\ny\n", "acme\n"] {
            check(None, no, false);
        }
        assert_eq!(check(Some("acme"), "acme\n", true), "Sign these? ");
        for no in ["y\n", "yes\n", "Acme\n", "acm\n", "", "\n"] {
            check(Some("acme"), no, false);
        }
    }

    #[test]
    fn a_terminal_that_breaks_is_no_yes() {
        // not UTF-8
        let asked = confirm(None).answered(&mut &b"y\xff\n"[..], &mut Vec::new());
        let failure = asked.unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Refused, "QC2153"));
        assert_eq!(failure.cause.len(), 1, "{failure}");
    }

    #[test]
    fn where_nobody_can_be_asked_the_flag_is_named() {
        let globals = Globals {
            no_input: true,
            ..Globals::default()
        };
        let out = Output::new(&globals, "qc-test");
        let failure = confirm(None).ask(&globals, &out).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "QC2152"));
        assert_eq!(
            failure.message,
            "signing wants --yes where nobody can be asked"
        );
    }
}
