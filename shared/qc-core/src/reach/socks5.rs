//! A tunnel through a SOCKS5 proxy (RFC 1928), without login or with user and password (RFC 1929).
//! A relay's name is sent as a name: the proxy looks it up.
//!
//! Each answer is read to its own length, never further, so its longest form is its bound.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::proxy::Login;
use super::{Proxy, ReachError, Target};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_OF_THEM: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Asks `proxy`, to which `stream` leads, for a tunnel to `target`. The caller sets the deadline.
pub(super) async fn connect<S>(
    stream: &mut S,
    proxy: &Proxy,
    target: &Target,
    login: Option<&Login>,
) -> Result<(), ReachError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk { stream, proxy };
    talk.greet(login).await?;
    let mut request = vec![VERSION, CONNECT, 0];
    match target.ip() {
        Some(IpAddr::V4(ip)) => {
            request.push(IPV4);
            request.extend(ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            request.push(IPV6);
            request.extend(ip.octets());
        }
        None => {
            request.push(NAME);
            request.push(talk.short(target.host.len(), "the relay's name")?);
            request.extend(target.host.as_bytes());
        }
    }
    request.extend(target.port.to_be_bytes());
    talk.send(&request).await?;
    talk.answer(target).await
}

struct Talk<'a, S> {
    stream: &'a mut S,
    proxy: &'a Proxy,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    async fn greet(&mut self, login: Option<&Login>) -> Result<(), ReachError> {
        let offer: &[u8] = match login {
            Some(_) => &[VERSION, 2, NO_LOGIN, PASSWORD],
            None => &[VERSION, 1, NO_LOGIN],
        };
        self.send(offer).await?;
        let [version, method] = self.receive().await?;
        self.version(version)?;
        match (method, login) {
            (NO_LOGIN, _) => Ok(()),
            (PASSWORD, Some(login)) => self.log_in(login).await,
            (NONE_OF_THEM, None) => {
                Err(self.credentials("it wants a login; set proxy_credentials_file"))
            }
            (NONE_OF_THEM, Some(_)) => {
                Err(self.credentials("it takes neither user and password nor no login"))
            }
            (other, _) => Err(self.garbled(format!("it chose method {other}, not offered"))),
        }
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), ReachError> {
        let (user, password) = (login.user().as_bytes(), login.password().as_bytes());
        let mut request = Zeroizing::new(Vec::with_capacity(3 + 2 * 255));
        request.push(1);
        for (part, name) in [(user, "the user"), (password, "the password")] {
            request.push(self.short(part.len(), name)?);
            request.extend_from_slice(part);
        }
        self.send(&request).await?;
        let [version, status] = self.receive().await?;
        if version != 1 {
            return Err(self.garbled(format!("version {version} of the login")));
        }
        if status != 0 {
            let why = "check user and password in proxy_credentials_file";
            return Err(self.credentials(why));
        }
        Ok(())
    }

    async fn answer(&mut self, target: &Target) -> Result<(), ReachError> {
        let [version, reply, _reserved, kind] = self.receive().await?;
        self.version(version)?;
        if reply != 0 {
            return Err(self.refused(reply, target));
        }
        // where the proxy is bound is of no interest, but is there to be read
        let length = match kind {
            IPV4 => 4,
            IPV6 => 16,
            NAME => {
                let [length] = self.receive().await?;
                usize::from(length)
            }
            other => return Err(self.garbled(format!("an address of kind {other}"))),
        };
        let mut bound = [0; 255 + 2];
        let bound = bound.get_mut(..length + 2).unwrap_or_default();
        match self.stream.read_exact(bound).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn refused(&self, reply: u8, target: &Target) -> ReachError {
        let (proxy, to) = (self.proxy.to_string(), target.to_string());
        let cannot = |why: &str| ReachError::ProxyCannotReach {
            proxy: proxy.clone(),
            target: to.clone(),
            why: why.to_owned(),
        };
        match reply {
            1 => cannot("general failure"),
            2 => ReachError::ProxyForbids {
                proxy,
                target: to,
                why: "not allowed by its rules".to_owned(),
            },
            3 => cannot("network unreachable"),
            4 => cannot("host unreachable, or its name is not known there"),
            5 => cannot("connection refused"),
            6 => cannot("the time to live ran out"),
            other => ReachError::ProxyStatus {
                proxy,
                why: format!("with reply {other} of SOCKS5"),
            },
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ReachError> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let sent: io::Result<()> = sent.await;
        sent.map_err(|error| self.lost(&error))
    }

    async fn receive<const N: usize>(&mut self) -> Result<[u8; N], ReachError> {
        let mut bytes = [0; N];
        match self.stream.read_exact(&mut bytes).await {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn version(&self, version: u8) -> Result<(), ReachError> {
        if version == VERSION {
            return Ok(());
        }
        let hint = if version == b'H' {
            " (it speaks HTTP)"
        } else {
            ""
        };
        Err(self.garbled(format!("version {version} in place of 5{hint}")))
    }

    fn short(&self, length: usize, what: &str) -> Result<u8, ReachError> {
        u8::try_from(length)
            .map_err(|_| self.credentials(&format!("{what} is longer than SOCKS5 allows")))
    }

    fn credentials(&self, why: &str) -> ReachError {
        ReachError::ProxyCredentials {
            proxy: self.proxy.to_string(),
            why: why.to_owned(),
        }
    }

    fn garbled(&self, why: String) -> ReachError {
        ReachError::ProxyGarbled {
            proxy: self.proxy.to_string(),
            expected: "a SOCKS5 proxy",
            why,
        }
    }

    fn lost(&self, error: &io::Error) -> ReachError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.garbled("it closed the connection in the middle".to_owned());
        }
        ReachError::ProxyUnreachable {
            proxy: self.proxy.to_string(),
            why: format!("it ended the connection: {error}"),
        }
    }
}
