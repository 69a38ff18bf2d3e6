//! Handshakes between real credentials over an in-memory pipe.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::model::Timestamp;
use crate::pki::{
    Authority, CaPlan, CertRequest, Identity, KeyAndChain, LEAF_LIFETIME, PeerRefusal, PrivateKey,
    Profile, Revocation, Role, TrustAnchors,
};

mod live;

const DEADLINE: Duration = Duration::from_secs(5);

struct House {
    root: Authority,
    hq: Authority,
    clock: Arc<ManualClock>,
}

fn house() -> House {
    let now = Timestamp::from_millis(1_800_000_000_000);
    let domain = "qc.internal".parse().unwrap();
    let root = Authority::create_root("root", "acme", &domain, now).unwrap();
    let plan = CaPlan {
        name: "hq".to_owned(),
        ..CaPlan::default()
    };
    House {
        hq: root.create_ca(&plan, now).unwrap(),
        root,
        clock: Arc::new(ManualClock::at(now)),
    }
}

impl House {
    fn trust(&self) -> TrustAnchors {
        let mut trust = TrustAnchors::new("qc.internal".parse().unwrap());
        trust.add_root(self.root.cert().clone()).unwrap();
        trust.add_ca(self.hq.cert().clone()).unwrap();
        trust
    }

    fn identity(&self, name: &str, role: Role) -> Identity {
        let what = Profile::Node {
            name: name.parse().unwrap(),
            role,
        };
        let key = PrivateKey::new_p256().unwrap();
        let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
        let mut serial = [0x40; 16];
        serial[1] = name.as_bytes()[0];
        let now = self.clock.now();
        let cert = self.hq.issue(&what, &request, &serial, LEAF_LIFETIME, now);
        let chain = std::iter::once(cert.unwrap()).chain(self.hq.chain().cloned());
        Identity {
            node: KeyAndChain::new(key, chain.collect()).unwrap(),
            front: None,
        }
    }

    fn credentials(&self, name: &str, role: Role) -> Credentials {
        self.believing(name, role, self.trust())
    }

    fn believing(&self, name: &str, role: Role, trust: TrustAnchors) -> Credentials {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        Credentials::from_parts(&self.identity(name, role), trust, clock).unwrap()
    }
}

type Outcome = (
    Result<Connected<DuplexStream>, ConnectError>,
    Result<Accepted<DuplexStream>, AcceptError>,
);

async fn meet(client: &Credentials, server: &Credentials, expected: Option<&str>) -> Outcome {
    let expected = expected.map(|name| name.parse().unwrap());
    let (near, far) = duplex(64 * 1024);
    let config = client.link_client_config(RELAYS, expected).unwrap();
    tokio::join!(
        connect(near, "hub.example", config, DEADLINE),
        accept(far, server, DEADLINE)
    )
}

#[tokio::test]
async fn two_nodes_know_each_other() {
    let house = house();
    let edge = house.credentials("edge-07.mill7.acme", Role::Edge);
    let hub = house.credentials("hub-1.hq.acme", Role::Relay);
    assert_eq!(hub.own_name().unwrap().as_str(), "hub-1.hq.acme");
    let (dialled, accepted) = meet(&edge, &hub, Some("hub-1.hq.acme")).await;
    let mut dialled = dialled.unwrap();
    assert_eq!(dialled.peer.role, Role::Relay);
    let Ok(Accepted::Link {
        mut stream, peer, ..
    }) = accepted
    else {
        panic!("{accepted:?}")
    };
    assert_eq!(peer.name.as_str(), "edge-07.mill7.acme");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(ALPN_LINK));
    dialled.stream.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.unwrap();
}

#[tokio::test]
async fn the_client_names_why_it_refuses() {
    let house = house();
    let edge = house.credentials("edge-07.mill7.acme", Role::Edge);
    let hub = house.credentials("hub-1.hq.acme", Role::Relay);
    let (dialled, accepted) = meet(&edge, &hub, Some("hub-2.hq.acme")).await;
    let error = dialled.unwrap_err();
    assert_eq!(error.code(), "QC2010");
    assert_eq!(
        error.to_string(),
        "hub-1.hq.acme answered, but hub-2.hq.acme was dialled"
    );
    assert!(
        matches!(accepted, Err(AcceptError::RefusedByPeer(_))),
        "{accepted:?}"
    );

    // an edge does not serve links
    let other = house.credentials("edge-08.mill7.acme", Role::Edge);
    let (dialled, _) = meet(&edge, &other, None).await;
    assert!(matches!(
        dialled,
        Err(ConnectError::Refused(PeerRefusal::WrongUsage { .. }))
    ));
}

