//! Text that is typed or stands in a configuration, and text that is shown.

use std::fmt::Display;
use std::str::FromStr;

use qc_core::filter::{Field, Filter, Kind, Value};
use qc_core::model::{NodeName, StreamName, Timestamp, TrustDomain};
use qc_core::reach::{Pattern, Proxy, Target};
use qc_core::safe_text::{safe, safe_bytes};
use qc_core::wire::{Consumer, Target as CallTarget};

const FIELDS: &[Field] = &[
    Field {
        name: "node",
        kind: Kind::Text,
    },
    Field {
        name: "state",
        kind: Kind::Text,
    },
    Field {
        name: "links",
        kind: Kind::Number,
    },
    Field {
        name: "backlog",
        kind: Kind::Bytes,
    },
    Field {
        name: "age",
        kind: Kind::Millis,
    },
];

/// An expression: it is judged, a record can be asked, and what it is written as means the same.
pub(crate) fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let found = Filter::parse(text, FIELDS);
    match found {
        Ok(filter) => {
            let again = Filter::parse(filter.as_str(), FIELDS);
            assert_eq!(again.as_ref(), Ok(&filter));
            let record = |field: &str| match field {
                "node" => Value::Text("edge-07.mill7.acme"),
                "state" => Value::Text(text.get(..text.len().min(9)).unwrap_or("ok")),
                "backlog" => Value::Number(1024.0),
                _ => Value::Missing,
            };
            let _either = (filter.matches(record), filter.matches(|_| Value::Missing));
        }
        Err(error) => {
            let shown = [error.to_string(), error.excerpt(text)];
            let lines = shown.iter().flat_map(|text| text.lines());
            for line in lines {
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
            assert!(error.column >= 1 && error.column <= text.chars().count() + 1000);
        }
    }
}

/// What parses is written as what parses to the same.
fn back<T>(text: &str)
where
    T: FromStr + Display + PartialEq,
{
    if let Ok(parsed) = text.parse::<T>() {
        let again = parsed.to_string().parse::<T>();
        assert!(again.is_ok_and(|again| again == parsed), "{text:?}");
    }
}

pub(crate) fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    back::<NodeName>(text);
    back::<StreamName>(text);
    back::<TrustDomain>(text);
    back::<Consumer>(text);
    back::<CallTarget>(text);
    back::<Target>(text);
    back::<Proxy>(text);
    let _either = (
        text.parse::<Pattern>().is_ok(),
        Timestamp::parse_rfc3339(text),
    );
    if let (Ok(node), Ok(domain)) = (
        text.parse::<NodeName>(),
        "qc.internal".parse::<TrustDomain>(),
    ) {
        let dns = node.dns_name(&domain);
        assert_eq!(NodeName::from_dns_name(&dns, &domain), Ok(node));
    }
}

/// Nothing that a terminal would act on comes out, and no more than was asked for.
pub(crate) fn safe_text(bytes: &[u8]) {
    let (most, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let most = usize::from(*most);
    let text = String::from_utf8_lossy(bytes);
    for shown in [safe(&text, most), safe_bytes(bytes, most)] {
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        let hidden = [
            '\u{200b}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{ad}',
            '\u{e0041}',
        ];
        assert!(!shown.contains(hidden), "{shown:?}");
        assert!(shown.len() <= 12 * most + 2, "{} for {most}", shown.len());
    }
}
