//! A byte stream to an address: directly, or through the proxy of the configuration.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::eyeballs::{MOST, STAGGER, interleave, race};
use super::proxy::Login;
use super::{Found, Names, NoProxy, Proxy, ProxyKind, ReachError, Target, http_proxy, socks5};
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::safe_text::safe;

/// The time between two probes of an idle connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// After how many unanswered ones it is given up.
const KEEPALIVE_PROBES: u32 = 3;

/// How sockets are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Socket {
    /// The own address to come from.
    pub source: Option<IpAddr>,
    /// After how much idle time the kernel asks whether the other side is there; none for never.
    pub keepalive: Option<Duration>,
}

/// Opens byte streams.
#[derive(Debug)]
pub struct Reach {
    /// Names to addresses.
    pub names: Names,
    /// The proxy, if there is one.
    pub proxy: Option<Proxy>,
    /// Where user and password for it stand.
    pub proxy_credentials: Option<PathBuf>,
    /// What goes without it.
    pub no_proxy: NoProxy,
    /// How sockets are made.
    pub socket: Socket,
    /// The time for one stream: name, TCP, proxy, and what is done over it.
    pub deadline: Duration,
}

/// How a stream came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Who answered: the target or the proxy.
    pub remote: SocketAddr,
    /// The proxy, if there is one.
    pub proxy: Option<Proxy>,
    /// When the address was last good, if it could not be looked up.
    pub address_from: Option<Timestamp>,
    host: String,
    found: Found,
}

impl Reach {
    /// The proxy on the way to `host`.
    pub fn proxy_for(&self, host: &str) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !self.no_proxy.matches(host))
    }

    /// Opens a stream to `target` until `end`.
    pub async fn open(
        &self,
        target: &Target,
        clock: &dyn Clock,
        end: Instant,
    ) -> Result<(TcpStream, Route), ReachError> {
        let Some(proxy) = self.proxy_for(&target.host) else {
            return self.tcp(target, None, clock, end).await;
        };
        // read first: nobody is bothered for a file that is not right
        let login = match &self.proxy_credentials {
            Some(path) => Some(read_login(path.clone()).await?),
            None => None,
        };
        let connected = self.tcp(&proxy.target, Some(proxy), clock, end).await;
        let (mut stream, route) = connected.map_err(|error| at_proxy(error, proxy))?;
        let left = end.saturating_duration_since(clock.instant());
        let login = login.as_deref();
        let silent = |_| ReachError::ProxySilent {
            proxy: proxy.to_string(),
            after: self.deadline,
        };
        let tunnel = tunnel(&mut stream, proxy, target, login);
        timeout(left, tunnel).await.map_err(silent)??;
        Ok((stream, route))
    }

    /// Notes that what `route` led to was the right one.
    pub async fn worked(&self, route: &Route, now: Timestamp) {
        self.names
            .worked(&route.host, &route.found, route.remote.ip(), now)
            .await;
    }

    async fn tcp(
        &self,
        target: &Target,
        proxy: Option<&Proxy>,
        clock: &dyn Clock,
        end: Instant,
    ) -> Result<(TcpStream, Route), ReachError> {
        let left = |clock: &dyn Clock| end.saturating_duration_since(clock.instant());
        let found = self.names.addresses(&target.host, left(clock)).await?;
        let addresses = self.usable(target, &found)?;
        let connecting = race(&addresses, STAGGER, |address| self.socket.connect(address));
        let late = |_| ReachError::Deadline {
            target: target.to_string(),
            after: self.deadline,
        };
        let connected = timeout(left(clock), connecting).await.map_err(late)?;
        let (remote, stream) = connected.map_err(|errors| self.unreachable(target, &errors))?;
        let route = Route {
            remote,
            proxy: proxy.cloned(),
            address_from: found.from,
            host: target.host.clone(),
            found,
        };
        Ok((stream, route))
    }

    /// In the order of trying; of the source's family only.
    fn usable(&self, target: &Target, found: &Found) -> Result<Vec<SocketAddr>, ReachError> {
        let fits = |ip: &IpAddr| {
            self.socket
                .source
                .is_none_or(|source| source.is_ipv4() == ip.is_ipv4())
        };
        let fitting: Vec<IpAddr> = found.addresses.iter().copied().filter(fits).collect();
        if let (true, Some(address)) = (fitting.is_empty(), self.socket.source) {
            let other = if address.is_ipv4() { "IPv6" } else { "IPv4" };
            return Err(ReachError::Source {
                address,
                why: format!("{} has {other} addresses only", safe(&target.host, 200)),
            });
        }
        let socket = |ip| SocketAddr::new(ip, target.port);
        Ok(interleave(&fitting)
            .into_iter()
            .take(MOST)
            .map(socket)
            .collect())
    }

    fn unreachable(&self, target: &Target, errors: &[(SocketAddr, io::Error)]) -> ReachError {
        if let (Some(source), Some((_, error))) = (
            self.socket.source,
            errors
                .iter()
                .find(|(_, error)| error.kind() == io::ErrorKind::AddrNotAvailable),
        ) {
            return ReachError::Source {
                address: source,
                why: error.to_string(),
            };
        }
        let kind = errors
            .last()
            .map_or(io::ErrorKind::Other, |(_, e)| e.kind());
        let told = errors.iter().take(4).map(|(address, error)| {
            if address.to_string() == target.to_string() {
                error.to_string()
            } else {
                format!("{address}: {error}")
            }
        });
        let why = told.collect::<Vec<_>>().join("; ");
        ReachError::Unreachable {
            target: target.to_string(),
            why,
            kind,
        }
    }
}

/// Asks `proxy`, to which `stream` leads, for a tunnel to `target`. The caller sets the deadline.
pub(super) async fn tunnel<S>(
    stream: &mut S,
    proxy: &Proxy,
    target: &Target,
    login: Option<&Login>,
) -> Result<(), ReachError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match proxy.kind {
        ProxyKind::Http => http_proxy::connect(stream, proxy, target, login).await,
        ProxyKind::Socks5 => socks5::connect(stream, proxy, target, login).await,
    }
}

async fn read_login(path: PathBuf) -> Result<Arc<Login>, ReachError> {
    let shown = path.clone();
    let read = tokio::task::spawn_blocking(move || Login::read(&path)).await;
    read.unwrap_or_else(|error| {
        Err(ReachError::CredentialsFile {
            path: shown,
            why: error.to_string(),
        })
    })
    .map(Arc::new)
}

/// What went wrong on the way to the proxy, said of the proxy.
fn at_proxy(error: ReachError, proxy: &Proxy) -> ReachError {
    let proxy = proxy.to_string();
    match error {
        ReachError::Unreachable { why, .. } => ReachError::ProxyUnreachable { proxy, why },
        ReachError::Deadline { after, .. } => ReachError::ProxySilent { proxy, after },
        other => other,
    }
}

impl Socket {
    /// Connects to one address.
    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        socket.set_nodelay(true)?;
        if let Some(idle) = self.keepalive {
            sockopt::set_socket_keepalive(&socket, true)?;
            sockopt::set_tcp_keepidle(&socket, idle)?;
            sockopt::set_tcp_keepintvl(&socket, KEEPALIVE_INTERVAL)?;
            sockopt::set_tcp_keepcnt(&socket, KEEPALIVE_PROBES)?;
        }
        socket.connect(address).await
    }
}