/// The server refuses; the client, which thinks it is connected, learns why on its first read.
#[track_caller]
fn told(read: std::io::Result<usize>) -> String {
    peer_alert(&read.unwrap_err())
        .expect("an alert")
        .to_string()
}

#[tokio::test]
async fn both_sides_name_why_the_server_refuses() {
    let house = house();
    let edge = house.credentials("edge-07.mill7.acme", Role::Edge);
    let mut trust = house.trust();
    let revoked = [Revocation {
        serial: edge.current().node.serial.clone(),
        at_ms: 0,
        key_compromise: false,
    }];
    let now = house.clock.now();
    trust
        .add_crl(house.hq.sign_crl(2, &revoked, now).unwrap())
        .unwrap();
    let hub = house.believing("hub-1.hq.acme", Role::Relay, trust);
    let (dialled, accepted) = meet(&edge, &hub, None).await;
    assert_eq!(accepted.unwrap_err().code(), "QC2008");
    let mut stream = dialled.unwrap().stream;
    let why = told(stream.read(&mut [0; 1]).await);
    assert_eq!(why, "the peer refused us: our certificate is revoked");

    let stranger = self::house();
    let other = stranger.believing("edge-07.mill7.acme", Role::Edge, house.trust());
    let (dialled, accepted) = meet(&other, &hub, None).await;
    assert_eq!(accepted.unwrap_err().code(), "QC2002");
    let why = told(dialled.unwrap().stream.read(&mut [0; 1]).await);
    assert!(why.contains("does not know the CA"), "{why}");

    let auditor = house.credentials("audit-1.hq.acme", Role::Auditor);
    let (dialled, accepted) = meet(&auditor, &hub, None).await;
    let error = accepted.unwrap_err().to_string();
    assert_eq!(
        error,
        "the role is auditor, wanted is edge or relay or relay-parent"
    );
    let why = told(dialled.unwrap().stream.read(&mut [0; 1]).await);
    assert!(why.contains("role is not admitted"), "{why}");

    let late = house.credentials("late-1.mill7.acme", Role::Edge);
    let fresh = house.clock.now().plus(Duration::from_hours(24 * 15));
    let later = Arc::new(ManualClock::at(fresh));
    let hub = house.identity("hub-1.hq.acme", Role::Relay);
    let hub = Credentials::from_parts(&hub, house.trust(), later).unwrap();
    let (dialled, accepted) = meet(&late, &hub, None).await;
    assert_eq!(accepted.unwrap_err().code(), "QC2003");
    let why = told(dialled.unwrap().stream.read(&mut [0; 1]).await);
    assert!(why.contains("expired"), "{why}");
}

#[tokio::test]
async fn a_relay_takes_only_a_relay_parent_as_its_parent() {
    let house = house();
    let child = house.credentials("relay-2.mill7.acme", Role::Relay);
    for (role, is_taken) in [(Role::Relay, false), (Role::RelayParent, true)] {
        let hub = house.credentials("hub-1.hq.acme", role);
        for config in [
            child.link_client_config(PARENTS, None).unwrap(),
            child.http_client_config(PARENTS, None).unwrap(),
        ] {
            let (near, far) = duplex(64 * 1024);
            let (dialled, accepted) = tokio::join!(
                connect(near, "hub.example", config, DEADLINE),
                accept(far, &hub, DEADLINE)
            );
            assert_eq!(dialled.is_ok(), is_taken, "{role}");
            let (Err(here), Err(there)) = (dialled, accepted) else {
                continue;
            };
            assert_eq!((here.code(), there.code()), ("QC2005", "QC2032"));
            let next = "qc-pki token new NODE --role relay-parent";
            for said in [here.to_string(), there.to_string()] {
                assert!(said.contains(next), "{said}");
            }
        }
    }
}

