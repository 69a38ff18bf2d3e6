//! What people get wrong, and what they are told; and the signals of an operator.

use std::os::unix::fs::{PermissionsExt, symlink};

use qc_tests::{Daemon, Site, free_port, program, quoted, run, until};
use rustix::process::Signal;

#[test]
fn every_error_of_a_configuration_is_shown_at_once_with_its_place() {
    let site = Site::new();
    let text = format!(
        "{}[listen]\naddres = \"127.0.0.1:7443\"\nhandshake = \"5 parsecs\"\n\
         [[stream]]\nname = \"no tenant\"\nclass = \"internal\"\npublish = [\"*.site-a.acme\"]\n\
         [strem]\n",
        site.common("relay")
    );
    let config = site.write("relay.toml", &text);
    let relay = Daemon::new("qc-relay", &config);
    for verb in [&["run"][..], &["config", "check"]] {
        let ran = relay.ask(verb);
        assert_eq!((ran.code, ran.out.as_str()), (10, ""), "{ran:#?}");
        for (bad, caret_under, meant) in [
            ("addres =", "addres", "address"),
            ("5 parsecs", "\"5 parsecs\"", ""),
            ("no tenant", "\"no tenant\"", ""),
            ("[strem]", "strem", "stream"),
        ] {
            let line = text.lines().position(|line| line.contains(bad)).unwrap() + 1;
            let column = text
                .lines()
                .nth(line - 1)
                .unwrap()
                .find(caret_under)
                .unwrap()
                + 1;
            let place = format!("relay.toml:{line}:{column}: ");
            assert!(ran.err.contains(&place), "{place} is missing: {}", ran.err);
            assert!(ran.err.contains(meant), "{}", ran.err);
        }
        assert_eq!(ran.err.matches("error[QC10").count(), 4, "{}", ran.err);
        assert!(ran.err.contains("\n4 errors"), "{}", ran.err);
        let carets = ran.err.lines().filter(|line| line.contains('^')).count();
        assert_eq!(carets, 4, "{}", ran.err);
    }
    assert!(!site.path("relay/log").exists(), "something was started");
    assert!(!site.path("relay.sock").exists(), "something was started");
}

#[test]
fn what_stands_in_the_way_is_one_clear_line() {
    let site = Site::new();
    let held = std::net::TcpListener::bind(("127.0.0.1", site.port)).unwrap();
    let relay = site.relay("");
    let text = format!(
        "error[QC1103] another process listens on {}",
        site.address()
    );
    relay.ask(&["run"]).refused(9, &text);
    drop(held);

    // a second instance, of which the first one knows nothing
    let mut relay = relay;
    relay.start();
    let text = format!("process {}", relay.pid().as_raw_nonzero());
    let second = relay.ask(&["run"]);
    second.refused(9, "error[QC1102]");
    second.refused(9, &text);
    assert!(relay.is_running());
    assert_eq!(relay.stop(), 0);

    // a state directory that is a file, and one that nobody may write: root may write anything but
    // the kernel's own
    for dir in [site.write("a-file", "x").join("state"), "/proc/qc".into()] {
        let config = format!("schema = 1\n[node]\nstate = {}\n", quoted(&dir));
        let edge = Daemon::new("qc-edge", &site.write("edge.toml", config));
        let ran = edge.ask(&["run"]);
        ran.refused(12, "error[QC1101] the state directory ");
        assert!(ran.err.contains("help: install -d -m 0700"), "{ran:?}");
    }
    // a directory of others is not taken over
    let others = site.path("others");
    std::fs::create_dir(&others).unwrap();
    std::fs::set_permissions(&others, PermissionsExt::from_mode(0o755)).unwrap();
    site.write("others/precious", "x");
    let config = format!("schema = 1\n[node]\nstate = {}\n", quoted(&others));
    let edge = Daemon::new("qc-edge", &site.write("edge.toml", config));
    edge.ask(&["run"]).refused(12, "holds files of others");

    // nobody is at home
    let ran = site.edge_a(&site.address(), "").ask(&["status"]);
    ran.refused(6, "error[QC0601]");
}

