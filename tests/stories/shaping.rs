//! The link takes no more of the line than it was told, alarms pass whatever it was told, and what waits
//! for its time of the day waits.

use std::time::{Duration, Instant};

use qc_tests::{Daemon, Site, holds_for, program, run, until};

/// Lines of a kilobyte in one lane.
fn send(edge: &Daemon, lane: &str, prefix: &str, count: usize) {
    let filler = "x".repeat(1000);
    let lines: Vec<_> = (1..=count)
        .map(|n| format!("{prefix}-{n:04} {filler}"))
        .collect();
    let stream = Site::STREAM;
    let args = [
        "send", stream, "--class", "internal", "--lines", "--lane", lane,
    ];
    edge.ask_with(&args, lines.join("\n").as_bytes()).ok();
}

fn arrived(relay: &Daemon) -> u64 {
    let (_, ledger) = relay.ledger();
    let rows = ledger["rows"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .filter_map(|row| row["in"].as_u64())
        .max()
        .unwrap_or(0)
}

/// The time of the day of this machine, `hours` from now.
fn clock(hours: u32) -> String {
    let mut date = program("date");
    date.arg("-d").arg(format!("+{hours} hours")).arg("+%H:%M");
    run(&mut date, b"").ok().trim().to_owned()
}

#[test]
fn a_limit_holds_and_an_alarm_passes_it() {
    let site = Site::new();
    let mut relay = site.relay("");
    let limit = "limit = \"800kbit\"\n";
    let mut edge = site.edge_by(&[&site.address()], limit, "");
    for daemon in [&mut relay, &mut edge] {
        daemon.start();
    }
    until("the link is up", || edge.ask(&["probe"]).code == 0);

    // 400 kB at 100 kB a second
    let began = Instant::now();
    send(&edge, "low", "bulk", 400);
    until("some of it is there", || arrived(&relay) > 0);
    let alarm = Instant::now();
    let before = arrived(&relay);
    send(&edge, "critical", "alarm", 1);
    let is_there = || {
        let tail = relay.ask(&["tail", Site::STREAM, "--json"]).out;
        tail.contains("alarm") || arrived(&relay) > before && critical_waits(&edge) == 0
    };
    until("the alarm is there", is_there);
    assert!(
        alarm.elapsed() < Duration::from_secs(2),
        "{:?}",
        alarm.elapsed()
    );
    let shown = edge.ask(&["link", "show"]).ok();
    assert!(
        shown.contains("limit   limit 800kbit (configured)"),
        "{shown}"
    );
    assert!(shown.contains("drained in"), "{shown}");
    until("all of it is there", || arrived(&relay) == 401);
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(3300),
        "{took:?} is too fast for the limit"
    );

    // lifted for now, it goes as fast as the line is
    let lifted = edge.ask(&["link", "limit", "none", "--for", "10m"]).ok();
    assert!(lifted.contains("no limit (until 20"), "{lifted}");
    let began = Instant::now();
    send(&edge, "low", "more", 400);
    until("more is there", || arrived(&relay) == 801);
    assert!(began.elapsed() < took, "{:?}", began.elapsed());
    let reset = edge.ask(&["link", "reset", "--json"]).data();
    assert_eq!(reset["shaping"]["limit"], "800kbit", "{reset}");
    assert_eq!(reset["configured"], true);

    for (args, words) in [
        (
            ["link", "limit", "fast"],
            "'fast' is no rate such as 256kbit",
        ),
        (["link", "limit", "1kbit"], "at least 8kbit"),
    ] {
        edge.ask(&args).refused(2, words);
    }
    edge.ask(&["link", "limit", "1Mbit", "--window", "25:00-26:00"])
        .refused(2, "no time of the day such as 22:00-06:00");
    edge.ask(&["link", "limit", "none", "--catchup", "30%"])
        .refused(2, "a share of which limit?");
}

/// Messages that wait in the critical lane.
fn critical_waits(edge: &Daemon) -> u64 {
    let rows = edge.ask(&["streams", "list", "--json"]).data();
    let rows = rows.as_array().unwrap().iter();
    let critical = rows.filter(|row| row["lane"] == "critical");
    let pending = critical.filter_map(|row| row["consumers"][0]["pending"].as_u64());
    pending.sum()
}

#[test]
fn what_is_not_urgent_waits_for_its_time_of_the_day() {
    let site = Site::new();
    let mut relay = site.relay("");
    let mut edge = site.edge_by(&[&site.address()], "", "");
    for daemon in [&mut relay, &mut edge] {
        daemon.start();
    }
    until("the link is up", || edge.ask(&["probe"]).code == 0);
    let window = format!("{}-{}", clock(2), clock(3));
    let shown = edge
        .ask(&["link", "limit", "none", "--window", &window])
        .ok();
    assert!(
        shown.contains("critical and high; normal and low wait"),
        "{shown}"
    );
    send(&edge, "normal", "report", 5);
    send(&edge, "low", "log", 5);
    send(&edge, "critical", "alarm", 2);
    send(&edge, "high", "order", 3);
    until("what is urgent is there", || arrived(&relay) == 5);
    holds_for(Duration::from_secs(1), "the rest waits", || {
        arrived(&relay) == 5
    });
    // a probe is no bulk
    edge.ask(&["probe"]).ok();
    let now = format!("{}-{}", clock(23), clock(1));
    edge.ask(&["link", "limit", "none", "--window", &now]).ok();
    until("its time has come", || arrived(&relay) == 15);
}
