//! nats-server as the peer: a hub where our relay stands, a leaf with a sourced stream where our edge
//! stands, its own configurations beside this file.

pub(super) mod certs;
pub(super) mod client;
pub(super) mod load;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use qc_core::cli::{Exit, Failure};
use qc_core::durable;
use rustls::ClientConfig;
use serde_json::json;

use self::client::Client;
use crate::CHORE;
use crate::bench::disk;
use crate::bench::link::trouble;
use crate::demo::{Lifetime, Proc, Ready, free_ports};

/// Which of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settings {
    /// It acknowledges before it syncs.
    Default,
    /// `sync_interval: always`.
    Always,
}

impl Settings {
    pub(super) const ALL: [Self; 2] = [Self::Default, Self::Always];

    /// As the figures say it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Default => "nats default",
            Self::Always => "nats always",
        }
    }

    fn hub(self) -> &'static str {
        match self {
            Self::Default => include_str!("hub-default.conf"),
            Self::Always => include_str!("hub-always.conf"),
        }
    }

    fn leaf(self) -> &'static str {
        match self {
            Self::Default => include_str!("leaf-default.conf"),
            Self::Always => include_str!("leaf-always.conf"),
        }
    }
}

/// Where a server finds its certificates and may keep its files.
pub(super) struct Place<'a> {
    /// The program.
    pub(super) program: &'a Path,
    /// Directory of the certificates.
    pub(super) certs: &'a Path,
    /// The bench's directory.
    pub(super) dir: &'a Path,
}

/// A running server.
pub(super) struct Server {
    /// The process.
    pub(super) process: Proc,
    /// Where clients connect.
    pub(super) address: SocketAddr,
    /// Where leaves connect.
    pub(super) leaf_port: u16,
}

const LISTENS: Duration = Duration::from_secs(30);
/// The stream that is published to.
pub(super) const SUBJECT: &str = "bench.ingest";

/// Name and version, as the program says it.
pub(super) fn version(program: &Path) -> Result<String, Failure> {
    let said = Command::new(program).arg("--version").output();
    let said = said.map_err(|error| disk(program, &error))?;
    let text = String::from_utf8_lossy(&said.stdout).replace(": v", " ");
    let text = text.trim();
    if said.status.success() && text.starts_with("nats-server") {
        return Ok(text.to_owned());
    }
    let message = format!("{} is no nats-server", program.display());
    Err(Failure::new(Exit::Usage, CHORE, message))
}

impl Server {
    /// Starts a hub.
    pub(super) fn hub(settings: Settings, place: &Place<'_>) -> Result<Self, Failure> {
        let [port, leaf_port] = free_ports::<2>().map_err(trouble)?;
        Self::start("hub", settings.hub(), settings, place, port, leaf_port)
    }

    /// Starts a leaf of `hub`.
    pub(super) fn leaf(settings: Settings, place: &Place<'_>, hub: &Self) -> Result<Self, Failure> {
        let [port] = free_ports::<1>().map_err(trouble)?;
        Self::start(
            "leaf",
            settings.leaf(),
            settings,
            place,
            port,
            hub.leaf_port,
        )
    }

    fn start(
        part: &str,
        template: &str,
        settings: Settings,
        place: &Place<'_>,
        port: u16,
        leaf_port: u16,
    ) -> Result<Self, Failure> {
        let name = format!("{} {part}", settings.name()).replace(' ', "-");
        let store = place.dir.join(&name);
        let _left_from_before = std::fs::remove_dir_all(&store);
        let config = place.dir.join(format!("{name}.conf"));
        let text = fill(template, place.certs, &store, port, leaf_port);
        durable::write_atomic(&config, text.as_bytes(), 0o600)
            .map_err(|error| disk(&config, &error))?;
        let arguments = ["-c".to_owned(), config.display().to_string()];
        let process = Proc::start(
            &name,
            place.program,
            &arguments,
            place.dir,
            Lifetime::WithUs,
        )?;
        let mut server = Self {
            process,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            leaf_port,
        };
        server.ready()?;
        Ok(server)
    }

    /// Waits until it listens.
    pub(super) fn ready(&mut self) -> Result<(), Failure> {
        self.process.wait_ready(&Ready::Port(self.address), LISTENS)
    }

    /// Makes the stream that producers publish to; with `sourced` instead the hub's, which takes all
    /// from the leaf's. The storage may take a moment to be there.
    pub(super) async fn make_stream(
        &self,
        tls: Option<&Arc<ClientConfig>>,
        sourced: bool,
    ) -> io::Result<()> {
        let (name, config) = if sourced {
            let source = json!({ "name": "EDGE", "external": { "api": "$JS.leaf.API" } });
            let config = json!({ "name": "HUB", "storage": "file", "sources": [source] });
            ("HUB", config)
        } else {
            let config = json!({ "name": "EDGE", "storage": "file", "subjects": [SUBJECT] });
            ("EDGE", config)
        };
        let mut client = Client::connect(self.address, tls).await?;
        let subject = format!("$JS.API.STREAM.CREATE.{name}");
        let mut tries = 0;
        loop {
            match client.ask(&subject, &config).await {
                Err(_not_yet) if tries < 100 => tries += 1,
                outcome => return outcome.map(drop),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Makes the durable consumer of the hub's stream.
    pub(super) async fn make_consumer(&self, tls: &Arc<ClientConfig>) -> io::Result<()> {
        let mut client = Client::connect(self.address, Some(tls)).await?;
        let consumer = json!({ "stream_name": "HUB", "config": {
            "durable_name": "bench", "deliver_subject": load::DELIVERED,
            "deliver_policy": "all", "ack_policy": "all", "max_ack_pending": 65536,
        } });
        let asked = client.ask("$JS.API.CONSUMER.DURABLE.CREATE.HUB.bench", &consumer);
        asked.await.map(drop)
    }
}

fn fill(template: &str, certs: &Path, store: &Path, port: u16, leaf_port: u16) -> String {
    let path = |path: PathBuf| path.display().to_string();
    template
        .replace("@PORT@", &port.to_string())
        .replace("@LEAF_PORT@", &leaf_port.to_string())
        .replace("@CERTS@", &path(certs.to_owned()))
        .replace("@STORE@", &path(store.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_differ_in_one_line() {
        for (default, always) in [
            (Settings::Default.hub(), Settings::Always.hub()),
            (Settings::Default.leaf(), Settings::Always.leaf()),
        ] {
            let body = |text: &str| {
                let lines = text.lines().filter(|line| !line.starts_with('#'));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            let mut more = body(always);
            more.retain(|line| line.trim() != "sync_interval: always");
            assert_eq!(body(default), more);
            assert_ne!(body(default), body(always));
            let filled = fill(always, Path::new("/i"), Path::new("/s"), 1, 2);
            let words = filled.lines().filter(|line| !line.starts_with('#'));
            assert!(
                words.into_iter().all(|line| !line.contains('@')),
                "{filled}"
            );
        }
    }
}
