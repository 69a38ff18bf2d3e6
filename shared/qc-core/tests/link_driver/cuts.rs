//! A link over TLS that is cut behind every byte of it: of the handshake, the greeting, the messages and
//! the farewell, in either direction. Whatever was cut, the next connection goes on where this one was.
//!
//! Built for speed every byte is tried; a debug build tries one in some and says so.
#![expect(
    clippy::large_futures,
    clippy::print_stdout,
    reason = "both ends of a link and TLS are one future here; how many cuts there were is for whoever runs it"
)]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use qc_core::clock::{Clock as _, SystemClock};
use qc_core::link::{Side, Stop, run};
use qc_core::model::Lane;
use qc_core::pki::{
    Authority, CaPlan, CertRequest, Identity, KeyAndChain, LEAF_LIFETIME, PrivateKey, Profile,
    Role, TrustAnchors,
};
use qc_core::tls::{Accepted, Credentials, RELAYS, accept, connect};
use qc_core::wire::{ChannelKind, Start, Subscribe};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::site::{EDGE, RELAY, options, peer};

/// One byte in so many is tried.
const STRIDE: usize = if cfg!(debug_assertions) { 17 } else { 1 };
const DEADLINE: Duration = Duration::from_secs(5);
/// Messages each way in one session.
const MESSAGES: u64 = 3;

/// The dialer's end of a connection that breaks behind a byte that it writes, or reads.
struct Cut {
    inner: DuplexStream,
    /// Bytes until then: written, read.
    left: [usize; 2],
    /// Written and read so far.
    carried: Arc<std::sync::Mutex<[usize; 2]>>,
}

impl Cut {
    fn count(&mut self, direction: usize, bytes: usize) {
        self.left[direction] -= bytes;
        self.carried.lock().unwrap()[direction] += bytes;
    }

    fn is_over(&self) -> bool {
        self.left.contains(&0)
    }
}

fn reset() -> Poll<io::Result<usize>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over() {
            return reset().map_ok(drop);
        }
        let mut bytes = vec![0; self.left[1].min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut bytes);
        let polled = Pin::new(&mut self.inner).poll_read(context, &mut part);
        if polled.is_ready() {
            buffer.put_slice(part.filled());
            let read = part.filled().len();
            self.count(1, read);
        }
        polled
    }
}

