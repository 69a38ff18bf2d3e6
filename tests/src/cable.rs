//! A network cable between two nodes that a test can pull out, or that does what bad lines do.
//!
//! A TCP forwarder on 127.0.0.1 with a [`Weather`]. What holds for a connection holds byte by byte: the
//! n-th byte of a direction is the last one, or has a bit that turns, whatever the pieces are in which
//! it came. [`Cable::restore`] makes the weather fair; connections that have lost bytes are reset then,
//! as a firewall answers that has forgotten them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::wait::now;

/// Bytes read at once, and how many such reads may be on their way.
const PIECE: usize = 16 << 10;
const PIECES: usize = 64;
/// How soon a change of the weather is noticed.
const GLANCE: Duration = Duration::from_millis(5);

/// How a cable treats what goes through it.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// Every byte takes so long, and up to so much longer.
    pub delay: Duration,
    /// See `delay`. Nothing overtakes anything.
    pub jitter: Duration,
    /// At most so many bytes a second, each way.
    pub rate: Option<u64>,
    /// Every byte goes by itself.
    pub dribbles: bool,
    /// Nothing goes on, and nothing is lost.
    pub stalls: bool,
    /// What comes is taken and lost, and nobody is told.
    pub swallows: bool,
    /// Connections end at once, new ones too.
    pub cut: bool,
    /// The byte of a connection, of this direction, behind which it ends.
    pub cut_after: Option<(Direction, u64)>,
    /// The byte of a connection, of this direction, of which a bit turns.
    pub flip_at: Option<(Direction, u64)>,
    /// A connection that ends is reset: what is on its way is lost.
    pub resets: bool,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From who dials.
    Up,
    /// To who dials.
    Down,
}

/// The cable. Dropped, it is cut.
pub struct Cable {
    port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    weather: Mutex<Weather>,
    open: Mutex<Vec<Arc<Connection>>>,
    /// Bytes that came out at the other end.
    carried: AtomicU64,
    /// Connections that a fault has ended or damaged.
    hit: AtomicU64,
}

struct Connection {
    near: TcpStream,
    far: TcpStream,
    /// Bytes of it are lost: it must not go on.
    is_dead: AtomicBool,
    is_over: AtomicBool,
}

