//! What of the fleet outlives the relay: a [`NodeEntry`] a node, with what is written of it and what is not yet.

use std::net::IpAddr;
use std::time::Duration;

use qc_core::control::Mark;
use qc_core::model::{NodeName, Seq, Timestamp};
use qc_core::node;
use qc_core::registry::{Labels, MAX_NODES, NodeEntry, RefusedObject};
use qc_core::wire::{Applied, MAX_APPLIED, Refusal};

use super::{Fleet, Link, Node};
use crate::hub::NodeError;

/// How late the time at which a node was last seen may be written while it has a link.
const SEEN_EVERY: Duration = Duration::from_mins(5);

/// What the registry has of a node.
#[derive(Debug, Default)]
pub(in crate::hub) struct Known {
    /// What is remembered.
    pub entry: NodeEntry,
    /// The revision of its value; none if there is none.
    pub revision: Option<Seq>,
}

/// What of a node is in the registry, and whether that is all.
#[derive(Debug, Default)]
pub(super) struct Saved {
    revision: Option<Seq>,
    seen: Option<Timestamp>,
    pub is_changed: bool,
    /// A later version has written it: it is left as it is.
    is_foreign: bool,
}

impl Saved {
    /// Nothing is written yet.
    pub(super) fn nothing() -> Self {
        Self {
            is_changed: true,
            ..Self::default()
        }
    }
}

impl Fleet {
    /// Begins with the nodes that are remembered.
    pub(in crate::hub) fn with_known(known: impl IntoIterator<Item = (NodeName, Known)>) -> Self {
        let node = |(name, known): (NodeName, Known)| {
            let mut node = Node::new(known.entry.last_seen.unwrap_or(known.entry.first_seen));
            node.saved = Saved {
                revision: known.revision,
                seen: known.entry.last_seen,
                is_changed: known.revision.is_none(),
                is_foreign: false,
            };
            node.entry = known.entry;
            (name, node)
        };
        Self {
            nodes: known.into_iter().map(node).collect(),
        }
    }

    /// What is remembered of `name` is of a later version: it is shown as far as it comes again, and what is
    /// stored of it stays.
    pub(in crate::hub) fn foreign(&mut self, name: &NodeName, now: Timestamp) {
        self.node(name, now).saved.is_foreign = true;
    }

    /// Everything that is remembered of `name`, and whether it has a link.
    pub(crate) fn entry(&self, name: &NodeName) -> Option<(&NodeEntry, bool)> {
        let node = self.nodes.get(name)?;
        Some((&node.entry, node.is_linked()))
    }

    /// Whether nothing is heard of `name` although it has a link.
    pub(in crate::hub) fn is_silent(&self, name: &NodeName) -> bool {
        let node = self.nodes.get(name);
        node.is_some_and(|node| node.state == Link::Stale)
    }

