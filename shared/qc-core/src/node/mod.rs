//! A node at its start: the state directory, the identity, the keys and the store in it, or one clear
//! reason why not.

mod control;
mod control_config;
mod key_config;
mod key_files;
mod key_routes;
mod keys;
mod tenant_keys;
#[cfg(test)]
mod tests;
mod unwrapper;

use std::path::Path;
use std::sync::Arc;

use crate::admin::api::{CertificateStatus, LedgerRow};
use crate::admin::keys::KeyReport;
use crate::clock::Clock;
use crate::failure::{Exit, Failure};
use crate::model::{NodeName, StreamName, Timestamp};
use crate::service::StateLock;
use crate::store::{
    CursorState, Custody, Log, LogOptions, OpenError, OpenReport, RealDisk, StreamInfo,
};
use crate::streams::Account;
use crate::tls::{Credentials, CredentialsError};

use keys::AtHand;
use tenant_keys::TenantKeys;

pub use control::{
    Answer, CONTROL_TARGET, Control, ControlParts, Outcome, TakenObject, applied, control_routes,
    push,
};
pub use control_config::{CONTROL, ControlSection};
pub use key_config::{PASSPHRASE_FILE, TENANT_KEYS, TenantKeySection};
pub use key_routes::key_routes;
pub use keys::{KeyOptions, Keys};
pub use tenant_keys::TenantKeyRule;

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
    /// The keys of the store.
    pub keys: Keys,
    _lock: StateLock,
}

/// A store without the node around it: for commands while no daemon runs.
pub struct StoreState {
    /// Its keys.
    pub keys: Keys,
    log: Log,
    _lock: StateLock,
}

impl NodeState {
    /// Locks `dir`, loads the identity and the keys in it and opens the store. `program` is for the help
    /// lines.
    pub async fn open(
        dir: &Path,
        program: &str,
        options: impl FnOnce(LogOptions) -> LogOptions,
        keys: &KeyOptions,
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
        let (log, report, keys) = open_store(dir, program, options, keys, clock).await?;
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
            keys,
            _lock: lock,
        })
    }
}

impl StoreState {
    /// Locks `dir` and opens the store in it, as the user whose files they are.
    pub async fn open(
        dir: &Path,
        program: &str,
        options: impl FnOnce(LogOptions) -> LogOptions,
        keys: &KeyOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let lock = lock_as_owner(dir, program)?;
        let quiet = |log| LogOptions {
            scrub: false,
            ..options(log)
        };
        let (log, _report, keys) = open_store(dir, program, quiet, keys, clock).await?;
        Ok(Self {
            keys,
            log,
            _lock: lock,
        })
    }

    /// Ends all writing.
    pub fn close(self) {
        self.log.close();
    }
}

async fn open_store(
    dir: &Path,
    program: &str,
    options: impl FnOnce(LogOptions) -> LogOptions,
    keys: &KeyOptions,
    clock: Arc<dyn Clock>,
) -> Result<(Log, OpenReport, Keys), Failure> {
    let log_dir = dir.join("log");
    let at_hand = {
        let (dir, keys, clock) = (dir.to_owned(), keys.clone(), Arc::clone(&clock));
        let is_sealed = has_segments(&log_dir);
        blocking(move || AtHand::load(&dir, &keys, is_sealed, clock.as_ref())).await??
    };
    let tenants: Arc<dyn Custody> = Arc::<TenantKeys>::clone(&at_hand.tenants);
    let options = LogOptions {
        custody: tenants,
        ..options(LogOptions::new(&log_dir))
    };
    let disk = Arc::new(RealDisk);
    let (log, report) = Log::open(disk, &options, at_hand.keyring(), Arc::clone(&clock))
        .map_err(|error| no_store(&log_dir, &error))?;
    let keys = at_hand.settle(log.clone(), log_dir, program, clock).await?;
    Ok((log, report, keys))
}

/// Does what blocks where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new(Exit::Bug, "QC0004", "a task panicked").because(&error))
}

/// What may be shown of the keys in `dir` while no daemon has it open.
pub fn key_report(
    dir: &Path,
    program: &str,
    keys: &KeyOptions,
    clock: &dyn Clock,
) -> Result<KeyReport, Failure> {
    let _lock = lock_as_owner(dir, program)?;
    let is_new = !has_segments(&dir.join("log")) && !dir.join("keys").exists();
    if is_new && keys.credentials.is_none() {
        let message = format!("there is no key in {} yet", dir.display());
        let failure = Failure::new(Exit::NotFound, "QC3010", message);
        return Err(failure.help(format!("{program} run    makes one at its first start")));
    }
    let at_hand = AtHand::load(dir, keys, true, clock)?;
    Ok(at_hand.report(&dir.join("log"), clock))
}

/// The lock of the state directory for a command, which must leave no file of another user in it.
fn lock_as_owner(dir: &Path, program: &str) -> Result<StateLock, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(dir).map_err(|error| {
        let message = format!("there is no state directory {}", dir.display());
        Failure::new(Exit::NotFound, "QC1101", message).because(&error)
    })?;
    let (owner, me) = (meta.uid(), rustix::process::geteuid().as_raw());
    if owner == me {
        return StateLock::acquire(dir);
    }
    let message = format!(
        "the files in {} belong to user {owner}, and new ones would belong to user {me}",
        dir.display()
    );
    let failure = Failure::new(Exit::Refused, "QC3053", message);
    Err(failure.help(format!(
        "sudo -u '#{owner}' {program} key ...    or start {program} and ask it"
    )))
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

fn not_wrapped(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(Exit::Disk, "QC3013", "the keys are not wrapped anew yet")
        .because(error)
        .help("the next start ends the change; look at the disk first: dmesg, df")
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
        OpenError::Io { .. } => (Exit::Disk, "QC3013", "look at the disk: dmesg, df"),
    };
    let message = format!("the store in {} cannot be opened", dir.display());
    Failure::new(exit, code, message).because(error).help(help)
}
