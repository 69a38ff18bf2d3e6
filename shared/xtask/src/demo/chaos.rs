//! A kill at a moment that nobody chose: one node, once, from a thread that knows nothing of the story.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;

use super::site::{Node, Processes, Site};

/// A kill that will come, or has come.
#[derive(Debug)]
pub(super) struct Chaos {
    /// The node it hits.
    pub(super) node: Node,
    /// How long after the start of the nodes.
    pub(super) after: Duration,
    striking: JoinHandle<()>,
}

/// How soon a node that is down already is looked at again.
const GLANCE: Duration = Duration::from_millis(2);

impl Chaos {
    /// Lets `seed` choose a node and a moment within `span`, and waits for it in a thread.
    pub(super) fn begin(seed: u64, span: Duration, site: &Site) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let node = chance.choice(Node::ALL).unwrap_or(Node::Relay);
        let after = span.mul_f64(chance.f64());
        let processes = site.shared_processes();
        let striking = thread::spawn(move || {
            thread::sleep(after);
            while !strike(&processes, node) {
                thread::sleep(GLANCE);
            }
        });
        Self {
            node,
            after,
            striking,
        }
    }

    /// Whether it has come.
    pub(super) fn is_over(&self) -> bool {
        self.striking.is_finished()
    }
}

/// Kills the node if it runs. What was killed is started again by [`Site::mend`].
fn strike(processes: &Arc<Mutex<Processes>>, node: Node) -> bool {
    let mut processes = processes.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(proc) = processes.of(node) else {
        return true; // stopped for good: the run has failed elsewhere
    };
    if !matches!(proc.ended(), Ok(None)) {
        return false;
    }
    proc.signal(Signal::KILL);
    true
}
