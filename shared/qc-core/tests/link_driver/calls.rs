//! Calls over whole links: bytes of any size, programs that stop reading, links that are cut.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use qc_core::link::{CallStream, Caller, ENDED, NO_TARGET, Stop};
use qc_core::model::Lane;
use qc_core::wire::{ChannelKind, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split};
use tokio::time::timeout;

use crate::app::App;
use crate::site::{Site, until};

const MANY: usize = 3 << 20;

async fn caller(app: &App) -> Caller {
    until("the link is up", || app.caller.lock().unwrap().is_some()).await;
    app.caller.lock().unwrap().clone().unwrap()
}

/// A call of the edge, and its other end at the relay.
async fn call(site: &Site) -> (CallStream, CallStream) {
    let caller = caller(&site.edge).await;
    let made = caller.call("echo".parse().unwrap()).await.unwrap();
    let taken = site.relay.calls.lock().unwrap().pop().unwrap();
    (made, taken)
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(9);
    std::iter::repeat_with(|| random.u8(..))
        .take(bytes)
        .collect()
}

#[tokio::test]
async fn megabytes_go_both_ways_at_once_beside_messages() {
    let site = Site::start(8 * 1024);
    site.edge
        .produce(ChannelKind::Forward, "acme/up", Lane::Normal, 3000, 1000);
    let (made, taken) = call(&site).await;
    let sent = noise(MANY);
    let (mut from, mut to) = split(taken);
    let echo = async {
        tokio::io::copy(&mut from, &mut to).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let (mut read, mut write) = split(made);
    let ask = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let hear = async {
        let mut back = Vec::new();
        read.read_to_end(&mut back).await.unwrap();
        back
    };
    let all = async { tokio::join!(echo, ask, hear) };
    let ((), (), back) = timeout(Duration::from_mins(1), all).await.unwrap();
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
    until("the messages came, too", || {
        site.relay.stored("acme/up", Lane::Normal).len() == 3000
    })
    .await;
}

#[tokio::test]
async fn half_an_answer_is_never_taken_for_a_whole_one() {
    let mut site = Site::start(64 * 1024);
    let (mut made, mut taken) = call(&site).await;
    taken.write_all(b"half an ans").await.unwrap();
    let mut half = [0; 11];
    made.read_exact(&mut half).await.unwrap();
    let reason = Refusal::new(ENDED, "cut by the test");
    site.stop.send_replace(Stop::Close(reason));
    let error = made.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(error.to_string().contains("cut by the test"), "{error}");
    let error = taken.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    site.ended().await;
    let caller = caller(&site.edge).await;
    let refused = caller.call("echo".parse().unwrap()).await.unwrap_err();
    assert!(refused.reason.contains("the link has ended"), "{refused}");
}

#[tokio::test]
async fn a_call_that_nobody_takes_is_refused_with_the_reason() {
    let site = Site::start(64 * 1024);
    let caller = caller(&site.edge).await;
    let refused = caller.call("shell".parse().unwrap()).await.unwrap_err();
    assert_eq!(refused.code, NO_TARGET);
    assert!(refused.reason.contains("no shell here"), "{refused}");
}

#[tokio::test]
async fn a_program_that_goes_away_ends_the_call_and_not_the_link() {
    let site = Site::start(64 * 1024);
    let (mut made, taken) = call(&site).await;
    drop(taken);
    let written = async {
        loop {
            if let Err(error) = made.write_all(&[0; 1000]).await {
                return error;
            }
        }
    };
    let error = timeout(Duration::from_secs(20), written).await.unwrap();
    assert!(error.to_string().contains("nobody reads"), "{error}");
    // the next one works
    let (mut made, mut taken) = call(&site).await;
    made.write_all(b"x").await.unwrap();
    assert_eq!(taken.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn a_program_that_does_not_read_holds_up_nobody_else() {
    let site = Site::start(64 * 1024);
    let (mut made, taken) = call(&site).await;
    let stuck = timeout(Duration::from_millis(500), made.write_all(&noise(MANY))).await;
    assert!(stuck.is_err(), "the window holds");
    site.edge
        .produce(ChannelKind::Forward, "acme/up", Lane::Low, 100, 1000);
    until("messages pass", || {
        site.relay.stored("acme/up", Lane::Low).len() == 100
    })
    .await;
    let (mut other, mut end) = call(&site).await;
    other.write_all(b"x").await.unwrap();
    assert_eq!(end.read_u8().await.unwrap(), b'x');
    drop((taken, Arc::clone(&site.edge)));
}
