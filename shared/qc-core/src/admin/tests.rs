//! Client and server against each other on a real socket.

use std::time::Duration;

use axum::extract::Path;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::*;
use crate::drain::Drain;
use crate::failure::{Exit, Failure};

const SOON: Duration = Duration::from_secs(5);

fn router() -> Router {
    Router::new()
        .route(
            "/v1/whoami",
            get(|Extension(peer): Extension<PeerCred>| async move {
                Json(json!({ "uid": peer.uid, "pid": peer.pid }))
            }),
        )
        .route(
            "/v1/echo",
            post(|Json(body): Json<Value>| async { Json(body) }),
        )
        .route("/v1/lines", get(async || "one\ntwo\n\nlast"))
        .route(
            "/v1/slow",
            get(async || tokio::time::sleep(Duration::from_mins(1)).await),
        )
        .route(
            "/v1/streams/{name}",
            get(|Path(name): Path<String>| async move {
                Err::<(), _>(Problem(
                    Failure::new(Exit::NotFound, "QC3001", format!("no stream '{name}'"))
                        .help("qc-relay streams ls"),
                ))
            }),
        )
}

struct Site {
    dir: tempfile::TempDir,
    drain: Drain,
    client: Client,
}

fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("of-a-test/admin.sock");
    let drain = Drain::new();
    serve(&socket, router(), &drain, None).unwrap();
    Site {
        dir,
        drain,
        client: Client::new("qc-relay", socket, SOON),
    }
}

#[tokio::test]
async fn asks_and_answers() {
    let site = site();
    let me: Value = site.client.get_json("/v1/whoami").await.unwrap();
    assert_eq!(me["pid"], std::process::id());
    let said = json!({ "text": "x".repeat(1_000_000) });
    let echo: Value = site.client.post_json("/v1/echo", &said).await.unwrap();
    assert_eq!(echo, said);
    let text = site.client.get_text("/v1/lines").await.unwrap();
    assert_eq!(text, "one\ntwo\n\nlast");
    let mut lines = site.client.get_lines("/v1/lines").await.unwrap();
    let mut read = Vec::new();
    while let Some(line) = lines.next().await.unwrap() {
        read.push(line);
    }
    assert_eq!(read, ["one", "two", "", "last"]);
}

#[tokio::test]
async fn a_refusal_keeps_code_exit_and_next_step() {
    let site = site();
    let asked = site.client.get_json::<Value>("/v1/streams/a%1bb").await;
    let failure = asked.unwrap_err();
    assert_eq!(failure.exit, Exit::NotFound);
    assert_eq!(
        failure.to_string(),
        "error[QC3001] no stream 'a\\x1bb'\nhelp: qc-relay streams ls"
    );
    let failure = site.client.get_lines("/v1/streams/a").await.unwrap_err();
    assert_eq!(failure.code, "QC3001");
    let failure = site.client.get_text("/nowhere").await.unwrap_err();
    assert_eq!((failure.code, failure.exit), ("QC0604", Exit::NotFound));
    let large = "x".repeat(MAX_REQUEST + 1);
    let refused = site.client.post_json::<_, Value>("/v1/echo", &large).await;
    assert!(matches!(refused.unwrap_err().code, "QC0607" | "QC0604"));
}

#[tokio::test]
async fn a_daemon_that_is_absent_or_mute_is_told_apart() {
    let site = site();
    let hasty = Client::new("qc-relay", site.client.socket(), Duration::from_millis(50));
    let failure = hasty.get_text("/v1/slow").await.unwrap_err();
    assert_eq!(failure.exit, Exit::Unreachable);
    assert_eq!(
        failure.to_string(),
        "error[QC0602] qc-relay did not answer /v1/slow within 50 ms\n\
         help: journalctl -u qc-relay -n 50"
    );
    site.drain.begin();
    assert!(site.drain.finished(SOON).await);
    let failure = site.client.get_text("/v1/whoami").await.unwrap_err();
    let socket = site.dir.path().join("of-a-test/admin.sock");
    assert_eq!(failure.exit, Exit::Unreachable);
    assert_eq!(
        failure.to_string(),
        format!(
            "error[QC0601] qc-relay is not running: there is no socket at {}\n\
             help: systemctl status qc-relay",
            socket.display()
        )
    );
}

#[tokio::test]
async fn draining_cuts_an_endless_answer() {
    let site = site();
    let client = Client::new("qc-relay", site.client.socket(), Duration::from_mins(1));
    let slow = async { client.get_text("/v1/slow").await };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        site.drain.begin();
        site.drain.finished(SOON).await
    };
    let (answer, ended) = tokio::join!(slow, stop);
    assert!(ended);
    assert_eq!(answer.unwrap_err().code, "QC0604");
}
