//! Lines that do everything bad lines do, under load: what is taken in arrives once, in order, and soon
//! after the line is well again messages flow. And a relay in the middle that is away for long.
//!
//! `cargo xtask evidence link-chaos` and `link-tiers` tell the same for longer: the environment says for
//! how long, with which seed, and where to write down what was seen.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use qc_tests::{Cable, Client, Daemon, Direction, Site, Weather, poll, quoted, until};
use serde_json::json;

use crate::restarts::assert_settled;
use crate::three_tiers::{GOES_UP, Middle};

/// How soon after the line is well messages must flow.
const RESTORED: Duration = Duration::from_secs(2);
/// Fewer messages a second than this prove nothing, and than that on a long run.
const FLOOR: (f64, f64) = (60.0, 200.0);
/// From here on a run is long.
const LONG: Duration = Duration::from_mins(5);
/// Lines of one command, and the time between two.
const LINES: u64 = 40;
const BETWEEN: Duration = Duration::from_millis(120);
/// The heartbeat of everybody.
const BEAT: &str = "heartbeat = \"1s\"\n";

/// What the environment asks for: seconds, seed.
fn asked(usual: u64) -> (Duration, u64) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().unwrap())
    };
    let seconds = number("QC_STORY_SECONDS").unwrap_or(usual);
    (
        Duration::from_secs(seconds),
        number("QC_STORY_SEED").unwrap_or(1),
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a story are far below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}

/// Tells whoever runs this what was seen.
#[expect(
    clippy::print_stdout,
    reason = "the figures of a run are for whoever runs it"
)]
fn seen(seen: &serde_json::Value) {
    println!("{seen:#}");
    if let Ok(path) = std::env::var("QC_STORY_SEEN") {
        std::fs::write(path, seen.to_string()).unwrap();
    }
}

/// Somebody who hands in messages all the time: numbered lines, one in ten commands urgent ones.
struct Load {
    stopped: Arc<AtomicBool>,
    urgent: Arc<AtomicU64>,
    normal: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Load {
    fn start(client: Client) -> Self {
        let (stopped, urgent, normal) = (Arc::default(), Arc::default(), Arc::default());
        let load = (
            Arc::clone(&stopped),
            Arc::clone(&urgent),
            Arc::clone(&normal),
        );
        let thread = thread::spawn(move || give(&client, &load));
        Self {
            stopped,
            urgent,
            normal,
            thread,
        }
    }

    /// Ends it; gives how many were taken in, urgent and normal.
    fn stop(self) -> (u64, u64) {
        self.stopped.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        (
            self.urgent.load(Ordering::SeqCst),
            self.normal.load(Ordering::SeqCst),
        )
    }
}

fn give(client: &Client, load: &(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)) {
    let (stopped, urgent, normal) = load;
    for turn in 0_u64.. {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        let (lane, prefix, count) = match turn % 10 {
            9 => ("critical", "alarm", urgent),
            _ => ("normal", "news", normal),
        };
        let from = count.load(Ordering::SeqCst);
        let lines: Vec<_> = (from + 1..=from + LINES)
            .map(|n| format!("{prefix}-{n:08}"))
            .collect();
        let args = [
            "send",
            Site::STREAM,
            "--class",
            "internal",
            "--lines",
            "--lane",
            lane,
        ];
        client.ask_with(&args, lines.join("\n").as_bytes()).ok();
        count.store(from + LINES, Ordering::SeqCst);
        sleep(BETWEEN);
    }
}

/// What was delivered: a file with a line for each message, in the order of delivery.
struct Arrived {
    path: PathBuf,
    /// Up to here its lines are counted.
    read: u64,
    count: u64,
}

impl Arrived {
    fn of(site: &Site) -> Self {
        Self {
            path: site.path("out").join(LINES_OF_ALL),
            read: 0,
            count: 0,
        }
    }

    /// How many there are now. Looks at what is new only: a long run has hundreds of thousands.
    fn count(&mut self) -> u64 {
        let Ok(mut file) = File::open(&self.path) else {
            return 0;
        };
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut new = String::new();
        BufReader::new(file).read_to_string(&mut new).unwrap();
        self.read += new.len() as u64;
        self.count += new.matches('\n').count() as u64;
        self.count
    }

