//! A proxy of the configuration, and where its credentials come from.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::str::FromStr;

use super::{ReachError, Target};
use crate::safe_text::safe;
use crate::secret::Secret;

/// The longest user name and password together.
const MAX_CREDENTIALS: u64 = 1024;

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP CONNECT.
    Http,
    /// SOCKS version 5; it looks the relay's name up.
    Socks5,
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Where it is.
    pub target: Target,
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            let example = "\"http://proxy.corp:3128\" or \"socks5://proxy.corp:1080\"";
            format!("'{}' is no proxy such as {example}", safe(text, 80))
        };
        let (kind, rest) = if let Some(rest) = text.strip_prefix("http://") {
            (ProxyKind::Http, rest)
        } else if let Some(rest) = text.strip_prefix("socks5://") {
            (ProxyKind::Socks5, rest)
        } else {
            return Err(bad());
        };
        if rest.contains('@') {
            return Err(
                "user and password do not belong here but into proxy_credentials_file".to_owned(),
            );
        }
        let target = rest.strip_suffix('/').unwrap_or(rest).parse();
        Ok(Self {
            kind,
            target: target.map_err(|_| bad())?,
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}", self.target)
    }
}

/// A user's name and password.
#[derive(Debug)]
pub(super) struct Login {
    text: Secret<String>,
    colon: usize,
}

impl Login {
    /// Reads `user:password` from one line of a file that is for its owner only. It is read for every
    /// connection, so that a new password needs no restart.
    pub(super) fn read(path: &Path) -> Result<Self, ReachError> {
        let refused = |why: &dyn fmt::Display| ReachError::CredentialsFile {
            path: path.to_owned(),
            why: why.to_string(),
        };
        let file = std::fs::File::open(path).map_err(|e| refused(&e))?;
        let mode = file
            .metadata()
            .map_err(|e| refused(&e))?
            .permissions()
            .mode()
            & 0o777;
        if mode & 0o077 != 0 {
            let why = format!("others may read it (mode {mode:04o}); chmod 600 it");
            return Err(refused(&why));
        }
        let mut text = Secret::new(String::with_capacity(2048));
        let read = file
            .take(MAX_CREDENTIALS + 1)
            .read_to_string(text.expose_mut());
        if read.map_err(|e| refused(&e))? as u64 > MAX_CREDENTIALS {
            return Err(refused(&format!(
                "it has more than {MAX_CREDENTIALS} bytes"
            )));
        }
        let length = text.expose().trim_end_matches(['\r', '\n']).len();
        text.expose_mut().truncate(length);
        Self::of_line(text).ok_or_else(|| refused(&"it is not one line USER:PASSWORD"))
    }

    /// The login of a line `user:password`, if it is one.
    pub(super) fn of_line(text: Secret<String>) -> Option<Self> {
        let line = text.expose();
        let colon = line.find(':').filter(|at| *at > 0)?;
        (!line.contains(|c: char| c.is_control())).then_some(Self { text, colon })
    }

    /// As HTTP Basic has it, without encoding.
    pub(super) fn line(&self) -> &str {
        self.text.expose()
    }

    /// The name.
    pub(super) fn user(&self) -> &str {
        self.text.expose().get(..self.colon).unwrap_or_default()
    }

    /// The password.
    pub(super) fn password(&self) -> &str {
        self.text.expose().get(self.colon + 1..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::write_atomic;

    #[test]
    fn proxies_are_named_by_scheme_host_and_port() {
        let check = |text: &str, expected: Option<(ProxyKind, &str, u16)>| {
            let parsed = text.parse::<Proxy>().ok();
            let found = parsed
                .as_ref()
                .map(|p| (p.kind, p.target.host.as_str(), p.target.port));
            assert_eq!(found, expected, "{text}");
        };
        check(
            "http://proxy.corp:3128",
            Some((ProxyKind::Http, "proxy.corp", 3128)),
        );
        check(
            "http://10.0.0.1:3128/",
            Some((ProxyKind::Http, "10.0.0.1", 3128)),
        );
        check(
            "socks5://[fd00::1]:1080",
            Some((ProxyKind::Socks5, "fd00::1", 1080)),
        );
        for bad in [
            "",
            "proxy:3128",
            "https://proxy:3128",
            "socks4://a:1",
            "http://proxy",
            "http://proxy:3128/x",
            "http://",
        ] {
            check(bad, None);
        }
        let error = "http://user:pass@proxy:3128".parse::<Proxy>().unwrap_err();
        assert!(error.contains("proxy_credentials_file"), "{error}");
        assert!(!error.contains("pass@"), "no secret in an error: {error}");
    }

    #[test]
    fn a_file_for_its_owner_with_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proxy");
        let check = |content: &[u8], mode: u32, expected: Result<(&str, &str), &str>| {
            write_atomic(&path, content, mode).unwrap();
            match (Login::read(&path), expected) {
                (Ok(login), Ok(wanted)) => assert_eq!((login.user(), login.password()), wanted),
                (Err(error), Err(words)) => {
                    let text = error.to_string();
                    assert!(text.contains(words), "{text}");
                    assert!(!text.contains("s3cret"), "{text}");
                    assert_eq!(error.code().to_string(), "QC2048");
                }
                (found, _) => panic!("{found:?}"),
            }
        };
        check(b"anna:s3cret\n", 0o600, Ok(("anna", "s3cret")));
        check(b"anna:s3:cret", 0o400, Ok(("anna", "s3:cret")));
        check(b"CORP\\anna:\r\n", 0o600, Ok(("CORP\\anna", "")));
        check(b"anna:s3cret", 0o640, Err("chmod 600"));
        check(b"anna", 0o600, Err("not one line"));
        check(b":s3cret", 0o600, Err("not one line"));
        check(b"anna:s3cret\nX: y\n", 0o600, Err("not one line"));
        check(&[b'a'; 1025], 0o600, Err("more than 1024"));
        check(b"\xff:s3cret", 0o600, Err("UTF-8"));
        assert!(Login::read(&dir.path().join("none")).is_err());
    }
}
