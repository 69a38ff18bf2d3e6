//! The passphrase of a CA key: from a file, from systemd, or from the terminal; never from the
//! command line or the environment.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use qc_core::cli::{Exit, Failure, Globals, Output};
use qc_core::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

const MAX_PASSPHRASE: u64 = 1024;
const MIN_CHARS: usize = 8;

/// How an existing key is opened.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Read the passphrase of the CA key from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// How a new key is protected.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Read the passphrase for the new key from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// Keep the new key without a passphrase (laboratories only)
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) no_passphrase: bool,
}

/// The passphrase of the key of `ca`, if it needs one.
pub(crate) fn to_open(
    ca: &str,
    encrypted: bool,
    file: Option<&Path>,
    globals: &Globals,
    out: &Output,
) -> Result<Option<Secret<String>>, Failure> {
    if !encrypted {
        return Ok(None);
    }
    if let Some(found) = from_files(file)? {
        return Ok(Some(found));
    }
    if globals.no_input || !out.can_ask() {
        return Err(missing(ca));
    }
    ask(&format!("Passphrase of {ca}: ")).map(Some)
}

/// The passphrase for a new key of `ca`; `None` if the operator wants none.
pub(crate) fn to_create(
    ca: &str,
    args: &CreateArgs,
    globals: &Globals,
    out: &Output,
) -> Result<Option<Secret<String>>, Failure> {
    if args.no_passphrase {
        out.warn(&format!(
            "the key of {ca} is kept without a passphrase: whoever reads the file is the authority"
        ));
        return Ok(None);
    }
    let found = match from_files(args.passphrase_file.as_deref())? {
        Some(found) => found,
        None if globals.no_input || !out.can_ask() => return Err(missing(ca)),
        None => {
            let first = ask(&format!("New passphrase of {ca}: "))?;
            let again = ask(&format!("Again the passphrase of {ca}: "))?;
            if first.expose() != again.expose() {
                return Err(Failure::new(
                    Exit::Usage,
                    "QC2130",
                    "the passphrases differ",
                ));
            }
            first
        }
    };
    if found.expose().chars().count() < MIN_CHARS {
        let message = format!("the passphrase must have {MIN_CHARS} characters or more");
        return Err(Failure::new(Exit::Usage, "QC2131", message));
    }
    Ok(Some(found))
}

fn missing(ca: &str) -> Failure {
    let message = format!("the key of {ca} needs a passphrase, and nobody can be asked");
    Failure::new(Exit::Refused, "QC2108", message)
        .help("give --passphrase-file FILE, or the systemd credential ca-pass")
}

fn from_files(file: Option<&Path>) -> Result<Option<Secret<String>>, Failure> {
    if let Some(path) = file {
        return read(path).map(Some);
    }
    let Some(dir) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
        return Ok(None);
    };
    let path = PathBuf::from(dir).join("ca-pass");
    if path.exists() {
        read(&path).map(Some)
    } else {
        Ok(None)
    }
}

fn read(path: &Path) -> Result<Secret<String>, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("the passphrase file {} cannot be read", path.display());
        Failure::new(Exit::Other, "QC2132", message).because(&error)
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_PASSPHRASE)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// Asks on the terminal itself, without echo.
fn ask(prompt: &str) -> Result<Secret<String>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Other, "QC2133", "the terminal cannot be used").because(&error)
    };
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let mut terminal = terminal.map_err(failed)?;
    let before = tcgetattr(&terminal).map_err(|e| failed(e.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    let set = |modes| tcsetattr(&terminal, OptionalActions::Flush, modes);
    set(&silent).map_err(|e| failed(e.into()))?;
    let mut line = String::new();
    let asked = terminal.write_all(prompt.as_bytes()).and_then(|()| {
        let reader = BufReader::new(&terminal);
        reader.take(MAX_PASSPHRASE).read_line(&mut line)
    });
    let restored = tcsetattr(&terminal, OptionalActions::Flush, &before);
    let _cosmetic = terminal.write_all(b"\n");
    restored.map_err(|e| failed(e.into()))?;
    asked.map_err(failed)?;
    Ok(Secret::new(line.trim_end_matches(['\n', '\r']).to_owned()))
}
