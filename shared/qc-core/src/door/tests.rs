//! The door through its router, before a small stream that keeps what it takes.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower_service::Service as _;

use super::*;
use crate::model::Lane;
use crate::parts::{Sizes, WholeError};
use crate::store::{Draft, Outcome};
use crate::streams::Receipt;

/// Keeps one stream, `acme/orders`, and gives repeated (source, id) their first number again.
#[derive(Clone)]
struct TestDoor {
    kept: Arc<Mutex<Vec<Message>>>,
    changed: watch::Sender<()>,
    full: bool,
}

impl TestDoor {
    fn new() -> Self {
        Self {
            kept: Arc::default(),
            changed: watch::Sender::new(()),
            full: false,
        }
    }

    fn keep(&self, message: Message) -> Published {
        let mut kept = self.kept.lock().unwrap();
        let same = |other: &Message| {
            (&other.envelope.source, &other.envelope.id)
                == (&message.envelope.source, &message.envelope.id)
        };
        let known = kept.iter().position(same);
        let at = known.unwrap_or(kept.len());
        if known.is_none() {
            kept.push(message);
        }
        self.changed.send_replace(());
        Published {
            seq: Seq(at as u64 + 1),
            duplicate: known.is_some(),
        }
    }

    fn after(&self, query: &ReadQuery) -> Vec<Entry> {
        let kept = self.kept.lock().unwrap();
        let numbered = kept.iter().enumerate().map(|(at, message)| Entry {
            seq: Seq(at as u64 + 1),
            message: message.clone(),
            long: None,
        });
        numbered
            .filter(|entry| entry.seq > query.after)
            .take(query.limit)
            .collect()
    }
}

impl Door for TestDoor {
    async fn publish(
        &self,
        caller: &Caller,
        stream: &StreamName,
        messages: Vec<Message>,
    ) -> Result<Vec<Published>, Problem> {
        if self.full {
            return Err(Problem::full("no room", Duration::from_millis(1500)));
        }
        check_stream(stream)?;
        if caller
            .node
            .as_ref()
            .is_some_and(|node| node.tenant() != stream.tenant())
        {
            return Err(Problem::forbidden("another tenant's stream"));
        }
        Ok(messages
            .into_iter()
            .map(|message| self.keep(message))
            .collect())
    }

    async fn read(
        &self,
        _: &Caller,
        stream: &StreamName,
        query: ReadQuery,
    ) -> Result<Entries, Problem> {
        check_stream(stream)?;
        let mut changed = self.changed.subscribe();
        let wait = tokio::time::timeout(query.wait, async {
            while self.after(&query).is_empty() {
                changed.changed().await.unwrap();
            }
        });
        let _either = wait.await;
        let entries = self.after(&query);
        let through = entries.last().map_or(query.after, |entry| entry.seq);
        Ok(Entries { entries, through })
    }

    fn upload(
        &self,
        _: &Caller,
        stream: &StreamName,
        envelope: Envelope,
    ) -> Result<Upload, Problem> {
        check_stream(stream)?;
        let (kept, part) = (Arc::clone(&self.kept), envelope.clone());
        // each part as a message of its own, to be looked at
        let submit = move |draft: Draft| -> Receipt {
            let mut kept = kept.lock().unwrap();
            let (envelope, body) = (part.clone(), draft.body);
            kept.push(Message { envelope, body });
            let seq = Seq(kept.len() as u64);
            Box::pin(async move { Ok(vec![Outcome::Stored { seq }]) })
        };
        let sizes = Sizes {
            whole: self.limits().body as u64,
            ..Sizes::PRODUCT
        };
        Ok(Upload::new(
            &envelope,
            Lane::Normal,
            sizes,
            Box::new(submit),
        ))
    }

    async fn whole(&self, _: &Caller, stream: &StreamName, _: Seq) -> Result<Whole, Problem> {
        check_stream(stream)?;
        Err(WholeError::None.into())
    }

    fn node(&self) -> String {
        "hub.centre.acme".to_owned()
    }

    fn limits(&self) -> Limits {
        Limits {
            body: 2000,
            headers: 12,
            header_bytes: 1000,
            deadline: Duration::from_millis(200),
            ..Limits::default()
        }
    }
}

fn check_stream(stream: &StreamName) -> Result<(), Problem> {
    match stream.as_str() {
        "acme/orders" => Ok(()),
        other => Err(Problem::unknown_stream(other)),
    }
}

type Headers<'a> = &'a [(&'a str, &'a str)];