    /// The same of all nodes, by name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&NodeName, &NodeEntry, bool)> {
        let nodes = self.nodes.iter();
        nodes.map(|(name, node)| (name, &node.entry, node.is_linked()))
    }

    /// The addresses that nodes came from, those of the one that was seen last at the end.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let mut seen: Vec<&NodeEntry> = self.nodes.values().map(|node| &node.entry).collect();
        seen.sort_by_key(|entry| entry.last_seen);
        seen.iter()
            .filter_map(|entry| entry.address.parse().ok())
            .collect()
    }

    /// What is to be written now, at most `most` of it. It counts as written until [`Self::not_saved`].
    pub(in crate::hub) fn unsaved(&mut self, most: usize) -> Vec<(NodeName, Known)> {
        let mut room = MAX_NODES.saturating_sub(self.saved_count());
        let due = self.nodes.iter_mut().filter(|(_, node)| node.is_to_save());
        let due = due.filter(|(_, node)| {
            let has_place = node.saved.revision.is_some() || room > 0;
            room -= usize::from(has_place && node.saved.revision.is_none());
            has_place
        });
        let take = |(name, node): (&NodeName, &mut Node)| {
            node.saved.is_changed = false;
            node.saved.seen = node.entry.last_seen;
            let known = Known {
                entry: node.entry.clone(),
                revision: node.saved.revision,
            };
            (name.clone(), known)
        };
        due.take(most).map(take).collect()
    }

    /// How many nodes the registry has.
    pub(in crate::hub) fn saved_count(&self) -> usize {
        let saved = |node: &&Node| node.saved.revision.is_some();
        self.nodes.values().filter(saved).count()
    }

    /// What was to be written of `name` has this revision now.
    pub(in crate::hub) fn saved(&mut self, name: &NodeName, revision: Seq) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.saved.revision = Some(revision);
        }
    }

    /// What was to be written of `name` was not. `there` is what somebody else has written meanwhile.
    pub(in crate::hub) fn not_saved(&mut self, name: &NodeName, there: Option<Known>) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.saved.is_changed = true;
            if let Some(there) = there {
                node.saved.revision = there.revision;
                node.entry.merge(&there.entry);
            }
        }
    }

    /// What is remembered of `name` and where it stands in the registry, to change it.
    pub(in crate::hub) fn known(&self, name: &NodeName) -> Result<Known, NodeError> {
        let unknown = || NodeError::Unknown(name.clone());
        let node = self.nodes.get(name).ok_or_else(unknown)?;
        if node.saved.is_foreign {
            return Err(NodeError::Foreign(name.clone()));
        }
        Ok(Known {
            entry: node.entry.clone(),
            revision: node.saved.revision,
        })
    }

    /// The labels of `name` are these from now on; they are in the registry.
    pub(in crate::hub) fn labelled(&mut self, name: &NodeName, labels: Labels, revision: u64) {
        if let Some(node) = self.nodes.get_mut(name) {
            (node.entry.labels, node.entry.label_revision) = (labels, revision);
        }
    }

    /// Forgets `name`, of which nothing is written any more. Not if it has a link by now: then all of it is
    /// written anew.
    pub(in crate::hub) fn forget(&mut self, name: &NodeName) -> bool {
        if let Some(node) = self.nodes.get_mut(name)
            && node.is_linked()
        {
            node.saved = Saved::nothing();
            return false;
        }
        self.nodes.remove(name);
        true
    }

    /// `name` has answered that an object is applied there.
    pub(in crate::hub) fn applied(&mut self, name: &NodeName, mark: &Mark) {
        if let Some(node) = self.nodes.get_mut(name) {
            let applied = node::applied(mark);
            let is_other =
                |known: &Applied| known.kind != applied.kind || known.label != applied.label;
            node.entry.applied.retain(is_other);
            // more than it can have is not remembered; its next status tells what it has
            node.entry.applied.truncate(MAX_APPLIED - 1);
            node.entry.applied.push(applied);
            node.entry
                .applied
                .sort_by(|a, b| (a.kind, &a.label).cmp(&(b.kind, &b.label)));
            node.settle();
            node.saved.is_changed = true;
        }
    }

    /// `name` does not take an object.
    pub(in crate::hub) fn refused(
        &mut self,
        name: &NodeName,
        mark: &Mark,
        why: &Refusal,
        at: Timestamp,
    ) {
        if let Some(node) = self.nodes.get_mut(name) {
            let refused = RefusedObject {
                kind: mark.kind as u16,
                label: mark.label.to_string(),
                revision: mark.revision,
                code: why.code,
                reason: why.reason.clone(),
                at,
            };
            let is_other =
                |known: &RefusedObject| known.kind != refused.kind || known.label != refused.label;
            node.entry.refused.retain(is_other);
            if node.entry.refused.len() >= MAX_APPLIED {
                node.entry.refused.remove(0); // the one that is longest here
            }
            node.entry.refused.push(refused);
            node.saved.is_changed = true;
        }
    }
}

impl Node {
    fn is_to_save(&self) -> bool {
        let seen = self.entry.last_seen.unwrap_or_default();
        let late = seen.since(self.saved.seen.unwrap_or_default());
        let is_late =
            late >= SEEN_EVERY || !self.is_linked() && self.entry.last_seen != self.saved.seen;
        !self.saved.is_foreign && (self.saved.is_changed || is_late)
    }

    /// Drops refusals of what it has applied by now, or of what came before that.
    pub(super) fn settle(&mut self) {
        let applied = &self.entry.applied;
        self.entry.refused.retain(|refused| {
            let of_it = |one: &&Applied| one.kind == refused.kind && one.label == refused.label;
            let has = applied.iter().find(of_it);
            has.is_none_or(|one| one.revision < refused.revision)
        });
    }
}

