//! Rows `idle` and `links`: what daemons keep in memory when nothing happens, alone and with many links;
//! traffic beside the links; and all of them coming back after they were cut at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qc_core::cli::{Failure, Output};
use qc_core::model::NodeName;
use qc_core::tls::Credentials;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::consumer::{Taker, Way, keep_up};
use super::ingest::hub;
use super::nats::{Settings, load};
use super::path::{CONNECTIONS, IN_FLIGHT};
use super::site::Node;
use super::{Bench, Findings, WARM_UP, float, settle, trouble};
use crate::bench::figure::{Bound, Of};
use crate::bench::ingest::producer;
use crate::bench::store::machine::resident;
use crate::bench::{Figure, disk};
use crate::demo::Proc;

/// Handshakes at once while the links come up for the first time.
const PLACES: usize = 64;
/// Two heartbeats and a little: nothing of a start or of handshakes is left then.
const REST: Duration = Duration::from_secs(12);
/// How long links may take until all are there.
const PATIENCE: Duration = Duration::from_mins(5);

/// Row `idle`.
pub(super) fn idle(bench: &Bench, output: &Output) -> Result<Findings, Failure> {
    let time = Duration::from_secs(if bench.fast { 10 } else { 60 });
    let mut relay = Node::relay(bench, "relay.hq.bench", None)?;
    let mut edge = Node::edge(bench, "edge.site.bench", relay.address)?;
    bench.runtime.block_on(edge.linked(bench))?;
    output.note(&format!("  idle for {} s", time.as_secs()));
    std::thread::sleep(time);
    let megabytes = |process: &Proc| Ok::<_, Failure>(memory(bench, process)? / 1e6);
    let (edge_mb, relay_mb) = (megabytes(&edge.process)?, megabytes(&relay.process)?);
    let name = |what| format!("RSS of an idle {what} after {} s", time.as_secs());
    let figure = |what, mb, goal| {
        Figure::of_rounds(name(what), "MB", &[mb]).wants(Of::Value, Bound::AtMost, goal)
    };
    let mut figures = vec![
        figure("edge", edge_mb, 10.0),
        figure("relay", relay_mb, 16.0),
    ];
    edge.stop()?;
    relay.stop()?;
    if bench.nats.is_some() {
        let hub = hub(bench, Settings::Default)?;
        std::thread::sleep(time);
        let mb = memory(bench, &hub.process)? / 1e6;
        figures.push(Figure::of_rounds(name("nats-server"), "MB", &[mb]));
    }
    Ok(Findings {
        figures,
        skipped: Vec::new(),
    })
}

/// Row `links`.
pub(super) fn links(bench: &Bench, output: &Output) -> Result<Findings, Failure> {
    let mut found = Findings::default();
    let counts: &[usize] = match (bench.fast, bench.long) {
        (true, _) => &[200],
        (_, true) => &[1_000, 10_000],
        _ => &[1_000],
    };
    for count in counts {
        if !allow_files(*count + 1_000) {
            let why = "the limit of open files is too low";
            found.skip(&format!("{count} idle links"), why);
            continue;
        }
        output.note(&format!("  {count} links"));
        many(bench, *count, output, &mut found)?;
    }
    if !bench.long {
        found.skip("10,000 idle links", "needs --long");
    }
    Ok(found)
}

