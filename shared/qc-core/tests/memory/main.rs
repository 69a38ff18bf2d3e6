//! Memory by count: what a peer makes us allocate is no more than it has sent and 64 KiB, and what an idle
//! link holds. A growing buffer counts as what it grows by.
#![cfg_attr(
    all(feature = "net", feature = "testing"),
    expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
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

/// There is one count for the whole process: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// What is allowed beyond what has been received.
const BEYOND: usize = 64 * 1024;

/// Counts from now on.
struct Count {
    _profiler: dhat::Profiler,
    _turn: MutexGuard<'static, ()>,
}

impl Count {
    fn begin() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profiler = dhat::Profiler::builder()
            .testing()
            .trim_backtraces(Some(1))
            .build();
        Self {
            _profiler: profiler,
            _turn: turn,
        }
    }

    /// Bytes that are allocated and were not when it began.
    fn now(&self) -> usize {
        dhat::HeapStats::get().curr_bytes
    }

    /// The most there were.
    fn most(&self) -> usize {
        dhat::HeapStats::get().max_bytes
    }
}

/// The most bytes that `run` has allocated at a time.
fn most(run: impl FnOnce()) -> usize {
    let count = Count::begin();
    run();
    count.most()
}

#[test]
fn a_count_counts() {
    let held = most(|| drop(vec![0_u8; 100_000]));
    assert!((100_000..101_000).contains(&held), "{held}");
    let grown = most(|| {
        let mut bytes = Vec::new();
        for _ in 0..100 {
            bytes.reserve_exact(1000);
            bytes.extend_from_slice(&[1; 1000]);
        }
    });
    assert!((100_000..101_000).contains(&grown), "{grown}");
}
