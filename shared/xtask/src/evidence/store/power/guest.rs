//! What runs beside a server of somebody else in a machine: it looks what the start before has left of what was
//! acknowledged, and then gives messages in a new directory until the power goes. Each acknowledgement is a line.
//!
//! It is a hidden verb of this program, as the workload of the store is.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::peers::{Kind, Peer};
use crate::evidence::store::child::now;
use crate::evidence::store::line::Line;
use crate::evidence::store::workload::Told;

/// Work with a server until killed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server
    #[arg(long)]
    program: PathBuf,

    /// Whose it is
    #[arg(long, value_enum)]
    kind: Kind,

    /// At its own safest setting
    #[arg(long)]
    safest: bool,

    /// Where the disk is
    #[arg(long)]
    disk: PathBuf,

    /// Which start of the machine it is
    #[arg(long)]
    start: u64,

    /// Look which messages below this one are there
    #[arg(long, default_value_t = 0)]
    bound: u64,

    /// Nothing more
    #[arg(long)]
    check: bool,
}

/// Longer than a machine runs.
const LONG: Duration = Duration::from_hours(1);
/// Nobody asks these servers for a position.
const NO_SEQ: u64 = 0;

impl Args {
    /// For start `start` of a machine that has the server as `program`.
    pub(super) fn new(peer: &Peer, program: &str, start: u64, bound: u64, check: bool) -> Self {
        Self {
            program: Path::new("/").join(program),
            kind: peer.kind,
            safest: peer.safest,
            disk: "/disk".into(),
            start,
            bound,
            check,
        }
    }

    /// The words of its command line.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec!["store-peer".to_owned()];
        let values = [
            ("--program", self.program.display().to_string()),
            ("--kind", self.kind.word().to_owned()),
            ("--disk", self.disk.display().to_string()),
            ("--start", self.start.to_string()),
            ("--bound", self.bound.to_string()),
        ];
        words.extend(
            values
                .into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value]),
        );
        let flags = [("--safest", self.safest), ("--check", self.check)];
        words.extend(
            flags
                .iter()
                .filter(|(_, set)| *set)
                .map(|(name, _)| (*name).to_owned()),
        );
        words
    }

    /// Where the server has its files in a start: what an earlier one left comes back in no later one.
    fn data(&self, start: u64) -> PathBuf {
        self.disk.join(format!("data-{start}"))
    }
}

/// Looks and works.
pub fn run(args: &Args) -> ExitCode {
    let Ok(told) = Told::stdout(None) else {
        return ExitCode::FAILURE;
    };
    match serve(args, &told) {
        Ok(()) => {
            told.say(&Line::Ended);
            ExitCode::SUCCESS
        }
        Err(error) => {
            told.say(&Line::Wrong(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args, told: &Told) -> io::Result<()> {
    told.say(&Line::Opening {
        pid: u64::from(std::process::id()),
    });
    let peer = Peer {
        program: args.program.clone(),
        kind: args.kind,
        safest: args.safest,
    };
    if let Some(last) = args.start.checked_sub(1) {
        match look(&peer, &args.data(last), args.bound) {
            Ok(present) => {
                let found = |number| Line::Found {
                    number,
                    seq: NO_SEQ,
                };
                told.say_all(&present.into_iter().map(found).collect::<Vec<_>>());
            }
            Err(error) => told.say(&Line::OpenFailed(error.to_string())),
        }
        told.say(&Line::Checked);
        if args.check {
            return Ok(());
        }
        std::fs::remove_dir_all(args.data(last))?;
    }
    let data = args.data(args.start);
    std::fs::create_dir(&data)?;
    // whoever installs a server does not do it just before the power goes. The first call writes in place and
    // flushes nothing; torn there, the superblock of the ext4 would be none
    rustix::fs::sync();
    let installed = std::fs::File::create(args.disk.join(format!("installed-{}", args.start)))?;
    installed.sync_all()?;
    let server = peer.start(&data, &config())?;
    peer.publish(&server, now() + LONG, &mut |number| {
        told.say(&Line::Acked {
            number,
            seq: NO_SEQ,
            late: false,
        });
    })
}

/// What of the messages below `bound` a server gives that is started on what is there.
fn look(peer: &Peer, data: &Path, bound: u64) -> io::Result<BTreeSet<u64>> {
    std::fs::create_dir_all(data)?;
    let server = peer.start(data, &config())?;
    peer.present(&server, bound)
}

/// In memory: it is no part of what is judged.
fn config() -> PathBuf {
    std::env::temp_dir().join("config")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Verb {
        StorePeer(Args),
    }

    #[test]
    fn its_words_are_understood() {
        for (kind, safest, check) in [(Kind::Nats, false, true), (Kind::Mosquitto, true, false)] {
            let peer = Peer {
                program: "/usr/sbin/other".into(),
                kind,
                safest,
            };
            let args = Args::new(&peer, "bin/other", 3, 17, check);
            let words = std::iter::once("xtask".to_owned()).chain(args.words());
            let Verb::StorePeer(heard) = Program::parse_from(words).verb;
            assert_eq!(format!("{heard:?}"), format!("{args:?}"));
            assert_eq!(heard.program, Path::new("/bin/other"));
        }
    }
}
