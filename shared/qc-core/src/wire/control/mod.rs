//! The control messages of a link: what two nodes tell each other besides records.
//!
//! Each travels as one frame with a protobuf payload, so that a field can be added without a new
//! version. [`Control::decode`] checks every bound and name; what comes out of it is trusted. Text
//! from a peer is made safe to show here, once.

mod applied;
mod call;
mod pb;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use applied::{Applied, Below, MAX_APPLIED};
#[cfg(feature = "pki")]
pub(crate) use applied::{from_bytes as applied_from_bytes, to_bytes as applied_to_bytes};
pub use call::{CALL_WINDOW, CALLS, Call, MAX_CALLS, Target};

use super::{Code, Frame, FrameHeader, FrameKind, WireError};
use crate::model::{Epoch, HostPort, Lane, NameError, NodeName, Seq, StreamName, Timestamp};
use crate::safe_text::safe;

/// The newest protocol version this build speaks.
pub const PROTOCOL: u32 = 1;
/// The oldest one it speaks: that of two minor versions before.
pub const PROTOCOL_OLDEST: u32 = 1;
/// The most channels and subscriptions one side may have open in a session.
pub const MAX_CHANNELS: usize = 1024;
/// The most streams that a relay sends over a link: each has a channel for what is urgent, and one for
/// the rest.
pub const MAX_STREAMS: usize = MAX_CHANNELS / 2;
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 300;
/// The longest version text that is kept, in characters.
const MAX_SOFTWARE: usize = 64;
/// The heartbeat intervals that are accepted, in milliseconds.
const HEARTBEATS: std::ops::RangeInclusive<u32> = 10..=600_000;

/// The bit of [`Greeting::features`] of a node that takes messages in parts. A node without it would take every
/// part but the first for a repetition, so nobody sends it any.
pub const PARTS: u64 = 2;

/// Who a node is and what it speaks: the first message of either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The oldest protocol version it speaks; in a Welcome the one that holds.
    pub version_min: u32,
    /// The newest protocol version it speaks; in a Welcome the one that holds.
    pub version_max: u32,
    /// Bits for optional abilities: [`CALLS`], [`PARTS`].
    pub features: u64,
    /// Its name, which must be the one in its certificate.
    pub node: NodeName,
    /// Product and version, for people.
    pub software: String,
    /// Its wall clock.
    pub time: Timestamp,
    /// How often it sends a heartbeat.
    pub heartbeat: Duration,
    /// Bytes of records it takes unacknowledged, over all channels.
    pub window: u64,
    /// A number that its process drew when it began, 0 if it tells none: two of one node that live at
    /// the same time are two machines.
    pub instance: u64,
}

/// Why a session, a channel or a subscription does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// One sentence for people, safe to show.
    pub reason: String,
    /// The relay to go to instead, in the Close of one that sends its peer away.
    pub to: Option<HostPort>,
}

impl Refusal {
    /// A refusal with `code`; unsafe characters of `reason` are spelled out.
    pub fn new(code: Code, reason: impl AsRef<str>) -> Self {
        Self {
            code,
            reason: safe(reason.as_ref(), MAX_REASON),
            to: None,
        }
    }

    /// The same, with the relay to go to instead.
    #[must_use]
    pub fn towards(self, to: Option<HostPort>) -> Self {
        Self { to, ..self }
    }
}

/// How far a stream has come, in the numbering of the node that sends it. The default says "nothing
/// yet": no stream has epoch 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// The sender's epoch.
    pub epoch: Epoch,
    /// The last seq that is durable.
    pub seq: Seq,
}

/// Why a channel exists. The numbers are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ChannelKind {
    /// The sender hands on what it has: an edge's buffer, a relay's uplink.
    Forward = 1,
    /// The receiver asked for it with a subscription.
    Deliver = 2,
}

/// The name under which a subscriber keeps its position: 1 to 128 of `a-z 0-9 - _ .`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Consumer(Box<str>);

impl Consumer {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Consumer {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > 128 {
            return Err(NameError::Length {
                label: safe(text, 80),
                max: 128,
            });
        }
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
        if let Some(found) = text.chars().find(|c| !allowed(*c)) {
            return Err(NameError::Alphabet {
                label: safe(text, 80),
                found,
                allowed: "a-z, 0-9, -, _ and .",
            });
        }
        Ok(Self(text.into()))
    }
}

