//! Producers and a consumer of nats-server that do what ours do: so many messages ahead of the
//! acknowledgements, every acknowledgement awaited.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use qc_core::clock::{Clock as _, SystemClock};
use rustls::ClientConfig;

use tokio::sync::Semaphore;

use super::SUBJECT;
use super::client::Client;
use crate::bench::link::arrivals::Arrivals;
use crate::bench::link::feed::{Feed, payload};

/// Where the consumer's messages are delivered.
pub(super) const DELIVERED: &str = "deliver.bench";

/// Publishes what `feed` gives over one connection, at most `in_flight` ahead.
pub(in crate::bench::link) async fn publish(
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    in_flight: usize,
    feed: Arc<Feed>,
    clock: Arc<SystemClock>,
) -> io::Result<Vec<Duration>> {
    let mut client = Client::connect(address, tls.as_ref()).await?;
    let mut sent: VecDeque<Instant> = VecDeque::with_capacity(in_flight);
    let mut times = Vec::new();
    let mut body = payload();
    loop {
        while sent.len() < in_flight
            && let Some(number) = feed.next()
        {
            feed.due(number, &clock).await;
            number.write(&mut body);
            client.publish(SUBJECT, &body);
            sent.push_back(clock.instant());
        }
        if sent.is_empty() {
            return Ok(times);
        }
        client.flush().await?;
        let mut answer = Some(client.next().await?);
        let now = clock.instant();
        while let Some(acknowledgement) = answer {
            let is_error = acknowledgement
                .body
                .windows(7)
                .any(|word| word == b"\"error\"");
            if is_error || acknowledgement.body.is_empty() {
                let text = String::from_utf8_lossy(&acknowledgement.body).into_owned();
                return Err(io::Error::other(format!("not acknowledged: {text}")));
            }
            if let Some(at) = sent.pop_front() {
                feed.answered(at, &clock);
                times.push(now.saturating_duration_since(at));
            }
            feed.acked.fetch_add(1, Ordering::Relaxed);
            answer = client.at_hand()?;
        }
    }
}

/// Takes what the hub delivers, for as long as it is there, and comes back when it was away.
pub(in crate::bench::link) async fn consume(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    arrivals: Arc<Arrivals>,
) {
    loop {
        let _away = take(address, &tls, &arrivals).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn take(address: SocketAddr, tls: &Arc<ClientConfig>, arrivals: &Arrivals) -> io::Result<()> {
    let mut client = Client::connect(address, Some(tls)).await?;
    client.subscribe(DELIVERED);
    client.flush().await?;
    loop {
        let mut message = Some(client.next().await?);
        let mut last = None;
        while let Some(delivered) = message {
            if let Some(reply) = delivered.reply {
                arrivals.note(&delivered.body);
                last = Some(reply);
            }
            message = client.at_hand()?;
        }
        if let Some(reply) = last {
            // acknowledges all before it, too
            client.acknowledge(&reply);
            client.flush().await?;
        }
    }
}

/// Opens a connection and keeps it idle.
pub(in crate::bench::link) async fn idle(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    up: Arc<AtomicU64>,
    places: Arc<Semaphore>,
) -> io::Result<()> {
    let place = places.acquire().await;
    let mut client = Client::connect(address, Some(&tls)).await?;
    drop(place);
    up.fetch_add(1, Ordering::Relaxed);
    client.next().await.map(drop)
}
