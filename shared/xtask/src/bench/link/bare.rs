//! The bare way of row `latency`: what this machine needs for three hops over loopback and two syncs, with a
//! thread that blocks at each stop, nothing encrypted, nothing kept. No message can be faster here, however
//! short its code is: a core that sleeps between messages takes its time to wake, and so does the disk.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use qc_core::clock::{Clock as _, SystemClock};

use super::feed::payload;
use crate::bench::raw::MESSAGE;

/// Bytes of a stop's file, which was written before and is written round and round.
const FILE: u64 = 4 << 20;

/// Sends `count` messages, one each `every`, and tells how long each took to its end.
pub(super) fn times(
    dir: &Path,
    (count, every): (u32, Duration),
    clock: &Arc<SystemClock>,
) -> io::Result<Vec<Duration>> {
    let (mut start, first_in) = wire()?;
    let (first_out, second_in) = wire()?;
    let (second_out, mut end) = wire()?;
    let first = stop(&dir.join("bare-1"), first_in, first_out)?;
    let second = stop(&dir.join("bare-2"), second_in, second_out)?;
    let at_end = {
        let clock = Arc::clone(clock);
        thread::spawn(move || {
            let (mut arrivals, mut body) = (Vec::new(), payload());
            while arrivals.len() < count as usize {
                end.read_exact(&mut body)?;
                arrivals.push(clock.instant());
            }
            Ok::<Vec<Instant>, io::Error>(arrivals)
        })
    };
    let (mut sent, body, began) = (Vec::new(), payload(), clock.instant());
    for number in 0..count {
        let turn = began + every * number;
        thread::sleep(turn.saturating_duration_since(clock.instant()));
        sent.push(clock.instant());
        start.write_all(&body)?;
    }
    let arrivals = joined(at_end)?;
    drop(start);
    joined(first)?;
    joined(second)?;
    let each = sent.iter().zip(arrivals);
    Ok(each
        .map(|(sent, arrived)| arrived.saturating_duration_since(*sent))
        .collect())
}

/// Two ends of a connection over loopback.
fn wire() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

/// Writes and syncs what comes, and only then hands it on.
fn stop(
    path: &Path,
    mut from: TcpStream,
    mut to: TcpStream,
) -> io::Result<thread::JoinHandle<io::Result<()>>> {
    let file = File::create(path)?;
    file.write_all_at(&vec![0; usize::try_from(FILE).unwrap_or(0)], 0)?;
    file.sync_all()?;
    Ok(thread::spawn(move || {
        let (mut body, mut at) = (payload(), 0);
        loop {
            match from.read_exact(&mut body) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
            file.write_all_at(&body, at)?;
            file.sync_data()?;
            to.write_all(&body)?;
            at = (at + u64::from(MESSAGE)) % FILE;
        }
    }))
}

fn joined<T>(thread: thread::JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a thread of the bare way panicked")))
}