/// A sender announces a stream that it wants to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The number of the channel, chosen by the sender: odd from a dialer, even from an acceptor.
    pub channel: u32,
    /// Why the channel exists.
    pub kind: ChannelKind,
    /// The stream.
    pub stream: StreamName,
    /// Its lane.
    pub lane: Lane,
    /// The epoch that its numbers belong to, never 0.
    pub epoch: Epoch,
    /// The oldest seq the sender still has.
    pub first: Seq,
    /// The newest seq the sender has.
    pub last: Seq,
    /// Whose subscription this answers; none for a forward.
    pub consumer: Option<Consumer>,
}

/// The receiver's answer to an [`Open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenAck {
    /// The channel.
    pub channel: u32,
    /// How far the receiver has this stream on disk.
    pub mark: Mark,
    /// Bytes of records it takes unacknowledged on this channel.
    pub window: u64,
}

/// Everything up to `seq` of a channel is on the receiver's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The channel.
    pub channel: u32,
    /// The position.
    pub mark: Mark,
}

/// What waits to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Messages.
    pub messages: u64,
    /// Bytes.
    pub bytes: u64,
    /// When the oldest of them was accepted; none without any.
    pub oldest: Option<Timestamp>,
}

/// What waits on one channel of the heartbeat's sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelBacklog {
    /// The channel.
    pub channel: u32,
    /// What waits.
    pub backlog: Backlog,
}

/// The last durable position of one channel that the heartbeat's sender receives.
pub type Durable = Ack;

/// Sent at a fixed interval, so that every number shown has an age.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// The sender's wall clock.
    pub time: Timestamp,
    /// Microseconds of the sender's session, to be echoed.
    pub sent_us: u64,
    /// `sent_us` of the last heartbeat received, 0 for none.
    pub echo_us: u64,
    /// How long that heartbeat was held, in microseconds.
    pub held_us: u64,
    /// Last durable positions.
    pub durable: Vec<Durable>,
    /// What waits, per channel.
    pub backlog: Vec<ChannelBacklog>,
    /// What the receiver should know of itself, as long as it holds.
    pub notice: Option<Refusal>,
}

/// Where a subscription without a position begins. The numbers are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Start {
    /// With the oldest message that is kept.
    #[default]
    Beginning = 1,
    /// With the next message that arrives.
    End = 2,
}

/// A node asks to be sent a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// The name under which its position is kept.
    pub consumer: Consumer,
    /// The stream.
    pub stream: StreamName,
    /// Where to begin without a position.
    pub start: Start,
}

/// How a node fares, as its neighbour shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Product version.
    pub version: String,
    /// How full the disk of its state is, in percent.
    pub disk_used_percent: u8,
    /// When its certificate ends, if it knows.
    pub cert_not_after: Option<Timestamp>,
    /// Its wall clock.
    pub time: Timestamp,
    /// What waits on it, over all streams.
    pub backlog: Backlog,
    /// Messages it has accepted since it started.
    pub messages_in: u64,
    /// Messages that were acknowledged to it or delivered since it started.
    pub messages_out: u64,
    /// How far it has come with control objects; none from a version that knows none.
    pub control: Option<Vec<Applied>>,
}

/// One control message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The dialer's greeting.
    Hello(Greeting),
    /// The acceptor's greeting.
    Welcome(Greeting),
    /// The session ends.
    Close(Refusal),
    /// Alive.
    Heartbeat(Heartbeat),
    /// A sender wants to send.
    Open(Open),
    /// A receiver takes it.
    OpenAck(OpenAck),
    /// A channel or subscription ends or never begins.
    Refuse(u32, Refusal),
    /// Durable up to here.
    Ack(Ack),
    /// A node asks for a stream under the number of a subscription.
    Subscribe(u32, Subscribe),
    /// It will get it.
    SubscribeAck(u32),
    /// How the node fares.
    Status(Status),
    /// How many bytes of batches and calls have arrived in this session, whether on disk or not.
    Received(u64),
    /// A call under this number.
    Call(u32, Call),
    /// So many more bytes of a call are taken; the first one takes the call.
    CallCredit(u32, u64),
    /// No more bytes of a call come from here.
    CallEnd(u32),
}