/// Whether both lists say the same of a node itself; what is below it changes all the time.
pub(super) fn are_same(told: &[Applied], known: &[Applied]) -> bool {
    let own = |one: &Applied| (one.kind, one.label.clone(), one.revision, one.digest);
    told.len() == known.len() && told.iter().map(own).eq(known.iter().map(own))
}

#[cfg(test)]
mod tests {
    use qc_core::admin::api::NodeState;
    use qc_core::clock::{Clock as _, ManualClock};
    use qc_core::link::{LinkState, Peer};
    use qc_core::pki::Role;
    use qc_core::wire::{Code, Status};

    use super::*;

    fn peer() -> Peer {
        Peer {
            node: "edge-1.mill7.acme".parse().unwrap(),
            address: "127.0.0.1:9".to_owned(),
        }
    }

    fn written(fleet: &mut Fleet) -> Vec<String> {
        let batch = fleet.unsaved(100);
        for (name, _) in &batch {
            fleet.saved(name, Seq(1));
        }
        batch
            .into_iter()
            .map(|(_, known)| known.entry.version)
            .collect()
    }

    #[test]
    fn what_is_new_is_written_at_once_and_the_time_of_day_seldom() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let mut fleet = Fleet::default();
        let link =
            |fleet: &mut Fleet, state| fleet.link(&peer(), &state, clock.now(), clock.instant());
        let tell = |fleet: &mut Fleet, version: &str| {
            let status = Status {
                version: version.to_owned(),
                ..Status::default()
            };
            fleet.status(&peer(), status, clock.now(), clock.instant());
        };
        link(&mut fleet, LinkState::Up);
        tell(&mut fleet, "1");
        assert_eq!(written(&mut fleet), ["1"]);
        for _ in 0..59 {
            clock.advance(Duration::from_secs(5));
            tell(&mut fleet, "1");
            assert!(written(&mut fleet).is_empty(), "only the time has moved");
        }
        clock.advance(Duration::from_secs(5));
        tell(&mut fleet, "1");
        assert_eq!(written(&mut fleet), ["1"], "it is five minutes old");
        tell(&mut fleet, "2");
        assert_eq!(written(&mut fleet), ["2"]);
        // its end is exact, and a new port is nothing new
        clock.advance(Duration::from_secs(5));
        tell(&mut fleet, "2");
        link(
            &mut fleet,
            LinkState::Down(Refusal::new(Code::new(2215), "cut")),
        );
        assert_eq!(written(&mut fleet), ["2"]);
        let other = Peer {
            address: "127.0.0.1:10".to_owned(),
            ..peer()
        };
        fleet.link(&other, &LinkState::Up, clock.now(), clock.instant());
        assert!(written(&mut fleet).is_empty());
        assert_eq!(fleet.addresses(), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        // what was not written is tried again
        tell(&mut fleet, "3");
        let batch = fleet.unsaved(100);
        fleet.not_saved(&batch[0].0, None);
        assert_eq!(written(&mut fleet), ["3"]);
    }

