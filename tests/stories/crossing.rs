//! A file dropped at one site is a file at the other, and all three nodes agree that it is.

use std::fs;
use std::path::Path;

use qc_tests::{Site, until};

#[test]
fn files_cross_from_site_to_site() {
    let site = Site::new();
    let mut relay = site.relay("");
    let mut edge_a = site.edge_a(&site.address(), "");
    let mut edge_b = site.edge_b(&site.address(), "{subject}", "");
    for daemon in [&mut relay, &mut edge_a, &mut edge_b] {
        daemon.start();
    }

    // real payloads, one without a byte of text, one as large as a message may be
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    for name in ["github-webhooks/push.json", "weather/seattle-weather.csv"] {
        let base = name.rsplit('/').next().unwrap();
        sent.push((base.to_owned(), fs::read(samples.join(name)).unwrap()));
    }
    let mut random = fastrand::Rng::with_seed(7);
    let noise = std::iter::repeat_with(|| random.u8(..));
    sent.push(("scan.bin".to_owned(), noise.take(16 << 20).collect()));
    for (name, content) in &sent {
        site.write(&format!("drop/{name}"), content);
    }

    until("every file is delivered", || {
        site.delivered().len() == sent.len()
    });
    let delivered = site.delivered();
    for (name, content) in &sent {
        assert!(delivered[name] == *content, "{name} has changed on its way");
        let done = site.path(&format!("drop/.done/{name}"));
        until("the source is moved away", || done.exists());
        assert!(!site.path(&format!("drop/{name}")).exists());
    }

    for daemon in [&relay, &edge_a, &edge_b] {
        until("the ledger balances with nothing pending", || {
            let (balanced, ledger) = daemon.ledger();
            let rows = ledger["rows"].as_array().unwrap();
            balanced && rows.iter().all(|row| row["pending"] == 0)
        });
        let (_, ledger) = daemon.ledger();
        let rows = ledger["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{ledger}");
        let row = &rows[0];
        assert_eq!(row["in"], sent.len(), "{ledger}");
        assert_eq!(row["acked"], sent.len(), "{ledger}");
        assert_eq!((&row["gaps"], &row["duplicates"]), (&0.into(), &0.into()));
    }

    // what a person reads says the same
    let text = edge_a.ask(&["status"]).ok();
    assert!(text.contains("link    up relay-1.hq.acme"), "{text}");
    for mut daemon in [edge_a, edge_b, relay] {
        assert_eq!(daemon.stop(), 0);
    }
}
