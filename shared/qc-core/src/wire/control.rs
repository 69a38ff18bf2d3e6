//! The control messages of a link: what two nodes tell each other besides records.
//!
//! Each travels as one frame with a protobuf payload, so that a field can be added without a new
//! version. [`Control::decode`] checks every bound and name; what comes out of it is trusted. Text
//! from a peer is made safe to show here, once.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Code, Frame, FrameHeader, FrameKind, WireError};
use crate::model::{Epoch, Lane, NameError, NodeName, Seq, StreamName, Timestamp};
use crate::safe_text::safe;

/// The protocol version this build speaks.
pub const PROTOCOL: u32 = 1;
/// The most channels and subscriptions one side may have open in a session.
pub const MAX_CHANNELS: usize = 1024;
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 300;
/// The longest version text that is kept, in characters.
const MAX_SOFTWARE: usize = 64;
/// The heartbeat intervals that are accepted, in milliseconds.
const HEARTBEATS: std::ops::RangeInclusive<u32> = 10..=600_000;

/// Who a node is and what it speaks: the first message of either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The oldest protocol version it speaks; in a Welcome the one that holds.
    pub version_min: u32,
    /// The newest protocol version it speaks; in a Welcome the one that holds.
    pub version_max: u32,
    /// Bits for optional abilities; none is defined in version 1.
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
}

/// Why a session, a channel or a subscription does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// One sentence for people, safe to show.
    pub reason: String,
}

