//! Getting through, with proxies and name servers of these tests, on the loopback.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream as Plain};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::websocket::{UpgradeError, WebSocket};
use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::durable::write_atomic;
use crate::model::Timestamp;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Serves every connection with `script`; gives the port.
fn serve(script: impl Fn(Plain) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((LOCAL, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = Arc::new(script);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let script = Arc::clone(&script);
            thread::spawn(move || script(stream));
        }
    });
    port
}

/// Reads a head of HTTP.
fn head(stream: &mut Plain) -> String {
    let mut bytes = Vec::new();
    let mut one = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut one).unwrap_or(0) > 0 {
        bytes.push(one[0]);
    }
    String::from_utf8(bytes).unwrap()
}

/// Sends back what comes, in capitals.
fn shout(mut stream: Plain) {
    let mut bytes = [0; 100];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        let shouted = bytes[..count].to_ascii_uppercase();
        stream.write_all(&shouted).unwrap();
    }
}

/// A name server of a test.
struct Names1(Mutex<Answers>);

#[derive(Clone)]
enum Answers {
    Are(Vec<IpAddr>),
    Fail,
    Hang,
}

impl Resolve for Names1 {
    fn lookup<'a>(&'a self, _host: &'a str) -> Lookup<'a> {
        let answers = self.0.lock().unwrap().clone();
        Box::pin(async move {
            match answers {
                Answers::Are(addresses) => Ok(addresses),
                Answers::Fail => Err(std::io::Error::other("name server is down")),
                Answers::Hang => std::future::pending().await,
            }
        })
    }
}

fn names(answers: Answers) -> Arc<Names1> {
    Arc::new(Names1(Mutex::new(answers)))
}

fn reach(resolver: Arc<dyn Resolve>) -> Reach {
    Reach {
        names: Names::new(resolver, None).with_patience(Duration::from_millis(50)),
        proxy: None,
        proxy_credentials: None,
        no_proxy: NoProxy::default(),
        socket: Socket::default(),
        deadline: Duration::from_secs(5),
    }
}

async fn open(reach: &Reach, target: &str) -> Result<(tokio::net::TcpStream, Route), ReachError> {
    let clock = SystemClock::default();
    let end = clock.instant() + reach.deadline;
    reach.open(&target.parse().unwrap(), &clock, end).await
}

/// What comes of the way through a proxy: the answer to `hello`, or the code and the words.
async fn through(reach: &Reach) -> Result<String, (u16, String)> {
    let opened = open(reach, "relay.invalid:7443").await;
    let (mut stream, route) = opened.map_err(|e| (e.code().number(), e.to_string()))?;
    assert!(route.proxy.is_some());
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    Ok(String::from_utf8(answer.to_vec()).unwrap())
}

fn by_proxy(scheme: &str, port: u16, deadline: u64) -> Reach {
    Reach {
        proxy: Some(format!("{scheme}://127.0.0.1:{port}").parse().unwrap()),
        deadline: Duration::from_millis(deadline),
        ..reach(names(Answers::Fail))
    }
}

async fn http(answer: &'static [u8], expected: Result<&str, (u16, &str)>) {
    let port = serve(move |mut stream| {
        head(&mut stream);
        if stream.write_all(answer).is_ok() && answer.starts_with(b"HTTP/1.1 2") {
            shout(stream);
        }
    });
    check(through(&by_proxy("http", port, 5000)).await, expected);
}

#[track_caller]
fn check(found: Result<String, (u16, String)>, expected: Result<&str, (u16, &str)>) {
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected),
        (Err((code, why)), Err((wanted, words))) => {
            assert_eq!(code, wanted, "{why}");
            assert!(why.contains(words), "{why}");
        }
        (found, expected) => panic!("{found:?} in place of {expected:?}"),
    }
}

