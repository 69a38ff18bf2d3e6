//! How long streams keep: what a stream says, what its class allows, and what goes next.
//!
//! A class is a ceiling for its streams. A stream that asks for more is refused at the configuration; one
//! that says nothing takes the class's, and where that says nothing the default.

use std::time::Duration;

use qc_core::admin::disk::{ClassRow, LimitRow, Retention as Table, RetentionRow};
use qc_core::config::{Loaded, Problem, de};
use qc_core::model::{DataClass, Seq, StreamName, Timestamp};
use qc_core::store::{Limits, StreamInfo};
use serde::Deserialize;

use crate::hub::Hub;
use crate::hub::access::StreamRule;

/// How long a message stays that everybody has, where neither stream nor class say.
const KEEP: Duration = Duration::from_hours(7 * 24);

/// `[[class]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ClassSection {
    /// Its name.
    #[serde(deserialize_with = "de::parsed")]
    pub name: DataClass,
    /// The longest `keep` of its streams.
    #[serde(default, deserialize_with = "de::maybe_duration")]
    pub keep: Option<Duration>,
    /// The longest `expire` of its streams.
    #[serde(default, deserialize_with = "de::maybe_duration")]
    pub expire: Option<Duration>,
    /// Whether messages of it may go to the parent.
    #[serde(default)]
    pub uplink: bool,
}

/// Who said how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// The stream's own key.
    Stream,
    /// The class's.
    Class,
    /// Nobody.
    Default,
}

impl From {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Class => "class",
            Self::Default => "default",
        }
    }
}

/// What holds for one declared stream, and by whose word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Its limits.
    pub limits: Limits,
    /// Where `keep` comes from.
    keep: From,
    /// Where `expire` comes from, if there is one.
    expire: From,
}

impl Retention {
    /// The limits of a stream that says `own`, under its class.
    pub(crate) fn of(own: &Limits, class: Option<&ClassSection>) -> Self {
        let of_class = |limit: fn(&ClassSection) -> Option<Duration>| class.and_then(limit);
        let from = |own: Option<Duration>, class: Option<Duration>| match (own, class) {
            (Some(_), _) => From::Stream,
            (None, Some(_)) => From::Class,
            (None, None) => From::Default,
        };
        let (keep, expire) = (of_class(|class| class.keep), of_class(|class| class.expire));
        Self {
            keep: from(own.keep, keep),
            expire: from(own.expire, expire),
            limits: Limits {
                keep: own.keep.or(keep).or(Some(KEEP)),
                expire: own.expire.or(expire),
                ..own.clone()
            },
        }
    }

    /// What the stream `name` asks for beyond its class, as errors of the configuration.
    pub(crate) fn problems(
        &self,
        name: &StreamName,
        class: &ClassSection,
        loaded: &Loaded,
    ) -> Vec<Problem> {
        let most_kept = match (class.keep, class.expire) {
            (Some(keep), Some(expire)) => Some(keep.min(expire)),
            (keep, expire) => keep.or(expire),
        };
        let asked = [
            ("keep", self.keep, self.limits.keep, most_kept),
            ("expire", self.expire, self.limits.expire, class.expire),
        ];
        let too_long = asked.into_iter().filter_map(|(key, from, asked, most)| {
            let (asked, most) = (asked?, most?);
            (from == From::Stream && asked > most).then(|| {
                let (class, asked, most) = (&class.name, spelled(asked), spelled(most));
                let message =
                    format!("'{key}' is {asked}, but class '{class}' allows {most} at most");
                let path = format!("stream[{name}].{key}");
                let help = format!("{key} = \"{most}\", or leave it out: the class's holds then");
                loaded.problem(&path, "QC1020", message).help(help)
            })
        });
        too_long.collect()
    }

