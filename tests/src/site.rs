//! The usual site: a relay at HQ, an edge that captures, an edge that delivers, one application.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::authority::{Authority, ISSUING};
use super::curl::Curl;
use super::daemon::Daemon;
use super::ports::free_port;

/// The stream that everything flows through.
const STREAM: &str = "acme/lab-results";

/// A directory with an authority, nodes that are enrolled, and their configuration.
pub struct Site {
    dir: TempDir,
    /// The authority of all nodes.
    pub authority: Authority,
    /// The relay's port.
    pub port: u16,
}

impl Site {
    /// The stream of the usual configuration.
    pub const STREAM: &'static str = STREAM;

    /// An authority and four nodes that it knows: `relay`, `edge-a`, `edge-b` and the client `app`.
    pub fn new() -> Self {
        // short: the path of a unix socket has 107 bytes
        let dir = tempfile::Builder::new().prefix("qc-").tempdir().unwrap();
        let authority = Authority::create(&dir.path().join("pki"), "qc.internal");
        let site = Self {
            dir,
            authority,
            port: free_port(),
        };
        let state = |node: &str| site.path(node);
        site.authority.enroll(&[
            ("relay-1.hq.acme", "relay-parent", &state("relay")),
            ("edge-a.site-a.acme", "edge", &state("edge-a")),
            ("edge-b.site-b.acme", "edge", &state("edge-b")),
            ("app-1.hq.acme", "client", &state("app")),
        ]);
        for folder in ["drop", "out"] {
            fs::create_dir(site.path(folder)).unwrap();
        }
        site
    }

    /// A path in the site's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in the site's directory.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The relay with the usual configuration and `more` of it.
    pub fn relay(&self, more: &str) -> Daemon {
        self.relay_at("relay", self.port, more)
    }

    /// A relay of that configuration in the directory `node`, on `port`.
    pub fn relay_at(&self, node: &str, port: u16, more: &str) -> Daemon {
        let listen = format!("address = \"127.0.0.1:{port}\"");
        let est = format!("pki = {}\nca = \"{ISSUING}\"", quoted(self.authority.dir()));
        let text = format!(
            "{}[listen]\n{listen}\n[est]\n{est}\n[[stream]]\nname = \"{STREAM}\"\nclass = \"internal\"\n\
             publish = [\"*.site-a.acme\", \"app-1.hq.acme\"]\n\
             subscribe = [\"*.site-b.acme\", \"app-1.hq.acme\"]\n{more}",
            self.common(node)
        );
        Daemon::new("qc-relay", &self.write(&format!("{node}.toml"), text))
    }

    /// The edge that captures files of `drop/` and dials `address`, with `more` configuration.
    pub fn edge_a(&self, address: &str, more: &str) -> Daemon {
        self.edge("edge-a", address, &format!("{}{more}", self.drop_source()))
    }

    /// The edge `edge-a` with `uplink`, lines of that section, to `addresses`, and `more` configuration.
    pub fn edge_by(&self, addresses: &[&str], uplink: &str, more: &str) -> Daemon {
        let text = format!(
            "{}[uplink]\nrelay = {addresses:?}\n{uplink}{more}",
            self.common("edge-a")
        );
        Daemon::new("qc-edge", &self.write("edge-a.toml", text))
    }

    /// The source that captures files of `drop/`.
    pub fn drop_source(&self) -> String {
        format!(
            "[[source]]\nname = \"lab-drop\"\nstream = \"{STREAM}\"\nclass = \"internal\"\n\
             [source.file]\npath = {}\npoll = \"50ms\"\nsettle = \"100ms\"\n",
            quoted(&self.path("drop"))
        )
    }

    /// The edge that delivers to files in `out/` and dials `address`, with `more` configuration.
    /// Files are named by `name`, the template of the sink.
    pub fn edge_b(&self, address: &str, name: &str, more: &str) -> Daemon {
        let sink = format!(
            "[[sink]]\nname = \"to-files\"\nstream = \"{STREAM}\"\n\
             [sink.file]\npath = {}\nname = \"{name}\"\n",
            quoted(&self.path("out"))
        );
        self.edge("edge-b", address, &format!("{sink}{more}"))
    }

    /// An edge with an uplink to `address` and `more` configuration.
    pub fn edge(&self, node: &str, address: &str, more: &str) -> Daemon {
        let mut text = self.common(node);
        writeln!(text, "[uplink]\nrelay = [\"{address}\"]\n{more}").unwrap();
        Daemon::new("qc-edge", &self.write(&format!("{node}.toml"), text))
    }

    /// The sections that every node has.
    pub fn common(&self, node: &str) -> String {
        let state = quoted(&self.path(node));
        let socket = quoted(&self.path(&format!("{node}.sock")));
        format!(
            "schema = 1\n[node]\nstate = {state}\n[admin]\nsocket = {socket}\n\
             [store]\nsegment = \"4MiB\"\nmin_free = \"1MiB\"\n"
        )
    }

    /// The relay's address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `curl` with the identity of `node`, or without one.
    pub fn curl(&self, node: Option<&str>) -> Curl {
        Curl {
            url: format!("https://localhost:{}", self.port),
            roots: self.path("relay/trust/roots.pem"),
            identity: node.map(|node| self.identity(node)),
        }
    }

    /// The chain, leaf first, in one file, and the key of an enrolled node.
    fn identity(&self, node: &str) -> (PathBuf, PathBuf) {
        let current = self.path(node).join("id/current");
        let read = |name: &str| fs::read(current.join(name)).unwrap();
        let chain = [read("cert.pem"), read("chain.pem")].concat();
        let chain = self.write(&format!("{node}.chain.pem"), chain);
        (chain, current.join("key.pem"))
    }

    /// What the sink has delivered: file name and content. Hidden files are not there for a user.
    pub fn delivered(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.path("out"))
    }

    /// The contents of delivered files as text, in the order of their names.
    pub fn delivered_lines(&self) -> Vec<String> {
        let files = self.delivered().into_values();
        files.map(|body| String::from_utf8(body).unwrap()).collect()
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

/// A path as TOML writes it.
pub fn quoted(path: &Path) -> String {
    serde_json::to_string(path).unwrap()
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let visible = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        // a file that is there is whole: nobody removes it either
        (name, fs::read(entry.path()).unwrap())
    };
    visible.map(read).collect()
}
