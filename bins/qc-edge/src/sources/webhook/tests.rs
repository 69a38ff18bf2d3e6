//! The webhook over real TCP, as `curl` and hostile senders use it.

use qc_core::clock::SystemClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::testing::{Kept, full};
use super::*;

struct Running {
    address: SocketAddr,
    kept: Kept,
    activity: Activity,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn start(config: WebhookConfig) -> Running {
    let (kept, activity) = (Kept::default(), Activity::default());
    let node = "edge-1.mill.acme".parse().unwrap();
    let clock = Arc::new(SystemClock::default());
    let webhook = Webhook::new("hooks", &config, &node, clock, activity.clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let run = webhook.run(listener, kept.clone(), async {
        let _either = stopped.await;
    });
    #[expect(clippy::disallowed_methods, reason = "ended by the test itself")]
    let ended = tokio::spawn(run);
    Running {
        address,
        kept,
        activity,
        stop,
        ended,
    }
}

impl Running {
    async fn post(&self, headers: &str, body: &str) -> String {
        let length = body.len();
        self.send(&format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
        .await
    }

    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _reset_after_the_answer = tokio::time::timeout(Duration::from_secs(5), read).await;
        String::from_utf8(answer).unwrap()
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

#[tokio::test]
async fn a_repeated_delivery_is_kept_once() {
    let running = start(WebhookConfig::default()).await;
    let first = running.post("Idempotency-Key: 1\r\n", "{\"a\":1}").await;
    assert_eq!(status(&first), "201", "{first}");
    assert!(
        first.ends_with("{\"seq\":1,\"node\":\"edge-1.mill.acme\"}"),
        "{first}"
    );
    let second = running.post("Idempotency-Key: 1\r\n", "{\"a\":1}").await;
    assert_eq!(status(&second), "200", "{second}");
    assert!(second.contains("\"duplicate\":true"));
    let kept = running.kept.messages.lock().unwrap().clone();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (
            kept[0].envelope.source.as_str(),
            kept[0].envelope.kind.as_str()
        ),
        ("/edge-1.mill.acme/hooks", "qc.webhook")
    );
    let counted = running.activity.snapshot();
    assert_eq!((counted.done, counted.duplicates), (1, 1));
    running.stop.send(()).unwrap();
    running.ended.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn only_signed_bodies_pass_when_there_is_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    qc_core::durable::write_atomic(&path, b"s3cret\n", 0o600).unwrap();
    let running = start(WebhookConfig {
        hmac_secret_file: Some(path),
        dedupe_header: "X-GitHub-Delivery".to_owned(),
        ..WebhookConfig::default()
    })
    .await;
    let signer = Signer::new(b"s3cret");
    let signature = signer.hub_signature(&Bytes::from_static(b"hello"));
    let signed = format!("X-Hub-Signature-256: {signature}\r\nX-GitHub-Delivery: d-1\r\n");
    for (headers, body, expected) in [
        (signed.as_str(), "hello", "201"),
        (signed.as_str(), "hello", "200"),
        (signed.as_str(), "hellO", "401"),
        ("", "hello", "401"),
        ("X-Hub-Signature-256: sha256=00\r\n", "hello", "401"),
    ] {
        let answer = running.post(headers, body).await;
        assert_eq!(status(&answer), expected, "{answer}");
    }
    assert_eq!(running.kept.len(), 1);
    assert_eq!(running.activity.snapshot().refused, 3);
}

#[tokio::test]
async fn cloudevents_come_in_every_form() {
    let running = start(WebhookConfig::default()).await;
    let binary = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n";
    assert_eq!(status(&running.post(binary, "x").await), "201");
    let event = r#"{"specversion":"1.0","id":"2","source":"/s","type":"t"}"#;
    let structured = "Content-Type: application/cloudevents+json\r\n";
    assert_eq!(status(&running.post(structured, event).await), "201");
    let batch = "Content-Type: application/cloudevents-batch+json\r\n";
    let answer = running.post(batch, &format!("[{event}]")).await;
    assert!(
        answer.ends_with("[{\"seq\":2,\"node\":\"edge-1.mill.acme\",\"duplicate\":true}]"),
        "{answer}"
    );
    assert_eq!(status(&running.post(structured, "{}").await), "400");
}

#[tokio::test]
async fn hostile_senders_are_bounded() {
    let running = start(WebhookConfig {
        max_body: Size(1000),
        ..WebhookConfig::default()
    })
    .await;
    let announced = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(status(&running.send(announced).await), "413");
    let chunk = format!("100\r\n{}\r\n", "x".repeat(256)).repeat(8);
    let chunked =
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
    assert_eq!(status(&running.send(&chunked).await), "413");
    let many: String = ["X-A: 1\r\n"; 70].concat();
    assert_eq!(status(&running.post(&many, "x").await), "431");
    let smuggled = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = running.send(smuggled).await;
    assert_ne!(status(&answer), "201", "{answer}");
    for (line, expected) in [("GET /", "405"), ("POST /other", "404")] {
        let request =
            format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(status(&running.send(&request).await), expected);
    }
    assert_eq!(running.kept.len(), 0);
}

#[tokio::test]
async fn a_full_buffer_answers_507() {
    let running = start(WebhookConfig::default()).await;
    *running.kept.refuse_with.lock().unwrap() = Some(full(Duration::from_secs(5)));
    let answer = running.post("", "x").await;
    assert_eq!(status(&answer), "507", "{answer}");
    assert!(answer.contains("retry-after: 5"), "{answer}");
    *running.kept.refuse_with.lock().unwrap() = None;
    assert_eq!(status(&running.post("", "x").await), "201");
}

#[test]
fn the_configuration_is_strict() {
    let config: WebhookConfig =
        serde_json::from_str(r#"{"listen":"127.0.0.1:1","max_body":"2MiB"}"#).unwrap();
    assert_eq!(config.max_body, Size(2 << 20));
    assert!(serde_json::from_str::<WebhookConfig>(r#"{"lisen":"127.0.0.1:1"}"#).is_err());
}
