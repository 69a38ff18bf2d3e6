//! The one filter syntax of every list and view: `site=site-1* & backlog>1000 & state!=ok`.
//!
//! ```text
//! any   = all *( "|" all )                  "&" binds closer than "|"
//! all   = one *( "&" one )
//! one   = "!" one / "(" any ")" / test
//! test  = FIELD OP VALUE / WORD             a WORD alone looks inside the first field
//! OP    = "=" / "!=" / ">" / ">=" / "<" / "<="
//! VALUE = WORD / '"' text '"'               "=" and "!=" on text take * and ?, ignoring case
//! ```
//!
//! What can be filtered is a table of [`Field`]s, so an unknown name is an error that lists the known
//! ones. Sizes take `KiB MiB GiB TiB kB MB GB TB`, times `ms s m h d`. A record without a value for
//! a field passes only `!=`.

use std::fmt;

use crate::safe_text::safe;

/// The longest filter, in bytes.
pub const MAX_FILTER: usize = 1000;

const MAX_DEPTH: usize = 16;

/// One thing that can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name in a filter. One that ends with a dot stands for all names that begin so: `label.` for
    /// `label.env`.
    pub name: &'static str,
    /// How its values are written.
    pub kind: Kind,
}

impl Field {
    fn has_name(&self, name: &str) -> bool {
        if self.name.ends_with('.') {
            return name.len() > self.name.len() && name.starts_with(self.name);
        }
        self.name == name
    }
}

/// How the values of a field are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words; compared with `=` and `!=` only.
    Text,
    /// A number.
    Number,
    /// Bytes, such as `64KiB`.
    Bytes,
    /// A time in milliseconds, such as `5m`.
    Millis,
}

/// The value that a record has in a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Words.
    Text(&'a str),
    /// A number, in bytes or milliseconds where the field says so.
    Number(f64),
    /// None.
    Missing,
}

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    text: String,
    root: Node,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Text {
        field: String,
        glob: String,
        equal: bool,
    },
    Number {
        field: String,
        op: Op,
        than: f64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    Unequal,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

/// Where a filter stops making sense, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// The character it stops at, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.problem)
    }
}

impl std::error::Error for FilterError {}

impl FilterError {
    /// The filter with a caret below the place, for a [`Failure`](crate::failure::Failure)'s detail.
    pub fn excerpt(&self, text: &str) -> String {
        // what is spelled out takes more room than it had
        let before: String = text.chars().take(self.column.saturating_sub(1)).collect();
        let indent = safe(&before, MAX_FILTER).chars().count();
        format!("  {}\n  {}^", safe(text, MAX_FILTER), " ".repeat(indent))
    }
}

impl Filter {
    /// Parses `text` over `fields`; the first field is the one that a word alone looks into. An
    /// empty filter passes everything.
    pub fn parse(text: &str, fields: &'static [Field]) -> Result<Self, FilterError> {
        if text.len() > MAX_FILTER {
            return Err(FilterError {
                column: MAX_FILTER + 1,
                problem: format!("longer than {MAX_FILTER} bytes"),
            });
        }
        let tokens = tokens(text)?;
        let end = text.chars().count() + 1;
        let mut parser = Parser {
            tokens: &tokens,
            fields,
            end,
            depth: 0,
        };
        let root = if tokens.is_empty() {
            Node::All(Vec::new())
        } else {
            parser.any()?
        };
        if let Some((column, token)) = parser.tokens.first() {
            let problem = format!("expected '&' or '|' before {token}");
            return Err(FilterError {
                column: *column,
                problem,
            });
        }
        Ok(Self {
            text: text.trim().to_owned(),
            root,
        })
    }

    /// Whether the record passes whose fields `value` looks up.
    pub fn matches<'a>(&self, value: impl Fn(&str) -> Value<'a>) -> bool {
        self.root.matches(&value)
    }

    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it passes everything because it is empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl Node {
    fn matches<'a>(&self, value: &impl Fn(&str) -> Value<'a>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(value)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(value)),
            Self::Not(part) => !part.matches(value),
            Self::Text { field, glob, equal } => match value(field) {
                Value::Text(text) => glob_matches(glob, text) == *equal,
                Value::Number(_) | Value::Missing => !equal,
            },
            Self::Number { field, op, than } => match value(field) {
                Value::Number(number) => op.holds(number, *than),
                Value::Text(_) | Value::Missing => *op == Op::Unequal,
            },
        }
    }
}

