//! Memory by count: what a peer makes us allocate is no more than it has sent and 64 KiB, and what an idle
//! link holds. A growing buffer counts as what it grows by.
#![cfg_attr(
    all(feature = "net", feature = "testing"),
    expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::disallowed_methods,
        reason = "what fails here fails its test"
    )
)]
#![cfg(all(feature = "net", feature = "testing"))]

#[path = "../link_driver/app.rs"]
#[expect(dead_code, reason = "the driver's own tests use all of it")]
mod app;
mod decoding;
mod idle;
mod sessions;
mod ways;

use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

/// There is one count for the whole process, so a test has a turn of its own, from its first line on.
static TURN: Mutex<()> = Mutex::new(());

/// What is allowed beyond what has been received.
const BEYOND: usize = 64 * 1024;

/// A test's turn.
struct Turn(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

/// Counts from its beginning on.
struct Count {
    _counts_while_it_is_there: dhat::Profiler,
}

impl Turn {
    fn take() -> Self {
        let turn = Self(TURN.lock().unwrap_or_else(PoisonError::into_inner));
        // those that have just been started are at their lock, too
        std::thread::sleep(std::time::Duration::from_millis(20));
        turn
    }

    #[expect(clippy::unused_self, reason = "who has no turn counts nothing")]
    fn count(&self) -> Count {
        let profiler = dhat::Profiler::builder().testing();
        Count {
            _counts_while_it_is_there: profiler.trim_backtraces(Some(1)).build(),
        }
    }

    /// The most bytes that `run` has allocated at a time.
    fn most(&self, run: impl FnOnce()) -> usize {
        let count = self.count();
        run();
        count.most()
    }
}

#[expect(clippy::unused_self, reason = "nothing is counted without it")]
impl Count {
    /// Bytes that are allocated and were not when it began.
    fn now(&self) -> usize {
        dhat::HeapStats::get().curr_bytes
    }

    /// The most there were.
    fn most(&self) -> usize {
        dhat::HeapStats::get().max_bytes
    }
}

#[test]
fn a_count_counts() {
    let turn = Turn::take();
    let held = turn.most(|| drop(std::hint::black_box(vec![1_u8; 100_000])));
    assert!((100_000..101_000).contains(&held), "{held}");
    let grown = turn.most(|| {
        let mut bytes = Vec::new();
        for _ in 0..100 {
            bytes.reserve_exact(1000);
            bytes.extend_from_slice(&[1_u8; 1000]);
        }
    });
    assert!((100_000..101_000).contains(&grown), "{grown}");
}
