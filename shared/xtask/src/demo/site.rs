//! The demo's own small world: a CA, one relay, two edges at two sites, each a process with a state
//! directory of its own, and the cable between site A and the relay.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use qc_core::admin::api::{EdgeStatus, Ledger, Reply};
use qc_core::cli::{Exit, Failure, human_duration};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::durable;
use serde::de::DeserializeOwned;

use super::input::{FILES, GITHUB, WEATHER};
use super::{Cut, Lifetime, Pace, Proc, Ready, disk, free_ports, trouble};
use crate::workspace::Workspace;

/// The nodes of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// The relay at the headquarters.
    Relay,
    /// The edge that captures.
    EdgeA,
    /// The edge that delivers.
    EdgeB,
}

impl Node {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 3] = [Self::Relay, Self::EdgeA, Self::EdgeB];

    /// Its name in logs, files and talk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::EdgeA => "edge-a",
            Self::EdgeB => "edge-b",
        }
    }

    fn full_name(self) -> &'static str {
        match self {
            Self::Relay => "relay-1.hq.acme",
            Self::EdgeA => "edge-a.site-a.acme",
            Self::EdgeB => "edge-b.site-b.acme",
        }
    }

    fn program(self) -> &'static str {
        if self == Self::Relay {
            "qc-relay"
        } else {
            "qc-edge"
        }
    }
}

/// The processes, of which one may be killed from another thread at any moment.
#[derive(Debug, Default)]
pub(super) struct Processes {
    running: Vec<(Node, Proc)>,
    /// Ended on purpose and not to be started again yet.
    down: Vec<Node>,
}

impl Processes {
    /// The process of a node, once it was started.
    pub(super) fn of(&mut self, node: Node) -> Option<&mut Proc> {
        let found = self.running.iter_mut().find(|(n, _)| *n == node);
        found.map(|(_, proc)| proc)
    }
}

/// The world. Dropped, its processes end.
#[derive(Debug)]
pub struct Site {
    binaries: PathBuf,
    dir: PathBuf,
    sockets: PathBuf,
    relay: SocketAddr,
    webhook: SocketAddr,
    cut: Cut,
    processes: Arc<Mutex<Processes>>,
}

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(10);
/// Room for a socket's name below the 108 bytes of a path to a unix socket.
const MAX_SOCKET_DIR: usize = 80;
/// A file that tells a directory of a demo from any other.
const MARK: &str = ".qc-demo";

impl Site {
    /// Makes the world's directories and configuration anew in `dir`.
    pub fn create(dir: &Path, binaries: &Path, pace: &Pace) -> Result<Self, Failure> {
        make_fresh(dir)?;
        let [relay, webhook] = free_ports()
            .map_err(|error| trouble("no free port on loopback".to_owned()).because(&error))?
            .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let cut = Cut::listen(relay)
            .map_err(|error| trouble("cannot listen on loopback".to_owned()).because(&error))?;
        let site = Self {
            binaries: binaries.to_owned(),
            dir: dir.to_owned(),
            sockets: socket_dir(dir)?,
            relay,
            webhook,
            cut,
            processes: Arc::default(),
        };
        for folder in [site.drop_files(), site.drop_lines()] {
            make_dir(&folder)?;
        }
        site.configure(Node::Relay, &site.relay_config())?;
        site.configure(Node::EdgeA, &site.edge_a_config(pace, site.cut.address()))?;
        site.configure(Node::EdgeB, &site.edge_b_config())?;
        Ok(site)
    }

    /// Creates the CA, and enrolls the relay from `qc-pki serve`.
    pub fn found(&self) -> Result<(), Failure> {
        self.pki(&["init", "--org", "acme", "--no-passphrase"])?;
        self.pki(&[
            "ca",
            "create",
            ISSUING,
            "--parent",
            "root",
            "--no-passphrase",
        ])?;
        let [port] = free_ports()
            .map_err(|error| trouble("no free port on loopback".to_owned()).because(&error))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let arguments = [
            "serve",
            "--dir",
            &self.pki_dir(),
            "--ca",
            ISSUING,
            "--listen",
        ];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.push(address.to_string());
        let program = self.binaries.join("qc-pki");
        let mut server = Proc::start(
            "qc-pki",
            &program,
            &arguments,
            &self.dir.join("logs"),
            Lifetime::WithUs,
        )?;
        server.wait_ready(&Ready::Port(address), START)?;
        self.enroll(Node::Relay, address)?;
        server.stop(STOP).map(drop)
    }

