//! One value: from the parsed file, the environment or the schema's own literal to a checked
//! [`toml::Value`].

use std::net::SocketAddr;
use std::ops::Range;

use toml::Spanned;
use toml::Value;
use toml::de::DeValue;

use super::schema::{Kind, quoted};
use super::suggest::nearest;
use super::{parse_duration, parse_size};
use crate::model::{NodeName, Site, StreamName, TrustDomain};
use crate::safe_text::safe;

const SHOWN: usize = 80;

/// Why a value is not taken: the code, where in the file, the words, and a word that may be meant.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) code: &'static str,
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) meant: Option<&'static str>,
}

/// Checks a scalar or an array of them; tables are walked by the caller.
pub(super) fn check(kind: Kind, found: &Spanned<DeValue<'_>>) -> Result<Value, Vec<Rejected>> {
    let span = found.span();
    let wrong_type = || {
        vec![Rejected {
            code: "QC1005",
            span: span.clone(),
            message: format!(
                "is {}, expected {}",
                with_article(found.get_ref()),
                kind.expected()
            ),
            meant: None,
        }]
    };
    match (kind, found.get_ref()) {
        (Kind::Bool, DeValue::Boolean(value)) => Ok(Value::Boolean(*value)),
        (Kind::Integer { min, max }, DeValue::Integer(digits)) => {
            i64::from_str_radix(digits.as_str(), digits.radix())
                .ok()
                .filter(|number| (min..=max).contains(number))
                .map(Value::Integer)
                .ok_or_else(|| {
                    vec![Rejected {
                        code: "QC1006",
                        span: span.clone(),
                        message: format!(
                            "is {}, expected {}",
                            safe(digits.as_str(), SHOWN),
                            kind.expected()
                        ),
                        meant: None,
                    }]
                })
        }
        (Kind::List(item), DeValue::Array(items)) => {
            let mut values = Vec::new();
            let mut rejected = Vec::new();
            for found in items {
                match check(*item, found) {
                    Ok(value) => values.push(value),
                    Err(more) => rejected.extend(more),
                }
            }
            if rejected.is_empty() {
                Ok(Value::Array(values))
            } else {
                Err(rejected)
            }
        }
        (Kind::Bool | Kind::Integer { .. } | Kind::List(_) | Kind::Table(_) | Kind::Map(_), _) => {
            Err(wrong_type())
        }
        (_, DeValue::String(text)) => match check_text(kind, text) {
            Ok(()) => Ok(Value::String(text.clone().into_owned())),
            Err((message, meant)) => Err(vec![Rejected {
                code: "QC1006",
                span,
                message,
                meant,
            }]),
        },
        _ => Err(wrong_type()),
    }
}

/// A scalar from the environment, where everything is text.
pub(super) fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
    let bad = || format!("is '{}', expected {}", safe(text, SHOWN), kind.expected());
    match kind {
        Kind::Bool => match text {
            "true" | "1" | "yes" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" => Ok(Value::Boolean(false)),
            _ => Err(bad()),
        },
        Kind::Integer { min, max } => text
            .parse()
            .ok()
            .filter(|number| (min..=max).contains(number))
            .map(Value::Integer)
            .ok_or_else(bad),
        Kind::List(_) | Kind::Table(_) | Kind::Map(_) => {
            Err("cannot come from the environment".to_owned())
        }
        _ => match check_text(kind, text) {
            Ok(()) => Ok(Value::String(text.to_owned())),
            Err((message, _)) => Err(message),
        },
    }
}

/// A value that the schema itself writes, such as a default.
pub(super) fn literal(kind: Kind, literal: &str) -> Result<Value, String> {
    if matches!(kind, Kind::Table(_) | Kind::Map(_)) {
        // Walked with the sample; here it only needs to be TOML.
        let text = format!("value = {literal}");
        let table: toml::Table = toml::from_str(&text).map_err(|error| error.to_string())?;
        return table.get("value").cloned().ok_or_else(String::new);
    }
    let found = DeValue::parse(literal).map_err(|error| error.message().to_owned())?;
    check(kind, &found).map_err(|rejected| {
        rejected
            .into_iter()
            .map(|rejected| rejected.message)
            .collect::<Vec<_>>()
            .join(", ")
    })
}

type BadText = (String, Option<&'static str>);

fn check_text(kind: Kind, text: &str) -> Result<(), BadText> {
    let expected = || {
        (
            format!("is '{}', expected {}", safe(text, SHOWN), kind.expected()),
            None,
        )
    };
    let says = |error: &dyn std::fmt::Display| (format!("is not valid: {error}"), None);
    match kind {
        Kind::Duration => parse_duration(text).map(drop).map_err(|_| expected()),
        Kind::Size => parse_size(text).map(drop).map_err(|_| expected()),
        Kind::Addr => is_host_port(text).then_some(()).ok_or_else(expected),
        Kind::Listen => text.parse::<SocketAddr>().map(drop).map_err(|_| expected()),
        Kind::Url => is_url(text).then_some(()).ok_or_else(expected),
        Kind::Enum(words) => {
            if words.contains(&text) {
                return Ok(());
            }
            let message = format!(
                "is '{}', expected one of {}",
                safe(text, SHOWN),
                quoted(words)
            );
            Err((message, nearest(text, words.iter().copied())))
        }
        Kind::Label => text.parse::<Site>().map(drop).map_err(|e| says(&e)),
        Kind::NodeName => text.parse::<NodeName>().map(drop).map_err(|e| says(&e)),
        Kind::StreamName => text.parse::<StreamName>().map(drop).map_err(|e| says(&e)),
        Kind::TrustDomain => text.parse::<TrustDomain>().map(drop).map_err(|e| says(&e)),
        _ if text.is_empty() => Err(("is empty".to_owned(), None)),
        _ if text.contains('\0') => Err(("has a NUL character".to_owned(), None)),
        _ => Ok(()),
    }
}

fn is_host_port(text: &str) -> bool {
    if text.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host_ok = (1..=253).contains(&host.len())
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    host_ok && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic())
    })
}

fn with_article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
