//! One message that nobody will ever take: it steps aside with its reason, the others go on, and an
//! operator finds it, before and after a crash.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use qc_tests::{Daemon, Site, until};
use serde_json::Value;

const BODY: &str = "a body that no operator reads";

/// Somebody else's webhook: it answers 422 to the message `bad` and takes the others.
struct Hook {
    url: String,
    /// The id of every message that was posted.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hook {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // a client that went away comes again
                let _gone = answer(&stream.unwrap(), &seen);
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: &TcpStream, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_lowercase().as_str() {
            "ce-id" => value.trim().clone_into(&mut id),
            "content-length" => length = value.trim().parse().unwrap(),
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let status = if id == "bad" {
        "422 Unprocessable"
    } else {
        "200 OK"
    };
    seen.lock().unwrap().push(id);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

fn send(edge: &Daemon, id: &str, class: &str) {
    let args = ["send", Site::STREAM, "--class", class, "--id", id];
    edge.ask_with(&args, BODY.as_bytes()).ok();
}

#[track_caller]
fn letters(daemon: &Daemon, more: &[&str]) -> Vec<Value> {
    let ran = daemon.ask(&[&["dlq", "list", "--json"], more].concat());
    assert!(!ran.out.contains(BODY), "{ran:?}");
    let reply: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(reply["schema"], "qc.dead-letters/1", "{ran:?}");
    reply["data"]["letters"].as_array().unwrap().clone()
}

#[track_caller]
fn settled(daemon: &Daemon) -> Value {
    until("the ledger balances with nothing pending", || {
        let (balanced, ledger) = daemon.ledger();
        let rows = ledger["rows"].as_array().unwrap();
        balanced && !rows.is_empty() && rows.iter().all(|row| row["pending"] == 0)
    });
    daemon.ledger().1["rows"].clone()
}

#[test]
fn a_message_that_a_webhook_refuses_steps_aside_with_its_reason() {
    let (site, hook) = (Site::new(), Hook::start());
    let sink = format!(
        "[[sink]]\nname = \"hook\"\nstream = \"{}\"\n[sink.webhook]\nurl = \"{}\"\n",
        Site::STREAM,
        hook.url
    );
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&site.address(), "");
    let mut edge_b = site.edge("edge-b", &site.address(), &sink);
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }
    for id in ["one", "two", "bad", "four", "five"] {
        send(&edge_a, id, "internal");
    }
    until("the stream goes on behind it", || hook.asked().len() == 5);
    assert_eq!(hook.asked(), ["one", "two", "bad", "four", "five"]);

    // in the ledger it is neither lost nor delivered
    let rows = settled(&edge_b);
    let counts = (&rows[0]["in"], &rows[0]["acked"], &rows[0]["dead_lettered"]);
    assert_eq!(counts, (&5.into(), &4.into(), &1.into()), "{rows}");

    let check = |edge: &Daemon| {
        let found = letters(edge, &["--stream", Site::STREAM, "--code", "qc4207"]);
        assert_eq!(found.len(), 1, "{found:?}");
        let letter = &found[0];
        for (field, expected) in [
            ("code", Value::from("QC4207")),
            ("stream", Site::STREAM.into()),
            ("side", "in".into()),
            ("seq", 3.into()),
            ("consumer", "sink.hook".into()),
            ("attempts", 1.into()),
            ("event_id", "bad".into()),
            ("body_bytes", BODY.len().into()),
        ] {
            assert_eq!(letter[field], expected, "{field}: {letter}");
        }
        assert!(
            letter["reason"].as_str().unwrap().contains("422"),
            "{letter}"
        );
        letter["id"].as_str().unwrap().to_owned()
    };
    let id = check(&edge_b);

    // the disk shows them apart from what is kept for somebody
    let takes = edge_b.ask(&["disk", "--json"]).data()["takes"].clone();
    let dead = takes.as_array().unwrap().iter();
    let dead: Vec<_> = dead.filter(|row| row["what"] == "dead_letters").collect();
    assert_eq!(dead[0]["count"], 1, "{takes}");

    // what a person sees: why, and every attribute, and no body
    let list = edge_b.ask(&["dead-letters", "ls"]).ok();
    assert!(list.contains(&id) && list.contains("sink.hook"), "{list}");
    let show = ["dlq", "show", &id, "--meta"];
    let text = edge_b.ask(&show).ok();
    assert!(
        text.contains("answered 422") && text.contains("dataclassification"),
        "{text}"
    );
    assert!(!text.contains(BODY), "{text}");
    let json = edge_b.ask(&[&show[..], &["--json"]].concat());
    assert!(!json.out.contains(BODY), "{json:?}");
    let json = json.data();
    assert_eq!(json["letter"]["id"], id.as_str());
    assert_eq!(json["attributes"]["id"], "bad");
    assert_eq!(json["attributes"]["source"], "/edge-a.site-a.acme/send");
    assert_eq!(json["attributes"]["dataclassification"], "internal");
    edge_b.ask(&["dlq", "show", &id]).refused(7, "QC5010");
    edge_b
        .ask(&["dlq", "show", "acme-99", "--meta"])
        .refused(8, "QC3060");
    edge_b
        .ask(&["dlq", "list", "--filter", "cod=1"])
        .refused(2, "QC3061");
    assert!(letters(&edge_b, &["--filter", "code!=QC4207"]).is_empty());