fn many(bench: &Bench, count: usize, output: &Output, found: &mut Findings) -> Result<(), Failure> {
    let mut relay = Node::relay(bench, "relay.hq.bench", None)?;
    let edges = (0..CONNECTIONS).map(|n| bench.credentials(&format!("edge-{n}.site.bench")));
    let edges: Vec<_> = edges.collect::<Result<_, _>>()?;
    std::thread::sleep(REST);
    let before = memory(bench, &relay.process)?;
    let up = Arc::<AtomicU64>::default();
    let places = Arc::new(Semaphore::new(PLACES));
    let mut tasks = JoinSet::new();
    // about a second for each thousand, as the sample configuration says
    let spread = Duration::from_millis(count as u64).max(Duration::from_secs(1));
    for number in 0..count {
        let (name, credentials) = bench.credentials(&format!("idle-{number}.site.bench"))?;
        let way = Way {
            name,
            credentials,
            address: relay.address.to_string(),
            spread,
            places: Arc::clone(&places),
        };
        let link = keep_up(Taker::idle(Arc::clone(&up)), way, Arc::clone(&bench.clock));
        tasks.spawn_on(link, bench.runtime.handle());
    }
    all_up(bench, &up, count)?;
    std::thread::sleep(REST);
    let each = (memory(bench, &relay.process)? - before) / float(count as u64) / 1024.0;
    let name = format!("RSS of the relay for each of {count} idle links");
    let figure = Figure::of_rounds(name, "KiB", &[each]);
    found
        .figures
        .push(figure.wants(Of::Value, Bound::AtMost, 24.0));

    output.note("  traffic beside them");
    let with = traffic(bench, &relay, &edges)?;
    let still = up.load(Ordering::Relaxed);
    let name = format!("of {count} idle links, those that stood the traffic");
    let wanted = float(count as u64);
    let figure = Figure::of_rounds(name, "links", &[float(still)]);
    found
        .figures
        .push(figure.wants(Of::Value, Bound::AtLeast, wanted));

    output.note("  all cut at once");
    places.add_permits(count);
    relay.process.kill()?;
    until(bench, &up, |up| up == 0)?;
    relay.process.restart()?;
    relay.ready()?;
    let returned = bench.now();
    all_up(bench, &up, count)?;
    let took = bench
        .now()
        .saturating_duration_since(returned)
        .as_secs_f64();
    let window = qc_core::cli::human_duration(spread);
    let name = format!("{count} links cut at once, all back; reconnect_spread {window}");
    found.figures.push(Figure::of_rounds(name, "s", &[took]));
    // dropped links say nothing any more; the relay sees their connections end
    drop(tasks);
    std::thread::sleep(REST);
    let without = traffic(bench, &relay, &edges)?;
    let name = format!("ingest beside {count} idle links, {CONNECTIONS} links x {IN_FLIGHT}");
    let figure = Figure::of_rounds(name, "msg/s", &with);
    found
        .figures
        .push(figure.against("without them", &with, &without));
    relay.process.kill()?;
    if bench.nats.is_some() {
        found.figures.push(peer(bench, count)?);
    }
    Ok(())
}

/// The same number of idle connections at the peer.
fn peer(bench: &Bench, count: usize) -> Result<Figure, Failure> {
    let hub = hub(bench, Settings::Default)?;
    let tls = Arc::clone(&bench.peer()?.certs.client);
    std::thread::sleep(REST);
    let before = memory(bench, &hub.process)?;
    let up = Arc::<AtomicU64>::default();
    let places = Arc::new(Semaphore::new(PLACES));
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (tls, up, places) = (Arc::clone(&tls), Arc::clone(&up), Arc::clone(&places));
        let connection = load::idle(hub.address, tls, up, places);
        tasks.spawn_on(connection, bench.runtime.handle());
    }
    all_up(bench, &up, count)?;
    std::thread::sleep(REST);
    let each = (memory(bench, &hub.process)? - before) / float(count as u64) / 1024.0;
    let name = format!("nats default: RSS for each of {count} idle connections");
    Ok(Figure::of_rounds(name, "KiB", &[each]))
}

/// Durable ingest, the rates of the rounds.
fn traffic(
    bench: &Bench,
    relay: &Node,
    edges: &[(NodeName, Credentials)],
) -> Result<Vec<f64>, Failure> {
    let mut rates = Vec::new();
    for _ in 0..bench.rounds {
        let in_flight = IN_FLIGHT as u64;
        let (time, clock) = (bench.time, &bench.clock);
        let round = producer::round(relay.address, edges, in_flight, WARM_UP, time, clock)?;
        rates.push(round.rate);
        settle();
    }
    Ok(rates)
}

fn all_up(bench: &Bench, up: &AtomicU64, count: usize) -> Result<(), Failure> {
    until(bench, up, |up| up == count as u64)
}

fn until(bench: &Bench, up: &AtomicU64, done: impl Fn(u64) -> bool) -> Result<(), Failure> {
    let end = bench.now() + PATIENCE;
    loop {
        let links = up.load(Ordering::Relaxed);
        if done(links) {
            return Ok(());
        }
        if bench.now() > end {
            let seconds = PATIENCE.as_secs();
            return Err(trouble(format!("{links} links are up after {seconds} s")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a process has in RAM, in bytes.
fn memory(bench: &Bench, process: &Proc) -> Result<f64, Failure> {
    let bytes = resident(process.pid()).map_err(|error| disk(&bench.dir, &error))?;
    Ok(float(bytes))
}

/// Whether this process and its children may have so many files open; raises the limit as far as it goes.
fn allow_files(count: usize) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let _as_far_as_it_goes = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let now = getrlimit(Resource::Nofile).current;
    now.is_none_or(|now| now >= count as u64)
}
