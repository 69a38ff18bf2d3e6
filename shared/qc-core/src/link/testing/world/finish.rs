//! The end of a world: nothing is wrong any more, and everything has to arrive.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Connection, End, PATIENCE, Trouble, World};
use crate::link::Shape;
use crate::link::testing::faults::Fault;
use crate::link::testing::messages::Key;
use crate::link::testing::oracle::{Rule, Violation};
use crate::link::testing::pipe::Pipe;
use crate::link::testing::plan::Run;

impl World<'_> {
    /// A small session, of which the first connection ends behind one byte.
    pub(super) fn cut_once(&mut self, direction: usize, byte: usize) {
        for _ in 0..12 {
            self.produce();
        }
        self.keep_up();
        self.connections[0].pipes[direction].cut_after = Some(byte);
        // it ends somewhere below, and with it what is known of it
        self.run.faults.insert(Fault::CutAtByte, 1);
        self.settle();
    }

    /// All faults are lifted.
    pub(super) fn lift(&mut self) {
        for (node, trouble) in self.ground.nodes.iter().zip(&mut self.troubles) {
            *trouble = Trouble::default();
            let mut state = node.state();
            (state.is_full, state.refuses, state.unsubscribed) = (false, false, false);
        }
        self.deaf.store(false, Ordering::Relaxed);
        let now = self.now();
        for connection in &mut self.connections {
            for pipe in &mut connection.pipes {
                (pipe.stalled, pipe.rate, pipe.cut_after) = (None, None, None);
                pipe.delay = Duration::from_millis(1);
            }
            for end in &mut connection.ends {
                if let Some(driver) = &mut end.driver {
                    driver.session.set_shape(Shape::default(), now);
                }
            }
        }
        for node in 0..self.ground.nodes.len() {
            self.changed(node);
        }
    }

    /// Everything arrives.
    pub(super) fn settle(&mut self) {
        let healed = self.now();
        loop {
            let mut moved = false;
            self.keep_up();
            for at in 0..self.connections.len() {
                for end in [0, 1] {
                    moved |= self.turn_fully(at, end);
                }
            }
            if let (Some(_), Some(first)) = (self.plan.cut, self.connections.first())
                && self.run.connections == 1
            {
                self.run.carried = [0, 1].map(|at| first.pipes[at].taken);
            }
            for node in 0..self.ground.nodes.len() {
                let (waiting, _) = self.ground.nodes[node].waiting();
                if waiting > 0 {
                    self.written(node, waiting);
                    moved = true;
                }
            }
            let passed = self.now() - healed;
            self.run.restored_ms = u64::try_from(passed.as_millis()).unwrap();
            if self.is_settled() {
                return;
            }
            if passed > PATIENCE {
                let left = self.left();
                self.oracle.breaks(Rule::Arrives, left);
                return;
            }
            let step = Duration::from_millis(1);
            let next = if moved { None } else { self.next() };
            let by = next.map_or(step, |next| next.saturating_duration_since(self.now()));
            self.ground.clock.advance(by.max(step));
        }
    }

    /// When something happens by itself.
    pub(super) fn next(&self) -> Option<Instant> {
        let pipes = self.connections.iter().flat_map(|c| &c.pipes);
        let ends = self.connections.iter().flat_map(|c| &c.ends);
        let deadlines = ends
            .filter(|end| end.driver.is_some())
            .map(|end| end.deadline);
        let dials = self.links.iter().filter_map(|link| link.redial);
        let replaced = self.connections.iter().filter_map(|c| c.replaced);
        let arrivals = pipes.filter_map(Pipe::next).filter(|at| *at > self.now());
        arrivals.chain(deadlines).chain(dials).chain(replaced).min()
    }

    pub(super) fn is_settled(&self) -> bool {
        let nodes = self.ground.nodes.len();
        let has_arrived = Key::ALL.into_iter().all(|key| {
            let way = key.way(nodes);
            way[1..]
                .iter()
                .all(|node| self.oracle.missing(*node, key) == 0)
        });
        has_arrived && self.programs.is_empty()
    }

    /// What has not arrived.
    pub(super) fn left(&self) -> String {
        let nodes = self.ground.nodes.len();
        let mut left = vec![format!("{} programs wait", self.programs.len())];
        for key in Key::ALL {
            for node in &key.way(nodes)[1..] {
                let missing = self.oracle.missing(*node, key);
                if missing > 0 {
                    left.push(format!("{missing} of {key} at node {node}"));
                }
            }
        }
        left.join(", ")
    }

    pub(super) fn finish(mut self) -> Run {
        // one in a frame that is not whole yet, nobody can have noticed
        let is_past = |(pipe, reader): (&Pipe, &End<'_>)| {
            pipe.is_wrong(pipe.read - reader.decoder.pending() as u64)
        };
        let unnoticed = |c: &Connection<'_>| {
            let mut ways = c.pipes.iter().zip(c.ends.iter().rev());
            let is_up = c.ends.iter().all(|end| end.driver.is_some());
            c.is_flipped && is_up && ways.any(is_past)
        };
        if self.connections.iter().any(unnoticed) {
            let text = "a bit turned on a connection that goes on";
            self.oracle.breaks(Rule::Bytes, text);
        }
        let time = self.now() - self.begin;
        self.note(&[11, u64::try_from(time.as_millis()).unwrap()]);
        let seed = self.plan.seed;
        let broken = self.oracle.broken.drain(..);
        self.run.broken = broken
            .map(|(rule, text)| Violation { seed, rule, text })
            .collect();
        self.run.stored = self.oracle.stored;
        self.run.acks = self.oracle.acks;
        self.run.time_ms = u64::try_from(time.as_millis()).unwrap();
        self.run
    }
}
