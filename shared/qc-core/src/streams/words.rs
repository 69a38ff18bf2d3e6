//! The words of the engines that the store does not have: how much to read, what is accounted for.

use crate::model::Seq;
use crate::store::{self, CursorState, NoKey};

/// How much one read gives at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Messages.
    pub records: usize,
    /// Bytes of their records; the first message comes whatever it has.
    pub bytes: usize,
}

impl Bounds {
    /// One message of any size.
    pub const ONE: Self = Self {
        records: 1,
        bytes: 0,
    };
}

/// Why messages could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// What was stored is not what comes back.
    #[error("{0}")]
    Damaged(String),
    /// The body is under a tenant's key that is not at hand.
    #[error("{reason}")]
    TenantKey {
        /// Whether it may come back.
        reason: NoKey,
    },
    /// The engine cannot answer now.
    #[error("{0}")]
    Unavailable(String),
}

impl ReadError {
    /// The stable code, the same on the link, in the log and in a command.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TenantKey { reason } => reason.code(),
            Self::Damaged(_) | Self::Unavailable(_) => "QC3004",
        }
    }
}

impl From<store::ReadError> for ReadError {
    fn from(error: store::ReadError) -> Self {
        let text = error.to_string();
        match error {
            store::ReadError::Damaged { .. } => Self::Damaged(text),
            store::ReadError::TenantKey { reason } => Self::TenantKey { reason },
            store::ReadError::Io { source, .. } => Self::Unavailable(format!("{text}: {source}")),
        }
    }
}

/// What came in for a consumer and what became of it. Balanced is
/// `received = acked + pending + expired + dead + purged` with nothing lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Messages that were ever meant for it.
    pub received: u64,
    /// Of these, taken.
    pub acked: u64,
    /// Of these, still to come; counted where they are kept, not from the other numbers.
    pub pending: u64,
    /// Of these, ended by `expire`.
    pub expired: u64,
    /// Of these, dead letters.
    pub dead: u64,
    /// Of these, taken away.
    pub purged: u64,
    /// Of these, gone although nobody took them away.
    pub lost: u64,
    /// Messages that came again; counted apart.
    pub duplicates: u64,
}

impl Account {
    /// The account of a consumer at `state` of a stream that ends at `last`, of which `pending` are
    /// kept beyond the consumer and `lost` are gone there.
    pub fn of(state: &CursorState, last: Seq, pending: u64, lost: u64) -> Self {
        Self {
            received: state.received(last),
            acked: state.acked,
            pending,
            expired: state.expired,
            dead: state.dead,
            purged: state.purged,
            lost: state.lost() + lost,
            duplicates: 0,
        }
    }

    /// Whether everything that came in is accounted for.
    pub fn balances(&self) -> bool {
        let settled = self.acked + self.pending + self.expired + self.dead + self.purged;
        self.received == settled && self.lost == 0
    }
}

/// How an engine fares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Messages taken since start.
    pub taken: u64,
    /// Why nothing is taken at the moment, if so; it will be tried again.
    pub full: Option<String>,
    /// What ended the engine for good, if something did.
    pub stopped: Option<String>,
}
