//! A program in a tenant's own custody that gives the key that wraps the tenant's keys: no shell, no
//! environment, a deadline, a bound on what it may say, and nothing of that in a log.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::key_files::parse_bytes;
use crate::secret::Secret;
use crate::store::NodeKey;

/// The most bytes that are read of an answer.
const MAX_ANSWER: u64 = 4096;
/// How long a program that was killed may take to be gone.
const GONE: Duration = Duration::from_secs(1);

/// Runs `argv` and takes what it prints, 32 bytes as they are or as hexadecimal digits, for a key. The
/// reason why there is none has nothing of the answer in it.
pub(super) fn ask(argv: &[String], deadline: Duration) -> Result<NodeKey, String> {
    let (program, arguments) = argv.split_first().ok_or("no program is named")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command
        .spawn()
        .map_err(|error| format!("{program} does not start: {error}"))?;
    let group = Pid::from_child(&child);
    let (done, ended) = channel();
    let wait = move || {
        let mut answer = Secret::new(Vec::new());
        let read = child.stdout.take().map_or(Ok(0), |stdout| {
            stdout.take(MAX_ANSWER).read_to_end(answer.expose_mut())
        });
        let status = child.wait();
        // nobody waits for an answer that came too late
        let _too_late = done.send((read, status, answer));
    };
    let waiter = std::thread::Builder::new().name("qc-unwrapper".to_owned());
    if let Err(error) = waiter.spawn(wait) {
        let _gone = kill_process_group(group, Signal::KILL);
        return Err(format!("cannot wait for {program}: {error}"));
    }
    let Ok((read, status, answer)) = ended.recv_timeout(deadline) else {
        let _gone_already = kill_process_group(group, Signal::KILL);
        let _reaped = ended.recv_timeout(GONE);
        return Err(format!("{program} did not answer within {deadline:?}"));
    };
    read.map_err(|error| format!("{program} cannot be read: {error}"))?;
    let status = status.map_err(|error| format!("cannot wait for {program}: {error}"))?;
    if !status.success() {
        return Err(format!("{program} gives no key: {status}"));
    }
    let length = answer.expose().len();
    let key = parse_bytes(answer.expose());
    key.map(NodeKey::from_bytes)
        .ok_or_else(|| format!("{program} gave {length} bytes that are no key of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<u32, String> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        ask(&argv, Duration::from_secs(5)).map(|key| key.id())
    }

    #[test]
    fn a_key_comes_raw_or_in_digits() {
        let expected = NodeKey::from_bytes([b'A'; 32]).id();
        assert_eq!(shell("printf A%.0s $(seq 32)"), Ok(expected));
        assert_eq!(shell("printf 41%.0s $(seq 32); echo"), Ok(expected));
    }

    #[test]
    fn what_is_no_key_is_named_without_being_shown() {
        for (script, expected) in [
            ("echo hunter2", "gave 8 bytes"),
            ("exit 3", "exit status: 3"),
            ("yes hunter2", "gives no key"),
            ("kill -9 $$", "signal: 9"),
        ] {
            let error = shell(script).unwrap_err();
            assert!(error.contains(expected), "{script}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let missing = ask(&["/nowhere/unwrap".to_owned()], Duration::from_secs(1));
        assert!(missing.unwrap_err().contains("does not start"));
    }

    #[test]
    fn neither_a_slow_program_nor_its_children_hold_us_up() {
        let argv = ["/bin/sh", "-c", "sleep 600 & sleep 600"].map(str::to_owned);
        let late = ask(&argv, Duration::from_millis(200)).unwrap_err();
        assert!(late.contains("did not answer within 200ms"), "{late}");
    }

    #[test]
    fn nothing_of_our_surroundings_reaches_it() {
        let seen = shell("test -z \"$HOME\" -a \"$PWD\" = / && printf A%.0s $(seq 32)");
        assert!(seen.is_ok(), "{seen:?}");
    }
}
