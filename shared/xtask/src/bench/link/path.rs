//! Rows `path` and `tiers`: from a producer through two stores to a consumer, durable at both hops.
//!
//! Producers give for a time; the rate is all messages by the time from the first of them to the last
//! at the consumer, so no backlog is left out.

use std::sync::Arc;
use std::time::Duration;

use qc_core::cli::{Failure, Output};
use tokio::task::JoinSet;

use super::arrivals::{Arrivals, Seen};
use super::feed::{Feed, post};
use super::ingest::hub;
use super::nats::{Place, Server, Settings, load};
use super::site::Node;
use super::{Bench, Findings, LOST, float, note, settle, trouble};
use crate::bench::Figure;
use crate::bench::figure::{Bound, Of};
use crate::bench::ingest::producer;

pub(super) const CONNECTIONS: usize = 4;
pub(super) const IN_FLIGHT: usize = 512;

/// Ours from end to end: an edge, a relay, a consumer.
pub(super) struct Ours {
    pub(super) relay: Node,
    pub(super) edge: Node,
    pub(super) arrivals: Arc<Arrivals>,
    _consumer: JoinSet<()>,
}

/// The peer from end to end: a leaf, a hub whose stream is sourced from it, a consumer.
pub(super) struct Theirs {
    pub(super) settings: Settings,
    pub(super) hub: Server,
    pub(super) leaf: Server,
    pub(super) arrivals: Arc<Arrivals>,
    _consumer: JoinSet<()>,
}

/// How a feed is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Giving {
    pub(super) connections: usize,
    pub(super) in_flight: usize,
    /// Stop after this time; without it at the feed's limit.
    pub(super) time: Option<Duration>,
}

impl Ours {
    pub(super) fn start(bench: &Bench) -> Result<Self, Failure> {
        let relay = Node::relay(bench, "relay.hq.bench", None)?;
        let edge = Node::edge(bench, "edge.site.bench", relay.address)?;
        let arrivals = Arrivals::new(&bench.clock);
        let mut tasks = JoinSet::new();
        bench.consumer(&mut tasks, relay.address, &arrivals)?;
        bench.runtime.block_on(edge.linked(bench))?;
        Ok(Self {
            relay,
            edge,
            arrivals,
            _consumer: tasks,
        })
    }

    /// Gives to the edge until the giving ends and all is acknowledged there.
    pub(super) fn give(&self, bench: &Bench, feed: &Arc<Feed>, how: Giving) -> Result<(), Failure> {
        let mut posts = JoinSet::new();
        for _ in 0..how.connections {
            let (feed, clock) = (Arc::clone(feed), Arc::clone(&bench.clock));
            let work = post(self.edge.address, how.in_flight, feed, clock);
            posts.spawn_on(work, bench.runtime.handle());
        }
        finish(bench, feed, how, posts)
    }

    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.edge.stop()?;
        self.relay.stop()
    }
}

impl Theirs {
    pub(super) fn start(bench: &Bench, settings: Settings) -> Result<Self, Failure> {
        let peer = bench.peer()?;
        let tls = Arc::clone(&peer.certs.client);
        let hub = hub(bench, settings)?;
        let place = Place {
            program: &peer.program,
            certs: &peer.certs.dir,
            dir: &bench.dir,
        };
        let leaf = Server::leaf(settings, &place, &hub)?;
        let arrivals = Arrivals::new(&bench.clock);
        let mut tasks = JoinSet::new();
        let prepared = async {
            leaf.make_stream(None, false).await?;
            hub.make_stream(Some(&tls), true).await?;
            hub.make_consumer(&tls).await
        };
        bench.runtime.block_on(prepared).map_err(trouble)?;
        let consumer = load::consume(hub.address, tls, Arc::clone(&arrivals));
        tasks.spawn_on(consumer, bench.runtime.handle());
        Ok(Self {
            settings,
            hub,
            leaf,
            arrivals,
            _consumer: tasks,
        })
    }

    /// Gives to the leaf until the giving ends and all is acknowledged there.
    pub(super) fn give(&self, bench: &Bench, feed: &Arc<Feed>, how: Giving) -> Result<(), Failure> {
        let mut links = JoinSet::new();
        for _ in 0..how.connections {
            let (feed, clock) = (Arc::clone(feed), Arc::clone(&bench.clock));
            let work = load::publish(self.leaf.address, None, how.in_flight, feed, clock);
            links.spawn_on(async { work.await.map(drop) }, bench.runtime.handle());
        }
        finish(bench, feed, how, links)
    }
}

