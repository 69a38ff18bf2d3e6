//! The proofs of the store first prove themselves: broken on purpose, each must find the fault.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs a proof in a directory of its own on a real disk.
fn evidence(name: &str, test: &str, args: &[&str]) -> Output {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["evidence", name, "--json", "--dir"])
        .arg(dir)
        .args(args)
        .output()
        .expect("the program that cargo has just built")
}

/// What a broken proof says on stderr; it must fail.
fn fault(name: &str, test: &str, args: &[&str]) -> String {
    let output = evidence(name, test, args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{printed}\n{said}");
    format!("{printed}\n{said}")
}

/// A sound run of the same size, and what it prints.
fn sound(name: &str, test: &str, args: &[&str]) -> String {
    let output = evidence(name, test, args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn kills_find_an_acknowledgement_that_comes_too_early() {
    let early = ["--runs", "60", "--break", "early-ack"];
    let said = fault("store-kills", "kills-early", &early);
    assert!(said.contains("LOST: "), "{said}");
    let lost = ["--runs", "10", "--break", "lose-segment"];
    let said = fault("store-kills", "kills-lose", &lost);
    assert!(said.contains("LOST: "), "{said}");
}

#[test]
fn kills_count_what_they_did() {
    let printed = sound("store-kills", "kills-sound", &["--runs", "12"]);
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let data = &json["data"];
    assert_eq!(data["runs"], 12, "{printed}");
    let by = data["by"].as_object().unwrap().values();
    assert_eq!(by.map(|n| n.as_u64().unwrap()).sum::<u64>(), 12);
    let acked = data["counts"]["acknowledged messages"].as_u64().unwrap();
    assert!(acked >= 12 * 200, "{printed}");
}

#[test]
fn flips_find_a_loss_that_nobody_was_told_of() {
    let broken = ["--runs", "64", "--break", "other-bit"];
    let said = fault("store-flips", "flips-other", &broken);
    assert!(said.contains("Untouched broken"), "{said}");
    let printed = sound("store-flips", "flips-sound", &["--runs", "64"]);
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(json["data"]["runs"], 64, "{printed}");
}

#[test]
fn images_find_a_sync_that_does_nothing() {
    let broken = ["--runs", "20", "--jobs", "1", "--break", "no-sync"];
    let Some(said) = mounting("store-images", || {
        fault("store-images", "images-no-sync", &broken)
    }) else {
        return;
    };
    assert!(said.contains("LOST: "), "{said}");
    sound(
        "store-images",
        "images-sound",
        &["--runs", "6", "--jobs", "1"],
    );
}

#[test]
fn a_failing_device_finds_who_does_not_listen() {
    // whether a failure hits what was just acknowledged is a matter of the moment: there are many
    let broken = ["--runs", "8", "--break", "deaf-sync"];
    let Some(said) = mounting("store-full", || fault("store-full", "full-deaf", &broken)) else {
        return;
    };
    // it is caught when it goes on with the file, when it acknowledges, or when what it acknowledged is
    // not there
    let caught = ["EIO: message", "EIO: stream", "after its fdatasync failed"]
        .iter()
        .any(|fault| said.contains(fault));
    assert!(caught && !said.contains("cycle 0: "), "{said}");
}

#[test]
fn failing_calls_find_who_does_not_listen() {
    let broken = ["--runs", "200", "--break", "deaf-sync"];
    let said = fault("store-syscalls", "syscalls-deaf", &broken);
    assert!(said.contains("inject=fdatasync"), "{said}");
}

/// What `run` gives where file systems may be mounted; elsewhere nothing, and a word on it.
fn mounting<T>(name: &str, run: impl FnOnce() -> T) -> Option<T> {
    if rustix::process::geteuid().is_root() && std::path::Path::new("/dev/fuse").exists() {
        return Some(run());
    }
    #[expect(
        clippy::print_stderr,
        reason = "whoever reads the log learns what was left out"
    )]
    {
        eprintln!("SKIPPED: {name} mounts file systems, which needs root and /dev/fuse");
    }
    None
}