    /// Everything that was taken in was delivered once, and in the order of its lane.
    fn assert_exact(&self, (urgent, normal): (u64, u64)) {
        let delivered = std::fs::read_to_string(&self.path).unwrap();
        for (prefix, count) in [("alarm", urgent), ("news", normal)] {
            let mut of = delivered.lines().filter(|line| line.starts_with(prefix));
            for n in 1..=count {
                let next = of.next();
                let due = format!("{prefix}-{n:08}");
                assert_eq!(next, Some(due.as_str()), "of {count}");
            }
            assert_eq!(of.next(), None, "something came twice");
        }
        assert_eq!(delivered.lines().count() as u64, urgent + normal);
    }
}

const LINES_OF_ALL: &str = "all.txt";

/// The edge that delivers, with a heartbeat of a second.
fn delivering(site: &Site, address: &str) -> Daemon {
    let sink = format!(
        "{BEAT}[[sink]]\nname = \"to-files\"\nstream = \"{}\"\n[sink.file]\npath = {}\n\
         name = \"{LINES_OF_ALL}\"\nmode = \"append-lines\"\n",
        Site::STREAM,
        quoted(&site.path("out"))
    );
    site.edge("edge-b", address, &sink)
}

/// A kind of weather, and a word for it.
fn weather(kind: usize, random: &mut fastrand::Rng) -> (&'static str, Weather) {
    let fair = Weather::default();
    let direction = if random.bool() {
        Direction::Up
    } else {
        Direction::Down
    };
    match kind {
        0 => ("cut", Weather { cut: true, ..fair }),
        1 => (
            "reset",
            Weather {
                cut: true,
                resets: true,
                ..fair
            },
        ),
        2 => (
            "half open",
            Weather {
                swallows: true,
                ..fair
            },
        ),
        3 => (
            "stall",
            Weather {
                stalls: true,
                ..fair
            },
        ),
        4 => (
            "late",
            Weather {
                delay: Duration::from_millis(random.u64(50..400)),
                jitter: Duration::from_millis(random.u64(1..200)),
                ..fair
            },
        ),
        5 => (
            "narrow",
            Weather {
                rate: Some(random.u64(4_000..40_000)),
                ..fair
            },
        ),
        6 => (
            "a bit turns",
            Weather {
                flip_at: Some((direction, random.u64(0..12_000))),
                ..fair
            },
        ),
        7 => (
            "byte by byte",
            Weather {
                dribbles: true,
                ..fair
            },
        ),
        _ => (
            "cut at a byte",
            Weather {
                cut_after: Some((direction, random.u64(1..12_000))),
                resets: random.bool(),
                ..fair
            },
        ),
    }
}

const KINDS: usize = 9;

#[test]
fn everything_crosses_lines_that_break_in_every_way() {
    let (time, seed) = asked(60);
    let mut random = fastrand::Rng::with_seed(seed);
    let site = Site::new();
    let cables = [Cable::to(site.port), Cable::to(site.port)];
    let mut relay = site.relay("");
    let mut edge_a = site.edge_by(&[&cables[0].address()], BEAT, &site.drop_source());
    let mut edge_b = delivering(&site, &cables[1].address());
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    let load = Load::start(edge_a.client());
    let mut arrived = Arrived::of(&site);
    until("messages flow", || arrived.count() > 20);

    let begin = Instant::now();
    let mut restored: BTreeMap<&str, Vec<u128>> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for turn in 0.. {
        if begin.elapsed() >= time && turn >= 2 * KINDS {
            break;
        }
        // each kind on each line first, then as the seed draws
        let kind = if turn < 2 * KINDS {
            turn / 2
        } else {
            random.usize(0..KINDS)
        };
        let cable = &cables[if turn < 2 * KINDS {
            turn % 2
        } else {
            random.usize(0..2)
        }];
        let (word, weather) = weather(kind, &mut random);
        let before = cable.hit();
        let breaks_later = weather.cut_after.is_some() || weather.flip_at.is_some();
        if breaks_later {
            // a new connection meets it, somewhere
            cable.cut();
            cable.restore();
        }
        cable.set(weather);
        sleep(Duration::from_millis(random.u64(900..2200)));
        let is_ending = breaks_later || matches!(word, "cut" | "reset" | "half open");
        if word != "stall" && is_ending {
            assert!(cable.hit() > before, "{word}: nothing was hit");
        }
        cable.restore();
        let well = Instant::now();
        let there = arrived.count();
        let flows = poll(Duration::from_secs(30), || {
            (arrived.count() > there).then(|| well.elapsed())
        });
        let took = flows.unwrap_or_else(|| panic!("turn {turn}: nothing flows after '{word}'"));
        restored.entry(word).or_default().push(took.as_millis());
        slowest = slowest.max(took);
        assert!(
            took <= RESTORED,
            "turn {turn}: messages flow {took:?} after '{word}'; seed {seed}; {restored:?}"
        );
        sleep(Duration::from_millis(random.u64(0..300)));
    }
    let seconds = begin.elapsed().as_secs_f64();
    let given = load.stop();
    let count = given.0 + given.1;
    until("everything is delivered", || arrived.count() == count);
    for daemon in [&relay, &edge_a, &edge_b] {
        assert_settled(daemon);
    }
    arrived.assert_exact(given);
    let rate = float(count) / seconds;
    let faults: BTreeMap<_, _> = restored
        .iter()
        .map(|(word, took)| {
            let mut took = took.clone();
            took.sort_unstable();
            let half = took[took.len() / 2];
            (
                word,
                json!({ "times": took.len(), "restored_ms_half": half, "restored_ms_most": took.last() }),
            )
        })
        .collect();
    seen(&json!({
        "seconds": seconds.round(),
        "seed": seed,
        "messages": count,
        "messages_a_second": rate.round(),
        "faults": restored.values().map(Vec::len).sum::<usize>(),
        "restored_ms_most": slowest.as_millis(),
        "by_fault": faults,
        "connections_hit": cables.iter().map(Cable::hit).sum::<u64>(),
        "bytes_carried": cables.iter().map(Cable::carried).sum::<u64>(),
        "lost": 0, "doubled": 0, "out_of_order": 0,
    }));
    let floor = if time < LONG { FLOOR.0 } else { FLOOR.1 };
    assert!(rate >= floor, "{rate:.0} messages a second prove nothing");
}

#[test]
fn nothing_is_lost_while_the_middle_is_away() {
    let (time, _) = asked(6);
    let site = Site::new();
    let mut hub = site.relay("");
    let mut middle = Middle::new(&site, &site.address(), GOES_UP);
    let mut edge_a = site.edge_by(&[&middle.address()], BEAT, &site.drop_source());
    let mut edge_b = delivering(&site, &site.address());
    for daemon in [&mut hub, &mut middle.daemon, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    let load = Load::start(edge_a.client());
    let mut arrived = Arrived::of(&site);
    until("messages flow", || arrived.count() > 100);
    middle.daemon.kill();
    let begin = Instant::now();
    let gone = arrived.count();
    while begin.elapsed() < time {
        sleep(Duration::from_millis(100));
        assert!(!middle.daemon.is_running());
    }
    // what was above already is delivered, and nothing passes
    let waiting = (load.urgent.load(Ordering::SeqCst) + load.normal.load(Ordering::SeqCst))
        .saturating_sub(arrived.count());
    assert!(
        float(waiting) > FLOOR.0 * time.as_secs_f64(),
        "{waiting} wait"
    );
    middle.daemon.start();
    let back = Instant::now();
    let flows = poll(Duration::from_secs(30), || {
        (arrived.count() > gone + 1000 || arrived.count() > waiting).then(|| back.elapsed())
    });
    let given = load.stop();
    let count = given.0 + given.1;
    let all = poll(Duration::from_mins(1) + time, || {
        (arrived.count() == count).then(|| back.elapsed())
    });
    let all = all.unwrap_or_else(|| panic!("{} of {count} are delivered", arrived.count()));
    let nodes = [&hub, &middle.daemon, &edge_a, &edge_b];
    for daemon in nodes {
        assert_settled(daemon);
    }
    arrived.assert_exact(given);
    seen(&json!({
        "away_seconds": time.as_secs(),
        "messages": count,
        "waited_at_the_edge": waiting,
        "flowing_ms_after_start": flows.map(|took| took.as_millis()),
        "all_delivered_ms_after_start": all.as_millis(),
        "ledgers_balanced": nodes.len(),
        "lost": 0, "doubled": 0, "out_of_order": 0,
    }));
}
