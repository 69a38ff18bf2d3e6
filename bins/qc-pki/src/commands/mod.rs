//! One verb a file: `Args`, whose doc comments are the help, and `run`.

pub(crate) mod ca;
pub(crate) mod control;
pub(crate) mod crl;
pub(crate) mod enroll;
pub(crate) mod init;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod request;
pub(crate) mod revoke;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod sign;
pub(crate) mod token;
pub(crate) mod trust;
pub(crate) mod verify;

use std::path::Path;
use std::time::Duration;

use qc_core::cli::{Exit, Failure, Globals, Output, human_duration};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::model::Timestamp;
use qc_core::pki::{Authority, PkiDir, TrustAnchors, outage_budget};

use crate::cli::{Cli, Command, HouseArg};
use crate::{failure, passphrase};

/// Runs the command of `cli`.
pub(crate) fn run(cli: &Cli, out: &Output) -> Result<(), Failure> {
    let context = Context {
        globals: &cli.globals,
        out,
        now: SystemClock::default().now(),
    };
    match &cli.command {
        Command::Init(args) => init::run(args, &context),
        Command::Ca(ca::Command::Create(args)) => ca::run(args, &context),
        Command::Serve(args) => serve::run(args, &context),
        Command::Token(token::Command::New(args)) => token::run(args, &context),
        Command::Enroll(args) => enroll::run(args, &context),
        Command::Request(request::Command::New(args)) => request::run(args, &context),
        Command::Sign(args) => sign::run(args, &context),
        Command::Install(args) => install::run(args, &context),
        Command::List(args) => list::run(args, &context),
        Command::Show(args) => show::run(args, &context),
        Command::Verify(args) => verify::run(args, &context),
        Command::Revoke(args) => revoke::run(args, &context),
        Command::Crl(crl::Command::Resign(args)) => crl::run(args, &context),
        Command::Control(control::Command::Sign(args)) => control::sign(args, &context),
        Command::Control(control::Command::Show(args)) => control::show(args, &context),
        Command::Trust(trust::Command::Show(args)) => trust::run(args, &context),
        Command::Explain(verb) => verb.run(out, context.now),
    }
}

/// What every command needs.
pub(crate) struct Context<'a> {
    pub(crate) globals: &'a Globals,
    pub(crate) out: &'a Output,
    pub(crate) now: Timestamp,
}

impl Context<'_> {
    /// Opens a CA, asking for its passphrase if it needs one.
    pub(crate) fn unlock(
        &self,
        house: &PkiDir,
        ca: &str,
        passphrase_file: Option<&Path>,
    ) -> Result<Authority, Failure> {
        let files = house.ca(ca).map_err(failure::dir)?;
        let secret =
            passphrase::to_open(ca, files.encrypted, passphrase_file, self.globals, self.out)?;
        house.unlock(ca, secret.as_ref()).map_err(failure::dir)
    }
}

/// The trust directory named, or what the authority itself would hand out.
pub(crate) fn load_trust(trust: Option<&Path>, house: &HouseArg) -> Result<TrustAnchors, Failure> {
    if let Some(dir) = trust {
        return TrustAnchors::load(dir).map_err(|e| failure::trust(&e));
    }
    let house = PkiDir::open(&house.dir).map_err(failure::dir)?;
    house.trust().map_err(failure::dir)
}

/// A runtime for the commands that talk to the network.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Exit::Other, "QC2135", "the runtime does not start").because(&error)
        })
}

/// `14d00h, outage budget 168h`.
pub(crate) fn validity_words(lifetime: Duration) -> String {
    let budget = outage_budget(lifetime).as_secs() / 3600;
    format!(
        "valid {}, outage budget {budget}h",
        human_duration(lifetime)
    )
}

/// A moment as a day: `2046-11-16`.
pub(crate) fn day(time: Timestamp) -> String {
    let text = time.to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// Reads a small file that somebody named.
pub(crate) fn read_file(path: &Path, max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound {
            Exit::NotFound
        } else {
            Exit::Other
        };
        Failure::new(exit, "QC2136", format!("{} cannot be read", path.display())).because(&error)
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > max {
        return Err(failed(std::io::Error::from(
            std::io::ErrorKind::FileTooLarge,
        )));
    }
    std::fs::read(path).map_err(failed)
}

/// Writes a result file durably.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    qc_core::durable::create_dir_all(dir, 0o755)
        .and_then(|()| qc_core::durable::write_atomic(path, bytes, 0o644))
        .map_err(|error| {
            let message = format!("{} cannot be written", path.display());
            Failure::new(Exit::Disk, "QC2137", message).because(&error)
        })
}