#[tokio::test]
async fn every_answer_of_an_http_proxy_has_its_code() {
    http(
        b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n",
        Ok("HELLO"),
    )
    .await;
    http(
        b"HTTP/1.1 407 Who?\r\n\r\n",
        Err((2042, "407 Who?; set proxy_credentials_file")),
    )
    .await;
    let ntlm =
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM x\r\n\r\n";
    http(
        ntlm,
        Err((2042, "it takes Negotiate, NTLM, this node has Basic only")),
    )
    .await;
    http(
        b"HTTP/1.1 403 Forbidden\r\n\r\n",
        Err((2043, "does not allow relay.invalid:7443: 403")),
    )
    .await;
    http(
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        Err((2044, "does not reach relay.invalid:7443: 502")),
    )
    .await;
    http(b"HTTP/1.0 503 x\r\n\r\n", Err((2044, "503"))).await;
    http(b"HTTP/1.1 504 x\r\n\r\n", Err((2044, "504"))).await;
    http(
        b"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n",
        Err((2049, "302 Found")),
    )
    .await;
    http(b"SSH-2.0-x\r\n", Err((2045, "no HTTP answer"))).await;
    http(b"\x05\xff", Err((2045, "no HTTP answer"))).await;
    http(b"", Err((2045, "without a word"))).await;
    http(
        b"HTTP/1.1 200 OK\r\n\r\nmore",
        Err((2045, "nobody asked for")),
    )
    .await;
}

#[tokio::test]
async fn a_proxy_that_says_too_much_or_too_slowly_is_left() {
    let endless = serve(|mut stream| {
        head(&mut stream);
        let _until_closed = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-More: and more\r\n").is_ok() {}
    });
    let told = through(&by_proxy("http", endless, 5000)).await;
    check(told, Err((2045, "")));
    let loris = serve(|mut stream| {
        for byte in b"HTTP/1.1 200 OK\r\nX-More: and more and more and more\r\n" {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(30));
        }
    });
    let told = through(&by_proxy("http", loris, 300)).await;
    check(told, Err((2047, "did not answer within 0.3 s")));
    let silent = serve(|stream| {
        thread::sleep(Duration::from_secs(20));
        drop(stream);
    });
    for scheme in ["http", "socks5"] {
        let told = through(&by_proxy(scheme, silent, 200)).await;
        check(told, Err((2047, "did not answer")));
    }
    // nobody there at all
    let free = TcpListener::bind((LOCAL, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let told = through(&by_proxy("http", free, 5000)).await;
    check(told, Err((2046, "the proxy http://127.0.0.1:")));
}

#[tokio::test]
async fn basic_credentials_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proxy");
    let asked = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&asked);
    let port = serve(move |mut stream| {
        let request = head(&mut stream);
        let right = request.contains("\r\nProxy-Authorization: Basic YW5uYTpzM2NyZXQ=\r\n");
        *noted.lock().unwrap() = request;
        if right {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            shout(stream);
        } else {
            stream
                .write_all(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n")
                .unwrap();
        }
    });
    let mut reach = by_proxy("http", port, 5000);
    reach.proxy_credentials = Some(path.clone());
    check(through(&reach).await, Err((2048, "No such file")));
    write_atomic(&path, b"anna:wrong\n", 0o600).unwrap();
    check(
        through(&reach).await,
        Err((2042, "check user and password")),
    );
    // a new password needs no restart
    write_atomic(&path, b"anna:s3cret\n", 0o600).unwrap();
    check(through(&reach).await, Ok("HELLO"));
    let asked = asked.lock().unwrap();
    let first = "CONNECT relay.invalid:7443 HTTP/1.1\r\nHost: relay.invalid:7443\r\n";
    assert!(asked.starts_with(first), "{asked}");
}

/// A SOCKS5 proxy that answers `method`, then `reply`, and notes what it was sent.
fn socks(
    method: &'static [u8],
    login: &'static [u8],
    reply: &'static [u8],
) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let noted = Arc::<Mutex<Vec<u8>>>::default();
    let note = Arc::clone(&noted);
    let port = serve(move |mut stream| {
        let take = |stream: &mut Plain| {
            let mut bytes = [0; 600];
            let count = stream.read(&mut bytes).unwrap_or(0);
            note.lock().unwrap().extend(&bytes[..count]);
        };
        take(&mut stream);
        let _gone = stream.write_all(method);
        if !login.is_empty() {
            take(&mut stream);
            let _gone = stream.write_all(login);
        }
        if !reply.is_empty() {
            take(&mut stream);
            let _gone = stream.write_all(reply);
            if reply[1] == 0 {
                shout(stream);
            }
        }
    });
    (port, noted)
}

