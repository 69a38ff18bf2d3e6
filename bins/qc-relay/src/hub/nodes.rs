//! The registry of nodes: what the fleet remembers over a restart, and what the operator calls a node.
//!
//! One writer at a time. What is new of a node is written within a second, the time at which it was last seen
//! five minutes late at most, and exactly when its link ends; a second writes [`BATCH`] nodes at most, which
//! are a commit or two. So ten thousand nodes cost some thirty values a second, and when all of them return
//! at once nothing is written but what has changed.

use std::collections::BTreeSet;
use std::time::Duration;

use qc_core::model::{NodeName, Timestamp};
use qc_core::registry::{self, LabelKey, LabelValue, MAX_LABELS, MAX_NODES, NODES, NodeEntry};
use qc_core::service::Drain;
use qc_core::store::{AppendError, Value, ValueError};
use qc_core::streams::Streams;
use qc_core::wire::WireError;
use tokio::task::JoinSet;

use super::fleet::{Fleet, Known};
use super::{Hub, PARENTS};

/// How often what is new is written.
const TICK: Duration = Duration::from_secs(1);
/// How many nodes are written in one go.
const BATCH: usize = 512;
/// How often somebody else may come first before a command gives up.
const TRIES: usize = 4;
/// More parents than a relay has in its life.
const MAX_PARENTS: usize = 1000;
/// The value that says that every node which the streams know is in the registry, or was forgotten.
const COMPLETE: &str = "nodes-complete";

/// Why an operator's wish about a node is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// It is not known.
    #[error("no node {0} is known here")]
    Unknown(NodeName),
    /// It would be known again at once.
    #[error("{0} has a link now")]
    Linked(NodeName),
    /// Somebody else was first.
    #[error("its labels have revision {there} by now")]
    Changed {
        /// The revision of its labels.
        there: u64,
    },
    /// More labels than a node may have.
    #[error("a node has {MAX_LABELS} labels at most")]
    TooMany,
    /// A later version has written what is remembered of it.
    #[error("a later version has written what is stored of {0}")]
    Foreign(NodeName),
    /// The store takes nothing.
    #[error(transparent)]
    Store(#[from] AppendError),
}

/// The fleet as the registry has it. A store from before there was one tells who has sent and who reads.
pub(super) async fn remembered(streams: &dyn Streams, now: Timestamp) -> Fleet {
    let values = streams.values(NODES, "", usize::MAX).await;
    let values = values.unwrap_or_else(|error| {
        tracing::warn!(code = "QC2237", %error, "The registry of nodes cannot be read.");
        Vec::new()
    });
    let (mut known, mut foreign) = (Vec::new(), Vec::new());
    for (key, value) in values {
        let Some(name) = registry::node_of(&key) else {
            continue;
        };
        match NodeEntry::decode(&value.bytes) {
            Ok(entry) => {
                let revision = Some(value.revision);
                known.push((name, Known { entry, revision }));
            }
            Err(error) => {
                tracing::warn!(code = "QC2237", node = %name, %error, "What is remembered of it cannot be read.");
                match error {
                    WireError::Unknown { .. } => foreign.push(name),
                    _ => known.push((name, Known::over(&value, now))),
                }
            }
        }
    }
    if !is_complete(streams).await {
        let there: BTreeSet<NodeName> = known.iter().map(|(name, _)| name.clone()).collect();
        let others = known_to_streams(streams).await;
        let others = others.into_iter().filter(|name| !there.contains(name));
        let entry = NodeEntry::new(now);
        known.extend(others.map(|name| {
            let entry = entry.clone();
            (
                name,
                Known {
                    entry,
                    revision: None,
                },
            )
        }));
    }
    let mut fleet = Fleet::with_known(known);
    for name in foreign {
        fleet.foreign(&name, now);
    }
    fleet
}

impl Known {
    /// A node of which the value cannot be read: it is written anew.
    fn over(value: &Value, now: Timestamp) -> Self {
        Self {
            entry: NodeEntry::new(now),
            revision: Some(value.revision),
        }
    }
}

async fn is_complete(streams: &dyn Streams) -> bool {
    let marked = streams.value(COMPLETE).await;
    marked.is_ok_and(|value| value.is_some())
}

