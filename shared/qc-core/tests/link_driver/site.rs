//! Two nodes and the link between them, in memory.

use std::sync::Arc;
use std::time::Duration;

use qc_core::clock::SystemClock;
use qc_core::link::{Ended, LinkOptions, Peer, SessionConfig, Side, Stop, run};
use tokio::io::{AsyncRead, AsyncWrite, duplex};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::app::App;

pub(crate) const EDGE: &str = "edge-1.mill7.acme";
pub(crate) const RELAY: &str = "relay-1.hub.acme";

pub(crate) fn options(node: &str) -> LinkOptions {
    LinkOptions {
        write_timeout: Duration::from_millis(500),
        drain_timeout: Duration::from_secs(5),
        retry: (Duration::from_millis(20), Duration::from_millis(50)),
        ..LinkOptions::new(SessionConfig {
            heartbeat: Duration::from_millis(100),
            hello_timeout: Duration::from_millis(300),
            instance: 77,
            ..SessionConfig::new(node.parse().unwrap())
        })
    }
}

pub(crate) fn peer(node: &str) -> Peer {
    Peer {
        node: node.parse().unwrap(),
        address: "memory".to_owned(),
    }
}

pub(crate) async fn link<S>(
    stream: S,
    side: Side,
    app: Arc<App>,
    stop: watch::Receiver<Stop>,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (this, other) = match side {
        Side::Dialer => (EDGE, RELAY),
        Side::Acceptor => (RELAY, EDGE),
    };
    let clock = SystemClock::default();
    run(
        stream,
        &peer(other),
        side,
        app.as_ref(),
        &clock,
        &options(this),
        stop,
    )
    .await
}

/// As the acceptor's end of [`link`], of a relay called `node`.
pub(crate) async fn link_as<S>(
    node: &str,
    stream: S,
    app: Arc<App>,
    stop: watch::Receiver<Stop>,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (clock, options) = (SystemClock::default(), options(node));
    let (with, side) = (peer(EDGE), Side::Acceptor);
    run(stream, &with, side, app.as_ref(), &clock, &options, stop).await
}

/// Two nodes and the link between them.
pub(crate) struct Site {
    pub(crate) edge: Arc<App>,
    pub(crate) relay: Arc<App>,
    pub(crate) stop: watch::Sender<Stop>,
    pub(crate) ends: JoinSet<(Side, Ended)>,
}

impl Site {
    pub(crate) fn start(buffer: usize) -> Self {
        Self::with(App::new(), App::new(), buffer)
    }

    pub(crate) fn with(edge: Arc<App>, relay: Arc<App>, buffer: usize) -> Self {
        let (a, b) = duplex(buffer);
        let stop = watch::Sender::new(Stop::Run);
        let mut ends = JoinSet::new();
        let (app, stopped) = (Arc::clone(&edge), stop.subscribe());
        ends.spawn(async move { (Side::Dialer, link(a, Side::Dialer, app, stopped).await) });
        let (app, never) = (Arc::clone(&relay), watch::channel(Stop::Run).1);
        ends.spawn(async move { (Side::Acceptor, link(b, Side::Acceptor, app, never).await) });
        Self {
            edge,
            relay,
            stop,
            ends,
        }
    }

    /// How the dialer's and the acceptor's end ended.
    pub(crate) async fn ended(&mut self) -> (Ended, Ended) {
        let both = async {
            let mut ends = [None, None];
            while let Some(end) = self.ends.join_next().await {
                let (side, ended) = end.unwrap();
                ends[side as usize] = Some(ended);
            }
            ends.map(Option::unwrap)
        };
        let [dialer, acceptor] = timeout(Duration::from_secs(20), both).await.unwrap();
        (dialer, acceptor)
    }
}

pub(crate) async fn until(what: &'static str, condition: impl Fn() -> bool) {
    for _ in 0..4000 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
