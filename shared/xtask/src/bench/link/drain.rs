//! Row `drain`: the relay is killed, the edge takes a backlog, the relay returns; how long until the first
//! message of it is at the consumer, and how fast the rest follows.

use std::sync::Arc;
use std::time::Duration;

use qc_core::cli::{Failure, Output};

use super::arrivals::Seen;
use super::feed::Feed;
use super::nats::Settings;
use super::path::{CONNECTIONS, Giving, IN_FLIGHT, Ours, Theirs, all};
use super::{Bench, Findings, float, note, settle};
use crate::bench::Figure;
use crate::bench::figure::{Bound, Of};

const BACKLOG: u64 = 300_000;
const SHORT_BACKLOG: u64 = 30_000;
/// Of it, what the peer gets that syncs each message: it would take minutes to be given the whole.
const ALWAYS_PART: u64 = 10;
/// More rounds would say no more: the peer's take most of a minute.
const MOST_ROUNDS: u32 = 3;
/// How long the relay stays away when all of the backlog is there.
const AWAY: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Rounds {
    first_ms: Vec<f64>,
    all_s: Vec<f64>,
    rates: Vec<f64>,
}

pub(super) fn measure(bench: &mut Bench, output: &Output) -> Result<Findings, Failure> {
    let backlog = if bench.fast { SHORT_BACKLOG } else { BACKLOG };
    let rounds = bench.rounds.min(MOST_ROUNDS);
    let mut ours = Ours::start(bench)?;
    let peers = bench.peers().iter();
    let peers = peers.map(|settings| Theirs::start(bench, *settings));
    let mut peers: Vec<_> = peers.collect::<Result<_, _>>()?;
    let how = Giving {
        connections: CONNECTIONS,
        in_flight: IN_FLIGHT,
        time: None,
    };
    let mut own = Rounds::default();
    let mut their: Vec<Rounds> = peers.iter().map(|_| Rounds::default()).collect();
    for number in 1..=rounds {
        note(number, rounds, output);
        let feed = Arc::new(Feed::new(format!("d{number}"), backlog));
        ours.relay.process.kill()?;
        ours.arrivals.begin();
        ours.give(bench, &feed, how)?;
        std::thread::sleep(AWAY);
        ours.relay.process.restart()?;
        ours.relay.ready()?;
        let returned = bench.now();
        own.add(returned, all(bench, &ours.arrivals, backlog)?);
        settle();
        for (peer, rounds) in peers.iter_mut().zip(&mut their) {
            let backlog = peer_backlog(peer.settings, backlog);
            let feed = Arc::new(Feed::new(String::new(), backlog));
            peer.hub.process.kill()?;
            peer.arrivals.begin();
            peer.give(bench, &feed, how)?;
            std::thread::sleep(AWAY);
            peer.hub.process.restart()?;
            peer.hub.ready()?;
            let returned = bench.now();
            rounds.add(returned, all(bench, &peer.arrivals, backlog)?);
            settle();
        }
        bench.probe()?;
    }
    ours.stop()?;
    let mut found = Findings::default();
    own.tell(&mut found, "", backlog, true);
    for (peer, rounds) in peers.iter().zip(&their) {
        let name = format!("{}: ", peer.settings.name());
        let backlog = peer_backlog(peer.settings, backlog);
        rounds.tell(&mut found, &name, backlog, false);
        if peer.settings == Settings::Default
            && let Some(rate) = found.figures.get_mut(1)
        {
            *rate = rate
                .clone()
                .against(peer.settings.name(), &own.rates, &rounds.rates);
        }
    }
    Ok(found)
}

fn peer_backlog(settings: Settings, backlog: u64) -> u64 {
    match settings {
        Settings::Default => backlog,
        Settings::Always => backlog / ALWAYS_PART,
    }
}

impl Rounds {
    fn add(&mut self, returned: std::time::Instant, seen: Seen) {
        let first = seen.first.saturating_duration_since(returned);
        let moving = seen.last.saturating_duration_since(seen.first);
        let all = seen.last.saturating_duration_since(returned);
        self.first_ms.push(first.as_secs_f64() * 1e3);
        self.rates
            .push(float(seen.count) / moving.as_secs_f64().max(1e-9));
        self.all_s.push(all.as_secs_f64());
    }

    fn tell(&self, found: &mut Findings, who: &str, backlog: u64, is_ours: bool) {
        let first = format!("{who}backlog of {backlog}: first message after the relay is back");
        let first = Figure::of_rounds(first, "ms", &self.first_ms);
        let rate = format!("{who}backlog of {backlog}: from the first message to the last");
        let rate = Figure::of_rounds(rate, "msg/s", &self.rates);
        let all = Figure::of_rounds(
            format!("{who}backlog of {backlog}: until all of it is there"),
            "s",
            &self.all_s,
        );
        found.figures.extend(if is_ours {
            [
                first.wants(Of::Value, Bound::AtMost, 1000.0),
                rate.wants(Of::Value, Bound::AtLeast, 100_000.0),
                all,
            ]
        } else {
            [first, rate, all]
        });
    }
}
