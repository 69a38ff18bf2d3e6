//! Calls to the kernel that fail when a test wants them to, counted below one directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static PLANS: Mutex<Vec<Plan>> = Mutex::new(Vec::new());

struct Plan {
    dir: PathBuf,
    fails_at: usize,
    ends: bool,
    calls: usize,
}

/// Faults below a directory, as long as it lives.
pub(crate) struct Faults(PathBuf);

impl Faults {
    /// One call fails, the first, second or later one; those after it do not.
    pub(crate) fn once(dir: &Path, at: usize) -> Self {
        Self::plan(dir, at, false)
    }

    /// No call has an effect any more from this one on, as if the process had been killed.
    pub(crate) fn killed(dir: &Path, at: usize) -> Self {
        Self::plan(dir, at, true)
    }

    fn plan(dir: &Path, fails_at: usize, ends: bool) -> Self {
        plans().push(Plan {
            dir: dir.to_owned(),
            fails_at,
            ends,
            calls: 0,
        });
        Self(dir.to_owned())
    }

    /// Whether there were as many calls.
    pub(crate) fn have_struck(&self) -> bool {
        let plans = plans();
        let mut own = plans.iter().filter(|plan| plan.dir == self.0);
        own.any(|plan| plan.calls >= plan.fails_at)
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        plans().retain(|plan| plan.dir != self.0);
    }
}

/// A call that works on `path` is about to be made.
pub(crate) fn call(path: &Path) -> io::Result<()> {
    for plan in plans().iter_mut() {
        if path.starts_with(&plan.dir) {
            plan.calls += 1;
            if plan.calls == plan.fails_at || plan.ends && plan.calls > plan.fails_at {
                return Err(io::Error::other("a fault, as the test wants"));
            }
        }
    }
    Ok(())
}

fn plans() -> std::sync::MutexGuard<'static, Vec<Plan>> {
    PLANS.lock().unwrap_or_else(PoisonError::into_inner)
}