    #[test]
    fn after_a_restart_a_node_is_down_since_it_was_last_seen() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000_000));
        let entry = NodeEntry {
            last_seen: Some(Timestamp::from_millis(1_000_000_000 - 3 * 86_400_000)),
            version: "0.1.0".to_owned(),
            role: Some(Role::Relay),
            ..NodeEntry::new(Timestamp::from_millis(1))
        };
        let known = Known {
            entry,
            revision: Some(Seq(7)),
        };
        let mut fleet = Fleet::with_known([(peer().node, known)]);
        let row = fleet.rows(clock.now(), clock.instant()).remove(0);
        assert_eq!(
            (row.state, row.role.as_str(), row.version.as_str()),
            (NodeState::Down, "relay", "0.1.0")
        );
        assert_eq!(row.age_ms, 3 * 86_400_000);
        let reason = row.reason.unwrap();
        assert!(reason.ends_with("last seen 3d00h ago"), "{reason}");
        assert!(written(&mut fleet).is_empty(), "nothing of it is new");
    }

    #[test]
    fn an_answer_settles_a_refusal_of_the_same_or_an_older_revision() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let mut fleet = Fleet::default();
        fleet.link(&peer(), &LinkState::Up, clock.now(), clock.instant());
        let mark = |revision| Mark {
            kind: qc_core::control::Kind::Revocations,
            label: qc_core::control::Label::default(),
            revision,
            digest: [7; 32],
        };
        let why = Refusal::new(Code::new(2168), "no CA");
        fleet.refused(&peer().node, &mark(3), &why, clock.now());
        fleet.applied(&peer().node, &mark(2));
        let refused = |fleet: &Fleet| fleet.entry(&peer().node).unwrap().0.refused.len();
        assert_eq!(refused(&fleet), 1);
        fleet.applied(&peer().node, &mark(3));
        assert_eq!(refused(&fleet), 0);
        let entry = fleet.entry(&peer().node).unwrap().0;
        assert_eq!(entry.applied, [node::applied(&mark(3))]);
        // what it says itself counts, be it less: it may have been restored from a copy
        let status = Status {
            control: Some(Vec::new()),
            ..Status::default()
        };
        assert!(fleet.status(&peer(), status, clock.now(), clock.instant()));
        assert!(fleet.entry(&peer().node).unwrap().0.applied.is_empty());
    }

    #[test]
    fn no_more_is_remembered_than_is_read_again() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let mut fleet = Fleet::default();
        fleet.link(&peer(), &LinkState::Up, clock.now(), clock.instant());
        let why = Refusal::new(Code::new(2169), "full");
        let mark = |kind, n: usize| Mark {
            kind,
            label: format!("n{n}").parse().unwrap(),
            revision: 1,
            digest: [7; 32],
        };
        for n in 0..2 * MAX_APPLIED {
            let taken = mark(qc_core::control::Kind::Policy, n);
            fleet.applied(&peer().node, &taken);
            let entry = fleet.entry(&peer().node).unwrap().0;
            assert!(entry.applied.contains(&node::applied(&taken)), "the newest");
            let refused = mark(qc_core::control::Kind::Config, n);
            fleet.refused(&peer().node, &refused, &why, clock.now());
        }
        let entry = fleet.entry(&peer().node).unwrap().0;
        assert_eq!(
            (entry.applied.len(), entry.refused.len()),
            (MAX_APPLIED, MAX_APPLIED)
        );
        assert_eq!(&NodeEntry::decode(&entry.encode()).unwrap(), entry);
    }

    #[test]
    fn a_node_that_links_while_it_is_forgotten_is_written_anew() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let mut fleet = Fleet::default();
        fleet.link(&peer(), &LinkState::Up, clock.now(), clock.instant());
        assert_eq!(written(&mut fleet).len(), 1);
        assert!(!fleet.forget(&peer().node));
        let batch = fleet.unsaved(100);
        assert_eq!(batch[0].1.revision, None, "as one that is not there");
        let cut = LinkState::Down(Refusal::new(Code::new(2215), "cut"));
        fleet.link(&peer(), &cut, clock.now(), clock.instant());
        assert!(fleet.forget(&peer().node));
        assert!(fleet.entry(&peer().node).is_none());
    }

    #[test]
    fn ten_thousand_nodes_that_return_at_once_write_next_to_nothing() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let mut fleet = Fleet::default();
        let peer = |n: usize, port: usize| Peer {
            node: format!("edge-{n}.mill7.acme").parse().unwrap(),
            address: format!("10.0.{}.{}:{port}", n / 250, n % 250),
        };
        let all = |fleet: &mut Fleet, state: &LinkState, port| {
            for n in 0..10_000 {
                fleet.link(&peer(n, port), state, clock.now(), clock.instant());
            }
        };
        let drain = |fleet: &mut Fleet| {
            let mut written = 0;
            loop {
                let batch = fleet.unsaved(512);
                assert!(batch.len() <= 512);
                if batch.is_empty() {
                    return written;
                }
                written += batch.len();
                for (name, _) in batch {
                    fleet.saved(&name, Seq(1));
                }
            }
        };
        all(&mut fleet, &LinkState::Up, 1);
        assert_eq!(drain(&mut fleet), 10_000, "they are new");
        // the relay's line is cut and comes back within a minute
        clock.advance(Duration::from_secs(30));
        all(&mut fleet, &LinkState::Stale, 1);
        all(&mut fleet, &LinkState::Up, 2);
        assert_eq!(
            drain(&mut fleet),
            0,
            "nothing of them is new but their port"
        );
    }
}