#[tokio::test]
async fn trap_7_no_session_is_ever_resumed() {
    let house = house();
    let edge = house.credentials("edge-07.mill7.acme", Role::Edge);
    let hub = house.credentials("hub-1.hq.acme", Role::Relay);
    // a client that would like to resume
    let (config, _) = edge.link_client_config(RELAYS, None).unwrap();
    let mut config = ClientConfig::clone(&config);
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    config.enable_early_data = true;
    let config = Arc::new(config);
    for _ in 0..3 {
        let (near, far) = duplex(64 * 1024);
        let verdict = edge.link_client_config(RELAYS, None).unwrap().1;
        let name = "hub.example".to_owned().try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
        let (dialled, accepted) =
            tokio::join!(connector.connect(name, near), accept(far, &hub, DEADLINE));
        drop(verdict);
        let mut dialled = dialled.unwrap();
        let Ok(Accepted::Link { mut stream, .. }) = accepted else {
            panic!("{accepted:?}")
        };
        // whatever tickets there were would have come with this
        stream.write_all(b"x").await.unwrap();
        dialled.read_exact(&mut [0; 1]).await.unwrap();
        assert_eq!(
            stream.get_ref().1.handshake_kind(),
            Some(HandshakeKind::Full)
        );
        assert_eq!(dialled.get_ref().1.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn the_same_port_serves_http_with_and_without_a_certificate() {
    let house = house();
    let hub = house.credentials("hub-1.hq.acme", Role::Relay);
    let edge = house.credentials("edge-07.mill7.acme", Role::Edge);
    let (near, far) = duplex(64 * 1024);
    let config = edge.http_client_config(RELAYS, None).unwrap();
    let (_client, accepted) = tokio::join!(
        connect(near, "hub.example", config, DEADLINE),
        accept(far, &hub, DEADLINE)
    );
    let Ok(Accepted::Http {
        peer: Some(peer), ..
    }) = accepted
    else {
        panic!("{accepted:?}")
    };
    assert_eq!(peer.role, Role::Edge);

    // a client without a certificate comes in as nobody; on a link it is refused
    let pin = house.root.view().spki_sha256;
    let (mut config, pinned) = front_client_config_pinned(pin, house.clock.clone()).unwrap();
    for alpn in [b"http/1.1".to_vec(), ALPN_LINK.to_vec()] {
        config.alpn_protocols = vec![alpn.clone()];
        let (near, far) = duplex(64 * 1024);
        let name = "hub.example".to_owned().try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
        let (_client, accepted) =
            tokio::join!(connector.connect(name, near), accept(far, &hub, DEADLINE));
        if alpn == ALPN_LINK {
            assert_eq!(accepted.unwrap_err().code(), "QC2001");
        } else {
            assert!(matches!(accepted, Ok(Accepted::Http { peer: None, .. })));
        }
    }
    assert_eq!(pinned.get(), Some(&true));
}

#[tokio::test]
async fn a_node_sees_the_nodes_certificate_where_others_see_the_fronts() {
    let house = house();
    let mut identity = house.identity("hub-1.hq.acme", Role::Relay);
    let what = Profile::Front {
        dns: vec!["hub.example".to_owned()],
    };
    let key = PrivateKey::new_p256().unwrap();
    let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
    let now = house.clock.now();
    let cert = house
        .hq
        .issue(&what, &request, &[0x50; 16], LEAF_LIFETIME, now);
    let chain = std::iter::once(cert.unwrap()).chain(house.hq.chain().cloned());
    identity.front = Some(KeyAndChain::new(key, chain.collect()).unwrap());
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&house.clock);
    let hub = Credentials::from_parts(&identity, house.trust(), clock).unwrap();

    let edge = house.credentials("edge-07.mill7.acme", Role::Edge);
    let (near, far) = duplex(64 * 1024);
    let config = edge.http_client_config(RELAYS, None).unwrap();
    let (dialled, accepted) = tokio::join!(
        connect(near, "hub.example", config, DEADLINE),
        accept(far, &hub, DEADLINE)
    );
    assert_eq!(dialled.unwrap().peer.name.as_str(), "hub-1.hq.acme");
    assert!(
        matches!(accepted, Ok(Accepted::Http { peer: Some(_), .. })),
        "{accepted:?}"
    );

    let (near, far) = duplex(64 * 1024);
    let (seen, _) = tokio::join!(peek(near, "hub.example"), accept(far, &hub, DEADLINE));
    let front = identity.front.as_ref().unwrap();
    assert_eq!(seen.unwrap()[0], front.chain[0]);
}

#[tokio::test]
async fn a_slow_client_is_cut_and_new_credentials_are_taken() {
    let house = house();
    let hub = house.credentials("hub-1.hq.acme", Role::Relay);
    let (_idle, far) = duplex(1024);
    let cut = accept(far, &hub, Duration::from_millis(20)).await;
    assert!(matches!(cut, Err(AcceptError::Deadline(_))));

    let edge = house.credentials("edge-07.mill7.acme", Role::Edge);
    let renamed = house.identity("hub-9.hq.acme", Role::Relay);
    hub.replace(&renamed, house.trust()).unwrap();
    let (dialled, _) = meet(&edge, &hub, Some("hub-9.hq.acme")).await;
    assert_eq!(dialled.unwrap().peer.name.as_str(), "hub-9.hq.acme");
}
