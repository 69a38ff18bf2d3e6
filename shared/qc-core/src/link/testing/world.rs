//! Nodes, connections and time under a seeded scheduler.
//!
//! For a number of steps anything may happen next: a producer hands in messages, an end of a connection
//! does one of the things that it may do, a disk writes, time passes, something breaks. Then all faults
//! are lifted, and everything has to arrive within [`PATIENCE`] of simulated time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::calls::{CallEnd, Program};
use super::faults::Fault;
use super::node::{DISK_FULL, Heard, Key, Message, Node, name_of};
use super::oracle::{Oracle, Rule, Violation};
use super::pipe::{At, Pipe};
use super::plan::{Break, Plan, Run};
use super::poll_once;
use crate::clock::{Clock as _, ManualClock};
use crate::link::driver::Driver;
use crate::link::{
    CUT, Caller, ENDED, FRAME, GOING_AWAY, HELLO_TIMEOUT, LinkOptions, NOT_ALLOWED, NOT_ASKED,
    Peer, REPLACED, SILENT, SLOW, SessionConfig, Shape, Side, Stop, VERSION,
};
use crate::model::{Lane, Timestamp};
use crate::wire::{FrameDecoder, READ_STEP, Refusal};

/// How long after the last fault everything must have arrived: a silent peer is given up after 30 s, a
/// refused channel is tried again after 30 s.
const PATIENCE: Duration = Duration::from_secs(90);
/// What a node takes unacknowledged on a connection, over all channels.
const WINDOW: u64 = 3000;
/// The longest message, and what its record has around it.
const LONGEST: usize = 2000;
const AROUND: usize = 200;
/// The most that waits to be sent on a connection.
const OUTPUT: usize = (256 + 16 + 1024) * 1024;

/// What stands still while a world runs.
struct Ground {
    nodes: Vec<Node>,
    peers: Vec<Peer>,
    /// Of each node as it is, and as it is when its version fits nobody.
    options: Vec<[LinkOptions; 2]>,
    clock: ManualClock,
}

/// One end of a connection.
struct End<'a> {
    node: usize,
    driver: Option<Driver<'a, Node>>,
    decoder: FrameDecoder,
    /// The farewell of a driver that has ended.
    rest: Vec<u8>,
    has_changed: bool,
    deadline: Instant,
}

struct Connection<'a> {
    link: usize,
    /// The dialer's end, and the acceptor's.
    ends: [End<'a>; 2],
    /// What each of them sends.
    pipes: [Pipe; 2],
    /// What has happened to it, for which an end may give it up.
    is_slow: bool,
    is_flipped: bool,
    is_skewed: bool,
    /// When the acceptor lets go of it, because there is a newer one.
    replaced: Option<Instant>,
}

/// A pair of neighbours, of which the lower one dials.
struct Link {
    dialer: usize,
    redial: Option<Instant>,
}

/// What is wrong with a node, and until when.
#[derive(Default)]
struct Trouble {
    down: Option<Instant>,
    full: Option<Instant>,
    slow_disk: Option<Instant>,
    refuses: Option<Instant>,
    unsubscribed: Option<Instant>,
    is_skewed: bool,
}

struct World<'a> {
    ground: &'a Ground,
    plan: &'a Plan,
    rng: fastrand::Rng,
    begin: Instant,
    oracle: Oracle,
    links: Vec<Link>,
    connections: Vec<Connection<'a>>,
    troubles: Vec<Trouble>,
    callers: BTreeMap<(usize, usize), Caller>,
    programs: Vec<Program>,
    deaf: Arc<AtomicBool>,
    kinds: Vec<Fault>,
    next_id: u64,
    /// Channels may be refused from now on for these reasons.
    may_refuse: bool,
    may_be_full: bool,
    may_unsubscribe: bool,
    run: Run,
}