/// Nodes below this relay that the store remembers: those that sent, and those that read.
async fn known_to_streams(streams: &dyn Streams) -> Vec<NodeName> {
    let mut known = streams.origins();
    for info in streams.streams() {
        for consumer in streams.positions(&info.key).into_keys() {
            let node = consumer
                .split('/')
                .next()
                .and_then(|node| node.parse().ok());
            known.extend(node);
        }
    }
    let parents = streams.values(PARENTS, "", MAX_PARENTS).await;
    let parents: BTreeSet<String> = parents
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(key, _)| key.strip_prefix(PARENTS).map(str::to_owned))
        .collect();
    known.retain(|node| !parents.contains(node.as_str()));
    known.sort();
    known.dedup();
    known
}

impl Hub {
    /// Writes what is new of the nodes, until the end.
    pub(crate) async fn keep_registry(self, drain: Drain) {
        let mut tick = tokio::time::interval(TICK);
        let (mut is_full, mut is_complete) = (false, is_complete(self.streams()).await);
        loop {
            tokio::select! {
                () = drain.signaled() => return,
                _ = tick.tick() => {}
            }
            let written = self.save_nodes().await;
            if written == Some(0) && !is_complete {
                // everybody whom the streams know has been written
                let put =
                    self.streams()
                        .put(COMPLETE, None, Some((Vec::new(), Timestamp::default())));
                is_complete = put.await.is_ok();
            }
            let now_full = self.fleet().saved_count() >= MAX_NODES;
            if now_full && !is_full {
                tracing::warn!(
                    code = "QC2236",
                    most = MAX_NODES,
                    "New nodes are not remembered over a restart."
                );
            }
            is_full = now_full;
        }
    }

    /// Writes everything that is new, as far as the store takes it: before the end.
    pub(crate) async fn save_all_nodes(&self) {
        for _ in 0..=MAX_NODES / BATCH {
            if self.save_nodes().await.is_none_or(|written| written == 0) {
                return;
            }
        }
    }

