//! Nodes, connections and time under a seeded scheduler.
//!
//! For a number of steps anything may happen next: a producer hands in messages, an end of a connection
//! does one of the things that it may do, a disk writes, time passes, something breaks. Then all faults
//! are lifted, and everything has to arrive within [`PATIENCE`] of simulated time.

mod ends;
mod finish;
mod load;
mod troubles;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::calls::Program;
use super::faults::Fault;
use super::node::{Node, name_of};
use super::oracle::Oracle;
use super::pipe::Pipe;
use super::plan::{Break, Plan, Run};
use crate::clock::{Clock as _, ManualClock};
use crate::link::driver::Driver;
use crate::link::{Caller, LinkOptions, Peer, REPLACED, SessionConfig, Stop};
use crate::model::Timestamp;
use crate::wire::{FrameDecoder, Refusal};

/// How long after the last fault everything must have arrived: a silent peer is given up after 30 s, a
/// refused channel is tried again after 30 s.
const PATIENCE: Duration = Duration::from_secs(90);
/// What a node takes unacknowledged on a connection, over all channels.
const WINDOW: u64 = 3000;
/// The most of one connection that waits for the disk. Channels that end leave what the store has in hand,
/// and others begin: nothing is read beyond two windows, and one read brings no more than a window.
const IN_HAND: u64 = 3 * WINDOW + (LONGEST + AROUND) as u64;
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
}