/// Runs one world.
pub(super) fn run(plan: &Plan) -> Run {
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let is_row = rng.u32(0..3) == 0 && plan.cut.is_none();
    let count = if is_row { 3 } else { 2 };
    // all of them speak version 2
    let ranges = [(1, 2), (2, 2), (1, 3), (2, 4)];
    let window = if plan.broken == Some(Break::Greedy) {
        20 * WINDOW
    } else {
        WINDOW
    };
    let options = (0..count).map(|node| {
        let versions = ranges[rng.usize(0..ranges.len())];
        [versions, (7, 9)].map(|versions| {
            LinkOptions::new(SessionConfig {
                versions,
                window,
                channel_window: window * 2 / 5,
                least_under_way: 256,
                batch_bytes: 500,
                batch_records: 3,
                ..SessionConfig::new(name_of(node).parse().unwrap())
            })
        })
    });
    let options = options.collect();
    let ground = Ground {
        nodes: (0..count)
            .map(|at| Node::new(at, count, plan.broken))
            .collect(),
        peers: (0..count)
            .map(|node| Peer {
                node: name_of(node).parse().unwrap(),
                address: "simulated".to_owned(),
            })
            .collect(),
        options,
        clock: ManualClock::at(Timestamp::from_millis(1_700_000_000_000)),
    };
    let mut world = World::new(&ground, plan, rng);
    if let Some((direction, byte)) = plan.cut {
        world.cut_once(direction, byte);
    } else {
        for _ in 0..plan.steps {
            world.step();
        }
        world.lift();
        world.settle();
    }
    world.finish()
}

impl<'a> World<'a> {
    fn new(ground: &'a Ground, plan: &'a Plan, mut rng: fastrand::Rng) -> Self {
        let kinds = if rng.u32(0..64) == 0 {
            Vec::new()
        } else {
            Fault::draw(&mut rng)
        };
        let links = (0..ground.nodes.len() - 1).map(|dialer| Link {
            dialer,
            redial: Some(ground.clock.instant()),
        });
        Self {
            begin: ground.clock.instant(),
            oracle: Oracle::default(),
            links: links.collect(),
            connections: Vec::new(),
            troubles: ground.nodes.iter().map(|_| Trouble::default()).collect(),
            callers: BTreeMap::new(),
            programs: Vec::new(),
            deaf: Arc::default(),
            kinds,
            next_id: 1,
            may_refuse: false,
            may_be_full: false,
            may_unsubscribe: false,
            run: Run {
                trace: 0xcbf2_9ce4_8422_2325,
                ..Run::default()
            },
            ground,
            plan,
            rng,
        }
    }

    fn now(&self) -> Instant {
        self.ground.clock.instant()
    }

