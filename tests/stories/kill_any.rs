//! Any process may die at any moment, again and again, while messages flow.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use qc_tests::{Site, until};

use crate::restarts::{assert_settled, in_order};

/// Messages a command sends at once.
const BATCH: usize = 20;

/// `QC_STORY_KILLS=50 QC_STORY_SEED=9 cargo test -p qc-tests kill_any` for more of it.
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

#[test]
fn killing_any_process_loses_and_doubles_nothing() {
    let (kills, seed) = (setting("QC_STORY_KILLS", 12), setting("QC_STORY_SEED", 1));
    let mut random = fastrand::Rng::with_seed(seed);
    let site = Site::new();
    let address = site.address();
    let mut daemons = [
        site.relay(""),
        site.edge_a(&address, ""),
        site.edge_b(&address, "{seq}", ""),
    ];
    daemons.iter_mut().for_each(qc_tests::Daemon::start);
    let sender = daemons[1].client();

    // two ways in at once: a sender that repeats a command until it succeeded, and dropped files
    let over = AtomicBool::new(false);
    let (batches, files) = thread::scope(|scope| {
        let lines = scope.spawn(|| {
            let mut batch = 0;
            while !over.load(Ordering::Relaxed) {
                batch += 1;
                let first = (batch - 1) * BATCH;
                let lines: Vec<_> = (1..=BATCH)
                    .map(|n| format!("line-{:05}", first + n))
                    .collect();
                let lines = lines.join("\n");
                let id = format!("batch-{batch}");
                let class = ["--class", "internal", "--lines", "--id", &id];
                let args = [&["send", Site::STREAM][..], &class].concat();
                until("a batch is taken", || {
                    sender.ask_with(&args, lines.as_bytes()).code == 0
                });
                thread::sleep(Duration::from_millis(30));
            }
            batch
        });
        let drops = scope.spawn(|| {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                count += 1;
                let name = format!("{count:05}.txt");
                let aside = site.write(&format!("drop/{name}.part"), format!("file-{count:05}"));
                std::fs::rename(aside, site.path(&format!("drop/{name}"))).unwrap();
                thread::sleep(Duration::from_millis(100));
            }
            count
        });
        for _ in 0..kills {
            thread::sleep(Duration::from_millis(random.u64(20..400)));
            let victim = &mut daemons[random.usize(..3)];
            victim.kill();
            victim.start();
        }
        over.store(true, Ordering::Relaxed);
        (lines.join().unwrap(), drops.join().unwrap())
    });

    let total = batches * BATCH + files;
    until("everything is delivered", || {
        site.delivered().len() >= total
    });
    daemons.iter().for_each(assert_settled);
    let delivered = in_order(&site);
    let distinct: BTreeSet<_> = delivered.iter().collect();
    assert_eq!(
        (delivered.len(), distinct.len()),
        (total, total),
        "seed {seed}: delivered and distinct against sent"
    );
    let of = |prefix: &str| -> Vec<&String> {
        let mut of: Vec<_> = delivered
            .iter()
            .filter(|body| body.starts_with(prefix))
            .collect();
        of.dedup();
        of
    };
    // what one sender sent one after the other arrives so
    let lines: Vec<_> = (1..=batches * BATCH)
        .map(|n| format!("line-{n:05}"))
        .collect();
    assert!(
        of("line-").into_iter().eq(&lines),
        "seed {seed}: order is lost"
    );
    assert_eq!(of("file-").len(), files);
    let left: Vec<_> = std::fs::read_dir(site.path("drop")).unwrap().collect();
    assert_eq!(left.len(), 2, "only .done and .error are left: {left:?}");
    let bad = std::fs::read_dir(site.path("drop/.error")).unwrap().count();
    assert_eq!(bad, 0);
}