const PATH: &str = "/v1/streams/acme/orders";

async fn ask(
    door: &TestDoor,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).unwrap();
    router(door.clone()).call(request).await.unwrap()
}

async fn post(door: &TestDoor, headers: &[(&str, &str)], body: &str) -> (StatusCode, Value) {
    shown(ask(door, Method::POST, PATH, headers, body.to_owned()).await)
        .await
        .0
}

async fn shown(answer: Answer) -> ((StatusCode, Value), HeaderMap) {
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    ((parts.status, json), parts.headers)
}

#[tokio::test]
async fn every_form_is_published_and_repeated() {
    let door = TestDoor::new();
    let structured = r#"{"specversion":"1.0","id":"2","source":"/s","type":"t","data":{"n":2}}"#;
    let cases: [(&[(&str, &str)], String); 4] = [
        (
            &[
                ("ce-specversion", "1.0"),
                ("ce-id", "1"),
                ("ce-source", "/s"),
                ("ce-type", "t"),
                ("content-type", "text/plain"),
            ],
            "binary".to_owned(),
        ),
        (
            &[(
                "content-type",
                "application/cloudevents+json; charset=UTF-8",
            )],
            structured.to_owned(),
        ),
        (
            &[("content-type", "application/cloudevents-batch+json")],
            format!("[{}]", structured.replace('2', "3")),
        ),
        (
            &[
                ("content-type", "text/csv"),
                ("idempotency-key", "\"key-1\""),
            ],
            "a,b\n".to_owned(),
        ),
    ];
    for (at, (headers, body)) in cases.into_iter().enumerate() {
        let receipt = json!({"seq": at + 1, "node": "hub.centre.acme"});
        let repeated = json!({"seq": at + 1, "node": "hub.centre.acme", "duplicate": true});
        let (first, second) = if at == 2 {
            (json!([receipt]), json!([repeated]))
        } else {
            (receipt, repeated)
        };
        assert_eq!(
            post(&door, headers, &body).await,
            (StatusCode::CREATED, first)
        );
        assert_eq!(post(&door, headers, &body).await, (StatusCode::OK, second));
    }
    let kept = door.kept.lock().unwrap().clone();
    assert_eq!(kept[0].body, "binary");
    assert_eq!(kept[1].body, r#"{"n":2}"#);
    let raw = &kept[3].envelope;
    assert_eq!(
        (
            raw.id.as_str(),
            raw.source.as_str(),
            raw.kind.as_str(),
            raw.content_type.as_deref()
        ),
        ("key-1", "/hub.centre.acme/http", "qc.raw", Some("text/csv"))
    );
}

#[tokio::test]
async fn a_body_without_a_key_gets_an_id_of_its_own() {
    let door = TestDoor::new();
    for seq in 1..=2 {
        let (status, receipt) = post(&door, &[], "same").await;
        assert_eq!(
            (status, &receipt["seq"]),
            (StatusCode::CREATED, &json!(seq))
        );
    }
}

#[tokio::test]
async fn one_segment_names_the_same_stream_and_the_caller_is_the_source() {
    let door = TestDoor::new();
    let request = Request::post("/v1/streams/acme%2Forders")
        .extension(Caller {
            node: Some("edge-1.mill.acme".parse().unwrap()),
            remote: None,
        })
        .body(Body::from("x"))
        .unwrap();
    let answer = router(door.clone()).call(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(
        door.kept.lock().unwrap()[0].envelope.source,
        "/edge-1.mill.acme"
    );
    let request = Request::post(PATH)
        .extension(Caller {
            node: Some("edge-1.mill.other".parse().unwrap()),
            remote: None,
        })
        .body(Body::from("x"))
        .unwrap();
    let answer = router(door).call(request).await.unwrap();
    assert_eq!(shown(answer).await.0.1["code"], "QC4004");
}

#[tokio::test]
async fn every_refusal_has_its_status_and_code() {
    let event = ("content-type", "application/cloudevents+json");
    let batch = ("content-type", "application/cloudevents-batch+json");
    let large = "x".repeat(2001);
    let many: Vec<(String, &str)> = (0..13).map(|n| (format!("x-{n}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    let wide = "y".repeat(1000);
    let cases: [(Headers<'_>, &str, u16, &str); 13] = [
        (&[event], "{}", 400, "QC4002"),
        (&[event], "{\"secret\"", 400, "QC4002"),
        (&[batch], "[{}]", 400, "QC4002"),
        (&[("ce-id", "1")], "x", 400, "QC4002"),
        (&[("idempotency-key", "")], "x", 400, "QC4001"),
        (&[("content-type", "nonsense")], "x", 400, "QC4002"),
        (&[], "", 411, "QC4008"),
        (&[event], "", 411, "QC4008"),
        (&[], &large, 413, "QC4009"),
        (
            &[("content-type", "application/cloudevents+avro")],
            "x",
            415,
            "QC4010",
        ),
        (&[("content-encoding", "gzip")], "x", 415, "QC4010"),
        (&many, "x", 431, "QC4013"),
        (&[("x-wide", &wide)], "x", 431, "QC4013"),
    ];
    let door = TestDoor::new();
    for (headers, body, status, code) in cases {
        let answer = ask(&door, Method::POST, PATH, headers, body.to_owned()).await;
        let ((found, problem), headers_out) = shown(answer).await;
        assert_eq!(
            (found.as_u16(), &problem["code"]),
            (status, &json!(code)),
            "{headers:?}"
        );
        assert_eq!(headers_out["content-type"], "application/problem+json");
        assert_eq!(problem["status"], json!(status));
        assert_eq!(
            problem["type"],
            json!(format!("urn:quick-connect:problem:{code}"))
        );
        assert!(!problem.to_string().contains("secret"));
    }
    for (method, path, status, code) in [
        (Method::POST, "/v1/streams/acme/nobody", 404, "QC4005"),
        (Method::POST, "/v1/streams/ACME/x", 400, "QC4001"),
        (Method::GET, "/v1/streams/acme", 400, "QC4001"),
        (Method::DELETE, PATH, 405, "QC4006"),
        (
            Method::GET,
            "/v1/streams/acme/orders?after=x",
            400,
            "QC4001",
        ),
    ] {
        let ((found, problem), _) = shown(ask(&door, method, path, &[], "x").await).await;
        assert_eq!(
            (found.as_u16(), &problem["code"]),
            (status, &json!(code)),
            "{path}"
        );
    }
    assert!(door.kept.lock().unwrap().is_empty());
}

#[tokio::test]
async fn full_says_when_to_come_back() {
    let door = TestDoor {
        full: true,
        ..TestDoor::new()
    };
    let answer = ask(&door, Method::POST, PATH, &[], "x").await;
    let ((status, problem), headers) = shown(answer).await;
    assert_eq!((status.as_u16(), &problem["code"]), (507, &json!("QC4016")));
    assert_eq!(headers["retry-after"], "2");
}

/// A body that sends `chunks` and then stops without ending.
struct Stalled(Vec<&'static str>);

impl hyper::body::Body for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        match self.0.pop() {
            Some(chunk) => std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(chunk.into())))),
            None => std::task::Poll::Pending,
        }
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_by_size_and_by_time() {
    let door = TestDoor::new();
    let slow = ask(
        &door,
        Method::POST,
        PATH,
        &[],
        Body::new(Stalled(vec!["a", "b"])),
    )
    .await;
    assert_eq!(shown(slow).await.0.1["code"], "QC4007");
    let chunk = "0123456789";
    let long = ask(
        &door,
        Method::POST,
        PATH,
        &[],
        Body::new(Stalled(vec![chunk; 201])),
    )
    .await;
    let ((status, _), headers) = shown(long).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(headers["connection"], "close");
}

#[tokio::test]
async fn reads_pages_batches_and_waits() {
    let door = TestDoor::new();
    for body in ["{\"n\":1}", "two"] {
        post(&door, &[("idempotency-key", body)], body).await;
    }
    let get = |query: &'static str, accept: &'static str| {
        let door = door.clone();
        async move {
            let path = format!("{PATH}?{query}");
            shown(
                ask(
                    &door,
                    Method::GET,
                    &path,
                    &[("accept", accept)],
                    Body::empty(),
                )
                .await,
            )
            .await
        }
    };
    let ((_, page), _) = get("limit=1", "*/*").await;
    assert_eq!(
        (&page["next"], &page["events"][0]["seq"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(page["events"][0]["event"]["data"], json!({"n": 1}));
    let ((_, page), _) = get("after=2", "*/*").await;
    assert_eq!(page, json!({"events": [], "next": 2}));
    let ((_, batch), headers) = get("after=1", cloudevents_batch()).await;
    assert_eq!(headers["content-type"], cloudevents_batch());
    assert_eq!(
        (&batch[0]["qcseq"], &batch[0]["data_base64"]),
        (&json!("2"), &json!("dHdv"))
    );
    let waiting = get("after=2&wait=5s", "*/*");
    let publishing = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        post(&door, &[], "three").await;
    };
    let (((_, page), _), ()) = tokio::join!(waiting, publishing);
    assert_eq!(page["next"], json!(3));
}

fn cloudevents_batch() -> &'static str {
    crate::cloudevents::BATCH_JSON
}

#[tokio::test]
async fn server_sent_events_go_on_from_the_last_id() {
    let door = TestDoor::new();
    for n in ["1", "2"] {
        post(&door, &[("idempotency-key", n)], "[1,\n2]").await;
    }
    let headers = [("accept", "text/event-stream"), ("last-event-id", "1")];
    let answer = ask(&door, Method::GET, PATH, &headers, Body::empty()).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(frame.to_vec()).unwrap()
    };
    let event = next().await;
    assert!(
        event.starts_with("id: 2\ndata: {\"specversion\""),
        "{event}"
    );
    assert!(event.ends_with("\"data\":[1,\ndata: 2]}\n\n"), "{event}");
    let publishing = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        post(&door, &[], "3").await;
    };
    let (event, ()) = tokio::join!(next(), publishing);
    assert!(event.starts_with("id: 3\n"), "{event}");
    let refused = ask(
        &door,
        Method::GET,
        "/v1/streams/a/b",
        &headers[..1],
        Body::empty(),
    )
    .await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_webhook_handshake_grants_the_origin_and_calls_nobody() {
    let door = TestDoor::new();
    let headers = [
        ("webhook-request-origin", "eventemitter.example.com"),
        ("webhook-request-callback", "http://169.254.169.254/"),
        ("webhook-request-rate", "120"),
    ];
    let answer = ask(&door, Method::OPTIONS, PATH, &headers, Body::empty()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        answer.headers()["webhook-allowed-origin"],
        "eventemitter.example.com"
    );
    assert_eq!(answer.headers()["webhook-allowed-rate"], "*");
    assert!(answer.headers()["allow"].to_str().unwrap().contains("POST"));
    let plain = ask(&door, Method::OPTIONS, PATH, &[], Body::empty()).await;
    assert_eq!(plain.status(), StatusCode::NO_CONTENT);
}

/// A body of nobody knows how many bytes, each chunk after a time.
fn trickle(chunks: Vec<(u64, Bytes)>) -> Body {
    let chunks = futures_util::stream::iter(chunks);
    Body::from_stream(futures_util::StreamExt::then(
        chunks,
        |(millis, chunk)| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok::<_, std::convert::Infallible>(chunk)
        },
    ))
}

#[tokio::test]
async fn a_body_that_does_not_state_its_length_is_long_when_it_is() {
    let short = Bytes::from_static(b"short");
    let all = begin_body(
        &mut trickle(vec![(0, short.clone())]),
        Duration::from_secs(5),
    )
    .await;
    assert_eq!(all, Ok(Beginning::All(short)));
    let half = Bytes::from(vec![1; Limits::MAX_BODY / 2 + 1]);
    let chunks = vec![(0, half.clone()), (0, half.clone()), (0, half.clone())];
    let mut body = trickle(chunks);
    let begun = begin_body(&mut body, Duration::from_secs(5)).await;
    assert!(matches!(begun, Ok(Beginning::Part(begun)) if begun.len() == 2 * half.len()));
    let rest = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(rest, half);
}

#[tokio::test]
async fn a_slow_disk_is_not_a_slow_sender() {
    let sizes = Sizes {
        record: 10,
        part: 30,
        whole: 1000,
    };
    let upload = || {
        let submit = |_: Draft| -> Receipt {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(1200)).await;
                Ok(vec![Outcome::Stored { seq: Seq(1) }])
            })
        };
        let envelope = Envelope::new("1", "/s", "t");
        Upload::new(&envelope, Lane::Normal, sizes, Box::new(submit))
    };
    let chunk = Bytes::from_static(&[1; 30]);
    let deadline = Duration::from_secs(1);
    let mut body = trickle(vec![(200, chunk.clone()), (200, chunk.clone())]);
    assert_eq!(pour(&mut body, &mut upload(), deadline).await, Ok(()));
    let mut body = trickle(vec![(600, chunk.clone()), (600, chunk)]);
    let slow = pour(&mut body, &mut upload(), deadline).await;
    assert_eq!(slow, Err(PourError::Slow(deadline)));
}
