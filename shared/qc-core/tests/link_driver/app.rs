//! A node with streams to send and a store that takes its time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::link::{
    CallStream, Caller, Chunk, Handed, LinkApp, LinkState, Listening, NO_STREAM, NO_TARGET,
    OutboundChannel, Peer, PeerHeartbeat, Share,
};
use qc_core::model::{Epoch, Lane, Seq, StreamName};
use qc_core::wire::{
    Backlog, ChannelKind, Code, Greeting, Mark, Open, Record, RecordHeader, RecordKind, Refusal,
    Status, Subscribe, Target,
};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

pub(crate) const DISK_FULL: Code = Code::new(3302);

pub(crate) type Key = (String, Lane);

/// A node with streams to send and a store that takes its time.
pub(crate) struct App {
    pub(crate) streams: Mutex<BTreeMap<Key, (OutboundChannel, Vec<Record>)>>,
    pub(crate) subscriptions: Mutex<Vec<Subscribe>>,
    pub(crate) stored: Arc<Mutex<BTreeMap<Key, Vec<u64>>>>,
    /// How far each stream is stored here, in its sender's numbers.
    pub(crate) marks: Arc<Mutex<BTreeMap<Key, Mark>>>,
    pub(crate) handed: Handed,
    pub(crate) arrivals: Arc<Mutex<Vec<Lane>>>,
    pub(crate) acked: Mutex<BTreeMap<Key, Seq>>,
    pub(crate) states: Mutex<Vec<LinkState>>,
    pub(crate) refusals: Mutex<Vec<Code>>,
    pub(crate) beats: AtomicUsize,
    pub(crate) echoes: AtomicUsize,
    pub(crate) notice: Mutex<Option<Refusal>>,
    pub(crate) noticed: Mutex<Vec<Option<Refusal>>>,
    pub(crate) instances: Mutex<Vec<u64>>,
    pub(crate) statuses: AtomicUsize,
    pub(crate) bytes_read: AtomicUsize,
    pub(crate) full: AtomicBool,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) caller: Mutex<Option<Caller>>,
    pub(crate) calls: Mutex<Vec<CallStream>>,
    pub(crate) called: Notify,
}

impl App {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            streams: Mutex::default(),
            subscriptions: Mutex::default(),
            stored: Arc::default(),
            marks: Arc::default(),
            handed: Handed::default(),
            arrivals: Arc::default(),
            acked: Mutex::default(),
            states: Mutex::default(),
            refusals: Mutex::default(),
            beats: AtomicUsize::new(0),
            echoes: AtomicUsize::new(0),
            notice: Mutex::default(),
            noticed: Mutex::default(),
            instances: Mutex::default(),
            statuses: AtomicUsize::new(0),
            bytes_read: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            changed: watch::Sender::new(0),
            caller: Mutex::default(),
            calls: Mutex::default(),
            called: Notify::new(),
        })
    }

    /// A node that began with `last` messages of a stream, of which `acked` were acknowledged.
    pub(crate) fn restored(stream: &str, lane: Lane, last: u64, acked: u64) -> Arc<Self> {
        let numbers = BTreeMap::from([((stream.parse().unwrap(), lane), Seq(last))]);
        let relay = "relay-1.hub.acme".parse().unwrap();
        let before = BTreeMap::from([(relay, Arc::new(numbers))]);
        let app = Arc::into_inner(Self::new()).unwrap();
        let app = Arc::new(Self {
            handed: Handed::new(None, before),
            ..app
        });
        app.produce(ChannelKind::Forward, stream, lane, last, 10);
        let key = (stream.to_owned(), lane);
        app.acked.lock().unwrap().insert(key, Seq(acked));
        app
    }

    pub(crate) fn produce(
        &self,
        kind: ChannelKind,
        stream: &str,
        lane: Lane,
        count: u64,
        size: usize,
    ) {
        let mut streams = self.streams.lock().unwrap();
        let (channel, records) = streams.entry((stream.to_owned(), lane)).or_insert_with(|| {
            let channel = OutboundChannel {
                kind,
                stream: stream.parse().unwrap(),
                lane,
                share: Share::All,
                epoch: Epoch(5),
                first: Seq(1),
                last: Seq::ZERO,
                sent: Seq::ZERO,
                had: None,
                after: Seq::ZERO,
                consumer: (kind == ChannelKind::Deliver).then(|| "mill7".parse().unwrap()),
            };
            (channel, Vec::new())
        });
        for _ in 0..count {
            channel.last = channel.last.next();
            let mut header = RecordHeader::new(RecordKind::Message);
            (header.seq, header.lane) = (channel.last, lane);
            records.push(Record {
                header,
                head: Bytes::from_static(b"h"),
                body: Bytes::from(vec![1; size]),
            });
        }
        drop(streams);
        self.changed.send_modify(|commits| *commits += 1);
    }

    pub(crate) fn stored(&self, stream: &str, lane: Lane) -> Vec<u64> {
        let stored = self.stored.lock().unwrap();
        stored
            .get(&(stream.to_owned(), lane))
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn acked(&self, stream: &str, lane: Lane) -> u64 {
        let acked = self.acked.lock().unwrap();
        acked.get(&(stream.to_owned(), lane)).map_or(0, |seq| seq.0)
    }
}

