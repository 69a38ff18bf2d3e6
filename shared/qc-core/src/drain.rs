//! Stopping in order: every task is started here, hears when draining begins, and is waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// The handle to a process's tasks and to its one decision to stop. Clones speak of the same tasks.
#[derive(Debug, Clone)]
pub struct Drain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    draining: watch::Sender<bool>,
    tasks: watch::Sender<usize>,
    names: Mutex<BTreeMap<&'static str, usize>>,
    panicked: Mutex<Option<&'static str>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// A drain without tasks that has not begun.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                draining: watch::Sender::new(false),
                tasks: watch::Sender::new(0),
                names: Mutex::default(),
                panicked: Mutex::default(),
            }),
        }
    }

    /// Starts `task` on the current runtime. The task is expected to end soon after
    /// [`Self::signaled`] resolves. If it panics, that is logged by `name` and draining begins.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = Running::enter(self.clone(), name);
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that starts tasks"
        )]
        let handle = tokio::spawn(async move {
            let _until_the_end = running;
            task.await;
        });
        drop(handle); // detached: `Running` does the counting
    }

    /// Resolves once draining has begun; at once if it has. Cancel-safe, for any number of waiters.
    pub async fn signaled(&self) {
        let mut draining = self.shared.draining.subscribe();
        draining
            .wait_for(|begun| *begun)
            .await
            .map(drop)
            .expect("the sender lives in self");
    }

    /// Whether draining has begun.
    pub fn is_draining(&self) -> bool {
        *self.shared.draining.borrow()
    }

    /// Begins draining; later calls change nothing.
    pub fn begin(&self) {
        self.shared
            .draining
            .send_if_modified(|begun| !std::mem::replace(begun, true));
    }

    /// Waits until every task has ended, at most `grace`; whether all have. Not to be called by one
    /// of the tasks.
    pub async fn finished(&self, grace: Duration) -> bool {
        let mut tasks = self.shared.tasks.subscribe();
        let all_ended = tasks.wait_for(|count| *count == 0);
        tokio::time::timeout(grace, all_ended).await.is_ok()
    }

    /// The names of the tasks that still run, with how many there are of each.
    pub fn running(&self) -> Vec<(&'static str, usize)> {
        let names = self.shared.names.lock();
        let names = names.unwrap_or_else(PoisonError::into_inner);
        names.iter().map(|(name, count)| (*name, *count)).collect()
    }

    /// The first task that panicked, if one has.
    pub fn panicked(&self) -> Option<&'static str> {
        let panicked = self.shared.panicked.lock();
        *panicked.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a task as long as it lives; a drop while unwinding is the task's panic.
struct Running {
    drain: Drain,
    name: &'static str,
}

impl Running {
    fn enter(drain: Drain, name: &'static str) -> Self {
        let names = drain.shared.names.lock();
        *names
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
        drain.shared.tasks.send_modify(|count| *count += 1);
        Self { drain, name }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let shared = &self.drain.shared;
        if std::thread::panicking() {
            let panicked = shared.panicked.lock();
            panicked
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(self.name);
            tracing::error!(
                code = "QC0004",
                task = self.name,
                "A task panicked; draining."
            );
            self.drain.begin();
        }
        let mut names = shared.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = names.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                names.remove(self.name);
            }
        }
        drop(names);
        shared.tasks.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_hear_the_signal_and_are_waited_for() {
        let drain = Drain::new();
        assert!(drain.finished(Duration::ZERO).await, "nothing runs yet");
        for _ in 0..3 {
            let heard = drain.clone();
            drain.spawn("waiter", async move { heard.signaled().await });
        }
        assert_eq!(drain.running(), [("waiter", 3)]);
        assert!(!drain.finished(Duration::from_millis(20)).await);
        assert!(!drain.is_draining());
        drain.begin();
        drain.begin();
        assert!(drain.finished(Duration::from_secs(5)).await);
        assert_eq!((drain.running(), drain.panicked()), (vec![], None));
        drain.signaled().await;
    }

    #[tokio::test]
    async fn a_panic_begins_draining_and_is_named() {
        let drain = Drain::new();
        let heard = drain.clone();
        drain.spawn("healthy", async move { heard.signaled().await });
        drain.spawn("broken", async {
            tokio::task::yield_now().await;
            panic!("as the test wants");
        });
        drain.signaled().await;
        assert!(drain.finished(Duration::from_secs(5)).await);
        assert_eq!(drain.panicked(), Some("broken"));
    }
}