fn finish(
    bench: &Bench,
    feed: &Feed,
    how: Giving,
    mut work: JoinSet<std::io::Result<()>>,
) -> Result<(), Failure> {
    bench.runtime.block_on(async {
        if let Some(time) = how.time {
            tokio::time::sleep(time).await;
            feed.stop();
        }
        while let Some(outcome) = work.join_next().await {
            outcome.map_err(trouble)?.map_err(trouble)?;
        }
        Ok(())
    })
}

/// Waits until all that was acknowledged has arrived.
pub(super) fn all(bench: &Bench, arrivals: &Arrivals, wanted: u64) -> Result<Seen, Failure> {
    let seen = bench.runtime.block_on(arrivals.all(wanted, LOST));
    seen.map_err(trouble)
}

/// Row `path`.
pub(super) fn measure(bench: &mut Bench, output: &Output) -> Result<Findings, Failure> {
    let ours = Ours::start(bench)?;
    let peers = bench.peers().iter();
    let peers = peers.map(|settings| Theirs::start(bench, *settings));
    let peers: Vec<_> = peers.collect::<Result<_, _>>()?;
    let how = Giving {
        connections: CONNECTIONS,
        in_flight: IN_FLIGHT,
        time: Some(bench.time),
    };
    let mut own = Vec::new();
    let mut their: Vec<Vec<f64>> = vec![Vec::new(); peers.len()];
    for number in 1..=bench.rounds {
        note(number, bench.rounds, output);
        let (began, feed) = begin(bench, &ours.arrivals, format!("r{number}"));
        ours.give(bench, &feed, how)?;
        own.push(rate(began, all(bench, &ours.arrivals, feed.acked())?));
        settle();
        for (peer, rates) in peers.iter().zip(&mut their) {
            let (began, feed) = begin(bench, &peer.arrivals, String::new());
            peer.give(bench, &feed, how)?;
            rates.push(rate(began, all(bench, &peer.arrivals, feed.acked())?));
            settle();
        }
        bench.probe()?;
    }
    let mut found = Findings::default();
    let figure = Figure::of_rounds("edge, relay, consumer, durable at both hops", "msg/s", &own);
    let figure = figure.wants(Of::Value, Bound::AtLeast, 60_000.0);
    found.figures.push(figure.clone());
    for (peer, rates) in peers.iter().zip(&their) {
        let name = peer.settings.name();
        let last = found.figures.first_mut();
        if let Some(first) = last.filter(|_| peer.settings == Settings::Default) {
            *first = figure.clone().against(name, &own, rates);
        }
        let name = format!("{name}: leaf, sourced stream at the hub, consumer");
        found.figures.push(Figure::of_rounds(name, "msg/s", rates));
    }
    ours.stop()?;
    Ok(found)
}

/// Row `tiers`: producers at a relay, everything handed on to the relay above it, a consumer there.
pub(super) fn tiers(bench: &mut Bench, output: &Output) -> Result<Findings, Failure> {
    let mut above = Node::relay(bench, "relay.hq.bench", None)?;
    let mut below = Node::relay(bench, "relay.site.bench", Some(above.address))?;
    let arrivals = Arrivals::new(&bench.clock);
    let mut consumer = JoinSet::new();
    bench.consumer(&mut consumer, above.address, &arrivals)?;
    bench.runtime.block_on(below.linked(bench))?;
    let edges = (0..CONNECTIONS).map(|n| bench.credentials(&format!("edge-{n}.site.bench")));
    let edges: Vec<_> = edges.collect::<Result<_, _>>()?;
    let (mut rates, mut wanted) = (Vec::new(), 0);
    for number in 1..=bench.rounds {
        note(number, bench.rounds, output);
        let began = bench.now();
        let round = producer::round(
            below.address,
            &edges,
            IN_FLIGHT as u64,
            Duration::ZERO,
            bench.time,
            &bench.clock,
        )?;
        // bodies of these producers carry no number, so they add up over the rounds
        wanted += round.count;
        let seen = all(bench, &arrivals, wanted)?;
        let seconds = seen.last.saturating_duration_since(began).as_secs_f64();
        rates.push(round.all_messages / seconds);
        settle();
        bench.probe()?;
    }
    drop(consumer);
    below.stop()?;
    above.stop()?;
    let name = "three tiers: producers, relay, relay above it, consumer";
    Ok(Findings {
        figures: vec![Figure::of_rounds(name, "msg/s", &rates)],
        skipped: Vec::new(),
    })
}

/// A round begins with nothing at the consumer.
fn begin(bench: &Bench, arrivals: &Arrivals, name: String) -> (std::time::Instant, Arc<Feed>) {
    arrivals.begin();
    (bench.now(), Arc::new(Feed::new(name, u64::MAX)))
}

fn rate(began: std::time::Instant, seen: Seen) -> f64 {
    let seconds = seen.last.saturating_duration_since(began).as_secs_f64();
    float(seen.count) / seconds.max(1e-9)
}