    /// Writes some of what is new; how much, or none if the store takes nothing.
    async fn save_nodes(&self) -> Option<usize> {
        let _turn = self.inner.saving.lock().await;
        let batch = self.fleet().unsaved(BATCH);
        let mut writes = JoinSet::new();
        for (name, known) in batch {
            let hub = self.clone();
            writes.spawn(async move {
                let written = hub.write(&name, &known).await;
                (name, written)
            });
        }
        let (mut count, mut failed) = (0, None);
        while let Some(done) = writes.join_next().await {
            let Ok((name, written)) = done else { continue };
            let mut fleet = self.fleet();
            match written {
                Ok(value) => {
                    fleet.saved(&name, value.revision);
                    count += 1;
                }
                Err(ValueError::Conflict { there }) => fleet.not_saved(&name, Some(read(there))),
                Err(ValueError::Store(error)) => {
                    fleet.not_saved(&name, None);
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            tracing::warn!(code = "QC2237", %error, "The registry of nodes is not written; it will be.");
            return None;
        }
        Some(count)
    }

    async fn write(&self, name: &NodeName, known: &Known) -> Result<Value, ValueError> {
        let value = (known.entry.encode(), Timestamp::default());
        let expected = known.revision.unwrap_or_default();
        let key = registry::key(name);
        self.streams().put(&key, Some(expected), Some(value)).await
    }

    /// Changes labels of a node, if they have the revision that is expected; gives the new revision. Durable when
    /// it answers, unchanged labels keep theirs.
    pub(crate) async fn label(
        &self,
        name: &NodeName,
        changes: &[(LabelKey, Option<LabelValue>)],
        expected: Option<u64>,
    ) -> Result<u64, NodeError> {
        let _turn = self.inner.saving.lock().await;
        for _ in 0..TRIES {
            let known = self.fleet().known(name)?;
            let mut entry = known.entry.clone();
            let there = entry.label_revision;
            if expected.is_some_and(|expected| expected != there) {
                return Err(NodeError::Changed { there });
            }
            for (key, value) in changes {
                match value {
                    Some(value) => drop(entry.labels.insert(key.clone(), value.clone())),
                    None => drop(entry.labels.remove(key)),
                }
            }
            if entry.labels == known.entry.labels {
                return Ok(there);
            }
            if entry.labels.len() > MAX_LABELS {
                return Err(NodeError::TooMany);
            }
            entry.label_revision = there + 1;
            let new = Known { entry, ..known };
            match self.write(name, &new).await {
                Ok(value) => {
                    let mut fleet = self.fleet();
                    fleet.saved(name, value.revision);
                    fleet.labelled(name, new.entry.labels, there + 1);
                    return Ok(there + 1);
                }
                Err(ValueError::Conflict { there }) => {
                    self.fleet().not_saved(name, Some(read(there)));
                }
                Err(ValueError::Store(error)) => return Err(error.into()),
            }
        }
        let there = self.fleet().known(name)?.entry.label_revision;
        Err(NodeError::Changed { there })
    }

    /// Forgets a node that has no link. What the streams keep for it stays.
    pub(crate) async fn forget(&self, name: &NodeName) -> Result<(), NodeError> {
        let _turn = self.inner.saving.lock().await;
        let known = self.fleet().known(name)?;
        if self.fleet().entry(name).is_some_and(|(_, linked)| linked) {
            return Err(NodeError::Linked(name.clone()));
        }
        if known.revision.is_some() {
            let deleted = self.streams().put(&registry::key(name), None, None).await;
            match deleted {
                Ok(_) | Err(ValueError::Conflict { .. }) => {}
                Err(ValueError::Store(error)) => return Err(error.into()),
            }
        }
        // it may have come while the store was at work
        if self.fleet().forget(name) {
            return Ok(());
        }
        Err(NodeError::Linked(name.clone()))
    }
}

/// What somebody else has written of a node.
fn read(there: Option<Value>) -> Known {
    let Some(value) = there else {
        return Known::default();
    };
    Known {
        entry: NodeEntry::decode(&value.bytes).unwrap_or_default(),
        revision: Some(value.revision),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use qc_core::clock::{Clock as _, ManualClock};
    use qc_core::door::Limits;
    use qc_core::link::{LinkState, Peer};
    use qc_core::model::TrustDomain;
    use qc_core::node::{Control, ControlParts};
    use qc_core::pki::{
        Authority, CaPlan, CertRequest, Identity, KeyAndChain, LEAF_LIFETIME, PrivateKey, Profile,
        Role, TrustAnchors,
    };
    use qc_core::store::{Log, LogOptions, NodeKey, RealDisk};
    use qc_core::streams::Embedded;
    use qc_core::tls::Credentials;
    use qc_core::wire::{Code, Refusal};

    use super::*;
    use crate::hub::HubParts;
    use crate::hub::access::Access;

    fn credentials(clock: &Arc<ManualClock>) -> Credentials {
        let domain: TrustDomain = "qc.internal".parse().unwrap();
        let now = clock.now();
        let root = Authority::create_root("root", "acme", &domain, now).unwrap();
        let plan = CaPlan {
            name: "hq".to_owned(),
            ..CaPlan::default()
        };
        let hq = root.create_ca(&plan, now).unwrap();
        let key = PrivateKey::new_p256().unwrap();
        let request = CertRequest::parse(&CertRequest::create(&key).unwrap()).unwrap();
        let what = Profile::Node {
            name: "relay-1.hq.acme".parse().unwrap(),
            role: Role::Relay,
        };
        let cert = hq.issue(&what, &request, &[9; 16], LEAF_LIFETIME, now);
        let mut chain = vec![cert.unwrap()];
        chain.extend(hq.chain().cloned());
        let mut trust = TrustAnchors::new(domain);
        trust.add_root(root.cert().clone()).unwrap();
        let node = KeyAndChain::new(key, chain).unwrap();
        let identity = Identity { node, front: None };
        Credentials::from_parts(&identity, trust, clock.clone()).unwrap()
    }

    pub(in crate::hub) async fn hub(dir: &Path, clock: &Arc<ManualClock>) -> Hub {
        let options = LogOptions {
            segment_bytes: 256 << 10,
            max_bytes: 16 << 20,
            min_free: 0,
            ..LogOptions::new(dir.join("log"))
        };
        let (key, disk) = (NodeKey::from_bytes([1; 32]), Arc::new(RealDisk));
        let (log, _) = Log::open(disk, &options, key, clock.clone()).unwrap();
        let node: NodeName = "relay-1.hq.acme".parse().unwrap();
        let parts = HubParts {
            node: node.clone(),
            region: None,
            instance: 1,
            streams: Arc::new(Embedded::new(log, clock.clone())),
            clock: clock.clone(),
            access: Access::default(),
            http: Limits::default(),
            drain: Drain::new(),
            uplink: None,
            control: Control::open(ControlParts {
                node,
                state: dir.to_owned(),
                credentials: credentials(clock),
                clock: clock.clone(),
                accept: Vec::new(),
                carries: true,
            }),
        };
        Hub::open(parts).await.unwrap()
    }

    fn peer(name: &str) -> Peer {
        Peer {
            node: format!("{name}.mill7.acme").parse().unwrap(),
            address: "192.0.2.7:1024".to_owned(),
        }
    }

    fn links(hub: &Hub, name: &str, state: &LinkState) {
        let (now, at) = (hub.clock().now(), hub.clock().instant());
        hub.fleet().link(&peer(name), state, now, at);
    }

    fn changes(text: &[(&str, Option<&str>)]) -> Vec<(LabelKey, Option<LabelValue>)> {
        let change = |(key, value): &(&str, Option<&str>)| {
            (
                key.parse().unwrap(),
                value.map(|value| value.parse().unwrap()),
            )
        };
        text.iter().map(change).collect()
    }

    #[tokio::test]
    async fn a_restart_forgets_nothing_and_a_command_only_what_it_was_told() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let first = hub(dir.path(), &clock).await;
        for name in ["a", "b", "c"] {
            links(&first, name, &LinkState::Up);
        }
        assert_eq!(first.save_nodes().await, Some(3));
        assert_eq!(first.save_nodes().await, Some(0));
        let b = peer("b").node;
        let env = changes(&[("env", Some("prod")), ("ring", Some("canary"))]);
        assert_eq!(first.label(&b, &env, None).await.unwrap(), 1);
        assert_eq!(
            first.label(&b, &env, Some(1)).await.unwrap(),
            1,
            "the same again"
        );
        let gone = changes(&[("ring", None)]);
        let error = first.label(&b, &gone, Some(0)).await.unwrap_err();
        assert!(matches!(error, NodeError::Changed { there: 1 }), "{error}");
        assert_eq!(first.label(&b, &gone, Some(1)).await.unwrap(), 2);
        let linked = first.forget(&peer("c").node).await.unwrap_err();
        assert!(matches!(linked, NodeError::Linked(_)), "{linked}");
        links(
            &first,
            "c",
            &LinkState::Down(Refusal::new(Code::new(2215), "cut")),
        );
        first.forget(&peer("c").node).await.unwrap();
        first.streams().close();

        clock.advance(Duration::from_hours(72));
        let second = hub(dir.path(), &clock).await;
        let names: Vec<String> = {
            let fleet = second.fleet();
            fleet
                .entries()
                .map(|(name, ..)| name.node().to_owned())
                .collect()
        };
        assert_eq!(names, ["a", "b"]);
        let known = second.fleet().known(&b).unwrap().entry;
        assert_eq!((known.labels.len(), known.label_revision), (1, 2));
        assert_eq!(
            clock.now().since(known.last_seen.unwrap()),
            Duration::from_hours(72)
        );
        assert_eq!(second.save_nodes().await, Some(0), "nothing is new");
    }

    #[tokio::test]
    async fn two_writers_of_one_node_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let hub = hub(dir.path(), &clock).await;
        links(&hub, "a", &LinkState::Up);
        assert_eq!(hub.save_nodes().await, Some(1));
        // another relay over the same storage labels it
        let name = peer("a").node;
        let mut theirs = hub.fleet().known(&name).unwrap().entry;
        theirs.label_revision = 7;
        theirs
            .labels
            .insert("env".parse().unwrap(), "prod".parse().unwrap());
        let value = (theirs.encode(), Timestamp::default());
        let key = registry::key(&name);
        let put = hub.streams().put(&key, None, Some(value));
        put.await.unwrap();
        hub.fleet().admitted(&name, Role::Edge, clock.now());
        assert_eq!(hub.save_nodes().await, Some(0), "theirs came first");
        assert_eq!(hub.save_nodes().await, Some(1));
        let ours = changes(&[("ring", Some("canary"))]);
        assert_eq!(hub.label(&name, &ours, Some(7)).await.unwrap(), 8);
        let stored = hub.streams().value(&key).await.unwrap();
        let stored = NodeEntry::decode(&stored.unwrap().bytes).unwrap();
        assert_eq!((stored.role, stored.labels.len()), (Some(Role::Edge), 2));
    }

    #[tokio::test]
    async fn what_a_later_version_has_written_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let first = hub(dir.path(), &clock).await;
        let (key, later) = (registry::key(&peer("a").node), vec![0x08, 0x02]);
        let put = first
            .streams()
            .put(&key, None, Some((later.clone(), Timestamp::default())));
        put.await.unwrap();
        first.streams().close();
        let second = hub(dir.path(), &clock).await;
        links(&second, "a", &LinkState::Up);
        assert_eq!(second.save_nodes().await, Some(0));
        let error = second.label(&peer("a").node, &[], None).await.unwrap_err();
        assert!(matches!(error, NodeError::Foreign(_)), "{error}");
        let value = second.streams().value(&key).await.unwrap().unwrap();
        assert_eq!(value.bytes, later);
    }
}
