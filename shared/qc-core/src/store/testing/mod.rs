//! What the store is tested with: disks that crash, fail and lie, and an oracle that is none of the
//! engine's code.
//!
//! This module stands behind the feature `testing`, which is for tests and `cargo xtask` only: no
//! binary that is shipped may name it, and `cargo xtask tidy` holds that. It may panic where a test may.
//!
//! ```text
//! pages     content in shared pages, so that a million disks cost what they differ in
//! sim       a disk in memory that knows what is durable and what is not
//! crash     every image that a power cut may leave of such a disk
//! fault     a disk on which the n-th operation of a kind fails
//! lying     a disk that forgets to sync, to show that the checks bite
//! workload  a seeded producer, consumer and operator, and the history of what they were answered
//! oracle    what must be there after a history, and what must not
//! states    all of it together: every crash of a workload, recovered and judged
//! faults    every fault of a workload, reopened and judged
//! damage    flipped bits, cut and swapped files, reopened and judged
//! golden    the bytes of every format, once more as this version writes them
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test apparatus: where an assumption of the apparatus is broken the test ends"
)]

pub mod crash;
pub mod damage;
pub mod fault;
pub mod faults;
pub mod golden;
pub mod lying;
pub mod oracle;
mod pages;
pub mod sim;
pub mod states;
pub mod workload;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// Waits for a future on this thread; there is no runtime, because nothing in the store needs one.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::park();
    }
}