#[test]
fn sigterm_drains_and_sighup_adds_a_stream() {
    let site = Site::new();
    let mut relay = site.relay("");
    let mut edge = site.edge_a(&site.address(), "");
    relay.start();
    edge.start();
    edge.logs(&["QC2223"]);
    let app = site.curl(Some("app"));
    let later = "/v1/streams/acme/later";
    assert_eq!(app.call(later, &[], b"x").status, 404);

    // a broken file changes nothing
    let good = std::fs::read_to_string(&relay.config).unwrap();
    site.write("relay.toml", format!("{good}[[stream]]\nname = 7\n"));
    relay.signal(Signal::HUP);
    relay.logs(&["Reload refused", "QC10"]);
    let ran = relay.ask(&["reload"]);
    assert_eq!(ran.code, 10, "{ran:?}");
    assert_eq!(app.call(later, &[], b"x").status, 404);

    let more =
        "[[stream]]\nname = \"acme/later\"\nclass = \"internal\"\npublish = [\"app-1.hq.acme\"]\n";
    site.write("relay.toml", format!("{good}{more}"));
    relay.signal(Signal::HUP);
    until("the new stream is there", || {
        app.call(later, &[], b"x").status == 201
    });
    relay.logs(&["QC0021"]);
    assert!(
        !edge.log_text().contains("Link down"),
        "a reload cut a link"
    );

    // SIGTERM: both sides part as friends
    assert_eq!(relay.stop(), 0);
    relay.logs(&["QC0011"]);
    edge.logs(&["QC2200", "Link down"]);
    assert_eq!(edge.stop(), 0);
}

#[test]
fn a_webhook_takes_what_is_signed() {
    let site = Site::new();
    let port = free_port();
    let secret = site.write("secret", "It's a Secret to Everybody\n");
    let hook = format!(
        "[[source]]\nname = \"github\"\nstream = \"{}\"\nclass = \"internal\"\n[source.webhook]\n\
         listen = \"127.0.0.1:{port}\"\nhmac_secret_file = {}\n\
         dedupe_header = \"X-GitHub-Delivery\"\n",
        Site::STREAM,
        quoted(&secret)
    );
    let mut edge = site.edge_a(&site.address(), &hook);
    edge.start();
    let post = |body: &str, headers: &[&str]| {
        let mut curl = program("curl");
        curl.args(["--silent", "--max-time", "30", "--data-binary", "@-"]);
        curl.args(["--output", "/dev/null", "--write-out", "%{http_code}"]);
        for header in headers {
            curl.args(["-H", header]);
        }
        let ran = run(
            curl.arg(format!("http://127.0.0.1:{port}/")),
            body.as_bytes(),
        );
        ran.ok()
    };
    // the example of GitHub's own documentation
    let signed = "X-Hub-Signature-256: \
                  sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let delivery = "X-GitHub-Delivery: 72d3162e";
    assert_eq!(post("Hello, World!", &[signed, delivery]), "201");
    assert_eq!(post("Hello, World!", &[signed, delivery]), "200");
    assert_eq!(post("Hello, World.", &[signed, delivery]), "401");
    assert_eq!(post("Hello, World!", &[delivery]), "401");
    let source = edge.status()["sources"][1].clone();
    assert_eq!(source["processed"], 1, "{source}");
    assert_eq!(source["dead_lettered"], 2, "{source}");

    // a port in use is said before anything starts
    let second = site.edge("edge-b", &site.address(), &hook);
    second.ask(&["run"]).refused(9, "error[QC1103]");
}

#[test]
fn a_file_that_cannot_be_read_goes_aside_with_its_reason() {
    let site = Site::new();
    let lines = format!(
        "[[source]]\nname = \"small\"\nstream = \"{}\"\nclass = \"internal\"\n\
         [source.file]\npath = {}\npoll = \"50ms\"\nsettle = \"100ms\"\nmax_bytes = \"1KiB\"\n",
        Site::STREAM,
        quoted(&site.path("small"))
    );
    std::fs::create_dir(site.path("small")).unwrap();
    site.write("outside", "not yours");
    symlink(site.path("outside"), site.path("small/link.txt")).unwrap();
    site.write("small/large.txt", vec![b'x'; 2048]);
    site.write("small/good.txt", "good");
    let mut edge = site.edge_a(&site.address(), &lines);
    edge.start();
    let path = |name: &str| site.path(&format!("small/{name}"));
    until("the good file is taken", || path(".done/good.txt").exists());
    until("the others are aside", || {
        path(".error/link.txt").is_symlink() && path(".error/large.txt").exists()
    });
    for (name, code) in [("link.txt", "QC41"), ("large.txt", "QC4")] {
        let reason = std::fs::read_to_string(path(&format!(".error/{name}.reason"))).unwrap();
        assert!(
            reason.starts_with(code) && reason.len() > 20,
            "{name}: {reason}"
        );
    }
    let source = edge.status()["sources"][1].clone();
    assert_eq!(source["processed"], 1, "{source}");
    assert_eq!(source["dead_lettered"], 2, "{source}");
    let status = edge.ask(&["status"]).ok();
    assert!(
        status.contains("large.txt") || status.contains("link.txt"),
        "{status}"
    );
}
