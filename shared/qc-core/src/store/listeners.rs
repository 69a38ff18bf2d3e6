//! Who waits for more of which stream: a commit wakes those, and nobody else.
//!
//! A relay has thousands of links, and each waits for a stream or two. Were all of them woken by every
//! commit, a busy stream would keep the whole machine busy with looking at quiet ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::StreamKey;

/// Bells with their numbers, by stream.
type Bells = HashMap<StreamKey, Vec<(u64, Arc<Notify>)>>;

/// The bells of those who wait.
#[derive(Default)]
pub(super) struct Listeners {
    bells: Mutex<Bells>,
    next: AtomicU64,
}

/// A bell that is rung when there may be more of a stream, until this is dropped.
#[must_use = "the bell is rung only as long as this is kept"]
pub struct Listener {
    listeners: Arc<Listeners>,
    stream: StreamKey,
    number: u64,
}

impl Listeners {
    /// Rings `bell` for `stream` from now on. One bell may be rung for many streams.
    pub(super) fn listen(self: &Arc<Self>, stream: &StreamKey, bell: &Arc<Notify>) -> Listener {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut bells = self.bells();
        let of = bells.entry(stream.clone()).or_default();
        of.push((number, Arc::clone(bell)));
        drop(bells);
        Listener {
            listeners: Arc::clone(self),
            stream: stream.clone(),
            number,
        }
    }

    /// There may be more of `streams`.
    pub(super) fn ring<'a>(&self, streams: impl IntoIterator<Item = &'a StreamKey>) {
        let bells = self.bells();
        if bells.is_empty() {
            return;
        }
        for stream in streams {
            for (_, bell) in bells.get(stream).into_iter().flatten() {
                bell.notify_one();
            }
        }
    }

    /// There may be more, or something else to see, everywhere.
    pub(super) fn ring_all(&self) {
        for (_, bell) in self.bells().values().flatten() {
            bell.notify_one();
        }
    }

    fn bells(&self) -> MutexGuard<'_, Bells> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listener").field(&self.stream).finish()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut bells = self.listeners.bells();
        if let Some(of) = bells.get_mut(&self.stream) {
            of.retain(|(number, _)| *number != self.number);
            if of.is_empty() {
                bells.remove(&self.stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str) -> StreamKey {
        StreamKey::hub(name.parse().unwrap())
    }

    /// Whether `bell` was rung since it was asked last.
    fn was_rung(bell: &Arc<Notify>) -> bool {
        let mut rung = std::pin::pin!(bell.notified());
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        rung.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn a_bell_is_rung_for_its_streams_until_nobody_keeps_it() {
        let listeners = Arc::new(Listeners::default());
        let [mine, other] = [(); 2].map(|()| Arc::new(Notify::new()));
        let (a, b) = (stream("acme/a"), stream("acme/b"));
        let kept = listeners.listen(&a, &mine);
        let _kept_too = listeners.listen(&b, &mine);
        let _others = listeners.listen(&b, &other);
        listeners.ring([&a]);
        assert!(was_rung(&mine) && !was_rung(&other));
        listeners.ring([&b]);
        assert!(was_rung(&mine) && was_rung(&other));
        listeners.ring([&stream("acme/c")]);
        assert!(!was_rung(&mine) && !was_rung(&other));
        listeners.ring_all();
        assert!(was_rung(&mine) && was_rung(&other));
        drop(kept);
        listeners.ring([&a]);
        assert!(!was_rung(&mine));
        assert_eq!(listeners.bells().len(), 1, "nothing is left of it");
    }
}