#[tokio::test]
async fn every_answer_of_a_socks_proxy_has_its_code() {
    const NO: &[u8] = &[5, 0];
    for (method, reply, expected) in [
        (NO, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], Ok("HELLO")),
        (NO, &[5, 0, 0, 3, 3, b'a', b'b', b'c', 0, 0], Ok("HELLO")),
        (
            NO,
            &[5, 1, 0, 1, 0, 0, 0, 0, 0, 0],
            Err((2044, "general failure")),
        ),
        (
            NO,
            &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0],
            Err((2043, "not allowed by its rules")),
        ),
        (
            NO,
            &[5, 4, 0, 1, 0, 0, 0, 0, 0, 0],
            Err((2044, "host unreachable")),
        ),
        (
            NO,
            &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
            Err((2044, "connection refused")),
        ),
        (NO, &[5, 7, 0, 1, 0, 0, 0, 0, 0, 0], Err((2049, "reply 7"))),
        (
            NO,
            &[5, 0, 0, 9, 0, 0, 0, 0, 0, 0],
            Err((2045, "address of kind 9")),
        ),
        (
            NO,
            &[4, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            Err((2045, "version 4")),
        ),
        (NO, &[5, 0, 0, 4, 1], Ok("never")),
        (&[5, 0xff], &[], Err((2042, "set proxy_credentials_file"))),
        (&[5, 2], &[], Err((2045, "method 2, not offered"))),
        (&[4, 0], &[], Err((2045, "version 4"))),
        (
            b"HTTP/1.1 400 x\r\n\r\n",
            &[],
            Err((2045, "it speaks HTTP")),
        ),
        (&[5], &[], Err((2045, "in the middle"))),
    ] {
        let (port, _) = socks(method, b"", reply);
        let told = through(&by_proxy("socks5", port, 400)).await;
        if expected == Ok("never") {
            check(told, Err((2047, "did not answer")));
        } else {
            check(told, expected);
        }
    }
}

#[tokio::test]
async fn socks_gets_the_name_and_the_login() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proxy");
    write_atomic(&path, b"anna:s3:cret\n", 0o600).unwrap();
    let (port, noted) = socks(&[5, 2], &[1, 0], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let mut reach = by_proxy("socks5", port, 5000);
    reach.proxy_credentials = Some(path.clone());
    check(through(&reach).await, Ok("HELLO"));
    let mut wanted = vec![5, 2, 0, 2, 1, 4];
    wanted.extend(b"anna\x07s3:cret\x05\x01\x00\x03\x0drelay.invalid\x1d\x13");
    assert_eq!(*noted.lock().unwrap(), wanted);

    let (port, _) = socks(&[5, 2], &[1, 1], &[]);
    reach.proxy = Some(format!("socks5://127.0.0.1:{port}").parse().unwrap());
    check(
        through(&reach).await,
        Err((2042, "check user and password")),
    );
    write_atomic(&path, format!("{}:x", "a".repeat(256)).as_bytes(), 0o600).unwrap();
    check(
        through(&reach).await,
        Err((2042, "longer than SOCKS5 allows")),
    );
}

#[tokio::test]
async fn what_needs_no_proxy_goes_without() {
    let port = serve(shout);
    let mut reach = by_proxy("http", 9, 5000);
    reach.no_proxy = NoProxy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let (_stream, route) = open(&reach, &format!("127.0.0.1:{port}")).await.unwrap();
    assert_eq!((route.proxy, route.remote.port()), (None, port));
}

#[tokio::test]
async fn with_dns_down_or_slow_the_last_good_addresses_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let port = serve(shout);
    let target = format!("relay.dc:{port}");
    let dns = names(Answers::Fail);
    let with = |dns: &Arc<Names1>| {
        let dns: Arc<dyn Resolve> = Arc::<Names1>::clone(dns);
        let names = Names::new(dns, Some(LastGood::open(dir.path())));
        Reach {
            names: names.with_patience(Duration::from_millis(50)),
            ..reach(Arc::new(SystemResolver::default()))
        }
    };
    let reach = with(&dns);
    let error = open(&reach, &target).await.unwrap_err();
    assert_eq!(error.code(), NO_NAME);
    assert!(error.to_string().contains("name server is down"), "{error}");

    // an address counts as good only when the right one has answered there
    *dns.0.lock().unwrap() = Answers::Are(vec![LOCAL]);
    let (_, route) = open(&reach, &target).await.unwrap();
    assert_eq!(route.address_from, None);
    *dns.0.lock().unwrap() = Answers::Fail;
    assert_eq!(open(&reach, &target).await.unwrap_err().code(), NO_NAME);
    let now = Timestamp::from_millis(1_800_000_000_000);
    reach.worked(&route, now).await;

    // after a restart, too
    for reach in [reach, with(&dns)] {
        for answers in [Answers::Fail, Answers::Hang, Answers::Are(Vec::new())] {
            *dns.0.lock().unwrap() = answers;
            let (_, route) = open(&reach, &target).await.unwrap();
            assert_eq!((route.address_from, route.remote.port()), (Some(now), port));
            reach
                .worked(&route, now.plus(Duration::from_hours(9)))
                .await;
        }
        *dns.0.lock().unwrap() = Answers::Are(vec![LOCAL]);
        let (_, route) = open(&reach, &target).await.unwrap();
        assert_eq!(route.address_from, None, "it is looked up again");
    }
    let known = LastGood::read(dir.path()).unwrap();
    assert_eq!(
        known["relay.dc"].at, now,
        "an old address is no proof of itself"
    );
}