impl Op {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left.total_cmp(&right).is_eq(),
            Self::Unequal => left.total_cmp(&right).is_ne(),
            Self::Greater => left > right,
            Self::GreaterEqual => left >= right,
            Self::Less => left < right,
            Self::LessEqual => left <= right,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Op(Op),
    And,
    Or,
    Not,
    Open,
    Close,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) | Self::Quoted(word) => write!(f, "'{}'", safe(word, 40)),
            Self::Op(Op::Equal) => f.write_str("'='"),
            Self::Op(Op::Unequal) => f.write_str("'!='"),
            Self::Op(Op::Greater) => f.write_str("'>'"),
            Self::Op(Op::GreaterEqual) => f.write_str("'>='"),
            Self::Op(Op::Less) => f.write_str("'<'"),
            Self::Op(Op::LessEqual) => f.write_str("'<='"),
            Self::And => f.write_str("'&'"),
            Self::Or => f.write_str("'|'"),
            Self::Not => f.write_str("'!'"),
            Self::Open => f.write_str("'('"),
            Self::Close => f.write_str("')'"),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, FilterError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().zip(1_usize..).peekable();
    while let Some((c, column)) = chars.next() {
        let mut equals = || chars.next_if(|(c, _)| *c == '=').is_some();
        let token = match c {
            c if c.is_whitespace() => continue,
            '&' | '|' => {
                chars.next_if(|(next, _)| *next == c); // "&&" means "&"
                if c == '&' { Token::And } else { Token::Or }
            }
            '(' => Token::Open,
            ')' => Token::Close,
            '=' => {
                equals(); // "==" means "="
                Token::Op(Op::Equal)
            }
            '!' if equals() => Token::Op(Op::Unequal),
            '!' => Token::Not,
            '>' if equals() => Token::Op(Op::GreaterEqual),
            '>' => Token::Op(Op::Greater),
            '<' if equals() => Token::Op(Op::LessEqual),
            '<' => Token::Op(Op::Less),
            '"' => {
                let mut word = String::new();
                loop {
                    match chars.next() {
                        Some(('"', _)) => break Token::Quoted(word),
                        Some((c, _)) => word.push(c),
                        None => {
                            let problem = "this quote is never closed".to_owned();
                            return Err(FilterError { column, problem });
                        }
                    }
                }
            }
            c => {
                let mut word = String::from(c);
                while let Some((c, _)) = chars.next_if(|(c, _)| {
                    !c.is_whitespace()
                        && !matches!(c, '&' | '|' | '(' | ')' | '=' | '!' | '<' | '>' | '"')
                }) {
                    word.push(c);
                }
                Token::Word(word)
            }
        };
        tokens.push((column, token));
    }
    Ok(tokens)
}