impl Cable {
    /// A cable to this port of 127.0.0.1.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let cable = Self {
            port: listener.local_addr().unwrap().port(),
            inner: Arc::new(Inner {
                weather: Mutex::default(),
                open: Mutex::default(),
                carried: AtomicU64::new(0),
                hit: AtomicU64::new(0),
            }),
        };
        let inner = Arc::clone(&cable.inner);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // nobody there is the dialler's to see
                if let Ok(far) = TcpStream::connect(("127.0.0.1", port)) {
                    inner.plug(near, far);
                }
            }
        });
        cable
    }

    /// Where to dial.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        let (cuts, resets) = (weather.cut, weather.resets);
        *self.inner.weather.lock().unwrap() = weather;
        if cuts {
            self.inner.end_all(resets);
        }
    }

    /// Pulls it out.
    pub fn cut(&self) {
        self.set(Weather {
            cut: true,
            ..Weather::default()
        });
    }

    /// Plugs it in again; what has lost bytes is reset.
    pub fn restore(&self) {
        self.set(Weather::default());
        self.inner.bury();
    }

    /// Bytes that came through so far.
    pub fn carried(&self) -> u64 {
        self.inner.carried.load(Ordering::SeqCst)
    }

    /// Connections that the weather has ended or damaged so far.
    pub fn hit(&self) -> u64 {
        self.inner.hit.load(Ordering::SeqCst)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Inner {
    fn weather(&self) -> Weather {
        self.weather.lock().unwrap().clone()
    }

    fn plug(self: &Arc<Self>, near: TcpStream, far: TcpStream) {
        for stream in [&near, &far] {
            let _best_effort = stream.set_nodelay(true);
        }
        let connection = Arc::new(Connection {
            near,
            far,
            is_dead: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        // under the lock, so that a cut sees it or it sees the cut
        let mut open = self.open.lock().unwrap();
        let weather = self.weather();
        if weather.cut {
            connection.end(weather.resets);
            self.hit.fetch_add(1, Ordering::SeqCst);
            return;
        }
        open.retain(|connection| !connection.is_over.load(Ordering::SeqCst));
        for direction in [Direction::Up, Direction::Down] {
            let (sender, receiver) = sync_channel(PIECES);
            let (inner, of) = (Arc::clone(self), Arc::clone(&connection));
            thread::spawn(move || inner.take(&of, direction, &sender));
            let (inner, of) = (Arc::clone(self), Arc::clone(&connection));
            thread::spawn(move || inner.give(&of, direction, &receiver));
        }
        open.push(connection);
    }

    fn end_all(&self, resets: bool) {
        for connection in self.open.lock().unwrap().drain(..) {
            self.hit.fetch_add(1, Ordering::SeqCst);
            connection.end(resets);
        }
    }

    fn bury(&self) {
        let mut open = self.open.lock().unwrap();
        open.retain(|connection| {
            let is_dead = connection.is_dead.load(Ordering::SeqCst);
            if is_dead {
                connection.end(true);
            }
            !is_dead
        });
    }

    /// Reads one direction, and notes when each piece is due at the other end.
    fn take(&self, of: &Connection, direction: Direction, to: &SyncSender<(Instant, Vec<u8>)>) {
        let mut from = of.ends(direction).0;
        let mut due = now();
        let mut random = fastrand::Rng::with_seed(7);
        let mut buffer = vec![0; PIECE];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let weather = self.weather();
            if weather.swallows && !of.is_dead.swap(true, Ordering::SeqCst) {
                self.hit.fetch_add(1, Ordering::SeqCst);
            }
            if of.is_dead.load(Ordering::SeqCst) {
                continue;
            }
            let late = weather.delay + weather.jitter.mul_f64(random.f64());
            due = due.max(now() + late);
            if to.send((due, buffer[..read].to_vec())).is_err() {
                break;
            }
        }
    }

    /// Writes what has been read when it is due, as the weather is then.
    fn give(&self, of: &Connection, direction: Direction, from: &Receiver<(Instant, Vec<u8>)>) {
        let to = of.ends(direction).1;
        let mut total = 0;
        while let Ok((due, bytes)) = from.recv() {
            sleep(due.saturating_duration_since(now()));
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let weather = self.weather();
                if of.is_over.load(Ordering::SeqCst) || of.is_dead.load(Ordering::SeqCst) {
                    break;
                }
                if weather.stalls {
                    sleep(GLANCE);
                    continue;
                }
                let count = self.give_some(&weather, of, direction, to, total, rest);
                let Some(count) = count else {
                    break;
                };
                total += count as u64;
                rest = &rest[count..];
            }
        }
        if !of.is_dead.load(Ordering::SeqCst) {
            let _already_closed = to.shutdown(Shutdown::Write);
        }
    }

    /// Writes the next bytes of a connection that has carried `total`; `None` when it is over.
    fn give_some(
        &self,
        weather: &Weather,
        of: &Connection,
        direction: Direction,
        mut to: &TcpStream,
        total: u64,
        rest: &[u8],
    ) -> Option<usize> {
        let mut count = if weather.dribbles { 1 } else { rest.len() };
        if let Some(rate) = weather.rate {
            // a twentieth of a second at a time
            count = count.min(usize::try_from(rate / 20).unwrap().max(1));
            sleep(Duration::from_nanos(count as u64 * 1_000_000_000 / rate));
        }
        let mut piece = rest[..count].to_vec();
        if let Some((at, byte)) = weather.flip_at
            && at == direction
            && (total..total + count as u64).contains(&byte)
        {
            piece[usize::try_from(byte - total).unwrap()] ^= 0x10;
            self.hit.fetch_add(1, Ordering::SeqCst);
        }
        let mut is_last = false;
        if let Some((at, byte)) = weather.cut_after
            && at == direction
            && total + count as u64 >= byte
        {
            // an older connection may be beyond it already
            piece.truncate(usize::try_from(byte.saturating_sub(total)).unwrap());
            is_last = true;
        }
        to.write_all(&piece).ok()?;
        self.carried.fetch_add(piece.len() as u64, Ordering::SeqCst);
        if is_last {
            self.hit.fetch_add(1, Ordering::SeqCst);
            of.end(weather.resets);
            return None;
        }
        Some(count)
    }
}

impl Connection {
    /// Where bytes of a direction come from, and where they go.
    fn ends(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::Up => (&self.near, &self.far),
            Direction::Down => (&self.far, &self.near),
        }
    }

    /// Ends it. What is reset is so when its last thread has let go of it, which is at once.
    fn end(&self, resets: bool) {
        self.is_over.store(true, Ordering::SeqCst);
        let how = if resets {
            self.is_dead.store(true, Ordering::SeqCst);
            Shutdown::Read
        } else {
            Shutdown::Both
        };
        for stream in [&self.near, &self.far] {
            if resets {
                let _best_effort = set_socket_linger(stream, Some(Duration::ZERO));
            }
            let _already_closed = stream.shutdown(how);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const PATIENT: Duration = Duration::from_secs(5);

    /// A cable to who sends every byte back, and a connection through it.
    fn echo() -> (Cable, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let cable = Cable::to(listener.local_addr().unwrap().port());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        let stream = dial(&cable);
        (cable, stream)
    }

    fn dial(cable: &Cable) -> TcpStream {
        let stream = TcpStream::connect(cable.address()).unwrap();
        stream.set_read_timeout(Some(PATIENT)).unwrap();
        stream
    }

    fn ask(mut stream: &TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(text)?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn it_breaks_and_mends() {
        let (cable, stream) = echo();
        assert_eq!(ask(&stream, b"one").unwrap(), b"one");
        // it counts what it has handed on, which is answered meanwhile
        assert!((0..500).any(|_| {
            sleep(Duration::from_millis(2));
            cable.carried() == 6
        }));
        cable.cut();
        assert!(ask(&stream, b"two").is_err());
        assert!(ask(&dial(&cable), b"two").is_err());
        cable.restore();
        assert_eq!(ask(&dial(&cable), b"three").unwrap(), b"three");
    }

    #[test]
    fn a_connection_ends_behind_the_byte_that_was_named() {
        for (direction, byte, answer) in [(Direction::Up, 3, 3), (Direction::Down, 7, 7)] {
            let (cable, _) = echo();
            cable.set(Weather {
                cut_after: Some((direction, byte)),
                ..Weather::default()
            });
            let mut stream = dial(&cable);
            stream.write_all(b"0123456789").unwrap();
            let mut came = Vec::new();
            let _ends_somehow = stream.read_to_end(&mut came);
            assert!(came.len() <= answer, "{direction:?}: {came:?}");
            assert!(b"0123456789".starts_with(&came));
            assert_eq!(cable.hit(), 1);
            if direction == Direction::Down {
                assert_eq!(came, b"0123456");
            }
        }
    }

    #[test]
    fn a_bit_turns_where_it_was_told_to() {
        let (cable, _) = echo();
        cable.set(Weather {
            flip_at: Some((Direction::Down, 1)),
            dribbles: true,
            ..Weather::default()
        });
        assert_eq!(ask(&dial(&cable), b"aaa").unwrap(), b"aqa");
    }

    #[test]
    fn what_stalls_goes_on_and_what_is_swallowed_does_not() {
        let (cable, stream) = echo();
        let stalled = Weather {
            stalls: true,
            ..Weather::default()
        };
        cable.set(stalled);
        let begin = now();
        let mend = thread::scope(|scope| {
            scope.spawn(|| {
                sleep(Duration::from_millis(150));
                cable.restore();
            });
            ask(&stream, b"late").unwrap()
        });
        assert_eq!(mend, b"late");
        assert!(begin.elapsed() >= Duration::from_millis(150));
        cable.set(Weather {
            swallows: true,
            ..Weather::default()
        });
        stream
            .set_read_timeout(Some(Duration::from_millis(80)))
            .unwrap();
        let lost = ask(&stream, b"lost").unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::WouldBlock);
        cable.restore();
        stream.set_read_timeout(Some(PATIENT)).unwrap();
        let reset = ask(&stream, b"more").unwrap_err();
        assert!(
            matches!(
                reset.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
            "{reset}"
        );
        assert_eq!(ask(&dial(&cable), b"new").unwrap(), b"new");
    }

    #[test]
    fn a_line_is_as_slow_as_it_was_told_to_be() {
        let (cable, stream) = echo();
        cable.set(Weather {
            rate: Some(20_000),
            delay: Duration::from_millis(20),
            ..Weather::default()
        });
        let begin = now();
        ask(&stream, &[7; 8000]).unwrap();
        let took = begin.elapsed();
        // there and back, a little of it at the same time
        assert!((400..3000).contains(&took.as_millis()), "{took:?}");
    }
}