impl LinkApp for App {
    fn open_inbound(&self, _peer: &Peer, open: &Open) -> Result<Mark, Refusal> {
        let marks = self.marks.lock().unwrap();
        let mark = marks.get(&(open.stream.to_string(), open.lane));
        Ok(mark.copied().unwrap_or_default())
    }

    fn store(
        &self,
        _peer: &Peer,
        open: &Open,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Seq, Refusal>> + Send + 'static {
        let key = (open.stream.to_string(), open.lane);
        let (stored, arrivals) = (Arc::clone(&self.stored), Arc::clone(&self.arrivals));
        let marks = Arc::clone(&self.marks);
        let full = self.full.load(Ordering::SeqCst);
        async move {
            sleep(Duration::from_millis(2)).await;
            if full {
                return Err(Refusal::new(DISK_FULL, "the disk is full"));
            }
            let (mut stored, mut marks) = (stored.lock().unwrap(), marks.lock().unwrap());
            let seqs = stored.entry(key.clone()).or_default();
            let mark = marks.entry(key.clone()).or_default();
            for record in records {
                let (epoch, seq) = (record.header.epoch, record.header.seq);
                if mark.epoch != epoch || seq > mark.seq {
                    *mark = Mark { epoch, seq };
                    seqs.push(seq.0);
                    arrivals.lock().unwrap().push(key.1);
                }
            }
            Ok(mark.seq)
        }
    }

    fn subscribe(
        &self,
        peer: &Peer,
        subscribe: &Subscribe,
    ) -> Result<Vec<OutboundChannel>, Refusal> {
        let streams = self.streams.lock().unwrap();
        let of_stream = streams
            .values()
            .filter(|(channel, _)| channel.stream == subscribe.stream)
            .map(|(channel, _)| self.handed.told(peer, channel.clone()));
        let channels: Vec<_> = of_stream.collect();
        if channels.is_empty() {
            return Err(Refusal::new(NO_STREAM, "no such stream"));
        }
        Ok(channels)
    }

    fn outbound(&self, peer: &Peer) -> Vec<OutboundChannel> {
        let streams = self.streams.lock().unwrap();
        let acked = self.acked.lock().unwrap();
        streams
            .iter()
            .filter(|(_, (channel, _))| channel.kind == ChannelKind::Forward)
            .map(|(key, (channel, _))| OutboundChannel {
                after: acked.get(key).copied().unwrap_or_default(),
                ..channel.clone()
            })
            .map(|channel| self.handed.told(peer, channel))
            .collect()
    }

