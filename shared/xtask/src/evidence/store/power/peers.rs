//! The servers beside ours: how each is started on a directory, given messages, and asked for them.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::mqtt::Mqtt;
use super::nats::Nats;
use crate::demo::port::free_ports;
use crate::evidence::store::child::now;

/// A server of somebody else.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) program: PathBuf,
    pub(super) kind: Kind,
    /// Its own safest setting, not its default.
    pub(super) safest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    Nats,
    Mosquitto,
}

impl Kind {
    /// The word of the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
        }
    }
}

/// How long a server may take until it listens.
const LISTENS: Duration = Duration::from_secs(30);

/// A running server.
pub(super) struct Server {
    process: Child,
    port: u16,
}

impl Peer {
    /// Name and version, as the program says it.
    pub(super) fn version(&self) -> String {
        let flag = match self.kind {
            Kind::Nats => "--version",
            Kind::Mosquitto => "-h",
        };
        let said = Command::new(&self.program).arg(flag).output();
        let said = said.map(|output| output.stdout).unwrap_or_default();
        let first = String::from_utf8_lossy(&said)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        first.replace(':', "").replace(" version", "")
    }

    pub(super) fn settings(&self) -> &'static str {
        match (self.kind, self.safest) {
            (Kind::Nats, false) => "default",
            (Kind::Nats, true) => "sync_interval: always",
            (Kind::Mosquitto, false) => "persistence true",
            (Kind::Mosquitto, true) => {
                "persistence true, autosave_on_changes true, autosave_interval 1"
            }
        }
    }

    /// Whether this version takes its settings; old servers of NATS have no `sync_interval: always`.
    pub(super) fn takes_its_settings(&self, dir: &Path) -> io::Result<bool> {
        if self.kind == Kind::Mosquitto {
            return Ok(true);
        }
        let config = dir.join("config");
        self.configure(dir, 4222, &config)?;
        let tried = Command::new(&self.program)
            .arg("-t")
            .arg("-c")
            .arg(&config)
            .output()?;
        Ok(tried.status.success())
    }

    fn configure(&self, data: &Path, port: u16, config: &Path) -> io::Result<()> {
        let dir = data.display();
        let text = match (self.kind, self.safest) {
            (Kind::Nats, safest) => {
                let always = if safest {
                    ", sync_interval: always"
                } else {
                    ""
                };
                format!(
                    "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{dir}\"{always} }}\n"
                )
            }
            (Kind::Mosquitto, safest) => {
                let save = if safest {
                    "autosave_on_changes true\nautosave_interval 1\n"
                } else {
                    ""
                };
                format!(
                    "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
                     persistence_location {dir}/\nmax_queued_messages 0\nmax_queued_bytes 0\n{save}"
                )
            }
        };
        qc_core::durable::write_atomic(config, text.as_bytes(), 0o644)
    }

    /// Starts on `data`, and waits until it listens.
    pub(super) fn start(&self, data: &Path, config: &Path) -> io::Result<Server> {
        let [port] = free_ports()?;
        self.configure(data, port, config)?;
        let process = Command::new(&self.program)
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Server { process, port };
        let until = now() + LISTENS;
        while now() < until {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
            if let Some(status) = server.process.try_wait()? {
                return Err(io::Error::other(format!("ended: {status}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let seconds = LISTENS.as_secs();
        Err(io::Error::other(format!(
            "does not listen within {seconds} s"
        )))
    }

    /// Gives messages until `until`; `acked` is told each that was acknowledged.
    pub(super) fn publish(
        &self,
        server: &Server,
        until: Instant,
        acked: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        match self.kind {
            Kind::Nats => {
                let mut nats = Nats::connect(server.port)?;
                nats.make_stream()?;
                nats.publish(until, acked)
            }
            Kind::Mosquitto => {
                Mqtt::connect(server.port, "away", true)?.subscribe()?;
                Mqtt::connect(server.port, "here", false)?.publish(until, acked)
            }
        }
    }

    /// Which of the messages below `bound` are there.
    pub(super) fn present(&self, server: &Server, bound: u64) -> io::Result<BTreeSet<u64>> {
        match self.kind {
            Kind::Nats => Nats::connect(server.port)?.present(bound),
            Kind::Mosquitto => Mqtt::connect(server.port, "away", true)?.present(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}
