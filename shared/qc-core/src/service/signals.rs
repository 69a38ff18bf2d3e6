//! What signals mean: TERM or INT drains, a second one stops at once, HUP reloads, USR1 reopens the
//! log.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::Drain;
use crate::failure::Exit;

/// The signals of this process, from the moment they are installed.
#[derive(Debug, Clone)]
pub struct Signals {
    /// Changes with every SIGHUP.
    pub reload: watch::Receiver<u64>,
    /// Changes with every SIGUSR1.
    pub reopen_log: watch::Receiver<u64>,
    stop_now: watch::Receiver<Option<Exit>>,
}

impl Signals {
    /// Installs the handlers; the first SIGTERM or SIGINT will begin `drain`. Needs a runtime.
    pub fn install(drain: &Drain) -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (reload_tx, reload) = watch::channel(0);
        let (reopen_tx, reopen_log) = watch::channel(0);
        let (stop_tx, stop_now) = watch::channel(None);
        detach(count(signal(SignalKind::hangup())?, reload_tx));
        detach(count(signal(SignalKind::user_defined1())?, reopen_tx));
        let drain = drain.clone();
        detach(async move {
            loop {
                let exit = tokio::select! {
                    _ = terminate.recv() => Exit::Terminated,
                    _ = interrupt.recv() => Exit::Interrupted,
                };
                // Also when something else began the drain: a person who signals now may be the
                // first to signal, and gets the drain that already runs.
                if *stop_tx.borrow() == Some(Exit::Ok) {
                    stop_tx.send_replace(Some(exit));
                } else {
                    stop_tx.send_replace(Some(Exit::Ok));
                    drain.begin();
                }
            }
        });
        Ok(Self {
            reload,
            reopen_log,
            stop_now,
        })
    }

    /// Resolves at the second SIGTERM or SIGINT, with the exit code it asks for.
    pub async fn stop_now(&self) -> Exit {
        let mut stop_now = self.stop_now.clone();
        let asked = stop_now.wait_for(|stop| stop.is_some_and(|exit| exit != Exit::Ok));
        match asked.await {
            Ok(exit) => (*exit).unwrap_or(Exit::Terminated),
            Err(_runtime_ends) => std::future::pending().await,
        }
    }
}

async fn count(mut signal: Signal, counter: watch::Sender<u64>) {
    while signal.recv().await.is_some() {
        counter.send_modify(|count| *count += 1);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "signals are heard until the process ends, also while tasks drain"
)]
fn detach(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

/// Held by each test that signals its own process or would react to that.
#[cfg(test)]
pub(super) static ONE_SIGNAL_TEST: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal as Sig, getpid, kill_process};

    #[test]
    fn reload_reopen_drain_then_stop() {
        let _one = ONE_SIGNAL_TEST.lock();
        super::super::runtime(1).unwrap().block_on(story());
    }

    async fn story() {
        let drain = Drain::new();
        let mut signals = Signals::install(&drain).unwrap();
        kill_process(getpid(), Sig::HUP).unwrap();
        signals.reload.changed().await.unwrap();
        kill_process(getpid(), Sig::USR1).unwrap();
        signals.reopen_log.changed().await.unwrap();
        assert!(!drain.is_draining());
        kill_process(getpid(), Sig::TERM).unwrap();
        drain.signaled().await;
        kill_process(getpid(), Sig::INT).unwrap();
        assert_eq!(signals.stop_now().await, Exit::Interrupted);
    }
}
