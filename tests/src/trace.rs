//! What `strace` saw of a daemon, and whether every acknowledgement came after its `fdatasync`.
//!
//! strace stops a thread at each end of a system call and lets it go on only when the line is written,
//! so a call that began because another one had returned stands below it. The order of lines is proof.

use std::path::{Path, PathBuf};

use super::command::require;
use super::wait::until;

/// More than the bytes that an envelope, frames and TLS add to a body, and less than two sizes of
/// messages in a trace may be apart.
pub const OVERHEAD: usize = 12_000;

/// Whether a write of so many bytes is no more than a link's word that bytes have arrived, which goes before
/// they are on disk: frames of 24 and 2 to 5 bytes in one record of TLS.
fn is_word_of_arrival(bytes: usize) -> bool {
    const RECORD: usize = 22;
    (1..=3).any(|frames| (RECORD + 26 * frames..=RECORD + 29 * frames).contains(&bytes))
}

/// `strace` in front of a daemon.
pub struct Strace {
    file: PathBuf,
}

impl Strace {
    /// Writes into `file`.
    pub fn into(file: PathBuf) -> Self {
        require("strace", "strace");
        Self { file }
    }

    /// The words in front of the command. The daemon stays the direct child of whoever starts it.
    pub fn tracing(&self, calls: &str) -> Vec<String> {
        let trace = format!("trace={calls}");
        let file = self.file.display().to_string();
        [
            "strace", "-D", "-f", "-yy", "-s", "0", "-o", &file, "-e", &trace,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// The words for every call that can be or carry an acknowledgement.
    pub fn order(&self) -> Vec<String> {
        self.tracing(
            "fdatasync,fsync,pwrite64,pwritev,write,writev,sendto,sendmsg,read,readv,recvfrom,recvmsg",
        )
    }

    /// The words that make every call of this name suffer `what`, in the syntax of strace.
    pub fn injecting(&self, call: &str, what: &str) -> Vec<String> {
        let mut words = self.tracing(call);
        words.extend(["-e".to_owned(), format!("inject={call}:{what}")]);
        words
    }

    /// The calls, once the daemon has ended.
    pub fn calls(&self) -> Vec<Call> {
        let read = || std::fs::read(&self.file).unwrap_or_default();
        let text = || String::from_utf8_lossy(&read()).into_owned();
        until("strace has written everything", || {
            let text = text();
            let last = text.lines().last().unwrap_or_default();
            last.contains("+++ exited") || last.contains("+++ killed")
        });
        calls(&text())
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// One system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// The descriptor with what it stands for, as `9</path/of.seg>`.
    pub on: String,
    /// The line where it began.
    pub begin: usize,
    /// The line where it returned.
    pub end: usize,
    /// What it returned.
    pub result: i64,
}

impl Call {
    fn moved(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str()) && self.result > 0
    }

    fn is_read(&self) -> bool {
        self.moved(&["read", "readv", "recvfrom", "recvmsg"])
    }

    fn is_write(&self) -> bool {
        self.moved(&[
            "write", "writev", "sendto", "sendmsg", "pwrite64", "pwritev",
        ])
    }

    /// Whether it writes to a segment of a store.
    fn stores(&self) -> bool {
        self.is_write() && self.on.ends_with(".seg>")
    }

    fn bytes(&self) -> usize {
        usize::try_from(self.result).unwrap_or(0)
    }
}

/// Parses what `strace -f -yy` wrote. Calls that never returned are left out.
pub fn calls(text: &str) -> Vec<Call> {
    let mut open: Vec<(&str, Call)> = Vec::new();
    let mut done = Vec::new();
    for (line, entry) in text.lines().enumerate() {
        let Some((thread, entry)) = entry.split_once(' ') else {
            continue;
        };
        let entry = entry.trim_start();
        let result = entry.rsplit_once(" = ").and_then(|(_, result)| {
            let word = result.split_whitespace().next()?;
            word.parse::<i64>().ok()
        });
        if entry.starts_with("<... ") {
            let Some(at) = open.iter().position(|(of, _)| *of == thread) else {
                continue;
            };
            let (_, mut call) = open.remove(at);
            if let Some(result) = result {
                (call.end, call.result) = (line, result);
                done.push(call);
            }
            continue;
        }
        let Some((name, rest)) = entry.split_once('(') else {
            continue;
        };
        let ends = [">,", ">)", "> <unfinished"];
        let end = ends.iter().filter_map(|end| rest.find(end)).min();
        let call = Call {
            name: name.to_owned(),
            on: rest.split_at(end.map_or(0, |end| end + 1)).0.to_owned(),
            begin: line,
            end: line,
            result: result.unwrap_or(0),
        };
        if entry.ends_with("<unfinished ...>") {
            open.push((thread, call));
        } else if result.is_some() {
            done.push(call);
        }
    }
    done.sort_by_key(|call| call.begin);
    done
}

/// The calls from the last write of `size` bytes to a segment on, and what led to it since the write
/// before: what came earlier, close behind each other, may have shared a write and look like anything.
pub fn from_stored(calls: &[Call], size: usize) -> &[Call] {
    let is_it = |call: &Call| call.stores() && (size..size + OVERHEAD).contains(&call.bytes());
    let at = calls.iter().rposition(is_it).unwrap_or(0);
    let earlier = calls.get(..at).unwrap_or_default();
    let before = earlier.iter().rposition(Call::stores);
    calls
        .get(before.map_or(0, |before| before + 1)..)
        .unwrap_or_default()
}

/// Checks that for a message of each of `sizes` bytes the first byte that was sent back on the socket
/// it came in by left after the `fdatasync` of the segment that holds it had returned.
///
/// `socket` is a part of the socket's name in the trace, and `coded` the size that a message has on it.
/// The messages must come one at a time, so that what is sent after one was read is its
/// acknowledgement or nothing.
pub fn acks_follow_sync(
    calls: &[Call],
    socket: &str,
    coded: impl Fn(usize) -> usize,
    sizes: &[usize],
) -> Result<(), String> {
    sizes
        .iter()
        .try_for_each(|&size| ack_follows_sync(calls, socket, size, coded(size)))
        .map_err(|why| format!("{socket}: {why}"))
}

fn ack_follows_sync(calls: &[Call], socket: &str, size: usize, coded: usize) -> Result<(), String> {
    let is_size = |bytes: usize| (size..size + OVERHEAD).contains(&bytes);
    let is_coded = |bytes: usize| (coded..coded + OVERHEAD).contains(&bytes);
    let stored = calls
        .iter()
        .filter(|call| call.stores() && is_size(call.bytes()));
    let stored = only(stored, &format!("write of {size} bytes to a segment"))?;
    let synced = calls.iter().find(|call| {
        let is_sync = call.name == "fdatasync" || call.name == "fsync";
        is_sync && call.on == stored.on && call.begin > stored.end
    });
    let synced = synced.ok_or_else(|| format!("the segment with {size} bytes is never synced"))?;
    if synced.result != 0 {
        return Err(format!("the sync of {size} bytes failed"));
    }

    let ack = exchange(calls, socket, stored, is_coded)
        .ok_or_else(|| {
        format!("no message of {size} bytes with an answer, unless they are stored before they were received")
    })?;
    if ack.begin < synced.end {
        return Err(format!(
            "the answer to {size} bytes leaves in line {} and fdatasync returns in line {}",
            ack.begin + 1,
            synced.end + 1
        ));
    }
    Ok(())
}

/// The first write that can be an answer to a message which was read to its end before it was `stored`,
/// on the connection by which it came. What a link says while a message is still on its way is none.
fn exchange(
    calls: &[Call],
    socket: &str,
    stored: &Call,
    is_size: impl Fn(usize) -> bool,
) -> Option<Call> {
    let mut connections: Vec<&str> = calls
        .iter()
        .filter(|call| call.on.contains(socket))
        .map(|call| call.on.as_str())
        .collect();
    connections.sort_unstable();
    connections.dedup();
    connections.into_iter().find_map(|connection| {
        let of_it = |call: &&Call| call.on == connection;
        let before = calls.iter().filter(of_it);
        let reads = before.filter(|call| call.is_read() && call.end < stored.begin);
        let reads: Vec<&Call> = reads.collect();
        let received = reads.last()?.end;
        // back from its last byte: a message is as many reads as it takes
        let mut bytes = 0;
        let is_whole = reads.iter().rev().any(|read| {
            bytes += read.bytes();
            is_size(bytes)
        });
        let mut after = calls.iter().filter(of_it);
        let ack = after.find(|call| {
            let is_answer = call.is_write() && !is_word_of_arrival(call.bytes());
            is_answer && call.begin > received
        });
        ack.filter(|_| is_whole).cloned()
    })
}

fn only<'a>(mut calls: impl Iterator<Item = &'a Call>, what: &str) -> Result<&'a Call, String> {
    match (calls.next(), calls.next()) {
        (Some(call), None) => Ok(call),
        (None, _) => Err(format!("no {what}")),
        (Some(_), Some(_)) => Err(format!("more than one {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two threads: one serves the socket, one writes the store. What an honest relay does.
    const GOOD: &str = "\
100 recvfrom(12<TCP:[127.0.0.1:7443->127.0.0.1:5000]>, \"\"..., 8192, 0, NULL, NULL) = 700
100 sendto(12<TCP:[127.0.0.1:7443->127.0.0.1:5000]>, \"\"..., 200, MSG_NOSIGNAL, NULL, 0) = 200
100 recvfrom(12<TCP:[127.0.0.1:7443->127.0.0.1:5000]>, \"\"..., 65536, 0, NULL, NULL) = 29500
100 recvfrom(12<TCP:[127.0.0.1:7443->127.0.0.1:5000]>, 0x1, 65536, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
100 recvfrom(12<TCP:[127.0.0.1:7443->127.0.0.1:5000]>,  <unfinished ...>
101 read(5<anon_inode:[eventfd]>, \"\"..., 8) = 8
100 <... recvfrom resumed>\"\"..., 65536, 0, NULL, NULL) = 11000
101 pwrite64(9</s/log/0000000000000001.seg>, \"\"..., 40200, 8192) = 40200
101 fdatasync(9</s/log/0000000000000001.seg> <unfinished ...>
102 sendto(13<TCP:[127.0.0.1:7443->127.0.0.1:5001]>, \"\"..., 9, MSG_NOSIGNAL, NULL, 0) = 9
101 <... fdatasync resumed>) = 0
101 pwrite64(8</s/log/durable.mark>, \"\"..., 64, 0) = 64
100 sendto(12<TCP:[127.0.0.1:7443->127.0.0.1:5000]>, \"\"..., 300, MSG_NOSIGNAL, NULL, 0) = 300
100 +++ exited with 0 +++
";
    const SOCKET: &str = "127.0.0.1:7443->127.0.0.1:5000";

    fn verdict(trace: &str) -> Result<(), String> {
        acks_follow_sync(&calls(trace), SOCKET, |size| size, &[40_000])
    }

    /// The trace with one line moved in front of the line that begins with `before`.
    fn with_moved(line: &str, before: &str) -> String {
        let line = GOOD.lines().find(|l| l.contains(line)).unwrap();
        let rest = GOOD.replace(&format!("{line}\n"), "");
        let at = rest.find(before).unwrap();
        let (above, below) = rest.split_at(at);
        format!("{above}{line}\n{below}")
    }

    #[test]
    fn an_honest_trace_passes() {
        assert_eq!(verdict(GOOD), Ok(()));
        let seen = calls(GOOD);
        let read = seen.iter().find(|call| call.result == 11_000).unwrap();
        assert_eq!((read.begin, read.end), (4, 6));
        let sync = seen.iter().find(|call| call.name == "fdatasync").unwrap();
        assert_eq!((sync.begin, sync.end, sync.result), (8, 10, 0));
    }

    #[test]
    fn an_ack_before_the_sync_returned_is_caught() {
        for before in [
            "101 <... fdatasync resumed>",
            "101 fdatasync(",
            "101 pwrite64(9<",
        ] {
            let trace = with_moved("= 300", before);
            let why = verdict(&trace).unwrap_err();
            assert!(why.contains("the answer to 40000 bytes leaves"), "{why}");
        }
    }

    #[test]
    fn a_sync_that_is_missing_failed_or_of_another_file_is_caught() {
        let without: Vec<_> = GOOD
            .lines()
            .filter(|line| !line.contains("fdatasync"))
            .collect();
        let without = without.join("\n");
        assert!(verdict(&without).unwrap_err().contains("never synced"));
        let failed = GOOD.replace("resumed>) = 0", "resumed>) = -1 EIO (Input/output error)");
        assert!(verdict(&failed).unwrap_err().contains("failed"));
        let other = GOOD.replace(
            "fdatasync(9</s/log/0000000000000001.seg>",
            "fdatasync(7</s/log/0000000000000002.seg>",
        );
        assert!(verdict(&other).unwrap_err().contains("never synced"));
    }

    #[test]
    fn a_trace_without_the_exchange_proves_nothing() {
        let silent = GOOD.replace("= 300", "= -1 EPIPE (Broken pipe)");
        assert!(verdict(&silent).unwrap_err().contains("with an answer"));
        assert!(verdict("").unwrap_err().contains("no write of 40000"));
        let stored_early = with_moved(
            "40200",
            "100 recvfrom(12<TCP:[127.0.0.1:7443->127.0.0.1:5000]>,  <unf",
        );
        assert!(
            verdict(&stored_early)
                .unwrap_err()
                .contains("before they were received")
        );
    }
}
