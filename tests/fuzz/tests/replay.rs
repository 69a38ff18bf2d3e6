//! What every target was fed and found before, and some thousand relatives of it, without a fuzzer.
#![expect(clippy::panic, reason = "a find fails the test")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use data_encoding::HEXLOWER;
use qc_fuzz::{Target, corpus, mutate};

/// Relatives of the kept inputs, for each target.
const RELATIVES: usize = if cfg!(debug_assertions) {
    4_000
} else {
    40_000
};

/// Runs one input and names it when it fails.
fn run(target: &Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let hex = HEXLOWER.encode(input);
        panic!(
            "a find: keep this line in tests/fuzz/found/{}.hex\n{hex}",
            target.name
        );
    }
}

#[test]
fn every_target_takes_what_is_kept() {
    for target in &Target::ALL {
        let kept = corpus::kept(target);
        assert!(kept.len() > 2, "{} has no corpus", target.name);
        for input in &kept {
            run(target, input);
        }
        assert!(
            kept.iter().all(|input| input.len() <= target.longest),
            "{} is fed longer inputs than it says",
            target.name
        );
    }
}

#[test]
fn every_target_takes_relatives_of_what_is_kept() {
    for (at, target) in Target::ALL.iter().enumerate() {
        let kept = corpus::kept(target);
        let mut rng = fastrand::Rng::with_seed(at as u64);
        for _ in 0..RELATIVES {
            run(target, &mutate::relative(&kept, target.longest, &mut rng));
        }
    }
}

#[test]
fn every_file_belongs_to_a_target() {
    for folder in ["corpus", "found"] {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/").to_owned() + folder;
        for entry in std::fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let target = name.strip_suffix(".hex").and_then(Target::named);
            assert!(target.is_some(), "{folder}/{name} belongs to no target");
        }
    }
}

#[test]
fn kept_inputs_come_back() {
    let target = &Target::ALL[0];
    let inputs = vec![b"longer".to_vec(), b"x".to_vec(), b"x".to_vec(), Vec::new()];
    let text = corpus::text(target, &inputs);
    assert!(text.starts_with("# frames: "), "{text}");
    assert_eq!(corpus::parse(&text), [&b""[..], b"x", b"longer"]);
}
