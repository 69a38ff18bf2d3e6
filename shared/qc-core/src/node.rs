//! A node at its start: the state directory, the identity and the store in it, or one clear reason
//! why not.

use std::path::Path;
use std::sync::Arc;

use crate::admin::api::{CertificateStatus, LedgerRow};
use crate::clock::Clock;
use crate::failure::{Exit, Failure};
use crate::model::{NodeName, StreamName, Timestamp};
use crate::service::StateLock;
use crate::store::{
    CursorState, KeyError, Log, LogOptions, NodeKey, OpenError, OpenReport, RealDisk, StreamInfo,
};
use crate::streams::Account;
use crate::tls::{Credentials, CredentialsError};

/// What a node holds while it runs.
pub struct NodeState {
    /// Its certificates and whom it trusts.
    pub credentials: Credentials,
    /// Its name, from its certificate.
    pub name: NodeName,
    /// Its store.
    pub log: Log,
    /// What was found when the store was opened.
    pub report: OpenReport,
    _lock: StateLock,
}

impl NodeState {
    /// Locks `dir`, loads the identity in it and opens the store. `program` is for the help lines.
    pub fn open(
        dir: &Path,
        program: &str,
        options: impl FnOnce(LogOptions) -> LogOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let lock = StateLock::acquire(dir)?;
        let credentials = Credentials::load(dir, Arc::clone(&clock))
            .map_err(|error| no_identity(dir, program, &error))?;
        let name = credentials.own_name().ok_or_else(|| {
            Failure::new(
                Exit::Refused,
                "QC2022",
                "the certificate here does not name a node",
            )
            .help(format!("qc-pki show {}/id/current/cert.pem", dir.display()))
        })?;
        let log_dir = dir.join("log");
        let has_segments = has_segments(&log_dir);
        let key_path = dir.join("keys/node.key");
        let key = NodeKey::load_or_create(&key_path, !has_segments)
            .map_err(|error| no_key(&key_path, &error))?;
        let options = options(LogOptions::new(&log_dir));
        let (log, report) = Log::open(Arc::new(RealDisk), &options, key, clock)
            .map_err(|error| no_store(&log_dir, &error))?;
        for line in report.lines() {
            tracing::warn!(code = "QC3001", "{line}");
        }
        tracing::info!(
            code = "QC3000",
            kept = report.kept,
            segments = report.segments,
            "Store open."
        );
        Ok(Self {
            credentials,
            name,
            log,
            report,
            _lock: lock,
        })
    }
}

/// What became of everything in a stream as one consumer sees it. What waits is counted in the store,
/// what is settled by the consumer's own counters, so the row balances only if nothing is missing.
pub fn ledger_row(
    log: &Log,
    info: &StreamInfo,
    consumer: String,
    state: &CursorState,
) -> LedgerRow {
    let pending = log.backlog(&info.key, state.seq).messages;
    let lost = log.lost_after(&info.key, state.seq);
    let account = Account {
        duplicates: info.duplicates,
        ..Account::of(state, info.last, pending, lost)
    };
    account_row(&info.key.name, consumer, &account)
}

/// The row of an account.
pub fn account_row(stream: &StreamName, consumer: String, account: &Account) -> LedgerRow {
    LedgerRow {
        stream: stream.to_string(),
        received: account.received,
        acked: account.acked,
        pending: account.pending,
        expired: account.expired,
        dead_lettered: account.dead,
        purged: account.purged,
        gaps: account.lost,
        duplicates: account.duplicates,
        consumer,
        ..LedgerRow::default()
    }
}

/// What is shown of a node's certificate.
pub fn certificate_status(credentials: &Credentials, now: Timestamp) -> CertificateStatus {
    let loaded = credentials.current();
    let end = loaded.node.not_after;
    let signed = |time: Timestamp| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    CertificateStatus {
        not_after: end.to_string(),
        left_s: signed(end) - signed(now),
        issuer: loaded.node.issuer.clone(),
        serial: loaded.node.serial.clone(),
        ..CertificateStatus::default()
    }
}

fn has_segments(log: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(log) else {
        return false;
    };
    let mut names = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name());
    names.any(|name| {
        Path::new(&name)
            .extension()
            .is_some_and(|ending| ending == "seg")
    })
}

fn no_identity(dir: &Path, program: &str, error: &CredentialsError) -> Failure {
    let shown = dir.display();
    let failure = match error.code() {
        "QC2020" => {
            let message = format!("there is no identity in {shown}");
            Failure::new(Exit::Refused, "QC2020", message)
        }
        code => {
            let message = format!("the identity in {shown} cannot be used");
            Failure::new(Exit::Refused, code, message).because(error)
        }
    };
    failure.help(format!(
        "qc-pki enroll --url https://RELAY --token-file TOKEN --dir {shown}    then start {program} again"
    ))
}

fn no_key(path: &Path, error: &KeyError) -> Failure {
    let failure = Failure::new(Exit::Disk, "QC3010", "the node key cannot be used").because(error);
    match error {
        KeyError::Mode { .. } => failure.help(format!("chmod 600 {}", path.display())),
        KeyError::Missing { .. } => failure.help(
            "bring the key back from the backup of this node; without it the store stays sealed",
        ),
        KeyError::Io { .. } | KeyError::Content { .. } => {
            failure.help(format!("ls -l {}", path.display()))
        }
    }
}

fn no_store(dir: &Path, error: &OpenError) -> Failure {
    let (exit, code, help) = match error {
        OpenError::NewerFormat { .. } => (
            Exit::Conflict,
            "QC3011",
            "run the version that wrote it; nothing was changed",
        ),
        OpenError::OlderFormat { .. } => (
            Exit::Conflict,
            "QC3011",
            "let the version that wrote it hand everything on, then begin with an empty log directory",
        ),
        OpenError::WrongKey { .. } => (
            Exit::Refused,
            "QC3012",
            "bring back the keys/node.key that belongs to this store",
        ),
        OpenError::Key(_) | OpenError::Io { .. } => {
            (Exit::Disk, "QC3013", "look at the disk: dmesg, df")
        }
    };
    let message = format!("the store in {} cannot be opened", dir.display());
    Failure::new(exit, code, message).because(error).help(help)
}
