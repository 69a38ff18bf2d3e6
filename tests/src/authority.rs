//! An authority made by `qc-pki`, and nodes that enroll with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::command::{Ran, binary, program, run};
use super::ports::free_port;
use super::wait::until;

/// The issuing CA of every authority here.
pub(crate) const ISSUING: &str = "issuing-hq";

/// A root, an issuing CA below it, and the directory they live in.
pub struct Authority {
    dir: PathBuf,
}

impl Authority {
    /// Makes both with the commands of the handbook.
    pub fn create(dir: &Path, trust_domain: &str) -> Self {
        let authority = Self {
            dir: dir.to_owned(),
        };
        let init = ["init", "--org", "acme", "--no-passphrase", "--trust-domain"];
        authority.ask(&[&init[..], &[trust_domain]].concat()).ok();
        let create = [
            "ca",
            "create",
            ISSUING,
            "--parent",
            "root",
            "--no-passphrase",
        ];
        authority.ask(&create).ok();
        authority
    }

    /// Where it lives.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs `qc-pki` on its directory.
    pub fn ask(&self, args: &[&str]) -> Ran {
        let mut command = program(binary("qc-pki"));
        command.args(args).arg("--dir").arg(&self.dir);
        run(&mut command, b"")
    }

    /// Enrolls nodes over the network: an invitation each, EST, one connection.
    pub fn enroll(&self, nodes: &[(&str, &str, &Path)]) {
        let server = Server::start(self);
        for (name, role, state) in nodes {
            let mut args = vec!["token", "new", name, "--role", role, "--quiet"];
            if role.starts_with("relay") {
                args.extend(["--front-dns", "localhost"]);
            }
            let token = self.ask(&args).ok();
            let mut enroll = program(binary("qc-pki"));
            enroll.args(["enroll", "--token-file", "-", "--url", &server.url]);
            run(enroll.arg("--dir").arg(state), token.as_bytes()).ok();
        }
    }

    /// Enrolls a node by files, as where no network reaches.
    pub fn enroll_offline(&self, name: &str, role: &str, state: &Path) {
        let out = state.with_extension("request");
        std::fs::create_dir_all(&out).unwrap();
        let mut request = program(binary("qc-pki"));
        request.args(["request", "new", name, "--role", role, "--dir"]);
        run(request.arg(state).arg("--out").arg(&out), b"").ok();
        let file = |end: &str| out.join(format!("{name}.{end}")).display().to_string();
        let to = out.display().to_string();
        let sign = [
            "sign",
            &file("qcreq"),
            "--ca",
            ISSUING,
            "--out",
            &to,
            "--yes",
        ];
        self.ask(&sign).ok();
        let mut install = program(binary("qc-pki"));
        install.args(["install", &file("qcresp"), "--dir"]);
        run(install.arg(state), b"").ok();
    }
}

/// `qc-pki serve` while it is needed.
struct Server {
    url: String,
    child: Child,
}

impl Server {
    fn start(authority: &Authority) -> Self {
        let port = free_port();
        let mut command = program("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(binary("qc-pki"));
        command.args(["serve", "--ca", ISSUING, "--dns", "localhost", "--listen"]);
        command.arg(format!("127.0.0.1:{port}"));
        command.arg("--dir").arg(&authority.dir);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        until("qc-pki serve listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            url: format!("https://127.0.0.1:{port}"),
            child,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
