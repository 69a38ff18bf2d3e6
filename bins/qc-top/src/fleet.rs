//! The fleet as it is shown: safe text, parsed times, rows that can be filtered and sorted.

use std::cmp::{Ordering, Reverse};

use clap::ValueEnum;
use qc_core::admin::api::{Fleet, FleetNode, FleetTotals, NodeState, Reply};
use qc_core::filter::{Field, Filter, Kind, Value};
use qc_core::model::Timestamp;
use qc_core::safe_text::safe;

/// What a filter can ask for.
pub(crate) const FIELDS: &[Field] = &[
    Field {
        name: "name",
        kind: Kind::Text,
    },
    Field {
        name: "site",
        kind: Kind::Text,
    },
    Field {
        name: "tenant",
        kind: Kind::Text,
    },
    Field {
        name: "role",
        kind: Kind::Text,
    },
    Field {
        name: "state",
        kind: Kind::Text,
    },
    Field {
        name: "code",
        kind: Kind::Text,
    },
    Field {
        name: "version",
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
    Field {
        name: "in",
        kind: Kind::Number,
    },
    Field {
        name: "out",
        kind: Kind::Number,
    },
    Field {
        name: "disk",
        kind: Kind::Number,
    },
    Field {
        name: "cert",
        kind: Kind::Millis,
    },
    Field {
        name: "clock",
        kind: Kind::Millis,
    },
    Field {
        name: "rtt",
        kind: Kind::Millis,
    },
    Field {
        name: "age",
        kind: Kind::Millis,
    },
];

/// How rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SortBy {
    /// Worst state first, then the largest backlog
    #[default]
    Severity,
    /// Name
    Name,
    /// Site, then name
    Site,
    /// Largest backlog first
    Backlog,
    /// Oldest waiting message first
    Oldest,
    /// Most incoming first
    In,
    /// Most outgoing first
    Out,
    /// Fullest disk first
    Disk,
    /// Certificate that ends soonest first
    Cert,
    /// Version
    Version,
}

impl SortBy {
    /// The word on the screen.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Severity => "severity",
            Self::Name => "name",
            Self::Site => "site",
            Self::Backlog => "backlog",
            Self::Oldest => "oldest",
            Self::In => "in/s",
            Self::Out => "out/s",
            Self::Disk => "disk",
            Self::Cert => "cert",
            Self::Version => "version",
        }
    }

    /// The one after this.
    pub(crate) fn next(self) -> Self {
        let all = Self::value_variants();
        let at = all.iter().position(|sort| *sort == self).unwrap_or(0);
        all.get(at + 1).copied().unwrap_or_default()
    }
}

/// One answer of the relay.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) relay: String,
    pub(crate) region: Option<String>,
    /// The relay's time when it put this together.
    pub(crate) at: Option<Timestamp>,
    pub(crate) rows: Vec<Row>,
    pub(crate) totals: FleetTotals,
    pub(crate) warnings: Vec<String>,
}

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) site: String,
    pub(crate) tenant: String,
    pub(crate) role: String,
    pub(crate) version: String,
    pub(crate) code: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) cert_not_after: Option<Timestamp>,
    /// The node's numbers; its texts are in the members above, made safe.
    pub(crate) numbers: Numbers,
}

/// What a node counts and measures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) state: NodeState,
    pub(crate) backlog: u64,
    pub(crate) backlog_bytes: u64,
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) oldest_ms: Option<u64>,
    pub(crate) in_per_s: f64,
    pub(crate) out_per_s: f64,
    pub(crate) disk: Option<u8>,
    pub(crate) cert_left_s: Option<i64>,
    pub(crate) skew_ms: Option<i64>,
    pub(crate) rtt_ms: Option<u64>,
    pub(crate) age_ms: u64,
}

impl Snapshot {
    /// Takes an answer in; with `ascii` no other character stays in it.
    pub(crate) fn new(reply: &Reply<Fleet>, ascii: bool) -> Self {
        let fleet = &reply.data;
        let made = if fleet.generated_at.is_empty() {
            &reply.generated_at
        } else {
            &fleet.generated_at
        };
        Self {
            relay: clean(&fleet.relay, ascii),
            region: fleet.region.as_deref().map(|region| clean(region, ascii)),
            at: Timestamp::parse_rfc3339(made),
            rows: fleet
                .nodes
                .iter()
                .map(|node| Row::new(node, ascii))
                .collect(),
            totals: fleet.totals.clone(),
            warnings: reply
                .warnings
                .iter()
                .take(20)
                .map(|w| clean(w, ascii))
                .collect(),
        }
    }

    /// The rows that pass, in order.
    pub(crate) fn select(&self, filter: &Filter, sort: SortBy, reverse: bool) -> Vec<usize> {
        let passing = self.rows.iter().enumerate();
        let passing = passing.filter(|(_, row)| filter.matches(|field| row.field(field)));
        let mut order: Vec<(usize, &Row)> = passing.collect();
        order.sort_by(|(_, a), (_, b)| {
            let by = a.compare(b, sort);
            let by = if reverse { by.reverse() } else { by };
            by.then_with(|| a.name.cmp(&b.name))
                .then_with(|| a.key().cmp(&b.key()))
        });
        order.into_iter().map(|(at, _)| at).collect()
    }

    /// The node whose certificate ends first.
    pub(crate) fn next_certificate(&self) -> Option<(&Row, i64)> {
        let left = self
            .rows
            .iter()
            .filter_map(|row| Some((row, row.numbers.cert_left_s?)));
        left.filter(|(_, left)| *left > 0)
            .min_by_key(|(_, left)| *left)
    }

    /// How many certificates are over.
    pub(crate) fn expired_certificates(&self) -> usize {
        let over = |row: &&Row| row.numbers.cert_left_s.is_some_and(|left| left <= 0);
        self.rows.iter().filter(over).count()
    }

