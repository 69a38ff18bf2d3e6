//! The twins of the control messages that carry the protobuf field numbers. A number is never used
//! again for something else, and every bound is checked on the way in.

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