#[tokio::test]
async fn a_dead_name_server_holds_one_thread_a_name() {
    let resolver = SystemResolver::default();
    let (one, other) = (resolver.lookup("localhost"), resolver.lookup("localhost"));
    let (one, other) = tokio::join!(one, other);
    assert_eq!(one.unwrap(), other.unwrap());
}

#[tokio::test]
async fn a_black_hole_among_the_addresses_costs_a_moment() {
    // nobody listens at the first one; the second is the relay
    let port = serve(shout);
    let addresses = vec!["::1".parse().unwrap(), "127.0.0.77".parse().unwrap(), LOCAL];
    let reach = reach(names(Answers::Are(addresses)));
    let (_, route) = open(&reach, &format!("relay.dc:{port}")).await.unwrap();
    assert_eq!(route.remote.ip(), LOCAL);
}

#[tokio::test]
async fn sockets_come_from_the_source_and_are_kept_alive() {
    let (seen, peers) = std::sync::mpsc::channel();
    let port = serve(move |stream| {
        seen.send(stream.peer_addr().unwrap().ip()).unwrap();
        shout(stream);
    });
    let target = format!("127.0.0.1:{port}");
    let mut reach = reach(names(Answers::Fail));
    reach.socket = Socket {
        source: Some("127.0.0.9".parse().unwrap()),
        keepalive: Some(Duration::from_secs(33)),
    };
    let (stream, _) = open(&reach, &target).await.unwrap();
    assert_eq!(
        peers.recv().unwrap(),
        "127.0.0.9".parse::<IpAddr>().unwrap()
    );
    assert!(stream.nodelay().unwrap());
    assert!(sockopt::socket_keepalive(&stream).unwrap());
    assert_eq!(
        sockopt::tcp_keepidle(&stream).unwrap(),
        Duration::from_secs(33)
    );

    reach.socket.source = Some("192.0.2.77".parse().unwrap());
    let error = open(&reach, &target).await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().contains("192.0.2.77")),
        (SOURCE, true)
    );
    reach.socket.source = Some("::1".parse().unwrap());
    let error = open(&reach, &target).await.unwrap_err();
    assert!(
        error.to_string().contains("has IPv4 addresses only"),
        "{error}"
    );
}

/// Both ends of a link in a WebSocket, behind a real upgrade.
async fn websockets() -> (
    WebSocket<tokio::io::DuplexStream>,
    WebSocket<tokio::io::DuplexStream>,
) {
    let (near, mut far) = duplex(1000);
    let relay = async {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(far.read_u8().await.unwrap());
        }
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with("GET /.qc/link HTTP/1.1\r\nHost: relay:7443\r\n"),
            "{text}"
        );
        let answered = websocket::answer(&headers(&text)).unwrap();
        let mut answer = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
        for (name, value) in &answered {
            answer.push_str(name.as_str());
            answer.push_str(": ");
            answer.push_str(value.to_str().unwrap());
            answer.push_str("\r\n");
        }
        far.write_all(format!("{answer}\r\n").as_bytes())
            .await
            .unwrap();
        WebSocket::accepted(far).await
    };
    let target: Target = "relay:7443".parse().unwrap();
    let (near, far) = tokio::join!(WebSocket::ask(near, &target), relay);
    (near.unwrap(), far)
}

