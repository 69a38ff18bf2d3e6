//! Telling the service manager (systemd) how the daemon is. Silent without `NOTIFY_SOCKET`.

use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

/// The way to the service manager; clones share it. Failures are logged at debug level, because a
/// manager that does not listen must not stop the work.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    manager: Option<Arc<Manager>>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notify {
    /// Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC` through `env`, the caller's view of the
    /// environment.
    pub fn from_env_reader(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let manager = env("NOTIFY_SOCKET").and_then(|name| match Manager::new(&name) {
            Ok(manager) => Some(Arc::new(manager)),
            Err(error) => {
                tracing::debug!(%error, "NOTIFY_SOCKET cannot be used.");
                None
            }
        });
        let watchdog = env("WATCHDOG_USEC")
            .and_then(|usec| usec.parse().ok())
            .filter(|usec| *usec > 0)
            .map(Duration::from_micros);
        Self { manager, watchdog }
    }

    /// The daemon serves, or serves again after [`Self::reloading`].
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// The daemon drains.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// The daemon reads its configuration again; [`Self::ready`] ends that.
    pub fn reloading(&self) {
        if let Ok(since_boot) = NotifyState::monotonic_usec_now() {
            self.send(&[NotifyState::Reloading, since_boot]);
        }
    }

    /// The line that `systemctl status` shows.
    pub fn status(&self, line: &str) {
        self.send(&[NotifyState::Status(&crate::safe_text::safe(line, 200))]);
    }

    /// The daemon makes progress: to be called by the loop that must not hang, at least every half of
    /// [`Self::watchdog_timeout`].
    pub fn watchdog(&self) {
        if self.watchdog.is_some() {
            self.send(&[NotifyState::Watchdog]);
        }
    }

    /// The silence after which the manager restarts the daemon, if it does so at all.
    pub fn watchdog_timeout(&self) -> Option<Duration> {
        self.watchdog
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(manager) = &self.manager else { return };
        let mut text = String::new();
        for state in states {
            let _infallible = writeln!(text, "{state}");
        }
        if let Err(error) = manager
            .socket
            .send_to_addr(text.as_bytes(), &manager.address)
        {
            tracing::debug!(%error, "The service manager did not take a notification.");
        }
    }
}

impl Manager {
    fn new(name: &str) -> io::Result<Self> {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_the_protocol_and_is_silent_without_a_socket() {
        Notify::default().ready();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::from_env_reader(&|name| match name {
            "NOTIFY_SOCKET" => Some(path.display().to_string()),
            "WATCHDOG_USEC" => Some("30000000".to_owned()),
            _ => None,
        });
        assert_eq!(notify.watchdog_timeout(), Some(Duration::from_secs(30)));
        let hear = || {
            let mut buf = [0; 256];
            let len = manager.recv(&mut buf).unwrap();
            String::from_utf8_lossy(&buf[..len]).into_owned()
        };
        notify.ready();
        assert_eq!(hear(), "READY=1\n");
        notify.status("2 links\nup");
        assert_eq!(hear(), "STATUS=2 links\\nup\n");
        notify.watchdog();
        assert_eq!(hear(), "WATCHDOG=1\n");
        notify.reloading();
        assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        drop(manager);
        notify.stopping();
    }
}
