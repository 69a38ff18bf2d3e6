//! What is asked of the nodes: messages, calls, commits; and what they have heard.

use std::sync::Arc;

use super::{LONGEST, World};
use crate::link::testing::calls::{CallEnd, Program};
use crate::link::testing::messages::{Key, Message};
use crate::link::testing::node::{DISK_FULL, Heard};
use crate::link::testing::oracle::Rule;
use crate::link::testing::plan::Break;
use crate::link::{ENDED, NOT_ALLOWED, NOT_ASKED};

impl World<'_> {
    pub(super) fn produce(&mut self) {
        let key = Key::ALL[self.rng.usize(0..Key::COUNT)];
        let node = key.way(self.ground.nodes.len())[0];
        if self.troubles[node].down.is_some() {
            return;
        }
        for _ in 0..self.rng.usize(1..4) {
            let message = Message {
                id: self.next_id,
                size: match self.rng.u32(0..20) {
                    0 => LONGEST,
                    _ => self.rng.usize(0..150),
                },
            };
            self.next_id += 1;
            if self.ground.nodes[node].produce(key, message) {
                self.oracle.accepted(key, message.id);
                self.note(&[1, message.id, message.size as u64]);
            }
        }
        self.changed(node);
    }

    /// The node has something new for its links.
    pub(super) fn changed(&mut self, node: usize) {
        let ends = self.connections.iter_mut().flat_map(|c| &mut c.ends);
        for end in ends.filter(|end| end.node == node) {
            end.has_changed = true;
        }
    }

    pub(super) fn commit(&mut self) {
        let node = self.rng.usize(0..self.ground.nodes.len());
        let (waiting, _) = self.ground.nodes[node].waiting();
        let is_slow = self.troubles[node].slow_disk.is_some();
        if waiting > 0 && !is_slow {
            let count = self.rng.usize(1..=waiting);
            self.written(node, count);
        }
    }

    pub(super) fn written(&mut self, node: usize, count: usize) {
        self.ground.nodes[node].commit(count);
        self.note(&[2, node as u64, count as u64]);
        self.hear(node);
        self.changed(node);
    }

    /// A program calls over a link that is up.
    pub(super) fn call(&mut self) {
        let callers: Vec<(usize, usize)> = self.callers.keys().copied().collect();
        let Some(at) = self.pick(callers.len()) else {
            return;
        };
        let size = match self.rng.u32(0..10) {
            0 => self.rng.u32(0..40_000),
            _ => self.rng.u32(0..3000),
        };
        let swallows = self.plan.broken == Some(Break::HalfCall);
        let caller = self.callers[&callers[at]].clone();
        self.programs.push(Program::asking(caller, size, swallows));
        self.note(&[3, at as u64, u64::from(size)]);
    }

    pub(super) fn run_programs(&mut self) {
        let (oracle, calls) = (&mut self.oracle, &mut self.run.calls);
        self.programs.retain_mut(|program| {
            match program.poll() {
                None => return true,
                Some(CallEnd::Whole) => calls.0 += 1,
                Some(CallEnd::Error) => calls.1 += 1,
                Some(CallEnd::Wrong) => {
                    oracle.breaks(Rule::Calls, "half a call was taken for a whole one");
                }
            }
            false
        });
    }

    /// What a node has heard goes to whoever judges it.
    pub(super) fn hear(&mut self, node: usize) {
        let heard = std::mem::take(&mut self.ground.nodes[node].state().heard);
        for heard in heard {
            match heard {
                Heard::Acked(peer, key, ids) => self.oracle.acked(peer, key, ids.into_iter()),
                Heard::Stored(key, id, is_intact) => self.oracle.stored(node, key, id, is_intact),
                Heard::Called(stream) => {
                    let deaf = Arc::clone(&self.deaf);
                    self.programs.push(Program::answering(stream, deaf));
                }
                Heard::Linked(peer, caller) => {
                    self.callers.insert((node, peer), caller);
                }
                Heard::Refused(code) => {
                    let is_honest = match code {
                        ENDED => true,
                        DISK_FULL => self.may_be_full,
                        NOT_ALLOWED => self.may_refuse,
                        NOT_ASKED => self.may_unsubscribe,
                        _ => false,
                    };
                    if !is_honest {
                        let text = format!("node {node} was refused a channel with {code}");
                        self.oracle.breaks(Rule::Honest, text);
                    }
                }
            }
        }
    }
}
