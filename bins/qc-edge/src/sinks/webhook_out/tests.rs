//! Against a small server on loopback that says what it is told to say.

use std::sync::Mutex;

use qc_core::backoff::Backoff;
use qc_core::clock::SystemClock;
use qc_core::model::{Epoch, Message, Seq};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::{Fate, Feed, Leftover, run_sink};
use super::*;
use crate::sources::Activity;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers the requests with `answers` in turn, then closes; remembers the requests.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(answers: &[&'static str], tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers.to_vec()));
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&requests);
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                match &tls {
                    None => serve(stream, &answers, &seen).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, &answers, &seen).await;
                        }
                    }
                }
            }
        });
        Self {
            port,
            requests,
            _tasks: tasks,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answers: &Mutex<Vec<&'static str>>,
    seen: &Mutex<Vec<String>>,
) {
    let mut buffer = Vec::new();
    loop {
        let whole = loop {
            if let Some(length) = request_length(&buffer) {
                break length;
            }
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let request: Vec<u8> = buffer.drain(..whole).collect();
        seen.lock()
            .unwrap()
            .push(String::from_utf8(request).unwrap());
        let answer = {
            let mut answers = answers.lock().unwrap();
            if answers.is_empty() {
                OK
            } else {
                answers.remove(0)
            }
        };
        if answer.is_empty() || stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The length of the first request in `buffer`, once all of it is there.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
        .unwrap_or(0);
    (buffer.len() >= head + length).then_some(head + length)
}

fn delivery(seq: u64) -> Delivery {
    let mut envelope = Envelope::new(seq.to_string(), "/s", "t");
    envelope.subject = Some("Z\u{fc}rich 1".to_owned());
    envelope.content_type = Some("application/json".to_owned());
    Delivery {
        stream: "acme/orders".parse().unwrap(),
        epoch: Epoch(1),
        seq: Seq(seq),
        message: Message {
            envelope,
            body: Bytes::from_static(b"{\"a\":1}"),
        },
        part: qc_core::model::Part::WHOLE,
    }
}

fn open(config: &WebhookOutConfig) -> WebhookOut {
    WebhookOut::open(config, Arc::new(SystemClock::default())).unwrap()
}

#[tokio::test]
async fn binary_and_structured_are_signed_and_share_a_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    qc_core::durable::write_atomic(&path, b"s3cret", 0o600).unwrap();
    let server = Server::start(&[], None).await;
    let mut config = WebhookOutConfig::new(server.url());
    config.secret_file = Some(path);
    let mut binary = open(&config);
    binary.deliver(&delivery(1)).await.unwrap();
    binary.deliver(&delivery(1)).await.unwrap();
    drop(binary);
    config.format = EventFormat::Structured;
    open(&config).deliver(&delivery(1)).await.unwrap();

    let requests = server.requests();
    let signature = Signer::new(b"s3cret").hub_signature(&delivery(1).message.body);
    for line in [
        "POST /hook HTTP/1.1",
        "ce-id: 1",
        "ce-subject: Z%C3%BCrich%201",
        "content-type: application/json",
        &format!("x-hub-signature-256: {signature}"),
        &format!("host: 127.0.0.1:{}", server.port),
    ] {
        assert!(
            requests[0].lines().any(|found| found == line),
            "{line} in {}",
            requests[0]
        );
    }
    let id = |request: &str| {
        request
            .lines()
            .find_map(|line| line.strip_prefix("webhook-id: "))
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        id(&requests[0]),
        id(&requests[1]),
        "the same message has the same id"
    );
    assert_eq!(id(&requests[0]), id(&requests[2]));
    assert!(requests[0].contains("webhook-signature: v1,"));
    assert!(requests[2].contains("content-type: application/cloudevents+json"));
    assert!(
        requests[2].ends_with("\"data\":{\"a\":1}}"),
        "{}",
        requests[2]
    );
}

#[tokio::test]
async fn answers_mean_delivered_again_or_never() {
    let answers = [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 x\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\n",
        "",
        "nonsense\r\n\r\n",
    ];
    let server = Server::start(&answers, None).await;
    let mut sink = open(&WebhookOutConfig::new(server.url()));
    let mut next = async || sink.deliver(&delivery(1)).await;
    assert_eq!(next().await, Ok(()));
    let error = next().await.unwrap_err();
    assert!(
        matches!(error, DeliverError::Retry { after: Some(after), .. } if after.as_secs() == 7)
    );
    assert!(matches!(
        next().await.unwrap_err(),
        DeliverError::Retry { after: None, .. }
    ));
    let redirect = next().await.unwrap_err().to_string();
    assert_eq!(
        redirect,
        "the webhook answered 302; redirects are not followed"
    );
    assert!(matches!(
        next().await.unwrap_err(),
        DeliverError::Poison { code: "QC4207", .. }
    ));
    // the connection breaks, the next one too: nothing is lost, it is tried again later
    assert!(matches!(
        next().await.unwrap_err(),
        DeliverError::Retry { .. }
    ));
    assert_eq!(next().await, Ok(()));
}

struct Two(u64, Arc<Mutex<Vec<(u64, Fate)>>>);

impl Feed for Two {
    async fn next(&mut self) -> Option<Delivery> {
        self.0 += 1;
        (self.0 <= 2).then(|| delivery(self.0))
    }

    async fn settle(&mut self, delivery: &Delivery, fate: Fate) -> Result<(), String> {
        self.1.lock().unwrap().push((delivery.seq.0, fate));
        Ok(())
    }

    async fn keep(&mut self, leftover: &Leftover) -> Result<(), String> {
        panic!("nothing was begun: {leftover:?}")
    }
}

#[tokio::test]
async fn a_busy_webhook_gets_every_message_in_order_after_its_pause() {
    let busy = "HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(&[busy], None).await;
    let sink = open(&WebhookOutConfig::new(server.url()));
    let settled = Arc::new(Mutex::new(Vec::new()));
    let activity = Activity::default();
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2)).unwrap();
    let started = SystemClock::machine_time();
    let feed = Two(0, Arc::clone(&settled));
    let clock = Arc::new(SystemClock::default());
    run_sink(
        sink,
        feed,
        backoff,
        clock,
        activity.clone(),
        std::future::pending(),
    )
    .await;
    assert!(SystemClock::machine_time().since(started) >= Duration::from_millis(990));
    assert_eq!(
        *settled.lock().unwrap(),
        [(1, Fate::Delivered), (2, Fate::Delivered)]
    );
    let ids: Vec<bool> = server
        .requests()
        .iter()
        .map(|r| r.contains("ce-id: 1\r\n"))
        .collect();
    assert_eq!(ids, [true, true, false]);
    assert_eq!(
        (activity.snapshot().done, activity.snapshot().retries),
        (2, 1)
    );
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_or_never_ends_is_left() {
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n";
    let server = Server::start(&[endless, "HTTP/1.1 200"], None).await;
    let mut config = WebhookOutConfig::new(server.url());
    config.timeout = Wait(Duration::from_millis(100));
    let mut sink = open(&config);
    for _ in 0..2 {
        let error = sink.deliver(&delivery(1)).await.unwrap_err();
        assert_eq!(error, DeliverError::retry("no answer within 100 ms"));
    }
}