    // the letter and the sink's step past the message were one commit: nothing repeats
    edge_b.kill();
    edge_b.start();
    assert_eq!(check(&edge_b), id);
    send(&edge_a, "six", "internal");
    until("the next one comes", || {
        hook.asked().iter().any(|id| id == "six")
    });
    let bad = hook.asked().iter().filter(|id| *id == "bad").count();
    assert_eq!(bad, 1, "{:?}", hook.asked());
    let rows = settled(&edge_b);
    assert_eq!(rows[0]["dead_lettered"], 1, "{rows}");
    assert_eq!(check(&edge_b), id);
    for mut daemon in [edge_b, edge_a, relay] {
        assert_eq!(daemon.stop(), 0);
    }
}

#[test]
fn what_a_relay_refuses_for_its_class_is_kept_once() {
    let site = Site::new();
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&site.address(), "");
    relay.start();
    edge_a.start();
    send(&edge_a, "fits", "internal");
    send(&edge_a, "wrong", "secret");
    send(&edge_a, "fits too", "internal");
    until("the refused one is among the dead letters", || {
        letters(&relay, &[]).len() == 1
    });

    let curl = site.curl(Some("app"));
    let event = format!(
        r#"{{"specversion":"1.0","id":"http","source":"/app","type":"t","dataclassification":"phi","data":"{BODY}"}}"#
    );
    for _ in 0..2 {
        let json = ["-H", "Content-Type: application/cloudevents+json"];
        let path = format!("/v1/streams/{}", Site::STREAM);
        let answer = curl.call(&path, &json, event.as_bytes());
        assert_eq!(answer.status, 422, "{answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("kept as dead letter acme-2"), "{detail}");
    }

    let check = |relay: &Daemon| {
        let found = letters(relay, &["--code", "QC5003"]);
        let short = |letter: &Value| {
            let text = |field: &str| letter[field].as_str().unwrap_or("-").to_owned();
            ["id", "event_id", "class", "sender", "consumer"].map(text)
        };
        let found: Vec<_> = found.iter().map(short).collect();
        let expected = [
            ["acme-2", "http", "phi", "app-1.hq.acme", "-"],
            ["acme-1", "wrong", "secret", "edge-a.site-a.acme", "-"],
        ];
        assert_eq!(found, expected);
        let tail = relay.ask(&["tail", Site::STREAM]).ok();
        assert_eq!(tail.lines().count(), 2, "{tail}");
    };
    until("both that fit are there", || {
        relay.ask(&["tail", Site::STREAM]).ok().lines().count() == 2
    });
    check(&relay);
    let (balanced, ledger) = relay.ledger();
    let row = &ledger["rows"][0];
    let counts = (&row["in"], &row["refused"]);
    assert!(balanced && counts == (&2.into(), &2.into()), "{ledger}");
    assert_eq!(settled(&edge_a)[0]["acked"], 3);

    // newest first, in pages that go on
    let page = relay.ask(&["dlq", "list", "-N", "1", "--json"]).data();
    assert_eq!(page["letters"][0]["id"], "acme-2", "{page}");
    let next = page["next"].as_str().unwrap();
    let text = relay.ask(&["dlq", "list", "-N", "1", "--code", "qc5003"]);
    let command = format!("qc-relay dlq list --before {next} --code QC5003\n");
    assert!(text.err.ends_with(&command), "{text:?}");
    let rest = relay
        .ask(&["dlq", "list", "--before", next, "--json"])
        .data();
    assert_eq!(rest["letters"][0]["id"], "acme-1", "{rest}");
    assert_eq!(rest["next"], Value::Null, "{rest}");

    relay.kill();
    edge_a.kill();
    relay.start();
    edge_a.start();
    send(&edge_a, "after", "internal");
    until("the edge has come back", || {
        relay.ask(&["tail", Site::STREAM]).ok().lines().count() == 3
    });
    assert_eq!(letters(&relay, &[]).len(), 2, "a letter was written twice");
    let shown = relay
        .ask(&["dlq", "show", "acme-1", "--meta", "--json"])
        .data();
    assert_eq!(
        shown["attributes"]["dataclassification"], "secret",
        "{shown}"
    );
    assert!(relay.ledger().0, "{}", relay.ledger().1);
    for mut daemon in [edge_a, relay] {
        assert_eq!(daemon.stop(), 0);
    }
}

#[test]
fn what_has_no_room_among_the_dead_letters_is_refused_and_counted_all_the_same() {
    let site = Site::new();
    let mut relay = site.relay("");
    let text = std::fs::read_to_string(&relay.config).unwrap();
    let small = text.replacen("[store]\n", "[store]\ndead_letters = \"2KiB\"\n", 1);
    site.write("relay.toml", small);
    relay.start();
    let curl = site.curl(Some("app"));
    let post = |id: u32, class: &str| {
        let event = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/app","type":"t","dataclassification":"{class}","data":"{}"}}"#,
            "x".repeat(500)
        );
        let json = ["-H", "Content-Type: application/cloudevents+json"];
        curl.call(
            &format!("/v1/streams/{}", Site::STREAM),
            &json,
            event.as_bytes(),
        )
    };
    let mut kept = 0;
    for id in 0..8 {
        let answer = post(id, "phi");
        assert_eq!(answer.status, 422, "{answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        if detail.contains("kept as dead letter") {
            kept += 1;
        } else {
            let why = "not kept: the dead letters hold their 2048 bytes";
            assert!(detail.contains("'phi'") && detail.contains(why), "{detail}");
        }
    }
    assert!((1..4).contains(&kept), "{kept} of eight are kept");
    assert_eq!(letters(&relay, &[]).len(), kept);
    let streams = relay.ask(&["streams", "list", "--json"]).data();
    assert_eq!(streams[0]["refused"], 8, "{streams}");
    // what fits the stream goes its way
    assert_eq!(post(100, "internal").status, 201);
}