struct Parser<'t> {
    tokens: &'t [(usize, Token)],
    fields: &'static [Field],
    end: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Option<&'t (usize, Token)> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let found = self
            .tokens
            .first()
            .is_some_and(|(_, token)| token == wanted);
        if found {
            self.next();
        }
        found
    }

    fn any(&mut self) -> Result<Node, FilterError> {
        let mut parts = vec![self.all()?];
        while self.take(&Token::Or) {
            parts.push(self.all()?);
        }
        Ok(single(parts, Node::Any))
    }

    fn all(&mut self) -> Result<Node, FilterError> {
        let mut parts = vec![self.one()?];
        while self.take(&Token::And) {
            parts.push(self.one()?);
        }
        Ok(single(parts, Node::All))
    }

    fn one(&mut self) -> Result<Node, FilterError> {
        let Some((column, token)) = self.next() else {
            let known = self.names();
            return Err(self.error(self.end, format!("expected a field: {known}")));
        };
        match token {
            Token::Not | Token::Open => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.error(*column, format!("nested deeper than {MAX_DEPTH}")));
                }
                let node = if *token == Token::Not {
                    Node::Not(Box::new(self.one()?))
                } else {
                    let inner = self.any()?;
                    if !self.take(&Token::Close) {
                        return Err(self.error(*column, "this '(' is never closed".to_owned()));
                    }
                    inner
                };
                self.depth -= 1;
                Ok(node)
            }
            Token::Word(word) => match self.tokens.first() {
                Some((at, Token::Op(op))) => {
                    self.next();
                    self.test(*column, word, *at, *op)
                }
                _ => self.inside_first(word),
            },
            Token::Quoted(word) => self.inside_first(word),
            token => {
                let known = self.names();
                Err(self.error(*column, format!("expected a field, not {token}: {known}")))
            }
        }
    }

    fn inside_first(&self, word: &str) -> Result<Node, FilterError> {
        let Some(first) = self.fields.first() else {
            return Err(self.error(1, "there is nothing to filter by".to_owned()));
        };
        let glob = if word.contains(['*', '?']) {
            word.to_owned()
        } else {
            format!("*{word}*")
        };
        Ok(Node::Text {
            field: first.name.to_owned(),
            glob,
            equal: true,
        })
    }

    fn test(&mut self, column: usize, name: &str, at: usize, op: Op) -> Result<Node, FilterError> {
        let mut known = self.fields.iter();
        let Some(field) = known.find(|field| field.has_name(name)).copied() else {
            let known = self.names();
            let problem = format!("unknown field '{}'; known: {known}", safe(name, 40));
            return Err(self.error(column, problem));
        };
        let (at_value, value) = match self.next() {
            Some((at, Token::Word(word) | Token::Quoted(word))) => (*at, word),
            Some((at, token)) => {
                return Err(self.error(*at, format!("expected a value for {name}, not {token}")));
            }
            None => return Err(self.error(self.end, format!("expected a value for {name}"))),
        };
        let factors: &[(&str, f64)] = match field.kind {
            Kind::Text => {
                let equal = match op {
                    Op::Equal => true,
                    Op::Unequal => false,
                    _ => {
                        let problem = format!("{name} holds words: use '=' or '!='");
                        return Err(self.error(at, problem));
                    }
                };
                return Ok(Node::Text {
                    field: name.to_owned(),
                    glob: value.clone(),
                    equal,
                });
            }
            Kind::Number => &[],
            Kind::Bytes => SIZES,
            Kind::Millis => TIMES,
        };
        let Some(than) = quantity(value, factors) else {
            let example = match field.kind {
                Kind::Bytes => "a size such as 64KiB or 1GB",
                Kind::Millis => "a time such as 250ms, 90s, 5m, 12h or 3d",
                Kind::Number | Kind::Text => "a number",
            };
            let problem = format!("'{}' is not {example}", safe(value, 40));
            return Err(self.error(at_value, problem));
        };
        Ok(Node::Number {
            field: name.to_owned(),
            op,
            than,
        })
    }

    fn names(&self) -> String {
        let names = self.fields.iter().map(|field| match field.name {
            family if family.ends_with('.') => format!("{family}KEY"),
            name => name.to_owned(),
        });
        names.collect::<Vec<_>>().join(" ")
    }

    #[expect(clippy::unused_self, reason = "reads as the parser's own verdict")]
    fn error(&self, column: usize, problem: String) -> FilterError {
        FilterError { column, problem }
    }
}

fn single(mut parts: Vec<Node>, many: impl FnOnce(Vec<Node>) -> Node) -> Node {
    match parts.len() {
        1 => parts.pop().expect("counted above"),
        _ => many(parts),
    }
}

const SIZES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
];

const TIMES: &[(&str, f64)] = &[
    ("ms", 1.0),
    ("s", 1e3),
    ("m", 6e4),
    ("h", 3.6e6),
    ("d", 8.64e7),
];

/// A decimal number with one of the units; without unit it is taken as it is.
fn quantity(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let letters = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(letters)?;
    let factor = if unit.is_empty() {
        1.0
    } else {
        units.iter().find(|(name, _)| *name == unit)?.1
    };
    let number: f64 = number.trim().parse().ok()?;
    number.is_finite().then_some(number * factor)
}