#[tokio::test]
async fn link_local_addresses_are_not_connected_to_in_any_spelling() {
    for host in [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "0xa9fea9fe",
        "2852039166",
        "[fe80::1]",
    ] {
        let mut sink = open(&WebhookOutConfig::new(format!(
            "http://{host}/latest/meta-data"
        )));
        let error = sink.deliver(&delivery(1)).await.unwrap_err().to_string();
        assert!(
            error.starts_with("QC4206") || error.starts_with("cannot resolve"),
            "{host}: {error}"
        );
    }
    let mut nobody = open(&WebhookOutConfig::new("http://127.0.0.1:1/"));
    let error = nobody.deliver(&delivery(1)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot connect to 127.0.0.1:1"),
        "{error}"
    );
}

#[tokio::test]
async fn https_needs_a_certificate_from_the_ca_file() {
    let dir = tempfile::tempdir().unwrap();
    let issued = |file: &str| {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let issued = rcgen::generate_simple_self_signed(names).unwrap();
        let path = dir.path().join(file);
        qc_core::durable::write_atomic(&path, issued.cert.pem().as_bytes(), 0o600).unwrap();
        (issued, path)
    };
    let (server_cert, right) = issued("right.pem");
    let (_, wrong) = issued("wrong.pem");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(
        server_cert.signing_key.serialize_der(),
    ));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![server_cert.cert.der().clone()], key)
        .unwrap();
    let server = Server::start(&[], Some(Arc::new(config).into())).await;
    let mut config = WebhookOutConfig::new(format!("https://127.0.0.1:{}/", server.port));
    config.ca_file = Some(wrong);
    let error = open(&config)
        .deliver(&delivery(1))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("TLS with 127.0.0.1"), "{error}");
    config.ca_file = Some(right);
    open(&config).deliver(&delivery(1)).await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = Timestamp::parse_rfc3339("1994-11-06T08:49:07Z").unwrap();
    for (text, seconds) in [
        ("120", Some(120)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("4000000000", Some(86_400)),
        ("soon", None),
        ("-1", None),
        ("Sunday, 06-Nov-94 08:49:37 GMT", None),
    ] {
        let wait = parse_retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(wait, seconds, "{text}");
    }
}
