//! What a link holds while nothing is sent: TLS of either side, and above it driver, session and task.
//!
//! `--nocapture` prints the parts. Sockets are real, so kernel memory is not in it, nor what a program keeps
//! of its neighbours.

use std::sync::Arc;
use std::time::Duration;

use qc_core::clock::{Clock, ManualClock, SystemClock};
use qc_core::link::{LinkOptions, Peer, SessionConfig, Side, Stop, run};
use qc_core::model::{Lane, Timestamp};
use qc_core::pki::{
    Authority, CaPlan, CertRequest, Identity, KeyAndChain, LEAF_LIFETIME, PrivateKey, Profile,
    Role, TrustAnchors,
};
use qc_core::tls::{Accepted, Credentials, RELAYS, accept, connect, install_crypto_provider};
use qc_core::wire::{ChannelKind, Start, Subscribe};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::Turn;
use crate::app::App;

const LINKS: usize = 40;
const DEADLINE: Duration = Duration::from_secs(20);
const BEAT: Duration = Duration::from_millis(500);
/// The most heap of an idle link at the relay; without optimization a task is some KiB larger.
const MOST_PER_LINK: usize = if cfg!(debug_assertions) { 32 } else { 24 } * 1024;

const NAMES: [&str; 2] = ["edge-1.mill7.acme", "relay-1.hub.acme"];

/// Credentials of the edge and of the relay.
fn credentials() -> [Credentials; 2] {
    install_crypto_provider();
    let now = Timestamp::from_millis(1_800_000_000_000);
    let domain = "qc.internal".parse().unwrap();
    let root = Authority::create_root("root", "acme", &domain, now).unwrap();
    let plan = CaPlan {
        name: "hq".to_owned(),
        ..CaPlan::default()
    };
    let hq = root.create_ca(&plan, now).unwrap();
    let clock = Arc::new(ManualClock::at(now));
    [Role::Edge, Role::Relay].map(|role| {
        let at = usize::from(role == Role::Relay);
        let key = PrivateKey::new_p256().unwrap();
        let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
        let what = Profile::Node {
            name: NAMES[at].parse().unwrap(),
            role,
        };
        let mut serial = [0x40; 16];
        serial[1] = u8::try_from(at).unwrap();
        let cert = hq
            .issue(&what, &request, &serial, LEAF_LIFETIME, now)
            .unwrap();
        let chain = std::iter::once(cert).chain(hq.chain().cloned());
        let identity = Identity {
            node: KeyAndChain::new(key, chain.collect()).unwrap(),
            front: None,
        };
        let mut trust = TrustAnchors::new(domain.clone());
        trust.add_root(root.cert().clone()).unwrap();
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        Credentials::from_parts(&identity, trust, clock).unwrap()
    })
}

/// Runs a link that lasts as long as its end of `stop`.
fn spawn<S>(stream: S, side: Side, app: &Arc<App>, stop: watch::Receiver<Stop>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let at = usize::from(side == Side::Acceptor);
    let options = LinkOptions::new(SessionConfig {
        heartbeat: BEAT,
        ..SessionConfig::new(NAMES[at].parse().unwrap())
    });
    let peer = Peer {
        node: NAMES[1 - at].parse().unwrap(),
        address: "127.0.0.1:443".to_owned(),
    };
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let clock = SystemClock::default();
        run(stream, &peer, side, app.as_ref(), &clock, &options, stop).await
    });
}

/// Long enough for greetings, heartbeats and what they shrink.
async fn settle() {
    sleep(BEAT * 7 / 2).await;
}

#[test]
fn an_idle_link_is_small() {
    let turn = Turn::take();
    let [edge, relay] = credentials();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let (apps, stop) = ([App::new(), App::new()], watch::Sender::new(Stop::Run));
    // each link carries one stream up and one down, and nothing waits
    apps[0].produce(ChannelKind::Forward, "acme/orders", Lane::Normal, 0, 0);
    apps[1].produce(ChannelKind::Deliver, "acme/alarms", Lane::Normal, 0, 0);
    apps[0].subscriptions.lock().unwrap().push(Subscribe {
        consumer: "mill7".parse().unwrap(),
        stream: "acme/alarms".parse().unwrap(),
        start: Start::Beginning,
    });

    let count = turn.count();
    let (mut dialled, mut accepted) = (Vec::with_capacity(LINKS), Vec::with_capacity(LINKS));
    let each = |before: usize| count.now().saturating_sub(before) / LINKS;
    let begin = count.now();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..LINKS {
            let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
            let config = edge.link_client_config(RELAYS, None).unwrap();
            let (near, far) = tokio::join!(
                connect(near.unwrap(), "relay", config, DEADLINE),
                accept(far.unwrap().0, &relay, DEADLINE)
            );
            dialled.push(near.unwrap().stream);
            let Ok(Accepted::Link { stream, .. }) = far else {
                panic!("{far:?}");
            };
            accepted.push(stream);
        }
    });
    let both = each(begin);

    // the relay's half first: it waits for a greeting
    let before = count.now();
    runtime.block_on(async {
        for stream in accepted.drain(..) {
            spawn(stream, Side::Acceptor, &apps[1], stop.subscribe());
        }
        sleep(Duration::from_millis(200)).await;
    });
    let waiting = each(before);
    let before = count.now();
    runtime.block_on(async {
        for stream in dialled.drain(..) {
            spawn(stream, Side::Dialer, &apps[0], stop.subscribe());
        }
        settle().await;
    });
    let linked = each(before);
    assert_eq!(
        apps[1].states.lock().unwrap().len(),
        LINKS,
        "every link is up"
    );

    // TLS of the two sides holds the same, but for a few hundred bytes
    let relays = both / 2 + waiting + linked / 2;
    println!(
        "heap of an idle link, bytes: TLS of both sides {both}, the relay's driver before the greeting {waiting}, \
         added by the edge's driver and by both sessions {linked}; about {relays} at the relay"
    );
    assert!(relays <= MOST_PER_LINK, "{relays} bytes a link");
    stop.send_replace(Stop::Close(qc_core::wire::Refusal::new(
        qc_core::link::GOING_AWAY,
        "done",
    )));
    runtime.block_on(settle());
    drop(runtime);
}
