//! As much of MQTT 3.1.1 as it takes to publish with acknowledgements for a subscriber that is away, and to be that
//! subscriber later.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::child::now;

const WINDOW: u64 = 64;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const SUBACK: u8 = 9;

/// One connection.
pub(super) struct Mqtt {
    stream: TcpStream,
}

impl Mqtt {
    /// Connects under a name; a lasting session keeps its subscriptions and what waits for it.
    pub(super) fn connect(port: u16, name: &str, lasting: bool) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut mqtt = Self { stream };
        // protocol level 4, clean session or not, no keep-alive
        let mut body = text("MQTT");
        body.extend([4, if lasting { 0 } else { 2 }, 0, 0]);
        body.extend(text(name));
        mqtt.send(0x10, &body)?;
        match mqtt.packet()? {
            (CONNACK, _, answer) if answer.get(1) == Some(&0) => Ok(mqtt),
            other => Err(io::Error::other(format!("not connected: {other:?}"))),
        }
    }

    /// Subscribes to all messages of the cut.
    pub(super) fn subscribe(&mut self) -> io::Result<()> {
        let mut body = vec![0, 1];
        body.extend(text("cut/#"));
        body.push(1);
        self.send(0x82, &body)?;
        while self.packet()?.0 != SUBACK {}
        self.send(0xe0, &[])
    }

    /// Publishes until `until`; `acked` is told each message when its acknowledgement has come.
    pub(super) fn publish(&mut self, until: Instant, acked: &mut dyn FnMut(u64)) -> io::Result<()> {
        let (mut sent, mut under_way, mut answered) = (0_u64, 0, 0_u64);
        loop {
            let over = now() >= until;
            while under_way < WINDOW && !over {
                let mut body = text(&format!("cut/{sent}"));
                body.extend(packet_id(sent).to_be_bytes());
                body.extend([b'x'; 256]);
                self.send(0x32, &body)?;
                (sent, under_way) = (sent + 1, under_way + 1);
            }
            if under_way == 0 {
                return Ok(());
            }
            let (kind, _, body) = self.packet()?;
            if kind != PUBACK {
                continue;
            }
            // the numbers come back in order or nearly: the nearest message with this number
            let id = u16_at(&body);
            let number = (answered.saturating_sub(WINDOW)..sent).find(|n| packet_id(*n) == id);
            if let Some(number) = number {
                acked(number);
            }
            (under_way, answered) = (under_way - 1, answered + 1);
            if answered % 16 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// All messages that wait for this subscriber.
    pub(super) fn present(&mut self) -> io::Result<BTreeSet<u64>> {
        self.stream
            .set_read_timeout(Some(Duration::from_millis(1500)))?;
        let mut present = BTreeSet::new();
        loop {
            let (kind, flags, body) = match self.packet() {
                Ok(packet) => packet,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Ok(present);
                }
                Err(error) => return Err(error),
            };
            if kind != PUBLISH {
                continue;
            }
            let length = usize::from(u16_at(&body));
            let topic = body.get(2..2 + length).unwrap_or_default();
            let number = std::str::from_utf8(topic)
                .ok()
                .and_then(|topic| topic.strip_prefix("cut/"));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                present.insert(number);
            }
            if flags & 6 == 2 {
                let id = body
                    .get(2 + length..4 + length)
                    .unwrap_or_default()
                    .to_vec();
                self.send(0x40, &id)?;
            }
        }
    }

    fn send(&mut self, first: u8, body: &[u8]) -> io::Result<()> {
        let mut packet = vec![first];
        let mut length = body.len();
        loop {
            let low = u8::try_from(length % 128).unwrap_or(0);
            length /= 128;
            packet.push(if length > 0 { low | 128 } else { low });
            if length == 0 {
                break;
            }
        }
        packet.extend(body);
        self.stream.write_all(&packet)
    }

    /// Kind, flags and body of the next packet.
    fn packet(&mut self) -> io::Result<(u8, u8, Vec<u8>)> {
        let first = self.byte()?;
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let byte = self.byte()?;
            length |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte & 128 == 0 || shift > 21 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((first >> 4, first & 15, body))
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        Ok(u8::from_be_bytes(byte))
    }
}

fn packet_id(number: u64) -> u16 {
    u16::try_from(number % 65_535).unwrap_or(0) + 1
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(0);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn u16_at(bytes: &[u8]) -> u16 {
    bytes
        .first_chunk()
        .map_or(0, |word| u16::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts() {
        assert_eq!(
            (packet_id(0), packet_id(65_534), packet_id(65_535)),
            (1, 65_535, 1)
        );
        assert_eq!(text("ab"), [0, 2, b'a', b'b']);
        assert_eq!(u16_at(&[1, 2, 3]), 258);
    }
}
