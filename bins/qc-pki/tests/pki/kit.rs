//! A house with a root and an issuing CA in a temporary directory, and what runs against it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

pub(crate) const EDGE_OID: &str = "2.25.297758836773570835454071197236171993836.1";

pub(crate) struct House {
    tmp: TempDir,
}

/// What a command did.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    #[track_caller]
    pub(crate) fn fails(self, code: i32, with: &str) {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(with), "{}", self.stderr);
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `program` with words and `{}` replaced by the arguments that follow.
pub(crate) fn run(program: &str, args: &[&str]) -> Ran {
    let output = Command::new(program).args(args).output();
    output.expect("the program is installed").into()
}

pub(crate) fn qc_pki(args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qc-pki"));
    command.args(args).stdin(Stdio::null());
    command.env_remove("CREDENTIALS_DIRECTORY");
    command.output().expect("it runs").into()
}

impl House {
    /// A root and the issuing CA `hq`, without passphrases.
    pub(crate) fn new() -> Self {
        let house = Self {
            tmp: tempfile::tempdir().expect("a directory"),
        };
        house
            .pki(&["init", "--org", "acme", "--no-passphrase"])
            .ok();
        house
            .pki(&["ca", "create", "hq", "--parent", "root", "--no-passphrase"])
            .ok();
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    pub(crate) fn str(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// `qc-pki` on this house's directory.
    pub(crate) fn pki(&self, args: &[&str]) -> Ran {
        let dir = self.str("house");
        qc_pki(&[args, &["--dir", &dir]].concat())
    }

    /// `qc-pki` on a node's state directory.
    pub(crate) fn node(&self, state: &str, args: &[&str]) -> Ran {
        let dir = self.str(state);
        qc_pki(&[args, &["--dir", &dir]].concat())
    }

    /// A token for an edge, in a file; more arguments follow.
    pub(crate) fn token(&self, node: &str, more: &[&str]) -> String {
        let args = ["token", "new", node, "--role", "edge", "--ca", "hq"];
        let token = self.pki(&[&args, more].concat()).ok();
        let path = self.str(&format!("token-{node}"));
        write(&path, token.as_bytes());
        path
    }

    pub(crate) fn root(&self) -> String {
        self.str("house/ca/root/cert.pem")
    }

    pub(crate) fn serve(&self) -> Server {
        Server::start(&self.str("house"))
    }

    /// All revocation lists in one PEM file.
    pub(crate) fn crls(&self) -> String {
        let mut pem = String::new();
        for ca in std::fs::read_dir(self.path("house/ca")).expect("CAs") {
            let crl = ca.expect("a CA").path().join("crl.der");
            let crl = crl.to_str().expect("UTF-8").to_owned();
            pem += &run("openssl", &["crl", "-inform", "der", "-in", &crl]).ok();
        }
        let path = self.str("crls.pem");
        write(&path, pem.as_bytes());
        path
    }

    /// What stock OpenSSL thinks of a leaf with revocation checked all the way up.
    pub(crate) fn openssl_verify(&self, leaf: &str, chain: &str, purpose: &str) -> Ran {
        let (root, crls) = (self.root(), self.crls());
        let mut args = vec![
            "verify",
            "-x509_strict",
            "-crl_check_all",
            "-purpose",
            purpose,
        ];
        args.extend([
            "-CAfile",
            &root,
            "-CRLfile",
            &crls,
            "-untrusted",
            chain,
            leaf,
        ]);
        run("openssl", &args)
    }
}

pub(crate) struct Server {
    child: Child,
    /// Kept open, because a command ends when nobody reads its result.
    _stdout: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Server {
    fn start(house: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qc-pki"));
        command.args(["serve", "--ca", "hq", "--listen", "127.0.0.1:0"]);
        command.args(["--dns", "localhost", "--dir", house]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let stdout = child.stdout.take().expect("piped");
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut line).expect("a line");
        let port = line.split("127.0.0.1:").nth(1).expect("the address");
        let port = port.split_whitespace().next().expect("a port");
        Self {
            child,
            _stdout: stdout,
            port: port.parse().expect("a number"),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// Asks it to stop and gives its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        run("kill", &["-TERM", &self.child.id().to_string()]).ok();
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn write(path: impl AsRef<Path>, bytes: &[u8]) {
    let mut file = std::fs::File::create(path).expect("a file");
    file.write_all(bytes).expect("written");
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).expect("a file")
}