    /// Enrolls an edge from the relay itself.
    pub fn enroll_at_relay(&self, edge: Node) -> Result<(), Failure> {
        self.enroll(edge, self.relay)
    }

    fn enroll(&self, node: Node, at: SocketAddr) -> Result<(), Failure> {
        let role = if node == Node::Relay { "relay" } else { "edge" };
        let mut arguments = vec!["token", "new", node.full_name(), "--role", role, "--quiet"];
        if node == Node::Relay {
            arguments.extend(["--front-dns", "localhost"]);
        }
        let token = self.pki(&arguments)?;
        let path = self.dir.join(format!("{}.token", node.name()));
        durable::write_atomic(&path, token.as_bytes(), 0o600)
            .map_err(|error| disk(&path, &error))?;
        let mut command = self.command("qc-pki");
        command.args(["enroll", "--url", &format!("https://{at}"), "--token-file"]);
        command.arg(&path).arg("--dir").arg(self.state(node));
        Workspace::capture(&mut command).map(drop)
    }

    /// Starts a node for the first time and waits until it answers.
    pub fn start(&self, node: Node) -> Result<(), Failure> {
        let proc = self.spawn(node, Lifetime::WithUs)?;
        self.processes().running.push((node, proc));
        self.wait_up(node)
    }

    fn spawn(&self, node: Node, lifetime: Lifetime) -> Result<Proc, Failure> {
        let config = self.config(node).display().to_string();
        let arguments = ["-c".to_owned(), config, "run".to_owned()];
        let program = self.binaries.join(node.program());
        Proc::start(
            node.name(),
            &program,
            &arguments,
            &self.dir.join("logs"),
            lifetime,
        )
    }

    /// Ends a node as a power cut would. It stays down.
    pub fn kill(&self, node: Node) -> Result<(), Failure> {
        let mut processes = self.processes();
        processes.down.push(node);
        processes
            .of(node)
            .map_or(Ok(()), |proc| proc.kill().map(drop))
    }

    /// Starts a node that was killed and waits until it answers.
    pub fn restart(&self, node: Node) -> Result<(), Failure> {
        {
            let mut processes = self.processes();
            processes.down.retain(|down| *down != node);
            processes.of(node).map_or(Ok(()), Proc::restart)?;
        }
        self.wait_up(node)
    }

    /// Waits until a node answers on its socket.
    pub fn wait_up(&self, node: Node) -> Result<(), Failure> {
        let clock = SystemClock::default();
        let started = clock.instant();
        loop {
            self.mend()?;
            if UnixStream::connect(self.socket(node)).is_ok() {
                return Ok(());
            }
            if clock.instant().duration_since(started) >= START {
                let message = format!(
                    "{} was not up within {}",
                    node.name(),
                    human_duration(START)
                );
                let log = self.dir.join("logs").join(format!("{}.log", node.name()));
                return Err(Failure::new(Exit::Waiting, crate::CHORE, message)
                    .help(format!("see {}", log.display())));
            }
            thread::sleep(GLANCE);
        }
    }

    /// Starts what was killed from elsewhere; a node that ended by itself is a failure.
    pub fn mend(&self) -> Result<(), Failure> {
        let mut processes = self.processes();
        let Processes { running, down } = &mut *processes;
        for (node, proc) in running.iter_mut().filter(|(node, _)| !down.contains(node)) {
            match proc.ended()? {
                None => {}
                Some(status) if status.signal() == Some(9) => proc.restart()?,
                Some(status) => {
                    let message = format!("{} ended by itself: {status}", node.name());
                    return Err(trouble(message).detail(proc.last_lines()));
                }
            }
        }
        Ok(())
    }

    /// Stops every node as an operator would, and starts them so that they outlive this program; then
    /// without the cable, which does not.
    pub fn leave_running(&self, pace: &Pace) -> Result<Vec<u32>, Failure> {
        self.stop()?;
        self.configure(Node::EdgeA, &self.edge_a_config(pace, self.relay))?;
        let mut pids = Vec::new();
        for node in Node::ALL {
            let proc = self.spawn(node, Lifetime::Outlives)?;
            pids.push(proc.pid());
            self.processes().running.push((node, proc));
            self.wait_up(node)?;
        }
        Ok(pids)
    }

    /// Stops every node as an operator would; none may need force.
    pub fn stop(&self) -> Result<(), Failure> {
        let running = std::mem::take(&mut self.processes().running);
        // edges first, so that nobody looks for a relay that has left
        for (node, mut proc) in running.into_iter().rev() {
            let status = proc.stop(STOP)?;
            if !status.success() {
                let message = format!("{} did not stop cleanly: {status}", node.name());
                return Err(trouble(message).detail(proc.last_lines()));
            }
        }
        Ok(())
    }