    fn limit_rows(&self) -> Vec<LimitRow> {
        let row = |limit: &str, value: Option<u64>, from: From| {
            value.map(|value| LimitRow {
                limit: limit.to_owned(),
                value,
                from: from.as_str().to_owned(),
            })
        };
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        let rows = [
            row("keep", seconds(self.limits.keep), self.keep),
            row("expire", seconds(self.limits.expire), self.expire),
            row("max_messages", self.limits.max_messages, From::Stream),
            row("max_bytes", self.limits.max_bytes, From::Stream),
        ];
        rows.into_iter().flatten().collect()
    }
}

impl ClassSection {
    /// A class that keeps longer than it lets anything live.
    pub(crate) fn problem(&self, loaded: &Loaded) -> Option<Problem> {
        let (keep, expire) = (self.keep?, self.expire?);
        (keep > expire).then(|| {
            let (keep, expire) = (spelled(keep), spelled(expire));
            let message = format!("'keep' is {keep}, but messages expire after {expire}");
            loaded.problem(&format!("class[{}].keep", self.name), "QC1020", message)
        })
    }
}

/// A duration as the configuration spells it.
fn spelled(time: Duration) -> String {
    let ms = time.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    let whole = units
        .iter()
        .find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit));
    whole.map_or_else(
        || format!("{ms}ms"),
        |(unit, letter)| format!("{}{letter}", ms / unit),
    )
}

/// Every stream that there is, with what holds for it and what goes next.
pub(crate) fn table(hub: &Hub) -> Table {
    let (now, access) = (hub.clock().now(), hub.access());
    let classes = access.classes().iter().map(|class| ClassRow {
        class: class.name.to_string(),
        keep_s: class.keep.map(|keep| keep.as_secs()),
        expire_s: class.expire.map(|expire| expire.as_secs()),
    });
    let streams = hub.hub_streams().into_iter().map(|info| {
        let rule = access.stream(&info.key.name);
        row(&info, rule, hub.slowest(&info.key), now)
    });
    Table {
        classes: classes.collect(),
        streams: streams.collect(),
    }
}

fn row(
    info: &StreamInfo,
    rule: Option<&StreamRule>,
    slowest: Option<(String, Seq)>,
    now: Timestamp,
) -> RetentionRow {
    let behind = slowest.filter(|(_, seq)| *seq < info.first);
    let kept = rule.map(|rule| &rule.retention);
    let limits = kept.map(|kept| kept.limits.clone()).unwrap_or_default();
    let (next_at, next) = next(info, &limits, behind.map(|(name, _)| name).as_deref());
    let next = match rule {
        None => "stay: the stream is not declared any more".to_owned(),
        Some(_) => next,
    };
    RetentionRow {
        stream: info.key.name.to_string(),
        class: rule.map(|rule| rule.class.to_string()),
        limits: kept.map(Retention::limit_rows).unwrap_or_default(),
        messages: info.messages,
        bytes: info.bytes,
        oldest_s: info.oldest.map(|oldest| now.since(oldest).as_secs()),
        next_in_s: next_at.map(|at| at.since(now).as_secs()),
        next,
    }
}

