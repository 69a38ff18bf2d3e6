//! The name of an outgoing file: a template of fixed fields, and nothing that leads elsewhere.

use qc_core::safe_text::safe;

use super::Delivery;
use crate::sources::ConnectorError;

/// The longest name in bytes; room is left for what is added when names clash.
const MAX_NAME: usize = 200;

/// A parsed template such as `{subject}` or `order-{seq}.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Id,
    Seq,
    Stream,
    Subject,
    Time,
}

impl NameTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, ConnectorError> {
        let bad = |reason: &str| ConnectorError::setting("name", reason);
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (field, after) = after
                .split_once('}')
                .ok_or_else(|| bad("has a '{' without '}'"))?;
            parts.push(match field {
                "id" => Part::Id,
                "seq" => Part::Seq,
                "stream" => Part::Stream,
                "subject" => Part::Subject,
                "time" => Part::Time,
                _ => return Err(bad("knows {id}, {seq}, {stream}, {subject} and {time}")),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let unsafe_text = |part: &Part| matches!(part, Part::Text(t) if t.contains('/'));
        if parts.is_empty() || parts.iter().any(unsafe_text) {
            return Err(bad("must be the name of a file, without '/'"));
        }
        Ok(Self(parts))
    }

    /// Whether every message of a stream gets the same name.
    pub(super) fn is_constant(&self) -> bool {
        let constant = |part: &Part| matches!(part, Part::Text(_) | Part::Stream);
        self.0.iter().all(constant)
    }

    /// The name for a message: one entry of a directory, not hidden, without control characters. A
    /// field that the message does not have is its number.
    pub(super) fn render(&self, delivery: &Delivery) -> String {
        let envelope = &delivery.message.envelope;
        let seq = delivery.seq.to_string();
        let mut name = String::new();
        for part in &self.0 {
            name.push_str(match part {
                Part::Text(text) => text,
                Part::Id => &envelope.id,
                Part::Seq => &seq,
                Part::Stream => delivery.stream.name(),
                Part::Subject => envelope.subject.as_deref().unwrap_or(&seq),
                Part::Time => envelope.time.as_deref().unwrap_or(&seq),
            });
        }
        sanitize(&name)
    }
}

fn sanitize(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    for (at, c) in name.chars().enumerate() {
        let c = if is_harmless(c) && !(at == 0 && matches!(c, '.' | '-')) {
            c
        } else {
            '_'
        };
        if clean.len() + c.len_utf8() > MAX_NAME {
            break;
        }
        clean.push(c);
    }
    if clean.is_empty() {
        clean.push('_');
    }
    clean
}

fn is_harmless(c: char) -> bool {
    c != '/' && (c == '\\' || safe(c.encode_utf8(&mut [0; 4]), 1).chars().eq([c]))
}

/// `name` with `addition` before its extension: `report.csv` and `7` make `report.7.csv`.
pub(super) fn with_addition(name: &str, addition: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}.{addition}.{extension}"),
        _ => format!("{name}.{addition}"),
    }
}

#[cfg(test)]
mod tests {
    use qc_core::model::{Envelope, Epoch, Message, Seq};

    use super::*;

    #[test]
    fn names_stay_in_the_folder() {
        let delivery = |subject: Option<&str>| Delivery {
            stream: "acme/orders".parse().unwrap(),
            epoch: Epoch(1),
            seq: Seq(7),
            message: Message {
                envelope: Envelope {
                    subject: subject.map(str::to_owned),
                    ..Envelope::new("../../id", "/s", "t")
                },
                body: "x".into(),
            },
            part: qc_core::model::Part::WHOLE,
        };
        let long = "\u{e9}".repeat(300);
        for (template, subject, name) in [
            ("{subject}", Some("report 1.csv"), "report 1.csv"),
            ("{subject}", Some("../../etc/passwd"), "_._.._etc_passwd"),
            ("{subject}", Some(".."), "_."),
            ("{subject}", Some(".bashrc"), "_bashrc"),
            ("{subject}", Some("-rf"), "_rf"),
            ("{subject}", Some("a\0b\nc\u{202e}d"), "a_b_c_d"),
            ("{subject}", Some("two\\nlines"), "two\\nlines"),
            ("{subject}", None, "7"),
            ("{id}-{seq}.json", None, "_._.._id-7.json"),
            ("{stream}.log", None, "orders.log"),
            ("{subject}", Some(&long), "\u{e9}".repeat(100).as_str()),
        ] {
            let parsed = NameTemplate::parse(template).unwrap();
            assert_eq!(
                parsed.render(&delivery(subject)),
                name,
                "{template} {subject:?}"
            );
        }
        for bad in ["", "a/b", "{who}", "{id", "../{id}"] {
            assert!(NameTemplate::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(with_addition("report.csv", "7"), "report.7.csv");
        assert_eq!(with_addition("report", "7"), "report.7");
    }
}