fn headers(text: &str) -> http::HeaderMap {
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines
        .map(|(name, value)| {
            let name = http::HeaderName::try_from(name).unwrap();
            (name, http::HeaderValue::try_from(value).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_link_in_a_websocket_is_the_same_bytes() {
    let (near, far) = websockets().await;
    let mut rng = fastrand::Rng::with_seed(5);
    let sent: Vec<u8> = std::iter::repeat_with(|| rng.u8(..))
        .take(700_000)
        .collect();
    let other: Vec<u8> = sent.iter().rev().copied().collect();
    let talk = async |stream: WebSocket<_>, out: &[u8], wanted: &[u8]| {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let sending = async {
            for part in out.chunks(150_000) {
                writer.write_all(part).await.unwrap();
            }
            writer.flush().await.unwrap();
        };
        let mut read = vec![0; wanted.len()];
        let ((), all) = tokio::join!(sending, reader.read_exact(&mut read));
        all.unwrap();
        assert!(read == wanted);
        reader.unsplit(writer)
    };
    let (mut near, mut far) = tokio::join!(talk(near, &sent, &other), talk(far, &other, &sent));
    // an end is an end
    let mut rest = Vec::new();
    let (shut, read) = tokio::join!(near.shutdown(), far.read_to_end(&mut rest));
    shut.unwrap();
    assert_eq!((read.unwrap(), rest), (0, Vec::new()));
}

/// What a relay makes of what a hostile client sends behind the upgrade.
async fn hostile(role: Role, send: Vec<Message>) -> std::io::Result<Vec<u8>> {
    use futures_util::SinkExt as _;
    let (near, far) = duplex(1 << 20);
    let mut client = WebSocketStream::from_raw_socket(near, role, None).await;
    let mut relay = WebSocket::accepted(far).await;
    for message in send {
        client.send(message).await.unwrap();
    }
    let mut read = vec![0; 3];
    relay.read_exact(&mut read).await?;
    Ok(read)
}

#[tokio::test]
async fn what_is_no_link_in_a_websocket_ends_it() {
    let binary = |length: usize| Message::Binary(vec![7; length].into());
    let pinged = vec![Message::Ping(b"x".to_vec().into()), binary(0), binary(3)];
    assert_eq!(hostile(Role::Client, pinged).await.unwrap(), [7; 3]);
    for (role, message) in [
        (Role::Client, Message::Text("hello".into())),
        (Role::Client, binary(websocket::MAX_MESSAGE + 1)),
        (Role::Server, binary(3)), // without a mask
        (Role::Client, Message::Close(None)),
    ] {
        assert!(hostile(role, vec![message]).await.is_err());
    }
    let largest = vec![binary(websocket::MAX_MESSAGE)];
    assert!(hostile(Role::Client, largest).await.is_ok());
}

#[tokio::test]
async fn only_the_right_answer_is_an_upgrade() {
    let target: Target = "relay:7443".parse().unwrap();
    for (answer, code, words) in [
        (
            "HTTP/1.1 401 No\r\n\r\n",
            2052,
            "breaks mutual TLS: our certificate did not come through",
        ),
        ("HTTP/1.1 404 Not Found\r\n\r\n", 2051, "404 Not Found"),
        ("HTTP/1.1 200 OK\r\n\r\n", 2051, "200 OK"),
        (
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: qc.1\r\n\r\n",
            2051,
            "not one to our upgrade",
        ),
        ("garbage\r\n\r\n", 2051, "no HTTP answer"),
    ] {
        let (near, mut far) = duplex(4096);
        far.write_all(answer.as_bytes()).await.unwrap();
        let Err(UpgradeError::Refused(error)) = WebSocket::ask(near, &target).await else {
            panic!("{answer} was taken");
        };
        assert_eq!(error.code().number(), code);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn only_the_right_request_is_answered() {
    let good = "Connection: keep-alive, Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Version: 13\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Protocol: chat, qc.1";
    let answer = websocket::answer(&headers(good)).unwrap();
    // the example of RFC 6455
    assert_eq!(
        answer["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    for (from, to) in [
        ("WebSocket", "h2c"),
        ("Upgrade\n", "close\n"),
        ("13", "8"),
        ("dGhl", "****"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"),
        ("qc.1", "qc.2"),
    ] {
        let bad = headers(&good.replacen(from, to, 1));
        assert!(websocket::answer(&bad).is_err(), "{from} -> {to}");
    }
}

#[tokio::test]
async fn a_lookup_that_fails_is_asked_again() {
    struct Counting(AtomicUsize);
    impl Resolve for Counting {
        fn lookup<'a>(&'a self, _host: &'a str) -> Lookup<'a> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Err(std::io::Error::other("down")) })
        }
    }
    let counting = Arc::new(Counting(AtomicUsize::new(0)));
    let resolver: Arc<dyn Resolve> = Arc::<Counting>::clone(&counting);
    let reach = reach(resolver);
    for _ in 0..3 {
        assert!(open(&reach, "relay.dc:1").await.is_err());
    }
    assert_eq!(counting.0.load(Ordering::SeqCst), 3);
}