/// When the oldest message goes and why; `behind` is who has not taken it.
fn next(info: &StreamInfo, limits: &Limits, behind: Option<&str>) -> (Option<Timestamp>, String) {
    let Some(oldest) = info.oldest.filter(|_| info.messages > 0) else {
        return (None, "nothing held".to_owned());
    };
    let after = |age: Option<Duration>| age.map(|age| oldest.plus(age));
    let (kept, expired) = (after(limits.keep), after(limits.expire));
    match (behind, kept, expired) {
        (None, Some(kept), expired) if expired.is_none_or(|expired| kept <= expired) => {
            (Some(kept), "keep is over".to_owned())
        }
        (None, _, Some(expired)) => (Some(expired), "expires".to_owned()),
        (Some(behind), _, Some(expired)) => (
            Some(expired),
            format!("expires, if {behind} has not taken it"),
        ),
        (Some(behind), ..) => (None, format!("waits for {behind}")),
        (None, ..) => (None, "stays".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::config::{Source, load};
    use qc_core::model::Epoch;
    use qc_core::store::StreamKey;

    use crate::config::{RelayConfig, SCHEMA};

    fn config(text: &str) -> Result<RelayConfig, String> {
        let text = format!("schema = 1\n{text}");
        let loaded = load(&SCHEMA, vec![Source::new("relay.toml", text)], &[]);
        RelayConfig::from_loaded(&loaded.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
    }

    const CLASS: &str = "[[class]]\nname = \"phi\"\nkeep = \"3d\"\nexpire = \"30d\"\n";

    fn stream(keys: &str) -> String {
        format!("{CLASS}[[stream]]\nname = \"acme/x\"\nclass = \"phi\"\n{keys}")
    }

    #[test]
    fn a_stream_takes_what_it_does_not_say_from_its_class() {
        let day = |days: u64| Some(Duration::from_hours(24 * days));
        let kept = |text: &str| {
            let access = config(text).unwrap().access();
            let rule = access.streams().next().unwrap();
            rule.retention.clone()
        };
        let rule = |keys: &str| kept(&stream(keys));
        let unsaid = rule("");
        assert_eq!(
            (unsaid.limits.keep, unsaid.limits.expire),
            (day(3), day(30))
        );
        assert_eq!((unsaid.keep, unsaid.expire), (From::Class, From::Class));
        let said = rule("keep = \"1d\"\nexpire = \"30d\"\n");
        assert_eq!((said.limits.keep, said.limits.expire), (day(1), day(30)));
        assert_eq!((said.keep, said.expire), (From::Stream, From::Stream));
        let other = "[[stream]]\nname = \"acme/y\"\nclass = \"public\"\n";
        let other = kept(other);
        assert_eq!((other.limits.keep, other.limits.expire), (day(7), None));
        assert_eq!(other.keep, From::Default);
    }

    #[test]
    fn a_stream_that_asks_for_more_than_its_class_is_refused_with_its_place() {
        let error = config(&stream("keep = \"4d\"\n")).unwrap_err();
        for part in [
            "QC1020",
            "relay.toml:9:1",
            "'keep' is 4d, but class 'phi' allows 3d at most",
            "help: keep = \"3d\", or leave it out",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let error = config(&stream("expire = \"90d\"\n")).unwrap_err();
        assert!(error.contains("'expire' is 90d"), "{error}");
        let twisted = "[[class]]\nname = \"phi\"\nkeep = \"3d\"\nexpire = \"1d\"\n";
        let error = config(twisted).unwrap_err();
        assert!(error.contains("expire after 1d"), "{error}");
    }

    #[test]
    fn what_goes_next_is_told_with_its_reason() {
        let info = |messages| StreamInfo {
            key: StreamKey::hub("acme/x".parse().unwrap()),
            epoch: Epoch(1),
            first: Seq(5),
            last: Seq(9),
            messages,
            bytes: 10,
            oldest: Some(Timestamp::from_millis(1000)),
            lost: 0,
            duplicates: 0,
        };
        let limits = |keep, expire| Limits {
            keep: Some(Duration::from_secs(keep)),
            expire: Some(Duration::from_secs(expire)).filter(|_| expire > 0),
            ..Limits::default()
        };
        let check = |messages, limits: Limits, behind, expected: (Option<u64>, &str)| {
            let (at, why) = next(&info(messages), &limits, behind);
            let expected_at = expected.0.map(|s| Timestamp::from_millis(1000 + s * 1000));
            assert_eq!((at, why.as_str()), (expected_at, expected.1));
        };
        check(0, limits(10, 0), None, (None, "nothing held"));
        check(5, limits(10, 0), None, (Some(10), "keep is over"));
        check(5, limits(10, 5), None, (Some(5), "expires"));
        check(5, limits(10, 0), Some("b/in"), (None, "waits for b/in"));
        let late = (Some(20), "expires, if b/in has not taken it");
        check(5, limits(10, 20), Some("b/in"), late);
    }
}
