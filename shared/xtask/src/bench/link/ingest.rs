//! Rows `ingest` and `singles`: messages that a relay acknowledges after its sync, over mutual TLS.

use std::sync::Arc;
use std::time::Duration;

use qc_core::cli::{Failure, Output};
use tokio::task::JoinSet;

use super::feed::Feed;
use super::nats::{Place, Server, Settings, load};
use super::site::Node;
use super::{Bench, Findings, WARM_UP, float, note, settle, trouble};
use crate::bench::figure::{Bound, Of};
use crate::bench::ingest::{cpu_seconds, producer, stored_all};
use crate::bench::raw::{self, Kind, Pattern};
use crate::bench::{Figure, disk};

/// How many give, and what comes of it.
pub(super) struct Shape {
    connections: usize,
    in_flight: u32,
}

pub(super) const DEEP: Shape = Shape {
    connections: 4,
    in_flight: 512,
};
pub(super) const SINGLES: Shape = Shape {
    connections: 64,
    in_flight: 1,
};

/// The batch whose raw limit stands beside the figure.
const BESIDE: Pattern = Pattern {
    kind: Kind::Recycled,
    batch: 256,
};

/// The rounds of one server.
#[derive(Debug, Default)]
struct Rounds {
    rates: Vec<f64>,
    cpu_us: Vec<f64>,
    times: Vec<Duration>,
}

impl Rounds {
    fn add(&mut self, round: producer::Round, cpu: f64) {
        self.rates.push(round.rate);
        self.cpu_us.push(cpu * 1e6 / round.all_messages.max(1.0));
        self.times.extend(round.times);
    }
}

/// Measures one shape.
pub(super) fn measure(
    bench: &mut Bench,
    shape: &Shape,
    output: &Output,
) -> Result<Findings, Failure> {
    let mut relay = Node::relay(bench, "relay.hq.bench", None)?;
    let edges = (0..shape.connections).map(|n| bench.credentials(&format!("edge-{n}.site.bench")));
    let edges: Vec<_> = edges.collect::<Result<_, _>>()?;
    let mut peers = Vec::new();
    for settings in bench.peers() {
        let hub = hub(bench, *settings)?;
        let made = hub.make_stream(Some(&bench.peer()?.certs.client), false);
        bench.runtime.block_on(made).map_err(trouble)?;
        peers.push((*settings, hub, Rounds::default()));
    }
    let (mut ours, mut raw, mut all) = (Rounds::default(), Vec::new(), 0.0);
    for number in 1..=bench.rounds {
        note(number, bench.rounds, output);
        let limit = raw::limit(
            BESIDE,
            &bench.dir,
            1,
            Duration::from_secs(1),
            bench.clock.as_ref(),
        );
        raw.push(limit.map_err(|error| disk(&bench.dir, &error))?.value);
        settle();
        let before = cpu_seconds(relay.process.pid());
        let round = producer::round(
            relay.address,
            &edges,
            u64::from(shape.in_flight),
            WARM_UP,
            bench.time,
            &bench.clock,
        )?;
        all += round.all_messages;
        ours.add(round, cpu_seconds(relay.process.pid()) - before);
        settle();
        for (_, hub, rounds) in &mut peers {
            let before = cpu_seconds(hub.process.pid());
            let round = peer_round(bench, hub, shape)?;
            rounds.add(round, cpu_seconds(hub.process.pid()) - before);
            settle();
        }
        bench.probe()?;
    }
    stored_all(relay.socket(), all)?;
    relay.stop()?;
    Ok(findings(shape, ours, &raw, peers))
}

/// The peer's hub.
pub(super) fn hub(bench: &Bench, settings: Settings) -> Result<Server, Failure> {
    let peer = bench.peer()?;
    let place = Place {
        program: &peer.program,
        certs: &peer.certs.dir,
        dir: &bench.dir,
    };
    Server::hub(settings, &place)
}

/// What our producers do, with the peer's words.
fn peer_round(bench: &Bench, hub: &Server, shape: &Shape) -> Result<producer::Round, Failure> {
    let feed = Arc::new(Feed::new(String::new(), u64::MAX));
    let tls = Arc::clone(&bench.peer()?.certs.client);
    let in_flight = usize::try_from(shape.in_flight).unwrap_or(1);
    bench.runtime.block_on(async {
        let mut links = JoinSet::new();
        for _ in 0..shape.connections {
            let (feed, clock) = (Arc::clone(&feed), Arc::clone(&bench.clock));
            let tls = Some(Arc::clone(&tls));
            links.spawn(load::publish(hub.address, tls, in_flight, feed, clock));
        }
        tokio::time::sleep(WARM_UP).await;
        let (began, before) = (bench.now(), feed.acked());
        tokio::time::sleep(bench.time).await;
        let (ended, after) = (bench.now(), feed.acked());
        feed.stop();
        let mut times = Vec::new();
        while let Some(outcome) = links.join_next().await {
            times.extend(outcome.map_err(trouble)?.map_err(trouble)?);
        }
        let seconds = ended.saturating_duration_since(began).as_secs_f64();
        Ok(producer::Round {
            rate: float(after - before) / seconds,
            all_messages: float(feed.acked()),
            count: feed.acked(),
            times,
        })
    })
}

fn findings(
    shape: &Shape,
    mut ours: Rounds,
    raw: &[f64],
    peers: Vec<(Settings, Server, Rounds)>,
) -> Findings {
    let Shape {
        connections,
        in_flight,
    } = shape;
    let deep = *in_flight > 1;
    let name = format!("durable ingest over mTLS, {connections} links x {in_flight} in flight");
    let own = Figure::of_rounds(name.clone(), "msg/s", &ours.rates).with_times(&mut ours.times);
    let beside = BESIDE.name();
    let of_raw = own.clone().against(beside.clone(), &ours.rates, raw);
    let mut figures = vec![if deep {
        of_raw.wants(Of::Ratio, Bound::AtLeast, 0.5)
    } else {
        of_raw.wants(Of::Value, Bound::AtLeast, 50_000.0)
    }];
    let cpu = Figure::of_rounds("relay CPU a message of that ingest", "us", &ours.cpu_us);
    let cpu = if deep {
        cpu.wants(Of::Value, Bound::AtMost, 4.0)
    } else {
        cpu
    };
    let (mut their_rates, mut their_cpu) = (Vec::new(), Vec::new());
    for (settings, _, mut rounds) in peers {
        let peer = settings.name();
        let mut ratio = own.clone().against(peer, &ours.rates, &rounds.rates);
        ratio.name = format!("{name}, beside {peer}");
        figures.push(match settings {
            Settings::Default if deep => ratio.wants(Of::Ratio, Bound::AtLeast, 1.3),
            Settings::Always if deep => ratio.wants(Of::Ratio, Bound::AtLeast, 25.0),
            _ => ratio,
        });
        let theirs = Figure::of_rounds(format!("{peer}: that ingest"), "msg/s", &rounds.rates);
        their_rates.push(theirs.with_times(&mut rounds.times));
        let cpu_name = format!("{peer}: CPU a message of it");
        their_cpu.push(Figure::of_rounds(cpu_name, "us", &rounds.cpu_us));
    }
    figures.extend(their_rates);
    figures.push(cpu);
    figures.extend(their_cpu);
    figures.push(Figure::of_rounds(beside, "msg/s", raw));
    Findings {
        figures,
        skipped: Vec::new(),
    }
}