/// Whether `text` is like `glob`, where `*` stands for any text and `?` for one character; ASCII
/// letters match in both cases. Linear in memory, at worst the product of both lengths in time.
fn glob_matches(glob: &str, text: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut g, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None; // after the last *, and how far it has eaten
    while let Some(have) = text.get(t) {
        match glob.get(g) {
            Some('*') => {
                g += 1;
                retry = Some((g, t));
            }
            Some(want) if *want == '?' || want.eq_ignore_ascii_case(have) => {
                g += 1;
                t += 1;
            }
            _ => match &mut retry {
                Some((after, eaten)) => {
                    *eaten += 1;
                    (g, t) = (*after, *eaten);
                }
                None => return false,
            },
        }
    }
    glob.iter().skip(g).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[
        Field {
            name: "name",
            kind: Kind::Text,
        },
        Field {
            name: "site",
            kind: Kind::Text,
        },
        Field {
            name: "state",
            kind: Kind::Text,
        },
        Field {
            name: "backlog",
            kind: Kind::Number,
        },
        Field {
            name: "bytes",
            kind: Kind::Bytes,
        },
        Field {
            name: "oldest",
            kind: Kind::Millis,
        },
    ];

    fn edge_12(field: &str) -> Value<'static> {
        match field {
            "name" => Value::Text("edge-012"),
            "site" => Value::Text("site-12"),
            "state" => Value::Text("down"),
            "backlog" => Value::Number(41_310.0),
            "bytes" => Value::Number(1.1 * 1_073_741_824.0),
            _ => Value::Missing,
        }
    }

    fn check(text: &str, passes: bool) {
        let filter = Filter::parse(text, FIELDS).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(filter.matches(edge_12), passes, "{text}");
    }

    #[test]
    fn a_field_with_a_dot_stands_for_all_that_begin_so() {
        const LABELS: &[Field] = &[
            Field {
                name: "name",
                kind: Kind::Text,
            },
            Field {
                name: "label.",
                kind: Kind::Text,
            },
        ];
        let value = |field: &str| match field {
            "label.env" => Value::Text("prod"),
            _ => Value::Missing,
        };
        for (text, passes) in [
            ("label.env=prod", true),
            ("label.env=PR*", true),
            ("label.env!=prod", false),
            ("label.ring=canary", false),
            ("label.ring!=canary", true),
        ] {
            let filter = Filter::parse(text, LABELS).unwrap();
            assert_eq!(filter.matches(value), passes, "{text}");
        }
        let error = Filter::parse("label.=x", LABELS).unwrap_err();
        assert!(error.problem.contains("known: name label.KEY"), "{error}");
    }

    #[test]
    fn passes_what_it_says() {
        for text in [
            "",
            "  ",
            "site=site-1* & backlog>1000 & state!=ok",
            "edge-01",
            "EDGE-0?2",
            "name=\"edge-012\"",
            "backlog>=41310 & backlog<=41310 && backlog==41310",
            "bytes>1GiB & bytes<1.2GB",
            "state=ok | state=down",
            "state=ok & site=x | name=edge*",
            "!(state=ok | site=x)",
            "!!state=down",
            "oldest!=5m",
        ] {
            check(text, true);
        }
        for text in [
            "state=ok",
            "site=site-1",
            "backlog<1000",
            "bytes>2GiB",
            "edge-99",
            "oldest>5m",
            "oldest<5m",
            "!oldest!=5m",
            "name=edge* & (state=ok | site=x)",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn says_where_it_stops_making_sense() {
        for (text, column, part) in [
            ("sate=ok", 1, "unknown field 'sate'; known: name site"),
            ("state=ok &", 11, "expected a field"),
            ("& state=ok", 1, "not '&'"),
            ("state=", 7, "expected a value for state"),
            ("state=&", 7, "not '&'"),
            ("state>ok", 6, "use '=' or '!='"),
            ("backlog>many", 9, "'many' is not a number"),
            ("bytes>5m", 7, "size such as"),
            ("oldest>5y", 8, "time such as"),
            ("(state=ok", 1, "never closed"),
            ("state=ok)", 9, "before ')'"),
            ("state=ok site=x", 10, "before 'site'"),
            ("name=\"x", 6, "never closed"),
            ("x=\x1b[31m", 1, "unknown field 'x'"),
            ("backlog>\x1b", 9, "'\\x1b'"),
            ("backlog>inf", 9, "not a number"),
            ("backlog>1e999", 9, "not a number"),
        ] {
            let error = Filter::parse(text, FIELDS).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.problem.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn has_bounds() {
        assert!(Filter::parse(&"!".repeat(900), FIELDS).is_err());
        assert!(Filter::parse(&"(".repeat(900), FIELDS).is_err());
        assert!(Filter::parse(&"x".repeat(MAX_FILTER + 1), FIELDS).is_err());
        let stars = format!("name={}", "*a".repeat(400));
        assert!(!Filter::parse(&stars, FIELDS).unwrap().matches(edge_12));
        assert!(Filter::parse("a", &[]).is_err());
    }

    #[test]
    fn the_excerpt_points_below_the_text() {
        let text = "name=\x1b & sate=ok";
        let error = Filter::parse(text, FIELDS).unwrap_err();
        assert_eq!(
            error.excerpt(text),
            "  name=\\x1b & sate=ok\n              ^"
        );
    }
}
