//! The twins of the control messages that carry the protobuf field numbers. A number is never used
//! again for something else, and every bound is checked on the way in.

use prost::Message as _;
use prost::encoding::{
    DecodeContext, WireType, check_wire_type, decode_key, decode_varint, skip_field,
};

use super::{
    Backlog, ChannelKind, Code, Duration, Epoch, HEARTBEATS, Lane, MAX_CHANNELS, MAX_SOFTWARE, Seq,
    Start, Timestamp, WireError, applied, safe, stream, time_if_set,
};

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Empty {}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Count {
    #[prost(uint64, tag = "1")]
    pub(super) count: u64,
}

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
    #[prost(uint64, tag = "9")]
    instance: u64,
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
            instance: greeting.instance,
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
            instance: pb.instance,
        })
    }
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Refusal {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(string, tag = "3")]
    to: String,
}

impl From<&super::Refusal> for Refusal {
    fn from(refusal: &super::Refusal) -> Self {
        Self {
            code: u32::from(refusal.code.number()),
            reason: refusal.reason.clone(),
            to: refusal
                .to
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        }
    }
}

impl TryFrom<Refusal> for super::Refusal {
    type Error = WireError;

    fn try_from(pb: Refusal) -> Result<Self, WireError> {
        let to = (!pb.to.is_empty()).then(|| pb.to.parse()).transpose();
        let to = to.map_err(|_| WireError::Malformed("relay to go to"))?;
        Ok(Self::new(Code::from_wire(pb.code)?, pb.reason).towards(to))
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
    #[prost(message, optional, tag = "7")]
    notice: Option<Refusal>,
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
            notice: beat.notice.as_ref().map(Into::into),
        }
    }
}

/// A heartbeat without its lists.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Times {
    #[prost(uint64, tag = "1")]
    time_ms: u64,
    #[prost(uint64, tag = "2")]
    sent_us: u64,
    #[prost(uint64, tag = "3")]
    echo_us: u64,
    #[prost(uint64, tag = "4")]
    held_us: u64,
    #[prost(message, optional, tag = "7")]
    notice: Option<Refusal>,
}

/// Reads a heartbeat. Its lists are counted before anything is allocated for them: an entry of two bytes
/// would become one of forty, sixty thousand times.
pub(super) fn heartbeat(payload: &[u8]) -> Result<super::Heartbeat, WireError> {
    let wrong = |_| WireError::Malformed("control message");
    let times = Times::decode(payload).map_err(wrong)?;
    let (mut positions, mut backlogs) = (0, 0);
    each(payload, 5, |_: &[u8]| positions += 1)?;
    each(payload, 6, |_: &[u8]| backlogs += 1)?;
    if positions > MAX_CHANNELS || backlogs > MAX_CHANNELS {
        return Err(WireError::Malformed("heartbeat"));
    }
    let mut beat = super::Heartbeat {
        time: Timestamp::from_millis(times.time_ms),
        sent_us: times.sent_us,
        echo_us: times.echo_us,
        held_us: times.held_us,
        durable: Vec::with_capacity(positions),
        backlog: Vec::with_capacity(backlogs),
        notice: times.notice.map(TryInto::try_into).transpose()?,
    };
    let mut result = Ok(());
    each(payload, 5, |entry| match Durable::decode(entry) {
        Ok(durable) => beat.durable.push(durable.into()),
        Err(error) => result = Err(wrong(error)),
    })?;
    each(payload, 6, |entry| match Waiting::decode(entry) {
        Ok(waiting) => beat.backlog.push(waiting.into()),
        Err(error) => result = Err(wrong(error)),
    })?;
    result.map(|()| beat)
}

/// Hands the bytes of every field `number` to `take`, which must be ones with a length.
fn each<'a>(
    mut payload: &'a [u8],
    number: u32,
    mut take: impl FnMut(&'a [u8]),
) -> Result<(), WireError> {
    let wrong = |_| WireError::Malformed("control message");
    while !payload.is_empty() {
        let (tag, wire_type) = decode_key(&mut payload).map_err(wrong)?;
        if tag != number {
            skip_field(wire_type, tag, &mut payload, DecodeContext::default()).map_err(wrong)?;
            continue;
        }
        check_wire_type(WireType::LengthDelimited, wire_type).map_err(wrong)?;
        let length = decode_varint(&mut payload).map_err(wrong)?;
        let entry = usize::try_from(length)
            .ok()
            .and_then(|length| payload.split_at_checked(length));
        let (entry, rest) = entry.ok_or(WireError::Malformed("control message"))?;
        take(entry);
        payload = rest;
    }
    Ok(())
}

impl From<Durable> for super::Durable {
    fn from(pb: Durable) -> Self {
        Self {
            channel: pb.channel,
            mark: super::Mark {
                epoch: Epoch(pb.epoch),
                seq: Seq(pb.seq),
            },
        }
    }
}

impl From<Waiting> for super::ChannelBacklog {
    fn from(pb: Waiting) -> Self {
        Self {
            channel: pb.channel,
            backlog: Backlog {
                messages: pb.messages,
                bytes: pb.bytes,
                oldest: time_if_set(pb.oldest_ms),
            },
        }
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
    #[prost(message, optional, tag = "10")]
    control: Option<applied::Control>,
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
            control: status.control.as_deref().map(applied::Control::from),
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
            control: pb.control.map(TryInto::try_into).transpose()?,
        })
    }
}
