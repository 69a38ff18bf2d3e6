//! `curl` and nothing else: publish and read `CloudEvents` with a client certificate.

use std::path::Path;

use qc_tests::{Answer, Curl, Site};

const PATH: &str = "/v1/streams/acme/lab-results";

#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status);
    assert!(problem["detail"].is_string() && problem["title"].is_string());
}

fn post(curl: &Curl, content_type: &str, more: &[&str], body: &[u8]) -> Answer {
    let content_type = format!("Content-Type: {content_type}");
    curl.call(PATH, &[&["-H", &content_type][..], more].concat(), body)
}

#[test]
fn curl_publishes_and_reads_every_form() {
    let site = Site::new();
    let mut relay = site.relay("");
    relay.start();
    let app = site.curl(Some("app"));

    // binary: the body as it is, attributes in headers
    let push = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/github-webhooks/push.json");
    // without its last line break, which is no part of a JSON document
    let push = std::fs::read(push).unwrap().trim_ascii_end().to_vec();
    let binary = [
        "-H",
        "ce-specversion: 1.0",
        "-H",
        "ce-id: push-1",
        "-H",
        "ce-source: /github",
        "-H",
        "ce-type: com.github.push",
        "-H",
        "ce-subject: main",
    ];
    let first = post(&app, "application/json", &binary, &push);
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.json()["seq"], 1);
    assert_eq!(first.json()["node"], "relay-1.hq.acme");

    // structured: one document
    let event = r#"{"specversion":"1.0","id":"s-1","source":"/lab","type":"t","data":{"ph":7.1}}"#;
    let structured = "application/cloudevents+json";
    let second = post(&app, structured, &[], event.as_bytes());
    assert_eq!(
        (second.status, second.json()["seq"].clone()),
        (201, 2.into())
    );

    // a batch
    let one = |id: &str| event.replace("s-1", id);
    let batch = format!("[{},{}]", one("b-1"), one("b-2"));
    let third = post(
        &app,
        "application/cloudevents-batch+json",
        &[],
        batch.as_bytes(),
    );
    assert_eq!(third.status, 201, "{third:?}");
    assert_eq!(third.json()[1]["seq"], 4);

    // any body at all, and the same once more
    let key = ["-H", "Idempotency-Key: raw-1"];
    let fourth = post(&app, "text/csv", &key, b"a,b\n1,2\n");
    assert_eq!(
        (fourth.status, fourth.json()["seq"].clone()),
        (201, 5.into())
    );
    let again = post(&app, "text/csv", &key, b"a,b\n1,2\n");
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.json()["duplicate"], true);
    assert_eq!(again.json()["seq"], 5);

    // read back: a page, its continuation, a batch, and waiting for what is not there yet
    let page = app
        .call(&format!("{PATH}?after=0&limit=2"), &[], b"")
        .json();
    assert_eq!(
        (&page["events"][0]["seq"], &page["next"]),
        (&1.into(), &2.into())
    );
    let event = &page["events"][0]["event"];
    assert_eq!(
        (&event["id"], &event["subject"]),
        (&"push-1".into(), &"main".into())
    );
    assert_eq!(event["dataclassification"], "internal");
    let sent: serde_json::Value = serde_json::from_slice(&push).unwrap();
    assert_eq!(event["data"], sent, "the payload is what GitHub sent");
    assert_eq!(page["events"][1]["event"]["data"]["ph"], 7.1);
    let accept = ["-H", "Accept: application/cloudevents-batch+json"];
    let rest = app.call(&format!("{PATH}?after=2"), &accept, b"").json();
    let ids: Vec<_> = rest
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["id"])
        .collect();
    assert_eq!(ids, ["b-1", "b-2", "raw-1"]);
    assert_eq!(rest[2]["datacontenttype"], "text/csv");
    let none = app.call(&format!("{PATH}?after=5&wait=200ms"), &[], b"");
    assert_eq!(none.json()["events"], serde_json::json!([]));
    assert!(none.took.as_millis() >= 200, "{none:?}");
    let http2 = app.call(PATH, &["--http2"], b"");
    assert!(http2.headers.starts_with("HTTP/2 200"), "{http2:?}");

    // who reads it on the relay sees attributes
    let tail = relay.ask(&["tail", Site::STREAM]).ok();
    assert!(
        tail.contains("com.github.push") && tail.lines().count() == 5,
        "{tail}"
    );
}

#[test]
fn what_curl_may_not_do_is_refused_with_a_code() {
    let site = Site::new();
    let mut relay = site.relay("[[stream]]\nname = \"acme/closed\"\nclass = \"internal\"\n");
    relay.start();
    let app = site.curl(Some("app"));
    let nobody = site.curl(None);

    assert_problem(&nobody.call(PATH, &[], b"x"), 401, "QC4003");
    assert_problem(&nobody.call(PATH, &[], b""), 401, "QC4003");
    assert_problem(
        &app.call("/v1/streams/acme/closed", &[], b"x"),
        403,
        "QC4004",
    );
    let other_tenant = app.call("/v1/streams/globex/anything", &[], b"x");
    assert_problem(&other_tenant, 403, "QC4004");
    assert_problem(
        &app.call("/v1/streams/acme/absent", &[], b"x"),
        404,
        "QC4005",
    );
    assert_problem(
        &app.call("/v1/streams/acme/UPPER..", &[], b"x"),
        400,
        "QC4001",
    );
    assert_problem(&app.call(PATH, &["-X", "DELETE"], b""), 405, "QC4006");
    let large = vec![0; (1 << 20) + 1];
    for how in [
        &["--http1.1"][..],
        &["--http1.1", "-H", "Expect:"],
        &["--http2"],
    ] {
        assert_problem(&app.call(PATH, how, &large), 413, "QC4009");
    }

    let structured = "application/cloudevents+json";
    for (event, word) in [
        ("{\"specversion\":\"1.0\"", "JSON"),
        (r#"{"specversion":"1.0","id":"1","source":"/s"}"#, "type"),
        (
            r#"{"specversion":"9.9","id":"1","source":"/s","type":"t"}"#,
            "specversion",
        ),
    ] {
        let answer = post(&app, structured, &[], event.as_bytes());
        assert_problem(&answer, 400, "QC4002");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "'{word}' is not in: {detail}");
    }
    let secret =
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","dataclassification":"secret"}"#;
    assert_problem(
        &post(&app, structured, &[], secret.as_bytes()),
        422,
        "QC4011",
    );
    let gzip = post(&app, "text/plain", &["-H", "Content-Encoding: gzip"], b"x");
    assert_problem(&gzip, 415, "QC4010");

    // an edge may publish where its site may, and not read there
    let edge = site.curl(Some("edge-a"));
    assert_eq!(edge.call(PATH, &[], b"mine").status, 201);
    assert_problem(&edge.call(PATH, &[], b""), 403, "QC4004");

    // of all this one message was kept
    let page = app.call(PATH, &[], b"").json();
    assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
}