impl AsyncWrite for Cut {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_over() {
            return reset();
        }
        let allowed = bytes.len().min(self.left[0]);
        let polled = Pin::new(&mut self.inner).poll_write(context, &bytes[..allowed]);
        if let Poll::Ready(Ok(count)) = polled {
            self.count(0, count);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// The credentials of an edge and of a relay under one root.
fn credentials() -> [Credentials; 2] {
    let clock = Arc::new(SystemClock::default());
    let now = clock.now();
    let domain = "qc.internal".parse().unwrap();
    let root = Authority::create_root("root", "acme", &domain, now).unwrap();
    let plan = CaPlan {
        name: "hq".to_owned(),
        ..CaPlan::default()
    };
    let ca = root.create_ca(&plan, now).unwrap();
    [(EDGE, Role::Edge), (RELAY, Role::Relay)].map(|(name, role)| {
        let profile = Profile::Node {
            name: name.parse().unwrap(),
            role,
        };
        let key = PrivateKey::new_p256().unwrap();
        let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
        let mut serial = [0x40; 16];
        serial[1] = name.as_bytes()[0];
        let cert = ca.issue(&profile, &request, &serial, LEAF_LIFETIME, now);
        let chain = std::iter::once(cert.unwrap()).chain(ca.chain().cloned());
        let identity = Identity {
            node: KeyAndChain::new(key, chain.collect()).unwrap(),
            front: None,
        };
        let mut trust = TrustAnchors::new("qc.internal".parse().unwrap());
        trust.add_root(root.cert().clone()).unwrap();
        trust.add_ca(ca.cert().clone()).unwrap();
        let clock = Arc::<SystemClock>::clone(&clock);
        Credentials::from_parts(&identity, trust, clock).unwrap()
    })
}

/// Two nodes that are there all the time.
struct Nodes {
    edge: Arc<App>,
    relay: Arc<App>,
    credentials: [Credentials; 2],
    produced: u64,
}

impl Nodes {
    fn new() -> Self {
        let nodes = Self {
            edge: App::new(),
            relay: App::new(),
            credentials: credentials(),
            produced: 0,
        };
        nodes.edge.subscriptions.lock().unwrap().push(Subscribe {
            consumer: "mill7".parse().unwrap(),
            stream: "acme/down".parse().unwrap(),
            start: Start::Beginning,
        });
        nodes
    }

    fn produce(&mut self) {
        self.edge
            .produce(ChannelKind::Forward, "acme/up", Lane::Normal, MESSAGES, 90);
        self.relay.produce(
            ChannelKind::Deliver,
            "acme/down",
            Lane::Normal,
            MESSAGES,
            90,
        );
        self.produced += MESSAGES;
    }

    fn is_settled(&self) -> bool {
        self.edge.acked("acme/up", Lane::Normal) == self.produced
            && self.relay.acked("acme/down", Lane::Normal) == self.produced
    }

    /// One connection that is cut, or drains when all is acknowledged. Bytes written and read.
    async fn session(&self, left: [usize; 2]) -> [usize; 2] {
        let (near, far) = duplex(64 * 1024);
        let carried = Arc::default();
        let cut = Cut {
            inner: near,
            left,
            carried: Arc::clone(&carried),
        };
        let clock = SystemClock::default();
        let (stop, stopped) = watch::channel(Stop::Run);
        let never = watch::channel(Stop::Run).1;
        let [edge, relay] = &self.credentials;
        let config = edge
            .link_client_config(RELAYS, Some(RELAY.parse().unwrap()))
            .unwrap();
        let dialling = async {
            if let Ok(connected) = connect(cut, "relay.example", config, DEADLINE).await {
                let (peer, options) = (peer(RELAY), options(EDGE));
                let app = self.edge.as_ref();
                run(
                    connected.stream,
                    &peer,
                    Side::Dialer,
                    app,
                    &clock,
                    &options,
                    stopped,
                )
                .await;
            }
        };
        let taking = async {
            if let Ok(Accepted::Link { stream, .. }) = accept(far, relay, DEADLINE).await {
                let (peer, options) = (peer(EDGE), options(RELAY));
                let app = self.relay.as_ref();
                run(stream, &peer, Side::Acceptor, app, &clock, &options, never).await;
            }
        };
        let ending = async {
            while !self.is_settled() {
                sleep(Duration::from_millis(1)).await;
            }
            stop.send_replace(Stop::Drain);
            // the receiver stays until the link has ended
            std::future::pending::<()>().await;
        };
        let both = async { tokio::join!(dialling, taking) };
        let limited = async {
            tokio::select! {
                _ = both => {}
                () = ending => {}
            }
        };
        let in_time = timeout(Duration::from_secs(20), limited).await;
        assert!(
            in_time.is_ok(),
            "the session with {left:?} left did not end"
        );
        let counted = carried.lock().unwrap();
        *counted
    }
}

async fn cut_everywhere(direction: usize) {
    let mut nodes = Nodes::new();
    nodes.produce();
    let whole = nodes.session([usize::MAX; 2]).await;
    assert!(nodes.is_settled() && whole[direction] > 2000, "{whole:?}");
    let (mut cuts, mut went_on) = (0, 0);
    for byte in (1..whole[direction]).step_by(STRIDE) {
        if nodes.is_settled() {
            nodes.produce();
        }
        let mut left = [usize::MAX; 2];
        left[direction] = byte;
        let carried = nodes.session(left).await;
        assert!(carried[direction] <= byte);
        cuts += usize::from(carried[direction] == byte);
        went_on += usize::from(nodes.is_settled());
    }
    nodes.session([usize::MAX; 2]).await;
    assert!(nodes.is_settled());
    let expected: Vec<u64> = (1..=nodes.produced).collect();
    for (node, stream) in [(&nodes.relay, "acme/up"), (&nodes.edge, "acme/down")] {
        assert!(node.stored(stream, Lane::Normal) == expected, "{stream}");
    }
    println!(
        "direction {direction}: {cuts} cuts of {whole:?} bytes, 1 in {STRIDE} tried, {went_on} behind the last message"
    );
    // a session may be some bytes shorter than the first one was: heartbeats, times
    assert!(cuts * STRIDE >= whole[direction] * 9 / 10, "{cuts} cuts");
}

#[tokio::test]
async fn what_the_edge_sends_is_cut_behind_every_byte() {
    cut_everywhere(0).await;
}

#[tokio::test]
async fn what_the_relay_sends_is_cut_behind_every_byte() {
    cut_everywhere(1).await;
}
