//! The processes of ours that the rows need: relays and edges on state directories of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use qc_core::admin::Client;
use qc_core::cli::{Exit, Failure};
use qc_core::durable;
use qc_core::model::NodeName;
use qc_core::pki::Role;
use qc_core::tls::Credentials;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::arrivals::Arrivals;
use super::consumer::{Taker, Way, keep_up};
use super::{Bench, trouble};
use crate::CHORE;
use crate::bench::authority::Trouble;
use crate::bench::disk;
use crate::demo::{Lifetime, Proc, Ready, free_ports};

/// The stream of every row.
pub(super) const STREAM: &str = "bench/ingest";

/// A relay or an edge of ours.
pub(super) struct Node {
    /// The process.
    pub(super) process: Proc,
    /// Where a relay listens for links, an edge for its webhook.
    pub(super) address: SocketAddr,
    socket: PathBuf,
    program: &'static str,
}

const READY: Duration = Duration::from_secs(30);
const ENDS: Duration = Duration::from_secs(30);

impl Node {
    /// Starts a relay of this name; one with a `parent` hands everything on.
    pub(super) fn relay(
        bench: &Bench,
        name: &str,
        parent: Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let [port] = free_ports::<1>().map_err(trouble)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (uplink, class, stream) = match parent {
            Some(parent) => (
                format!("[uplink]\nrelay = [\"{parent}\"]\n"),
                "[[class]]\nname = \"bench\"\nuplink = true\n",
                "uplink = \"send\"\n",
            ),
            None => Default::default(),
        };
        let more = format!(
            "[listen]\naddress = \"{address}\"\n{uplink}{class}\
             [[stream]]\nname = \"{STREAM}\"\nclass = \"bench\"\npublish = [\"*.site.bench\"]\n\
             subscribe = [\"*.far.bench\"]\n{stream}"
        );
        Self::start(bench, "qc-relay", name, Role::RelayParent, &more, address)
    }

    /// Starts an edge of this name with a webhook, linked to `relay`.
    pub(super) fn edge(bench: &Bench, name: &str, relay: SocketAddr) -> Result<Self, Failure> {
        let [port] = free_ports::<1>().map_err(trouble)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let more = format!(
            "[uplink]\nrelay = [\"{relay}\"]\n[[source]]\nname = \"hook\"\nstream = \"{STREAM}\"\n\
             class = \"bench\"\n[source.webhook]\nlisten = \"{address}\"\nmax_body = \"4MiB\"\n"
        );
        Self::start(bench, "qc-edge", name, Role::Edge, &more, address)
    }

    fn start(
        bench: &Bench,
        program: &'static str,
        name: &str,
        role: Role,
        more: &str,
        address: SocketAddr,
    ) -> Result<Self, Failure> {
        let state = bench.identity(name, role)?;
        let socket = bench.dir.join(format!("{name}.sock"));
        let config = bench.dir.join(format!("{name}.toml"));
        let text = format!(
            "schema = 1\n[node]\nstate = \"{}\"\n[admin]\nsocket = \"{}\"\n{more}",
            state.display(),
            socket.display()
        );
        durable::write_atomic(&config, text.as_bytes(), 0o600)
            .map_err(|error| disk(&config, &error))?;
        let arguments = [format!("--config={}", config.display()), "run".to_owned()];
        let path = bench.binaries.join(program);
        let process = Proc::start(name, &path, &arguments, &bench.dir, Lifetime::WithUs)?;
        let mut node = Self {
            process,
            address,
            socket,
            program,
        };
        node.ready()?;
        Ok(node)
    }

    /// Waits until it listens.
    pub(super) fn ready(&mut self) -> Result<(), Failure> {
        self.process.wait_ready(&Ready::Port(self.address), READY)
    }

    /// Ends it as its operator would.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        self.process.stop(ENDS).map(drop)
    }

    /// Where its socket for administration is.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Waits until its link upward is up.
    pub(super) async fn linked(&self, bench: &Bench) -> Result<(), Failure> {
        let client = Client::new(self.program, &self.socket, READY);
        let until = bench.now() + READY;
        while bench.now() < until {
            let status: Value = client.get_json("/v1/status").await?;
            let data = status.get("data").unwrap_or(&Value::Null);
            let state = data.pointer("/links/0/state");
            let state = state.or_else(|| data.pointer("/uplink/state"));
            if state.and_then(Value::as_str) == Some("up") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let message = format!("{} has no link", self.program);
        Err(Failure::new(Exit::Other, CHORE, message))
    }
}

impl Bench {
    /// A new state directory for a node of this name.
    pub(super) fn identity(&self, name: &str, role: Role) -> Result<PathBuf, Failure> {
        let state = self.dir.join(name);
        let _left_by_another_row = std::fs::remove_dir_all(&state);
        let made = name
            .parse::<NodeName>()
            .map_err(|error| -> Trouble { Box::new(error) })
            .and_then(|name| self.authority.enroll(name, role, &state));
        made.map_err(|error| unprepared(&error))
    }

    /// The credentials of an edge that is none of the processes.
    pub(super) fn credentials(&self, name: &str) -> Result<(NodeName, Credentials), Failure> {
        let made = || -> Result<_, Trouble> {
            let name: NodeName = name.parse()?;
            Ok((name.clone(), self.authority.edge(name)?))
        };
        made().map_err(|error| unprepared(&error))
    }

    /// A consumer of ours at `relay`, from now until the row ends.
    pub(super) fn consumer(
        &self,
        tasks: &mut tokio::task::JoinSet<()>,
        relay: SocketAddr,
        arrivals: &Arc<Arrivals>,
    ) -> Result<(), Failure> {
        let (name, credentials) = self.credentials("consumer.far.bench")?;
        let taker = Taker::of(STREAM, Arc::clone(arrivals)).map_err(|error| unprepared(&error))?;
        let way = Way {
            name,
            credentials,
            address: relay.to_string(),
            spread: Duration::ZERO,
            places: Arc::new(Semaphore::new(1)),
        };
        tasks.spawn_on(
            keep_up(taker, way, Arc::clone(&self.clock)),
            self.runtime.handle(),
        );
        Ok(())
    }
}

pub(super) fn unprepared(error: &Trouble) -> Failure {
    Failure::new(Exit::Other, CHORE, "cannot prepare the bench's nodes").because(error.as_ref())
}