    /// The node whose clock is farthest off.
    pub(crate) fn worst_clock(&self) -> Option<(&Row, i64)> {
        let skews = self
            .rows
            .iter()
            .filter_map(|row| Some((row, row.numbers.skew_ms?)));
        skews.max_by_key(|(_, skew)| skew.unsigned_abs())
    }

    /// The node with the message that has waited longest.
    pub(crate) fn oldest(&self) -> Option<(&Row, u64)> {
        let ages = self
            .rows
            .iter()
            .filter_map(|row| Some((row, row.numbers.oldest_ms?)));
        ages.max_by_key(|(_, age)| *age)
    }
}

impl Row {
    fn new(node: &FleetNode, ascii: bool) -> Self {
        let time = |text: &Option<String>| Timestamp::parse_rfc3339(text.as_deref()?);
        Self {
            name: clean(&node.name, ascii),
            site: clean(&node.site, ascii),
            tenant: clean(&node.tenant, ascii),
            role: clean(&node.role, ascii),
            version: clean(&node.version, ascii),
            code: node.code.as_deref().map(|code| clean(code, ascii)),
            reason: node.reason.as_deref().map(|reason| clean(reason, ascii)),
            since: time(&node.since),
            cert_not_after: time(&node.cert_not_after),
            numbers: Numbers {
                state: node.state,
                backlog: node.backlog_messages,
                backlog_bytes: node.backlog_bytes,
                up: node.up_messages,
                down: node.down_messages,
                oldest_ms: node.oldest_ms,
                in_per_s: node.in_per_s,
                out_per_s: node.out_per_s,
                disk: node.disk_used_percent,
                cert_left_s: node.cert_left_s,
                skew_ms: node.clock_skew_ms,
                rtt_ms: node.rtt_ms,
                age_ms: node.age_ms,
            },
        }
    }

    /// What tells this node from every other.
    pub(crate) fn key(&self) -> String {
        format!("{}.{}.{}", self.name, self.site, self.tenant)
    }

    /// The first column: the state without colour.
    pub(crate) fn mark(&self) -> char {
        match self.numbers.state {
            NodeState::Down | NodeState::Crit => 'X',
            NodeState::Warn => '!',
            NodeState::Drain => 'D',
            NodeState::Stale | NodeState::Unknown => '?',
            NodeState::Ok => ' ',
        }
    }

    /// The state in capitals.
    pub(crate) fn state(&self) -> &'static str {
        match self.numbers.state {
            NodeState::Down => "DOWN",
            NodeState::Crit => "CRIT",
            NodeState::Warn => "WARN",
            NodeState::Drain => "DRAIN",
            NodeState::Stale => "STALE",
            NodeState::Unknown => "?",
            NodeState::Ok => "OK",
        }
    }

    /// Its value in one of [`FIELDS`].
    #[expect(
        clippy::cast_precision_loss,
        reason = "a filter need not tell 2^53 from its neighbour"
    )]
    pub(crate) fn field(&self, name: &str) -> Value<'_> {
        let number = |n: Option<u64>| n.map_or(Value::Missing, |n| Value::Number(n as f64));
        let signed = |n: Option<i64>| n.map_or(Value::Missing, |n| Value::Number(n as f64));
        let n = &self.numbers;
        match name {
            "name" => Value::Text(&self.name),
            "site" => Value::Text(&self.site),
            "tenant" => Value::Text(&self.tenant),
            "role" => Value::Text(&self.role),
            "state" => Value::Text(n.state.as_str()),
            "code" => self.code.as_deref().map_or(Value::Missing, Value::Text),
            "version" => Value::Text(&self.version),
            "backlog" => number(Some(n.backlog)),
            "bytes" => number(Some(n.backlog_bytes)),
            "oldest" => number(n.oldest_ms),
            "in" => Value::Number(n.in_per_s),
            "out" => Value::Number(n.out_per_s),
            "disk" => number(n.disk.map(u64::from)),
            "cert" => signed(n.cert_left_s.map(|s| s.saturating_mul(1000))),
            "clock" => number(n.skew_ms.map(i64::unsigned_abs)),
            "rtt" => number(n.rtt_ms),
            "age" => number(Some(n.age_ms)),
            _ => Value::Missing,
        }
    }

    fn compare(&self, other: &Self, sort: SortBy) -> Ordering {
        let (a, b) = (&self.numbers, &other.numbers);
        match sort {
            SortBy::Severity => {
                (a.state.rank(), Reverse(a.backlog)).cmp(&(b.state.rank(), Reverse(b.backlog)))
            }
            SortBy::Name => self.name.cmp(&other.name),
            SortBy::Site => self.site.cmp(&other.site),
            SortBy::Backlog => b.backlog.cmp(&a.backlog),
            SortBy::Oldest => b.oldest_ms.cmp(&a.oldest_ms),
            SortBy::In => b.in_per_s.total_cmp(&a.in_per_s),
            SortBy::Out => b.out_per_s.total_cmp(&a.out_per_s),
            SortBy::Disk => b.disk.cmp(&a.disk),
            SortBy::Cert => (a.cert_left_s.is_none(), a.cert_left_s)
                .cmp(&(b.cert_left_s.is_none(), b.cert_left_s)),
            SortBy::Version => self.version.cmp(&other.version),
        }
    }
}

/// Text from a node, bounded and safe.
pub(crate) fn clean(text: &str, ascii: bool) -> String {
    let shown = safe(text, 300);
    if ascii && !shown.is_ascii() {
        shown
            .chars()
            .map(|c| if c.is_ascii() { c } else { '?' })
            .collect()
    } else {
        shown
    }
}
