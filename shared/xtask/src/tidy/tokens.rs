//! Just enough of Rust's lexing to tell code from comments and strings, and product code from tests.

use std::iter::Peekable;
use std::str::Chars;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier, keyword or number.
    Word,
    /// One sign, or `::`.
    Sign,
    /// The content of a string literal.
    Text,
}

/// A token and the line it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its characters, without quotes.
    pub text: String,
    /// Line, from 1.
    pub line: usize,
}

impl Token {
    /// Whether it is this word or sign (a string literal never is).
    pub(super) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

/// Whether `tokens` begins with the words and signs of `pattern`.
pub(super) fn begins(tokens: &[Token], pattern: &[&str]) -> bool {
    tokens.len() >= pattern.len() && tokens.iter().zip(pattern).all(|(t, p)| t.is(p))
}

/// The tokens of `source`; comments, lifetimes and character literals are left out.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    Lexer {
        rest: source.chars().peekable(),
        line: 1,
    }
    .run()
}

/// The tokens without the items under `#[cfg(test)]`.
pub(super) fn product(tokens: &[Token]) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let Some((token, tail)) = rest.split_first() {
        if begins(rest, &MARK) {
            rest = after_item(rest.get(MARK.len()..).unwrap_or_default());
        } else {
            kept.push(token.clone());
            rest = tail;
        }
    }
    kept
}

/// Skips one item: to its `;`, or past the brace that closes it.
fn after_item(tokens: &[Token]) -> &[Token] {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        let mut done = false;
        if token.is("{") || token.is("(") || token.is("[") {
            depth += 1;
        } else if token.is("}") || token.is(")") || token.is("]") {
            depth = depth.saturating_sub(1);
            done = depth == 0 && token.is("}");
        } else {
            done = depth == 0 && token.is(";");
        }
        if done {
            return tokens.get(at + 1..).unwrap_or_default();
        }
    }
    &[]
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Lexer<'_> {
    fn run(mut self) -> Vec<Token> {
        let mut found = Vec::new();
        while let Some(c) = self.next() {
            let line = self.line;
            let mut push = |kind, text: String| found.push(Token { kind, text, line });
            match c {
                '/' if self.eat('/') => {
                    while self.rest.peek().is_some_and(|&c| c != '\n') {
                        self.next();
                    }
                }
                '/' if self.eat('*') => self.block_comment(),
                '"' => push(Kind::Text, self.string()),
                '\'' => self.quote(),
                ':' if self.eat(':') => push(Kind::Sign, "::".to_owned()),
                c if c.is_alphanumeric() || c == '_' => {
                    let word = self.word(c);
                    match word.as_str() {
                        "r" | "br" | "cr" if matches!(self.rest.peek(), Some('"' | '#')) => {
                            if let Some(text) = self.raw_string() {
                                push(Kind::Text, text);
                            }
                        }
                        "b" | "c" if self.rest.peek() == Some(&'"') => {
                            self.next();
                            push(Kind::Text, self.string());
                        }
                        _ => push(Kind::Word, word),
                    }
                }
                c if c.is_whitespace() => {}
                c => push(Kind::Sign, c.to_string()),
            }
        }
        found
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let there = self.rest.peek() == Some(&wanted);
        if there {
            self.next();
        }
        there
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(&c) = self.rest.peek() {
            if !c.is_alphanumeric() && c != '_' {
                break;
            }
            word.push(c);
            self.next();
        }
        word
    }

    fn string(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '"' => break,
                '\\' => {
                    text.push(c);
                    text.extend(self.next());
                }
                c => text.push(c),
            }
        }
        text
    }

    /// After `r`: `#`s, the quote, and all until the quote with as many `#`s. `None` for `r#word`.
    fn raw_string(&mut self) -> Option<String> {
        let mut hashes = 0_usize;
        while self.eat('#') {
            hashes += 1;
        }
        if !self.eat('"') {
            return None;
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let mut text = String::new();
        while !text.ends_with(&end) {
            text.push(self.next()?);
        }
        text.truncate(text.len() - end.len());
        Some(text)
    }

    fn block_comment(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some('/') if self.eat('*') => depth += 1,
                Some('*') if self.eat('/') => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// After `'`: a character literal or a lifetime.
    fn quote(&mut self) {
        let Some(first) = self.next() else { return };
        if first == '\\' {
            self.next();
            while self.next().is_some_and(|c| c != '\'') {}
        } else if !self.eat('\'') && (first.is_alphanumeric() || first == '_') {
            self.word(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        let words: Vec<_> = tokens(source).into_iter().map(|t| t.text).collect();
        assert_eq!(words.join(" "), expected, "{source}");
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        check("a // b\nc /* d /* e */ f */ g", "a c g");
        check(
            r#"f("x \" y", 'z', '\'', '\u{41}', b'q')"#,
            r#"f ( x \" y , , , , b )"#,
        );
        check("r#\"un\"safe\"# r#type b\"k\"", "un\"safe type k");
        check(
            "fn f<'a>(x: &'a str) -> a::b {}",
            "fn f < > ( x : & str ) - > a :: b { }",
        );
    }

    #[test]
    fn lines_are_counted() {
        let found = tokens("a\n\"b\nc\"\nd");
        let lines: Vec<_> = found.iter().map(|t| t.line).collect();
        assert_eq!(lines, [1, 2, 4]);
    }

    #[test]
    fn tests_are_no_product() {
        let source =
            "fn a() {} #[cfg(test)] mod tests { fn b() { c() } } fn d() {} #[cfg(test)] mod e;";
        let words: Vec<_> = product(&tokens(source))
            .into_iter()
            .map(|t| t.text)
            .collect();
        assert_eq!(words.join(" "), "fn a ( ) { } fn d ( ) { }");
    }
}
