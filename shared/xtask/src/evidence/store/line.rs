//! What the workload tells its supervisor, a line each: the ledger of acknowledgements outside of the
//! process that gives them.

use std::fmt;
use std::str::FromStr;

/// One line of a workload's stdout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// The process runs and opens the store now.
    Opening { pid: u64 },
    /// The store is open.
    Opened { micros: u64 },
    /// The store could not be opened.
    OpenFailed(String),
    /// The opening reported damage, loss or a foreign file.
    Reported(String),
    /// A record that is there, its bytes compared.
    Found { number: u64, seq: u64 },
    /// Where a consumer stands.
    Cursor {
        consumer: u64,
        stream: u64,
        seq: u64,
    },
    /// That was all that is there.
    Checked,
    /// Numbers of a stream up to this one may be sent from now on.
    Sending { number: u64 },
    /// An append returned.
    Acked { number: u64, seq: u64, late: bool },
    /// An append was refused because the store is full.
    Refused { number: u64 },
    /// A consumer's position is about to be committed.
    Committing {
        consumer: u64,
        stream: u64,
        seq: u64,
    },
    /// It was.
    Committed {
        consumer: u64,
        stream: u64,
        seq: u64,
    },
    /// A stream is about to be trimmed.
    Trimming { stream: u64, seq: u64 },
    /// It was.
    Trimmed { stream: u64, seq: u64 },
    /// A commit or a trim was refused because the store is full.
    ControlRefused(String),
    /// An `fdatasync` of the store failed, on a file of this name.
    SyncFailed(String),
    /// The store refuses everything until a restart.
    Stopped(String),
    /// What the workload itself saw go wrong.
    Wrong(String),
    /// The process ends by itself.
    Ended,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // a line stays a line, whatever an error message says
        let text = |text: &str| text.replace('\n', " ");
        match self {
            Self::Opening { pid } => write!(f, "o {pid}"),
            Self::Opened { micros } => write!(f, "O {micros}"),
            Self::OpenFailed(why) => write!(f, "e {}", text(why)),
            Self::Reported(what) => write!(f, "d {}", text(what)),
            Self::Found { number, seq } => write!(f, "r {number} {seq}"),
            Self::Cursor {
                consumer,
                stream,
                seq,
            } => write!(f, "u {consumer} {stream} {seq}"),
            Self::Checked => write!(f, "."),
            Self::Sending { number } => write!(f, "n {number}"),
            Self::Acked { number, seq, late } => {
                write!(f, "{} {number} {seq}", if *late { 'l' } else { 'a' })
            }
            Self::Refused { number } => write!(f, "f {number}"),
            Self::Committing {
                consumer,
                stream,
                seq,
            } => write!(f, "c {consumer} {stream} {seq}"),
            Self::Committed {
                consumer,
                stream,
                seq,
            } => write!(f, "C {consumer} {stream} {seq}"),
            Self::Trimming { stream, seq } => write!(f, "t {stream} {seq}"),
            Self::Trimmed { stream, seq } => write!(f, "T {stream} {seq}"),
            Self::ControlRefused(why) => write!(f, "F {}", text(why)),
            Self::SyncFailed(name) => write!(f, "x {}", text(name)),
            Self::Stopped(why) => write!(f, "p {}", text(why)),
            Self::Wrong(what) => write!(f, "b {}", text(what)),
            Self::Ended => write!(f, "z"),
        }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let unknown = || format!("not a line of the workload: {line:?}");
        let (tag, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut numbers = rest.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next().and_then(Result::ok).ok_or_else(unknown);
        let text = || rest.to_owned();
        Ok(match tag {
            "o" => Self::Opening { pid: next()? },
            "O" => Self::Opened { micros: next()? },
            "e" => Self::OpenFailed(text()),
            "d" => Self::Reported(text()),
            "r" => Self::Found {
                number: next()?,
                seq: next()?,
            },
            "u" => Self::Cursor {
                consumer: next()?,
                stream: next()?,
                seq: next()?,
            },
            "." => Self::Checked,
            "n" => Self::Sending { number: next()? },
            "a" | "l" => Self::Acked {
                number: next()?,
                seq: next()?,
                late: tag == "l",
            },
            "f" => Self::Refused { number: next()? },
            "c" => Self::Committing {
                consumer: next()?,
                stream: next()?,
                seq: next()?,
            },
            "C" => Self::Committed {
                consumer: next()?,
                stream: next()?,
                seq: next()?,
            },
            "t" => Self::Trimming {
                stream: next()?,
                seq: next()?,
            },
            "T" => Self::Trimmed {
                stream: next()?,
                seq: next()?,
            },
            "F" => Self::ControlRefused(text()),
            "x" => Self::SyncFailed(text()),
            "p" => Self::Stopped(text()),
            "b" => Self::Wrong(text()),
            "z" => Self::Ended,
            _ => return Err(unknown()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_comes_back() {
        let (number, seq, stream, consumer) = (7, 8, 9, 10);
        for line in [
            Line::Opening { pid: 1 },
            Line::Opened { micros: 2 },
            Line::OpenFailed("no such file".to_owned()),
            Line::Reported("damaged: segment 1".to_owned()),
            Line::Found { number, seq },
            Line::Cursor {
                consumer,
                stream,
                seq,
            },
            Line::Checked,
            Line::Sending { number },
            Line::Acked {
                number,
                seq,
                late: false,
            },
            Line::Acked {
                number,
                seq,
                late: true,
            },
            Line::Refused { number },
            Line::Committing {
                consumer,
                stream,
                seq,
            },
            Line::Committed {
                consumer,
                stream,
                seq,
            },
            Line::Trimming { stream, seq },
            Line::Trimmed { stream, seq },
            Line::ControlRefused("full".to_owned()),
            Line::SyncFailed("1.seg".to_owned()),
            Line::Stopped("why".to_owned()),
            Line::Wrong("what".to_owned()),
            Line::Ended,
        ] {
            assert_eq!(line.to_string().parse(), Ok(line));
        }
        for bad in ["", "r 1", "r 1 x", "w 1", "a 18446744073709551616 1"] {
            assert!(bad.parse::<Line>().is_err(), "{bad}");
        }
    }
}