impl Refusal {
    /// A refusal with `code`; unsafe characters of `reason` are spelled out.
    pub fn new(code: Code, reason: impl AsRef<str>) -> Self {
        Self {
            code,
            reason: safe(reason.as_ref(), MAX_REASON),
        }
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
        }
    }

    /// Reads a control frame; a batch is none.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        let channel = frame.header.channel;
        let about_session = matches!(
            frame.header.kind,
            FrameKind::Hello
                | FrameKind::Welcome
                | FrameKind::Close
                | FrameKind::Heartbeat
                | FrameKind::Status
        );
        if about_session != (channel == 0) {
            return Err(WireError::Malformed("channel number"));
        }
        Ok(match frame.header.kind {
            FrameKind::Hello => Self::Hello(parse::<pb::Greeting>(frame)?.try_into()?),
            FrameKind::Welcome => Self::Welcome(parse::<pb::Greeting>(frame)?.try_into()?),
            FrameKind::Close => Self::Close(parse::<pb::Refusal>(frame)?.try_into()?),
            FrameKind::Heartbeat => Self::Heartbeat(parse::<pb::Heartbeat>(frame)?.try_into()?),
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
            FrameKind::Batch => return Err(WireError::Malformed("control message")),
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

/// The twins that carry the field numbers. A number is never used again for something else.
mod pb {
    use super::{
        Backlog, ChannelKind, Code, Duration, Epoch, HEARTBEATS, Lane, MAX_CHANNELS, MAX_SOFTWARE,
        Seq, Start, Timestamp, WireError, safe, stream, time_if_set,
    };

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Empty {}

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Greeting {
        #[prost(uint32, tag = "1")]
        version_min: u32,
        #[prost(uint32, tag = "2")]
        version_max: u32,
        #[prost(uint64, tag = "3")]
        features: u64,
        #[prost(string, tag = "4")]
        node: String,
        #[prost(string, tag = "5")]
        software: String,
        #[prost(uint64, tag = "6")]
        time_ms: u64,
        #[prost(uint32, tag = "7")]
        heartbeat_ms: u32,
        #[prost(uint64, tag = "8")]
        window: u64,
    }

    impl From<&super::Greeting> for Greeting {
        fn from(greeting: &super::Greeting) -> Self {
            Self {
                version_min: greeting.version_min,
                version_max: greeting.version_max,
                features: greeting.features,
                node: greeting.node.as_str().to_owned(),
                software: greeting.software.clone(),
                time_ms: greeting.time.as_millis(),
                heartbeat_ms: u32::try_from(greeting.heartbeat.as_millis()).unwrap_or(u32::MAX),
                window: greeting.window,
            }
        }
    }

    impl TryFrom<Greeting> for super::Greeting {
        type Error = WireError;

        fn try_from(pb: Greeting) -> Result<Self, WireError> {
            if pb.version_min > pb.version_max {
                return Err(WireError::Malformed("version range"));
            }
            if !HEARTBEATS.contains(&pb.heartbeat_ms) {
                return Err(WireError::Malformed("heartbeat interval"));
            }
            Ok(Self {
                version_min: pb.version_min,
                version_max: pb.version_max,
                features: pb.features,
                node: pb
                    .node
                    .parse()
                    .map_err(|_| WireError::Malformed("node name"))?,
                software: safe(&pb.software, MAX_SOFTWARE),
                time: Timestamp::from_millis(pb.time_ms),
                heartbeat: Duration::from_millis(u64::from(pb.heartbeat_ms)),
                window: pb.window,
            })
        }
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Refusal {
        #[prost(uint32, tag = "1")]
        code: u32,
        #[prost(string, tag = "2")]
        reason: String,
    }

    impl From<&super::Refusal> for Refusal {
        fn from(refusal: &super::Refusal) -> Self {
            Self {
                code: u32::from(refusal.code.number()),
                reason: refusal.reason.clone(),
            }
        }
    }

    impl TryFrom<Refusal> for super::Refusal {
        type Error = WireError;

        fn try_from(pb: Refusal) -> Result<Self, WireError> {
            Ok(Self::new(Code::from_wire(pb.code)?, pb.reason))
        }
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Mark {
        #[prost(uint64, tag = "1")]
        epoch: u64,
        #[prost(uint64, tag = "2")]
        seq: u64,
    }

    impl From<&super::Mark> for Mark {
        fn from(mark: &super::Mark) -> Self {
            Self {
                epoch: mark.epoch.0,
                seq: mark.seq.0,
            }
        }
    }

    impl From<Mark> for super::Mark {
        fn from(pb: Mark) -> Self {
            Self {
                epoch: Epoch(pb.epoch),
                seq: Seq(pb.seq),
            }
        }
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Open {
        #[prost(uint32, tag = "1")]
        kind: u32,
        #[prost(string, tag = "2")]
        stream: String,
        #[prost(uint32, tag = "3")]
        lane: u32,
        #[prost(uint64, tag = "4")]
        epoch: u64,
        #[prost(uint64, tag = "5")]
        first: u64,
        #[prost(uint64, tag = "6")]
        last: u64,
        #[prost(string, tag = "7")]
        consumer: String,
    }

    impl From<&super::Open> for Open {
        fn from(open: &super::Open) -> Self {
            Self {
                kind: open.kind as u32,
                stream: open.stream.as_str().to_owned(),
                lane: open.lane as u32,
                epoch: open.epoch.0,
                first: open.first.0,
                last: open.last.0,
                consumer: open
                    .consumer
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string),
            }
        }
    }

    impl Open {
        pub(super) fn check(self, channel: u32) -> Result<super::Open, WireError> {
            let kind = match self.kind {
                1 => ChannelKind::Forward,
                2 => ChannelKind::Deliver,
                number => {
                    return Err(WireError::Unknown {
                        what: "channel kind",
                        number,
                    });
                }
            };
            let lane =
                u8::try_from(self.lane)
                    .ok()
                    .and_then(Lane::from_u8)
                    .ok_or(WireError::Unknown {
                        what: "lane",
                        number: self.lane,
                    })?;
            let consumer = match (kind, self.consumer.as_str()) {
                (ChannelKind::Forward, "") => None,
                (ChannelKind::Forward, _) => return Err(WireError::Malformed("consumer name")),
                (ChannelKind::Deliver, name) => Some(
                    name.parse()
                        .map_err(|_| WireError::Malformed("consumer name"))?,
                ),
            };
            if self.epoch == 0 {
                return Err(WireError::Malformed("epoch"));
            }
            Ok(super::Open {
                channel,
                kind,
                stream: stream(&self.stream)?,
                lane,
                epoch: Epoch(self.epoch),
                first: Seq(self.first),
                last: Seq(self.last),
                consumer,
            })
        }
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct OpenAck {
        #[prost(uint64, tag = "1")]
        epoch: u64,
        #[prost(uint64, tag = "2")]
        seq: u64,
        #[prost(uint64, tag = "3")]
        window: u64,
    }

    impl From<&super::OpenAck> for OpenAck {
        fn from(ack: &super::OpenAck) -> Self {
            Self {
                epoch: ack.mark.epoch.0,
                seq: ack.mark.seq.0,
                window: ack.window,
            }
        }
    }

    impl OpenAck {
        pub(super) fn check(self, channel: u32) -> super::OpenAck {
            super::OpenAck {
                channel,
                mark: super::Mark {
                    epoch: Epoch(self.epoch),
                    seq: Seq(self.seq),
                },
                window: self.window,
            }
        }
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Durable {
        #[prost(uint32, tag = "1")]
        channel: u32,
        #[prost(uint64, tag = "2")]
        epoch: u64,
        #[prost(uint64, tag = "3")]
        seq: u64,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Waiting {
        #[prost(uint32, tag = "1")]
        channel: u32,
        #[prost(uint64, tag = "2")]
        messages: u64,
        #[prost(uint64, tag = "3")]
        bytes: u64,
        #[prost(uint64, tag = "4")]
        oldest_ms: u64,
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Heartbeat {
        #[prost(uint64, tag = "1")]
        time_ms: u64,
        #[prost(uint64, tag = "2")]
        sent_us: u64,
        #[prost(uint64, tag = "3")]
        echo_us: u64,
        #[prost(uint64, tag = "4")]
        held_us: u64,
        #[prost(message, repeated, tag = "5")]
        durable: Vec<Durable>,
        #[prost(message, repeated, tag = "6")]
        backlog: Vec<Waiting>,
    }

    impl From<&super::Heartbeat> for Heartbeat {
        fn from(beat: &super::Heartbeat) -> Self {
            Self {
                time_ms: beat.time.as_millis(),
                sent_us: beat.sent_us,
                echo_us: beat.echo_us,
                held_us: beat.held_us,
                durable: beat
                    .durable
                    .iter()
                    .map(|durable| Durable {
                        channel: durable.channel,
                        epoch: durable.mark.epoch.0,
                        seq: durable.mark.seq.0,
                    })
                    .collect(),
                backlog: beat
                    .backlog
                    .iter()
                    .map(|waiting| Waiting {
                        channel: waiting.channel,
                        messages: waiting.backlog.messages,
                        bytes: waiting.backlog.bytes,
                        oldest_ms: waiting.backlog.oldest.map_or(0, Timestamp::as_millis),
                    })
                    .collect(),
            }
        }
    }

    impl TryFrom<Heartbeat> for super::Heartbeat {
        type Error = WireError;

        fn try_from(pb: Heartbeat) -> Result<Self, WireError> {
            if pb.durable.len() > MAX_CHANNELS || pb.backlog.len() > MAX_CHANNELS {
                return Err(WireError::Malformed("heartbeat"));
            }
            Ok(Self {
                time: Timestamp::from_millis(pb.time_ms),
                sent_us: pb.sent_us,
                echo_us: pb.echo_us,
                held_us: pb.held_us,
                durable: pb
                    .durable
                    .into_iter()
                    .map(|durable| super::Durable {
                        channel: durable.channel,
                        mark: super::Mark {
                            epoch: Epoch(durable.epoch),
                            seq: Seq(durable.seq),
                        },
                    })
                    .collect(),
                backlog: pb
                    .backlog
                    .into_iter()
                    .map(|waiting| super::ChannelBacklog {
                        channel: waiting.channel,
                        backlog: Backlog {
                            messages: waiting.messages,
                            bytes: waiting.bytes,
                            oldest: time_if_set(waiting.oldest_ms),
                        },
                    })
                    .collect(),
            })
        }
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Subscribe {
        #[prost(string, tag = "1")]
        consumer: String,
        #[prost(string, tag = "2")]
        stream: String,
        #[prost(uint32, tag = "3")]
        start: u32,
    }

    impl From<&super::Subscribe> for Subscribe {
        fn from(subscribe: &super::Subscribe) -> Self {
            Self {
                consumer: subscribe.consumer.to_string(),
                stream: subscribe.stream.as_str().to_owned(),
                start: subscribe.start as u32,
            }
        }
    }

    impl TryFrom<Subscribe> for super::Subscribe {
        type Error = WireError;

        fn try_from(pb: Subscribe) -> Result<Self, WireError> {
            Ok(Self {
                consumer: pb
                    .consumer
                    .parse()
                    .map_err(|_| WireError::Malformed("consumer name"))?,
                stream: stream(&pb.stream)?,
                start: match pb.start {
                    1 => Start::Beginning,
                    2 => Start::End,
                    number => {
                        return Err(WireError::Unknown {
                            what: "start",
                            number,
                        });
                    }
                },
            })
        }
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Status {
        #[prost(string, tag = "1")]
        version: String,
        #[prost(uint32, tag = "2")]
        disk_used_percent: u32,
        #[prost(uint64, tag = "3")]
        cert_not_after_ms: u64,
        #[prost(uint64, tag = "4")]
        time_ms: u64,
        #[prost(uint64, tag = "5")]
        backlog_messages: u64,
        #[prost(uint64, tag = "6")]
        backlog_bytes: u64,
        #[prost(uint64, tag = "7")]
        backlog_oldest_ms: u64,
        #[prost(uint64, tag = "8")]
        messages_in: u64,
        #[prost(uint64, tag = "9")]
        messages_out: u64,
    }

    impl From<&super::Status> for Status {
        fn from(status: &super::Status) -> Self {
            Self {
                version: status.version.clone(),
                disk_used_percent: u32::from(status.disk_used_percent),
                cert_not_after_ms: status.cert_not_after.map_or(0, Timestamp::as_millis),
                time_ms: status.time.as_millis(),
                backlog_messages: status.backlog.messages,
                backlog_bytes: status.backlog.bytes,
                backlog_oldest_ms: status.backlog.oldest.map_or(0, Timestamp::as_millis),
                messages_in: status.messages_in,
                messages_out: status.messages_out,
            }
        }
    }

    impl TryFrom<Status> for super::Status {
        type Error = WireError;

        fn try_from(pb: Status) -> Result<Self, WireError> {
            Ok(Self {
                version: safe(&pb.version, MAX_SOFTWARE),
                disk_used_percent: u8::try_from(pb.disk_used_percent)
                    .ok()
                    .filter(|percent| *percent <= 100)
                    .ok_or(WireError::Malformed("disk percentage"))?,
                cert_not_after: time_if_set(pb.cert_not_after_ms),
                time: Timestamp::from_millis(pb.time_ms),
                backlog: Backlog {
                    messages: pb.backlog_messages,
                    bytes: pb.backlog_bytes,
                    oldest: time_if_set(pb.backlog_oldest_ms),
                },
                messages_in: pb.messages_in,
                messages_out: pb.messages_out,
            })
        }
    }
}
