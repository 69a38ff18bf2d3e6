//! Row `latency`: the way of row `path` at 500 messages a second, each from just before it is given to
//! its arrival at the consumer. Beside it the bare way: the same hops and syncs without anything else.

use std::sync::Arc;
use std::time::Duration;

use qc_core::cli::{Failure, Output};

use super::arrivals::Arrivals;
use super::bare;
use super::feed::Feed;
use super::path::{Giving, Ours, Theirs, all};
use super::{Bench, Findings, float, note, settle, trouble};
use crate::bench::Figure;
use crate::bench::figure::{Bound, Of, percentile};

const EACH: Duration = Duration::from_millis(2);
/// As many as can be under way when the disk stalls for 32 ms; each waits for its own acknowledgement.
const CONNECTIONS: usize = 16;
/// The figure of the bare way that the others are read beside.
const BARE_P50: &str = "bare way (3 loopback hops, 2 fdatasync): latency p50";
/// What the goal allows beside two syncs, in microseconds.
const BESIDE_SYNCS: f64 = 300.0;

#[derive(Debug, Default)]
struct Rounds {
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Until the first node has acknowledged.
    first: Vec<f64>,
}

pub(super) fn measure(bench: &mut Bench, output: &Output) -> Result<Findings, Failure> {
    let ours = Ours::start(bench)?;
    let peers = bench.peers().iter();
    let peers = peers.map(|settings| Theirs::start(bench, *settings));
    let peers: Vec<_> = peers.collect::<Result<_, _>>()?;
    let how = Giving {
        connections: CONNECTIONS,
        in_flight: 1,
        time: Some(bench.time),
    };
    let (mut own, mut bare_p50, mut bare_p99) = (Rounds::default(), Vec::new(), Vec::new());
    let count = bench.time.as_millis() / EACH.as_millis();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let mut their: Vec<Rounds> = peers.iter().map(|_| Rounds::default()).collect();
    for number in 1..=bench.rounds {
        note(number, bench.rounds, output);
        let feed = paced(bench, &ours.arrivals, format!("l{number}"));
        ours.give(bench, &feed, how)?;
        own.add(bench, &feed, &ours.arrivals)?;
        settle();
        let mut times = bare::times(&bench.dir, (count, EACH), &bench.clock).map_err(trouble)?;
        bare_p50.push(percentile(&mut times, 50));
        bare_p99.push(percentile(&mut times, 99));
        settle();
        for (peer, rounds) in peers.iter().zip(&mut their) {
            let feed = paced(bench, &peer.arrivals, String::new());
            peer.give(bench, &feed, how)?;
            rounds.add(bench, &feed, &peer.arrivals)?;
            settle();
        }
        bench.probe()?;
    }
    ours.stop()?;
    let sync = bench.environment.fdatasync_p50_us;
    let goal = 2.0 * sync + BESIDE_SYNCS;
    let p50 = Figure::of_rounds(
        format!("latency p50 at 500 msg/s; fdatasync p50 {sync:.0} us"),
        "us",
        &own.p50,
    );
    let p99 = Figure::of_rounds("latency p99 at 500 msg/s", "us", &own.p99);
    let p50 = p50.against("bare way", &own.p50, &bare_p50);
    let mut figures = vec![
        p50.wants(Of::Value, Bound::AtMost, goal),
        p99.wants(Of::Value, Bound::AtMost, 4.0 * goal),
        Figure::of_rounds("p50 of the edge's acknowledgement", "us", &own.first),
        Figure::of_rounds(BARE_P50, "us", &bare_p50),
        Figure::of_rounds("bare way: latency p99", "us", &bare_p99),
    ];
    for (peer, rounds) in peers.iter().zip(&their) {
        let name = peer.settings.name();
        for (part, values) in [
            ("latency p50", &rounds.p50),
            ("latency p99", &rounds.p99),
            ("p50 of the leaf's acknowledgement", &rounds.first),
        ] {
            figures.push(Figure::of_rounds(format!("{name}: {part}"), "us", values));
        }
    }
    Ok(Findings {
        figures,
        skipped: Vec::new(),
    })
}

fn paced(bench: &Bench, arrivals: &Arrivals, name: String) -> Arc<Feed> {
    arrivals.begin();
    let start = bench.now() + Duration::from_millis(50);
    Arc::new(Feed::new(name, u64::MAX).paced(start, EACH))
}

impl Rounds {
    fn add(&mut self, bench: &Bench, feed: &Feed, arrivals: &Arrivals) -> Result<(), Failure> {
        let wanted = feed.acked();
        all(bench, arrivals, wanted)?;
        let mut times = arrivals.since(feed.sent());
        if float(wanted) < bench.time.div_duration_f64(EACH) * 0.5 {
            let message = format!("only {wanted} messages were given in the time");
            return Err(trouble(message));
        }
        self.first.push(percentile(&mut feed.answers(), 50));
        self.p50.push(percentile(&mut times, 50));
        self.p99.push(percentile(&mut times, 99));
        Ok(())
    }
}