    /// Each node's own books; none while one does not answer.
    pub fn ledgers(&self) -> Option<[Ledger; 3]> {
        let of = |node| self.ask::<Ledger>(node, &["ledger", "check"]);
        Some([of(Node::Relay)?, of(Node::EdgeA)?, of(Node::EdgeB)?])
    }

    /// A node's own books.
    pub fn ledger(&self, node: Node) -> Option<Ledger> {
        self.ask(node, &["ledger", "check"])
    }

    /// What waits at site A for its link.
    pub fn waiting_at_a(&self) -> Option<u64> {
        let status: EdgeStatus = self.ask(Node::EdgeA, &["status"])?;
        Some(status.links.iter().map(|link| link.backlog_messages).sum())
    }

    /// A command's answer as the person at the site would get it.
    fn ask<T: DeserializeOwned>(&self, node: Node, arguments: &[&str]) -> Option<T> {
        let mut command = self.command(node.program());
        command.arg("-c").arg(self.config(node)).args(arguments);
        let output = command.args(["--json", "--timeout", "5s"]).output().ok()?;
        // a ledger that does not balance is printed too
        let reply: Reply<T> = serde_json::from_slice(&output.stdout).ok()?;
        Some(reply.data)
    }

    /// The processes.
    pub(super) fn processes(&self) -> MutexGuard<'_, Processes> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The processes, for another thread.
    pub(super) fn shared_processes(&self) -> Arc<Mutex<Processes>> {
        Arc::clone(&self.processes)
    }

    /// The cable between site A and the relay.
    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    /// Where webhook deliveries are posted to.
    pub fn webhook(&self) -> SocketAddr {
        self.webhook
    }

    /// The directory of everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder for whole files at site A.
    pub fn drop_files(&self) -> PathBuf {
        self.dir.join("site-a/drop-files")
    }

    /// The folder for files of lines at site A.
    pub fn drop_lines(&self) -> PathBuf {
        self.dir.join("site-a/drop-weather")
    }

    /// Where site B has what came of `stream`.
    pub fn delivered(&self, stream: &str) -> PathBuf {
        let name = stream.rsplit('/').next().unwrap_or(stream);
        self.dir.join("site-b").join(name)
    }

    /// A node's admin socket.
    pub fn socket(&self, node: Node) -> PathBuf {
        self.sockets.join(format!("{}.sock", node.name()))
    }

    /// A node's configuration file.
    pub fn config(&self, node: Node) -> PathBuf {
        self.dir
            .join("config")
            .join(format!("{}.toml", node.name()))
    }

    /// A node's state directory.
    pub fn state(&self, node: Node) -> PathBuf {
        self.dir.join("state").join(node.full_name())
    }

    /// A command of the product.
    pub fn command(&self, program: &str) -> Command {
        Command::new(self.binaries.join(program))
    }

    fn pki(&self, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = self.command("qc-pki");
        command.args(arguments).args(["--dir", &self.pki_dir()]);
        Workspace::capture(&mut command)
    }

    fn pki_dir(&self) -> String {
        self.dir.join("pki").display().to_string()
    }

    fn configure(&self, node: Node, text: &str) -> Result<(), Failure> {
        let path = self.config(node);
        make_dir(&self.dir.join("config"))?;
        durable::write_atomic(&path, text.as_bytes(), 0o644).map_err(|error| disk(&path, &error))
    }

    fn relay_config(&self) -> String {
        let streams = super::input::STREAMS.map(|name| {
            format!(
                "\n[[stream]]\nname = {name:?}\nclass = \"internal\"\n\
                 publish = [\"*.site-a.acme\"]\nsubscribe = [\"*.site-b.acme\"]\n"
            )
        });
        format!(
            "{}region = \"loopback\"\n\n[listen]\naddress = \"{}\"\n\n[link]\nheartbeat = \"1s\"\n\n\
             [est]\npki = {}\nca = {ISSUING:?}\n{}{}",
            self.head(Node::Relay),
            self.relay,
            quoted(&self.dir.join("pki")),
            self.common(Node::Relay),
            streams.concat()
        )
    }

