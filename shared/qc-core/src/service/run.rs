//! The life of a daemon: start, serve, drain, stop.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Drain, Notify, Signals};
use crate::failure::{Exit, Failure};
use crate::telemetry::LogHandle;

/// What the parts of a daemon share.
#[derive(Debug, Clone)]
pub struct Service {
    /// Starts tasks and tells them to stop.
    pub drain: Drain,
    /// Reload and reopen wishes.
    pub signals: Signals,
    /// The service manager.
    pub notify: Notify,
}

/// How a daemon runs.
#[derive(Debug, Clone, Default)]
pub struct ServiceOptions {
    /// Threads that run tasks; 0 = one a core, at most 8.
    pub workers: usize,
    /// The service manager.
    pub notify: Notify,
}

/// Runs `main`, which is the daemon's whole life and usually ends with
/// [`Service::serve_until_drained`]. A second SIGTERM or SIGINT ends it where it stands.
pub fn run_service<M, F>(options: ServiceOptions, main: M) -> Result<(), Failure>
where
    M: FnOnce(Service) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let runtime = runtime(options.workers)?;
    let outcome = runtime.block_on(async {
        let drain = Drain::new();
        let signals = Signals::install(&drain).map_err(|error| {
            Failure::new(Exit::Other, "QC0008", "cannot install signal handlers").because(&error)
        })?;
        let stop = signals.clone();
        let service = Service {
            drain,
            signals,
            notify: options.notify,
        };
        tokio::select! {
            outcome = main(service) => outcome,
            exit = stop.stop_now() => Err(stopped(exit)),
        }
    });
    // Blocking work may hang on a dead disk; what must be durable was synced before it was promised.
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome
}

/// A runtime with `workers` threads (0 = one a core, at most 8) and few threads for blocking work.
pub fn runtime(workers: usize) -> Result<Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if workers == 0 { cores } else { workers }.clamp(1, 8);
    Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(32)
        .thread_name("qc-worker")
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Exit::Other, "QC0009", "cannot start worker threads").because(&error)
        })
}

impl Service {
    /// Reopens the log file at every SIGUSR1, as logrotate asks.
    pub fn reopen_log_on_signal(&self, log: LogHandle) {
        let (drain, mut wish) = (self.drain.clone(), self.signals.reopen_log.clone());
        self.drain.spawn("log", async move {
            loop {
                tokio::select! {
                    () = drain.signaled() => return,
                    changed = wish.changed() => if changed.is_err() { return },
                }
                match log.reopen() {
                    Ok(()) => tracing::info!(code = "QC0016", "Log reopened."),
                    Err(error) => {
                        tracing::error!(code = "QC0014", %error, "Cannot reopen the log file.");
                    }
                }
            }
        });
    }

    /// Reports readiness, waits until draining begins, and gives the tasks `grace` to end. A task
    /// that panicked makes it a failure.
    pub async fn serve_until_drained(&self, grace: Duration) -> Result<(), Failure> {
        self.notify.ready();
        self.drain.signaled().await;
        self.notify.stopping();
        tracing::info!(code = "QC0010", "Draining.");
        if self.drain.finished(grace).await {
            tracing::info!(code = "QC0011", "Drained.");
        } else {
            for (task, count) in self.drain.running() {
                tracing::warn!(code = "QC0012", task, count, "A task did not end in time.");
            }
        }
        match self.drain.panicked() {
            None => Ok(()),
            Some(task) => Err(Failure::new(
                Exit::Bug,
                "QC0004",
                format!("task '{task}' panicked; the process drained and stopped"),
            )
            .help("report this with the log lines before it")),
        }
    }
}

fn stopped(exit: Exit) -> Failure {
    let signal = if exit == Exit::Interrupted {
        "SIGINT"
    } else {
        "SIGTERM"
    };
    Failure::new(
        exit,
        "QC0005",
        format!("stopped by a second {signal} before draining ended"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_ends_when_drained_and_a_panic_is_a_failure() {
        let _one = super::super::signals::ONE_SIGNAL_TEST.lock();
        let grace = Duration::from_secs(5);
        let calm = run_service(ServiceOptions::default(), async |service| {
            let drain = service.drain.clone();
            service.drain.spawn("stopper", async move { drain.begin() });
            service.serve_until_drained(grace).await
        });
        assert!(calm.is_ok());
        let broken = run_service(ServiceOptions::default(), async |service| {
            service
                .drain
                .spawn("broken", async { panic!("as the test wants") });
            service.serve_until_drained(grace).await
        });
        let failure = broken.unwrap_err();
        assert_eq!((failure.code, failure.exit), ("QC0004", Exit::Bug));
        assert!(failure.message.contains("'broken'"));
    }
}