impl Control {
    /// Appends the frame of this message to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(greeting) => put(out, FrameKind::Hello, 0, &pb::Greeting::from(greeting)),
            Self::Welcome(greeting) => {
                put(out, FrameKind::Welcome, 0, &pb::Greeting::from(greeting));
            }
            Self::Close(refusal) => put(out, FrameKind::Close, 0, &pb::Refusal::from(refusal)),
            Self::Heartbeat(beat) => put(out, FrameKind::Heartbeat, 0, &pb::Heartbeat::from(beat)),
            Self::Open(open) => put(out, FrameKind::Open, open.channel, &pb::Open::from(open)),
            Self::OpenAck(ack) => put(
                out,
                FrameKind::OpenAck,
                ack.channel,
                &pb::OpenAck::from(ack),
            ),
            Self::Refuse(channel, refusal) => {
                put(
                    out,
                    FrameKind::Refuse,
                    *channel,
                    &pb::Refusal::from(refusal),
                );
            }
            Self::Ack(ack) => put(out, FrameKind::Ack, ack.channel, &pb::Mark::from(&ack.mark)),
            Self::Subscribe(number, subscribe) => {
                put(
                    out,
                    FrameKind::Subscribe,
                    *number,
                    &pb::Subscribe::from(subscribe),
                );
            }
            Self::SubscribeAck(number) => put(out, FrameKind::SubscribeAck, *number, &pb::Empty {}),
            Self::Status(status) => put(out, FrameKind::Status, 0, &pb::Status::from(status)),
            Self::Received(bytes) => put(out, FrameKind::Received, 0, &pb::Count { count: *bytes }),
            Self::Call(number, call) => {
                put(out, FrameKind::Call, *number, &call::CallTwin::from(call));
            }
            Self::CallCredit(number, bytes) => {
                let count = pb::Count { count: *bytes };
                put(out, FrameKind::CallCredit, *number, &count);
            }
            Self::CallEnd(number) => put(out, FrameKind::CallEnd, *number, &pb::Empty {}),
        }
    }

    /// Reads a control frame; a batch and the bytes of a call are none.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        let channel = frame.header.channel;
        let about_session = matches!(
            frame.header.kind,
            FrameKind::Hello
                | FrameKind::Welcome
                | FrameKind::Close
                | FrameKind::Heartbeat
                | FrameKind::Status
                | FrameKind::Received
        );
        if about_session != (channel == 0) {
            return Err(WireError::Malformed("channel number"));
        }
        Ok(match frame.header.kind {
            FrameKind::Hello => Self::Hello(parse::<pb::Greeting>(frame)?.try_into()?),
            FrameKind::Welcome => Self::Welcome(parse::<pb::Greeting>(frame)?.try_into()?),
            FrameKind::Close => Self::Close(parse::<pb::Refusal>(frame)?.try_into()?),
            FrameKind::Heartbeat => Self::Heartbeat(pb::heartbeat(&frame.payload)?),
            FrameKind::Open => Self::Open(parse::<pb::Open>(frame)?.check(channel)?),
            FrameKind::OpenAck => Self::OpenAck(parse::<pb::OpenAck>(frame)?.check(channel)),
            FrameKind::Refuse => Self::Refuse(channel, parse::<pb::Refusal>(frame)?.try_into()?),
            FrameKind::Ack => Self::Ack(Ack {
                channel,
                mark: parse::<pb::Mark>(frame)?.into(),
            }),
            FrameKind::Subscribe => {
                Self::Subscribe(channel, parse::<pb::Subscribe>(frame)?.try_into()?)
            }
            FrameKind::SubscribeAck => {
                parse::<pb::Empty>(frame)?;
                Self::SubscribeAck(channel)
            }
            FrameKind::Status => Self::Status(parse::<pb::Status>(frame)?.try_into()?),
            FrameKind::Received => Self::Received(parse::<pb::Count>(frame)?.count),
            FrameKind::Call => Self::Call(channel, parse::<call::CallTwin>(frame)?.try_into()?),
            FrameKind::CallCredit => Self::CallCredit(channel, parse::<pb::Count>(frame)?.count),
            FrameKind::CallEnd => {
                parse::<pb::Empty>(frame)?;
                Self::CallEnd(channel)
            }
            FrameKind::Batch | FrameKind::CallData => {
                return Err(WireError::Malformed("control message"));
            }
        })
    }
}

fn put(out: &mut Vec<u8>, kind: FrameKind, channel: u32, message: &impl prost::Message) {
    FrameHeader::control(kind, channel).encode(out, |out| {
        message.encode(out).expect("a Vec grows as needed");
    });
}

fn parse<M: prost::Message + Default>(frame: &Frame) -> Result<M, WireError> {
    M::decode(frame.payload.as_ref()).map_err(|_| WireError::Malformed("control message"))
}

fn stream(text: &str) -> Result<StreamName, WireError> {
    text.parse()
        .map_err(|_| WireError::Malformed("stream name"))
}

fn time_if_set(ms: u64) -> Option<Timestamp> {
    (ms != 0).then(|| Timestamp::from_millis(ms))
}
