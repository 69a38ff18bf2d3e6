//! Connections and their ends: what one does in its turn is what a driver does when its `select!` wakes.

use std::task::Poll;

use super::{Connection, End, IN_HAND, OUTPUT, World};
use crate::link::driver::Driver;
use crate::link::testing::oracle::Rule;
use crate::link::testing::pipe::{At, Pipe};
use crate::link::testing::plan::Break;
use crate::link::testing::poll_once;
use crate::link::{CUT, FRAME, GOING_AWAY, HELLO_TIMEOUT, REPLACED, SILENT, SLOW, Side, VERSION};
use crate::wire::{FrameDecoder, READ_STEP, Refusal};

impl World<'_> {
    pub(super) fn dial(&mut self, link: usize) {
        let dialer = self.links[link].dialer;
        let nodes = [dialer, dialer + 1];
        if nodes.iter().any(|node| self.troubles[*node].down.is_some()) {
            self.links[link].redial = Some(self.soon(50..1000));
            return;
        }
        // the acceptor lets go of what it has of this node, in a moment
        for at in 0..self.connections.len() {
            if self.connections[at].link == link && self.connections[at].replaced.is_none() {
                self.connections[at].replaced = Some(self.soon(0..500));
            }
        }
        let now = self.now();
        let is_skewed = nodes.map(|node| self.troubles[node].is_skewed);
        let ends = [0, 1].map(|at| {
            let (node, peer) = (nodes[at], nodes[1 - at]);
            let driver = Driver::new(
                &self.ground.nodes[node],
                &self.ground.peers[peer],
                [Side::Dialer, Side::Acceptor][at],
                &self.ground.clock,
                &self.ground.options[node][usize::from(is_skewed[at])],
                fastrand::Rng::with_seed(self.rng.u64(..)),
            );
            End {
                node,
                driver: Some(driver),
                decoder: FrameDecoder::default(),
                rest: Vec::new(),
                has_changed: false,
                deadline: now,
            }
        });
        self.connections.push(Connection {
            link,
            ends,
            pipes: [Pipe::new(), Pipe::new()],
            is_slow: false,
            is_flipped: false,
            is_skewed: is_skewed != [false, false],
            replaced: None,
        });
        self.run.connections += 1;
        self.note(&[6, link as u64]);
    }

    /// One end does one or two of the things that it may do now, as its `select!` would.
    pub(super) fn turn(&mut self, at: usize, end: usize) {
        for _ in 0..self.rng.u32(1..3) {
            match self.rng.u32(0..6) {
                0 | 1 => {
                    self.read(at, end, false);
                }
                2 | 3 => {
                    self.write(at, end, false);
                }
                4 => {
                    self.look(at, end);
                }
                _ => self.tick(at, end),
            }
        }
        self.after(at, end);
    }

    /// One end does all that it can do now; whether that was anything.
    pub(super) fn turn_fully(&mut self, at: usize, end: usize) -> bool {
        let mut moved = false;
        for _ in 0..200 {
            let mut more = self.read(at, end, true);
            more |= self.look(at, end);
            more |= self.write(at, end, true);
            self.tick(at, end);
            more |= self.after(at, end);
            moved |= more;
            if !more {
                break;
            }
        }
        moved
    }

    /// Bytes of the peer, if there are any.
    pub(super) fn read(&mut self, at: usize, end: usize, all: bool) -> bool {
        let now = self.now();
        let Connection { ends, pipes, .. } = &mut self.connections[at];
        let (this, pipe) = (&mut ends[end], &mut pipes[1 - end]);
        let Some(driver) = &mut this.driver else {
            // whoever is over still takes what comes, so that the other side gets its farewell out
            if let At::Bytes(there) = pipe.at(now) {
                pipe.read(there, &mut Vec::new());
                return true;
            }
            return false;
        };
        let is_readable = driver.waits(false).readable;
        let count = match pipe.at(now) {
            At::Waiting => return false,
            At::Bytes(_) if !is_readable => return false,
            At::End => {
                driver.cut("end of the stream");
                0
            }
            At::Broken => {
                driver.lost(&std::io::ErrorKind::ConnectionReset.into());
                0
            }
            At::Bytes(there) => {
                let count = if all {
                    there
                } else {
                    self.rng.usize(1..=there)
                };
                pipe.read(count, this.decoder.space());
                driver.on_bytes(&mut this.decoder);
                let (held, allocated) = (this.decoder.pending(), this.decoder.allocated());
                if allocated > held + READ_STEP {
                    let text = format!("{allocated} bytes allocated for {held}");
                    self.oracle.breaks(Rule::Bounds, text);
                }
                count
            }
        };
        self.note(&[7, at as u64, end as u64, count as u64]);
        true
    }

    /// Bytes to the peer, if the line takes any.
    pub(super) fn write(&mut self, at: usize, end: usize, all: bool) -> bool {
        let now = self.now();
        let Connection { ends, pipes, .. } = &mut self.connections[at];
        let (back, out) = (1 - end, end);
        let this = &mut ends[end];
        let Some(driver) = &mut this.driver else {
            let taken = pipes[out].write(&this.rest, now);
            match taken {
                Some(taken) => drop(this.rest.drain(..taken)),
                None => this.rest.clear(),
            }
            if this.rest.is_empty() {
                pipes[out].end();
            }
            return taken.is_some_and(|taken| taken > 0);
        };
        if !driver.waits(false).write {
            return false;
        }
        let bytes = driver.session.to_send();
        if bytes.len() > OUTPUT {
            let text = format!("{} bytes wait to be sent", bytes.len());
            self.oracle.breaks(Rule::Bounds, text);
        }
        let offered = if all {
            bytes.len()
        } else {
            self.rng.usize(1..=bytes.len())
        };
        let Some(taken) = pipes[out].write(&bytes[..offered], now) else {
            // as the driver does: the peer may have said why
            if let At::Bytes(there) = pipes[back].at(now) {
                pipes[back].read(there, this.decoder.space());
                driver.on_bytes(&mut this.decoder);
                driver.handle_events();
            }
            driver.lost(&std::io::ErrorKind::ConnectionReset.into());
            return true;
        };
        let sum = crc32c::crc32c(&bytes[..taken]);
        if taken > 0 {
            driver.on_written(taken);
        }
        self.note(&[8, at as u64, end as u64, taken as u64, u64::from(sum)]);
        taken > 0
    }

    /// What the store and the programs have done since.
    pub(super) fn look(&mut self, at: usize, end: usize) -> bool {
        let this = &mut self.connections[at].ends[end];
        let Some(driver) = &mut this.driver else {
            return false;
        };
        let mut moved = false;
        if std::mem::take(&mut this.has_changed) {
            driver.on_changed();
            moved = true;
        }
        if driver.pending.len() > 0 {
            let next = poll_once(std::pin::pin!(driver.pending.next()));
            if let Poll::Ready((channel, stored)) = next {
                driver.on_stored(channel, stored);
                moved = true;
            }
        }
        let wish = poll_once(std::pin::pin!(driver.calls.moved()));
        if let Poll::Ready(wish) = wish {
            if let Some(wish) = wish {
                driver.calls.begin(wish, &mut driver.session);
            }
            moved = true;
        }
        moved
    }

    pub(super) fn tick(&mut self, at: usize, end: usize) {
        let now = self.now();
        let this = &mut self.connections[at].ends[end];
        if this.deadline <= now && this.driver.is_some() {
            // after a stall of this process the peer's bytes come before its silence
            self.read(at, end, true);
            if let Some(driver) = &mut self.connections[at].ends[end].driver {
                driver.on_time();
            }
        }
    }

    /// What the driver does after each of these, and what it came to. Whether it has more to do at once.
    pub(super) fn after(&mut self, at: usize, end: usize) -> bool {
        let this = &mut self.connections[at].ends[end];
        let node = this.node;
        let Some(driver) = &mut this.driver else {
            return false;
        };
        driver.advance();
        let ended = driver.ended.take();
        let waits = driver.waits(false);
        this.deadline = waits.deadline;
        let in_hand = driver.pending.bytes() as u64;
        if in_hand > IN_HAND {
            let text = format!("{in_hand} bytes of one link wait for the disk of node {node}");
            self.oracle.breaks(Rule::Bounds, text);
        }
        let is_over = ended.is_some();
        if let Some(ended) = ended {
            driver.calls.end(&ended.refusal);
            if ended.refusal.code != CUT && !ended.by_peer {
                this.rest = driver.session.to_send().to_vec();
            }
            this.driver = None;
            self.over(at, end, &ended.refusal);
        }
        self.hear(node);
        waits.busy && !is_over
    }

    /// An end has ended: was there a reason?
    pub(super) fn over(&mut self, at: usize, end: usize, refusal: &Refusal) {
        let connection = &self.connections[at];
        let is_broken = connection.pipes.iter().any(Pipe::is_broken);
        let other_is_over = connection.ends[1 - end].driver.is_none();
        let is_honest = match refusal.code {
            CUT => is_broken || other_is_over,
            SILENT | SLOW => connection.is_slow,
            HELLO_TIMEOUT | GOING_AWAY | REPLACED => true,
            FRAME => connection.is_flipped,
            VERSION => connection.is_skewed,
            _ => false,
        };
        let (link, code) = (connection.link, refusal.code);
        if !is_honest {
            let text = format!("link {link} ended without a reason: {refusal}");
            self.oracle.breaks(Rule::Honest, text);
        }
        self.note(&[9, at as u64, end as u64, u64::from(code.number())]);
        let is_newest = self.newest(link) == Some(at);
        if end == 0 && is_newest && self.plan.broken != Some(Break::NoRedial) {
            self.links[link].redial = Some(self.soon(20..1000));
        }
    }

    /// The newest connection of a link.
    pub(super) fn newest(&self, link: usize) -> Option<usize> {
        self.connections.iter().rposition(|c| c.link == link)
    }
}
