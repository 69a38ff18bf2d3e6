//! A line of 1 Mbit/s with a deep buffer in it: bulk keeps it busy, and alarms still come at once.

use std::sync::Arc;
use std::time::Duration;

use qc_core::link::{Side, Stop};
use qc_core::model::Lane;
use qc_core::wire::ChannelKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::app::App;
use crate::site::{link, until};

/// Bytes a second each way.
const SPEED: u64 = 125_000;
/// What the line holds before its sender has to wait: two seconds.
const DEPTH: usize = 250_000;

/// Carries what comes from `from`, no faster than the line is.
async fn carry(
    mut from: tokio::io::ReadHalf<DuplexStream>,
    to: tokio::io::WriteHalf<DuplexStream>,
) {
    const PACKET: usize = 1250;
    let (queue, mut packets) = mpsc::channel::<Vec<u8>>(DEPTH / PACKET);
    let leave = async move {
        let mut to = to;
        let mut free_at = Instant::now();
        while let Some(packet) = packets.recv().await {
            let takes = Duration::from_nanos(packet.len() as u64 * 1_000_000_000 / SPEED);
            free_at = free_at.max(Instant::now()) + takes;
            sleep_until(free_at).await;
            if to.write_all(&packet).await.is_err() {
                return;
            }
        }
    };
    let enter = async move {
        loop {
            let mut packet = vec![0; PACKET];
            match from.read(&mut packet).await {
                Ok(count) if count > 0 => packet.truncate(count),
                _ => return,
            }
            if queue.send(packet).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(leave, enter);
}

#[tokio::test]
async fn an_alarm_overtakes_bulk_on_a_slow_line_with_a_deep_buffer() {
    let (edge, relay) = (App::new(), App::new());
    edge.produce(ChannelKind::Forward, "acme/alarm", Lane::Critical, 0, 0);
    edge.produce(ChannelKind::Forward, "acme/bulk", Lane::Low, 1, 600_000);
    edge.produce(ChannelKind::Forward, "acme/bulk", Lane::Low, 4000, 1000);
    let (a, near) = duplex(1024);
    let (far, b) = duplex(1024);
    let (near, far) = (tokio::io::split(near), tokio::io::split(far));
    let mut tasks = JoinSet::new();
    tasks.spawn(carry(near.0, far.1));
    tasks.spawn(carry(far.0, near.1));
    let stop = watch::channel(Stop::Run);
    let app = Arc::clone(&edge);
    let stopped = stop.1.clone();
    tasks.spawn(async move {
        let _ended = link(a, Side::Dialer, app, stopped).await;
    });
    let (app, stopped) = (Arc::clone(&relay), stop.1.clone());
    tasks.spawn(async move {
        let _ended = link(b, Side::Acceptor, app, stopped).await;
    });

    until("the link is up", || !edge.states.lock().unwrap().is_empty()).await;
    let began = Instant::now();
    sleep(Duration::from_millis(1500)).await;
    let mut took = Vec::new();
    for alarm in 1..=15 {
        let raised = Instant::now();
        edge.produce(ChannelKind::Forward, "acme/alarm", Lane::Critical, 1, 100);
        until("the alarm", || {
            edge.acked("acme/alarm", Lane::Critical) == alarm
        })
        .await;
        took.push(raised.elapsed());
        sleep(Duration::from_millis(200)).await;
    }
    let bulk = 600_000 + 1000 * edge.acked("acme/bulk", Lane::Low).saturating_sub(1);
    let could = u128::from(SPEED) * began.elapsed().as_millis() / 1000;
    let share = u128::from(bulk) * 100 / could;
    took.sort();
    println!("alarms took {took:?}, bulk had {share} % of the line");
    assert!(took[14] < Duration::from_secs(1), "{took:?}");
    assert!(share > 60, "bulk had {share} % of the line");
}