    /// Notes something in the trace (FNV-1a).
    fn note(&mut self, words: &[u64]) {
        for byte in words.iter().flat_map(|word| word.to_le_bytes()) {
            self.run.trace = (self.run.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    fn soon(&mut self, range: std::ops::Range<u64>) -> Instant {
        self.now() + self.millis(range)
    }

    fn pick(&mut self, count: usize) -> Option<usize> {
        (count > 0).then(|| self.rng.usize(0..count))
    }

    fn step(&mut self) {
        match self.rng.u32(0..1000) {
            0..120 => self.produce(),
            120..620 => {
                if let Some(at) = self.pick(self.connections.len()) {
                    let end = self.rng.usize(0..2);
                    self.turn(at, end);
                }
            }
            620..780 => self.commit(),
            780..810 => {
                let node = self.rng.usize(0..self.ground.nodes.len());
                self.ground.nodes[node].tidy();
            }
            810..830 => self.call(),
            830..950 => self.pass(0..30),
            950..965 => self.pass(0..4000),
            _ => {
                if let Some(at) = self.pick(self.kinds.len()) {
                    self.inject(self.kinds[at]);
                }
            }
        }
        self.keep_up();
    }

    fn produce(&mut self) {
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
    fn changed(&mut self, node: usize) {
        let ends = self.connections.iter_mut().flat_map(|c| &mut c.ends);
        for end in ends.filter(|end| end.node == node) {
            end.has_changed = true;
        }
    }

    fn commit(&mut self) {
        let node = self.rng.usize(0..self.ground.nodes.len());
        let (waiting, _) = self.ground.nodes[node].waiting();
        let is_slow = self.troubles[node].slow_disk.is_some();
        if waiting > 0 && !is_slow {
            let count = self.rng.usize(1..=waiting);
            self.written(node, count);
        }
    }

    fn written(&mut self, node: usize, count: usize) {
        self.ground.nodes[node].commit(count);
        self.note(&[2, node as u64, count as u64]);
        self.hear(node);
        self.changed(node);
    }

    /// A program calls over a link that is up.
    fn call(&mut self) {
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

    /// Time passes. Nobody sleeps for seconds: whoever is to do something does it after that.
    fn pass(&mut self, range: std::ops::Range<u64>) {
        let time = self.millis(range);
        self.ground.clock.advance(time);
        self.note(&[4, u64::try_from(time.as_millis()).unwrap()]);
        if time > Duration::from_millis(500) {
            for at in 0..self.connections.len() {
                for end in [0, 1, 0] {
                    self.turn_fully(at, end);
                }
            }
        }
    }

    /// Does what has come due: nodes start, links are dialled, troubles pass, programs go on.
    fn keep_up(&mut self) {
        let now = self.now();
        let is_due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        for node in 0..self.troubles.len() {
            let trouble = &mut self.troubles[node];
            let was_down = is_due(&mut trouble.down);
            is_due(&mut trouble.slow_disk);
            let mut state = self.ground.nodes[node].state();
            state.is_full &= !is_due(&mut trouble.full);
            state.refuses &= !is_due(&mut trouble.refuses);
            let is_back = is_due(&mut trouble.unsubscribed);
            state.unsubscribed &= !is_back;
            drop(state);
            if is_back {
                self.changed(node);
            }
            if was_down {
                self.note(&[5, node as u64]);
            }
        }
        for link in 0..self.links.len() {
            if is_due(&mut self.links[link].redial) {
                self.dial(link);
            }
        }
        for at in 0..self.connections.len() {
            let connection = &mut self.connections[at];
            if is_due(&mut connection.replaced)
                && let Some(driver) = &mut connection.ends[1].driver
            {
                let refusal = Refusal::new(REPLACED, "a newer link took over");
                driver.obey(&Stop::Close(refusal));
                self.turn(at, 1);
            }
        }
        let gone = |connection: &Connection<'_>| {
            let over = |end: &End<'_>| end.driver.is_none() && end.rest.is_empty();
            connection.ends.iter().all(over)
        };
        self.connections.retain(|connection| !gone(connection));
        self.run_programs();
    }

    fn run_programs(&mut self) {
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

    fn dial(&mut self, link: usize) {
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
    fn turn(&mut self, at: usize, end: usize) {
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
    fn turn_fully(&mut self, at: usize, end: usize) -> bool {
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
    fn read(&mut self, at: usize, end: usize, all: bool) -> bool {
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
    fn write(&mut self, at: usize, end: usize, all: bool) -> bool {
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
    fn look(&mut self, at: usize, end: usize) -> bool {
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

    fn tick(&mut self, at: usize, end: usize) {
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
    fn after(&mut self, at: usize, end: usize) -> bool {
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
        if in_hand > WINDOW + (LONGEST + AROUND) as u64 {
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
    fn over(&mut self, at: usize, end: usize, refusal: &Refusal) {
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
    fn newest(&self, link: usize) -> Option<usize> {
        self.connections.iter().rposition(|c| c.link == link)
    }

    /// What a node has heard goes to whoever judges it.
    fn hear(&mut self, node: usize) {
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

    fn inject(&mut self, fault: Fault) {
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
    fn hit(&mut self, fault: Fault, at: usize) -> bool {
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
    fn crash(&mut self, node: usize, silently: bool) -> bool {
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

    /// A small session, of which the first connection ends behind one byte.
    fn cut_once(&mut self, direction: usize, byte: usize) {
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
    fn lift(&mut self) {
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
    fn settle(&mut self) {
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
    fn next(&self) -> Option<Instant> {
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

    fn is_settled(&self) -> bool {
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
    fn left(&self) -> String {
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

    fn finish(mut self) -> Run {
        let unnoticed =
            |c: &Connection<'_>| c.is_flipped && c.ends.iter().all(|end| end.driver.is_some());
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