    fn edge_a_config(&self, pace: &Pace, relay: SocketAddr) -> String {
        let drop = |name: &str, stream: &str, path: &Path, mode: &str| {
            format!(
                "\n[[source]]\nname = {name:?}\nstream = {stream:?}\nclass = \"internal\"\n[source.file]\n\
                 path = {}\nmode = {mode:?}\npoll = \"{}ms\"\nsettle = \"{}ms\"\n",
                quoted(path),
                pace.poll.as_millis(),
                pace.settle.as_millis()
            )
        };
        format!(
            "{}{}{}{}{}\n[[source]]\nname = \"github\"\nstream = {GITHUB:?}\nclass = \"internal\"\n\
             [source.webhook]\nlisten = \"{}\"\npath = \"/github\"\ndedupe_header = \"X-GitHub-Delivery\"\n\
             type = \"com.github.webhook\"\n",
            self.head(Node::EdgeA),
            uplink(relay),
            self.common(Node::EdgeA),
            drop("files", FILES, &self.drop_files(), "whole"),
            drop("weather", WEATHER, &self.drop_lines(), "lines"),
            self.webhook
        )
    }

    fn edge_b_config(&self) -> String {
        let sink = |stream: &str, setting: &str| {
            let path = quoted(&self.delivered(stream));
            let name = stream.rsplit('/').next().unwrap_or(stream);
            format!(
                "\n[[sink]]\nname = {name:?}\nstream = {stream:?}\n[sink.file]\npath = {path}\n{setting}\n"
            )
        };
        format!(
            "{}{}{}{}{}{}",
            self.head(Node::EdgeB),
            uplink(self.relay),
            self.common(Node::EdgeB),
            sink(FILES, "name = \"{subject}\""),
            sink(WEATHER, "mode = \"append-lines\"\nname = \"weather.csv\""),
            sink(GITHUB, "name = \"{id}.json\"")
        )
    }

    fn head(&self, node: Node) -> String {
        format!(
            "schema = 1\n\n[node]\nstate = {}\n",
            quoted(&self.state(node))
        )
    }

    fn common(&self, node: Node) -> String {
        format!(
            "\n[admin]\nsocket = {}\n\n[store]\nsegment = \"1MiB\"\nmax = \"1GiB\"\n",
            quoted(&self.socket(node))
        )
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !self.sockets.starts_with(&self.dir) && self.processes().running.is_empty() {
            let _already_gone = std::fs::remove_dir_all(&self.sockets);
        }
    }
}

const ISSUING: &str = "issuing-hq";

fn uplink(relay: SocketAddr) -> String {
    format!("\n[uplink]\nrelay = [\"{relay}\"]\nheartbeat = \"1s\"\n")
}

/// Empties the directory of an earlier demo, which must have ended; touches nothing else.
fn make_fresh(dir: &Path) -> Result<(), Failure> {
    let mark = dir.join(MARK);
    if dir.exists()
        && std::fs::read_dir(dir)
            .map_err(|e| disk(dir, &e))?
            .next()
            .is_some()
    {
        let Ok(sockets) = std::fs::read_to_string(&mark) else {
            let message = format!("{} is not empty and not from a demo", dir.display());
            return Err(Failure::new(Exit::Conflict, crate::CHORE, message)
                .help("name a new directory: cargo xtask demo --dir DIR"));
        };
        let alive = |node: &Node| {
            let socket = Path::new(sockets.trim()).join(format!("{}.sock", node.name()));
            UnixStream::connect(socket).is_ok()
        };
        if Node::ALL.iter().any(alive) {
            let message = format!("a demo still runs in {}", dir.display());
            return Err(Failure::new(Exit::Conflict, crate::CHORE, message).help(
                "stop it with the line that it printed, or name another directory with --dir",
            ));
        }
        std::fs::remove_dir_all(dir).map_err(|error| disk(dir, &error))?;
    }
    for folder in ["", "logs", "state", "run"] {
        make_dir(&dir.join(folder))?;
    }
    let sockets = socket_dir(dir)?.display().to_string();
    durable::write_atomic(&mark, sockets.as_bytes(), 0o644).map_err(|error| disk(&mark, &error))
}

/// Where sockets fit: in the directory, or for a long path in one of the system's.
fn socket_dir(dir: &Path) -> Result<PathBuf, Failure> {
    let near = dir.join("run");
    if near.as_os_str().len() <= MAX_SOCKET_DIR {
        return Ok(near);
    }
    let far = std::env::temp_dir().join(format!("qc-demo-{}", std::process::id()));
    durable::create_dir_all(&far, 0o700).map_err(|error| disk(&far, &error))?;
    Ok(far)
}

/// A path as configuration files write it.
fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}

fn make_dir(path: &Path) -> Result<(), Failure> {
    durable::create_dir_all(path, 0o755).map_err(|error| disk(path, &error))
}