    fn subscriptions(&self, _peer: &Peer) -> Vec<Subscribe> {
        self.subscriptions.lock().unwrap().clone()
    }

    fn read(
        &self,
        peer: &Peer,
        channel: &OutboundChannel,
        after: Seq,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Chunk, Refusal> {
        let streams = self.streams.lock().unwrap();
        let (_, records) = &streams[&(channel.stream.to_string(), channel.lane)];
        let mut bytes = 0;
        let records: Vec<Record> = records
            .iter()
            .skip(usize::try_from(after.0).unwrap())
            .take(max_records)
            .take_while(|record| {
                bytes += record.encoded_len();
                bytes == record.encoded_len() || bytes <= max_bytes
            })
            .cloned()
            .collect();
        let bytes: usize = records.iter().map(Record::encoded_len).sum();
        self.bytes_read.fetch_add(bytes, Ordering::SeqCst);
        let now = SystemClock::default().instant();
        self.handed.sent(peer, channel, &records, now);
        Ok(Chunk {
            records,
            through: Seq::ZERO,
        })
    }

    fn acked(&self, peer: &Peer, channel: &OutboundChannel, seq: Seq) {
        self.handed.acked(peer, channel, seq);
        let mut acked = self.acked.lock().unwrap();
        let acked = acked.entry((channel.stream.to_string(), channel.lane));
        let acked = acked.or_default();
        *acked = seq.max(*acked);
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn listen(&self, _channel: &OutboundChannel, _bell: &Arc<Notify>) -> Option<Listening> {
        None
    }

    fn backlog(&self, _channel: &OutboundChannel) -> Backlog {
        Backlog {
            messages: 3,
            ..Backlog::default()
        }
    }

    fn status(&self) -> Status {
        Status::default()
    }

    fn peer_status(&self, _peer: &Peer, _status: Status) {
        self.statuses.fetch_add(1, Ordering::SeqCst);
    }

    fn peer_heartbeat(&self, _peer: &Peer, heartbeat: PeerHeartbeat) {
        self.noticed.lock().unwrap().push(heartbeat.notice);
        self.echoes
            .fetch_add(usize::from(heartbeat.echoed.is_some()), Ordering::SeqCst);
        self.beats.fetch_add(1, Ordering::SeqCst);
    }

    fn notice(&self, _peer: &Peer) -> Option<Refusal> {
        self.notice.lock().unwrap().clone()
    }

    fn linked(&self, _peer: &Peer, greeting: &Greeting, caller: Caller) {
        self.instances.lock().unwrap().push(greeting.instance);
        *self.caller.lock().unwrap() = Some(caller);
    }

    fn called(&self, _peer: &Peer, target: &Target, stream: CallStream) -> Result<(), Refusal> {
        if target.as_str() != "echo" {
            return Err(Refusal::new(NO_TARGET, format!("no {target} here")));
        }
        self.calls.lock().unwrap().push(stream);
        self.called.notify_one();
        Ok(())
    }

    fn sent(&self, peer: &Peer, channel: &OutboundChannel) -> Seq {
        self.handed.may_have(peer, channel)
    }

    fn rewound(&self, peer: &Peer, channel: &OutboundChannel) {
        self.handed.rewound(peer, channel);
        let mut streams = self.streams.lock().unwrap();
        let key = (channel.stream.to_string(), channel.lane);
        let (known, _) = streams.get_mut(&key).unwrap();
        if known.epoch == channel.epoch {
            known.epoch.0 += 1;
        }
        drop(streams);
        self.changed.send_modify(|commits| *commits += 1);
    }

    fn state(&self, _peer: &Peer, state: &LinkState) {
        self.states.lock().unwrap().push(state.clone());
    }

    fn refused(&self, _peer: &Peer, _stream: &StreamName, refusal: &Refusal) {
        self.refusals.lock().unwrap().push(refusal.code);
    }
}
