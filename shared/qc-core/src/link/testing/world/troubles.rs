//! What goes wrong: in a node, on a line, at an operator's hand.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::World;
use crate::clock::Clock as _;
use crate::link::testing::faults::Fault;
use crate::link::testing::messages::Key;
use crate::link::testing::plan::Break;
use crate::link::{CUT, GOING_AWAY, Shape, Stop};
use crate::model::{Lane, Timestamp};
use crate::wire::Refusal;

impl World<'_> {
    pub(super) fn inject(&mut self, fault: Fault) {
        let node = self.rng.usize(0..self.ground.nodes.len());
        let at = self.pick(self.connections.len());
        let until = self.soon(100..20_000);
        let has_hit = match (fault, at) {
            (Fault::Crash | Fault::PowerCut, _) => self.crash(node, fault == Fault::PowerCut),
            (Fault::Full, _) => {
                self.ground.nodes[node].state().is_full = true;
                self.may_be_full = true;
                self.troubles[node].full.replace(until).is_none()
            }
            (Fault::SlowDisk, _) => self.troubles[node].slow_disk.replace(until).is_none(),
            (Fault::Refuse, _) => {
                self.ground.nodes[node].state().refuses = true;
                self.may_refuse = true;
                self.troubles[node].refuses.replace(until).is_none()
            }
            (Fault::Unsubscribe, _) => {
                self.ground.nodes[node].state().unsubscribed = true;
                self.may_unsubscribe = true;
                self.changed(node);
                self.troubles[node].unsubscribed.replace(until).is_none()
            }
            (Fault::Epoch, _) => {
                let key = Key::ALL[self.rng.usize(0..Key::COUNT)];
                let way = key.way(self.ground.nodes.len());
                let node = way[self.rng.usize(0..way.len() - 1)];
                self.ground.nodes[node].begin_epoch(key);
                self.changed(node);
                true
            }
            (Fault::Skew, _) => {
                let before = std::mem::replace(&mut self.troubles[node].is_skewed, true);
                !before && self.crash(node, false)
            }
            (Fault::Clock, _) => {
                let decade = Duration::from_hours(24 * 3650);
                let now = self.ground.clock.now().as_millis();
                let by = u64::try_from(decade.as_millis()).unwrap();
                let now = if self.rng.bool() {
                    now + by
                } else {
                    now.saturating_sub(by)
                };
                self.ground.clock.set(Timestamp::from_millis(now));
                true
            }
            (Fault::DeafProgram, _) => {
                let was_deaf = self.deaf.swap(self.rng.bool(), Ordering::Relaxed);
                was_deaf != self.deaf.load(Ordering::Relaxed)
            }
            (_, None) => false,
            (_, Some(at)) => self.hit(fault, at),
        };
        if has_hit {
            *self.run.faults.entry(fault).or_default() += 1;
            self.note(&[10, fault as u64]);
        }
    }

    /// A fault of one connection.
    pub(super) fn hit(&mut self, fault: Fault, at: usize) -> bool {
        let direction = self.rng.usize(0..2);
        let until = self.soon(100..60_000);
        let drawn = self.rng.usize(0..3000);
        let bit = self.rng.u32(0..8);
        let both = self.rng.bool();
        let shape = Shape {
            rate: self.rng.bool().then(|| self.rng.u64(200..4000)),
            least: if self.rng.bool() {
                Lane::High
            } else {
                Lane::Low
            },
        };
        let delay = self.millis(50..1500);
        let rate = self.rng.u64(200..20_000);
        let link = self.connections[at].link;
        let is_newest = self.newest(link) == Some(at);
        let connection = &mut self.connections[at];
        if connection.ends.iter().any(|end| end.driver.is_none()) {
            return false;
        }
        let pipe = &mut connection.pipes[direction];
        match fault {
            Fault::Cut => {
                for pipe in &mut connection.pipes {
                    let kept = drawn.min(pipe.under_way());
                    pipe.break_off(kept);
                }
            }
            Fault::CutAtByte => {
                if pipe.cut_after.replace(drawn).is_some() {
                    return false;
                }
            }
            Fault::HalfOpen => {
                connection.is_slow = true;
                pipe.deaf = true;
                connection.pipes[1 - direction].deaf |= both;
            }
            Fault::Stall => {
                connection.is_slow = true;
                pipe.stalled = Some(until);
            }
            Fault::Slow => {
                connection.is_slow = true;
                for pipe in &mut connection.pipes {
                    (pipe.delay, pipe.rate) = (delay, Some(rate));
                }
            }
            Fault::Flip => {
                let under_way = pipe.under_way();
                if under_way == 0 {
                    return false;
                }
                pipe.flip(drawn % under_way, bit);
                connection.is_flipped = self.plan.broken != Some(Break::Stranger);
            }
            Fault::Drain | Fault::Close => {
                let gone = Refusal::new(GOING_AWAY, "its owner ends it");
                let stop = match fault {
                    Fault::Drain => Stop::Drain,
                    _ => Stop::Close(gone),
                };
                if let Some(driver) = &mut connection.ends[direction].driver {
                    driver.obey(&stop);
                    self.turn(at, direction);
                }
            }
            Fault::Shape => {
                let now = self.ground.clock.instant();
                if let Some(driver) = &mut connection.ends[direction].driver {
                    driver.session.set_shape(shape, now);
                }
            }
            Fault::Twice if is_newest => self.dial(link),
            _ => return false,
        }
        true
    }

    /// A node dies, and starts again in a while.
    pub(super) fn crash(&mut self, node: usize, silently: bool) -> bool {
        if self.troubles[node].down.is_some() {
            return false;
        }
        let (waiting, _) = self.ground.nodes[node].waiting();
        let done = self.rng.usize(0..=waiting);
        self.ground.nodes[node].crash(done);
        self.hear(node);
        self.callers.retain(|(at, _), _| *at != node);
        self.troubles[node].down = Some(self.soon(10..8000));
        for at in 0..self.connections.len() {
            let connection = &mut self.connections[at];
            let Some(end) = connection.ends.iter().position(|end| end.node == node) else {
                continue;
            };
            let this = &mut connection.ends[end];
            let Some(mut driver) = this.driver.take() else {
                continue;
            };
            driver.calls.end(&Refusal::new(CUT, "the node died"));
            this.rest.clear();
            if silently {
                connection.is_slow = true;
                // what was sent to it is gone, and it says nothing any more
                connection.pipes[end].deaf = true;
                connection.pipes[1 - end].deaf = true;
            } else {
                for pipe in &mut connection.pipes {
                    let kept = self.rng.usize(0..=pipe.under_way());
                    pipe.break_off(kept);
                }
            }
            let link = connection.link;
            if end == 0 && self.newest(link) == Some(at) {
                self.links[link].redial = Some(self.soon(20..1000));
            }
        }
        true
    }
}
