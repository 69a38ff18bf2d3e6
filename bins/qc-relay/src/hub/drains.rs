//! Nodes that this relay sends away: an order for all, or one for a node alone.
//!
//! An order is in the registry before it holds, so a restart in the middle of maintenance takes nobody
//! in; only `resume` lifts it. A node with an order of its own goes where that says. Links end in good
//! order, with everything acknowledged that is on disk here, and new ones are told where to go.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use qc_core::admin::api::{DrainOrder, Drained, DrainedNode};
use qc_core::link;
use qc_core::model::{HostPort, NodeName, Timestamp};
use qc_core::store::{AppendError, ValueError};
use qc_core::streams::{ReadError, Streams};
use qc_core::wire::Refusal;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Hub;

/// The keys of the registry under which orders are kept.
const FOR_ALL: &str = "drain/all";
const FOR_NODES: &str = "drain/node/";
/// The most nodes with an order of their own.
pub(crate) const MOST: usize = 1000;

/// An order to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// The relay to go to; without one the node takes the next of its list.
    pub to: Option<HostPort>,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Whom an order is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Every node that has none of its own.
    All,
    /// These.
    Nodes(Vec<NodeName>),
}

/// The orders that hold.
#[derive(Debug, Default)]
pub(super) struct Orders {
    all: Option<Order>,
    nodes: BTreeMap<NodeName, Order>,
}

/// The orders, and who hears of a change.
pub(super) struct Drains {
    orders: RwLock<Orders>,
    changed: watch::Sender<u64>,
}

/// An [`Order`] as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    to: Option<String>,
    reason: Option<String>,
    since_ms: u64,
}

impl Order {
    /// What a node is told by `relay`.
    fn refusal(&self, relay: &NodeName) -> Refusal {
        let mut reason = format!("{relay} is drained");
        if let Some(why) = &self.reason {
            reason.push_str(": ");
            reason.push_str(why);
        }
        if let Some(to) = &self.to {
            reason.push_str("; go to ");
            reason.push_str(&to.to_string());
        }
        Refusal::new(link::DRAINED, reason).towards(self.to.clone())
    }

    fn shown(&self) -> DrainOrder {
        DrainOrder {
            to: self.to.as_ref().map(ToString::to_string),
            reason: self.reason.clone(),
            since: self.since.to_string(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let kept = Kept {
            to: self.to.as_ref().map(ToString::to_string),
            reason: self.reason.clone(),
            since_ms: self.since.as_millis(),
        };
        serde_json::to_vec(&kept).expect("strings and a number")
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let kept: Kept = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            to: kept.to.and_then(|to| to.parse().ok()),
            reason: kept.reason,
            since: Timestamp::from_millis(kept.since_ms),
        })
    }
}

impl Orders {
    /// The order that holds for `node`.
    fn of(&self, node: &NodeName) -> Option<&Order> {
        self.nodes.get(node).or(self.all.as_ref())
    }

    fn put(&mut self, whom: &Whom, order: &Order) {
        match whom {
            Whom::All => self.all = Some(order.clone()),
            Whom::Nodes(nodes) => {
                let orders = nodes.iter().map(|node| (node.clone(), order.clone()));
                self.nodes.extend(orders);
            }
        }
    }

    /// Lifts the order that is kept under `key`.
    fn lift(&mut self, key: &str) {
        if key == FOR_ALL {
            self.all = None;
        }
        let node = key.strip_prefix(FOR_NODES);
        self.nodes.retain(|other, _| node != Some(other.as_str()));
    }

    /// The keys of what `whom` would lift.
    fn keys(&self, whom: &Whom) -> Vec<String> {
        let key = |node: &NodeName| format!("{FOR_NODES}{node}");
        match whom {
            Whom::All => {
                let all = self.all.iter().map(|_| FOR_ALL.to_owned());
                all.chain(self.nodes.keys().map(key)).collect()
            }
            Whom::Nodes(nodes) => {
                let known = nodes.iter().filter(|node| self.nodes.contains_key(*node));
                known.map(key).collect()
            }
        }
    }
}

impl Drains {
    /// The orders as they were kept. One that cannot be read sends away all the same: who gave it meant
    /// to.
    pub(super) async fn load(streams: &dyn Streams) -> Result<Self, AppendError> {
        // a relay that cannot know whom to send away does not begin to take them in
        let unread = |error: ReadError| AppendError::Unreadable {
            reason: format!("orders to send nodes away: {error}"),
        };
        let mut orders = Orders::default();
        let read = |bytes: &[u8]| {
            Order::decode(bytes).unwrap_or_else(|| Order {
                to: None,
                reason: None,
                since: Timestamp::default(),
            })
        };
        if let Some(all) = streams.value(FOR_ALL).await.map_err(unread)? {
            orders.all = Some(read(&all.bytes));
        }
        let nodes = streams.values(FOR_NODES, "", MOST).await;
        for (key, value) in nodes.map_err(unread)? {
            let node = key.strip_prefix(FOR_NODES).map(str::parse);
            if let Some(Ok(node)) = node {
                orders.nodes.insert(node, read(&value.bytes));
            }
        }
        Ok(Self {
            orders: RwLock::new(orders),
            changed: watch::Sender::new(0),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Orders> {
        self.orders.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Orders> {
        self.orders.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// What `node` is told if it is to go.
    pub(crate) fn sends_away(&self, node: &NodeName) -> Option<Refusal> {
        let orders = self.drains().read();
        orders.of(node).map(|order| order.refusal(self.node()))
    }

    /// Fires when other orders hold.
    pub(crate) fn drains_changed(&self) -> watch::Receiver<u64> {
        self.drains().changed.subscribe()
    }

    /// Whether this relay takes no node that has no order of its own.
    pub(crate) fn is_drained(&self) -> bool {
        self.drains().read().all.is_some()
    }

    /// How many nodes have an order of their own.
    pub(crate) fn drained_nodes(&self) -> usize {
        self.drains().read().nodes.len()
    }

    /// The orders, as `status` shows them; none if nobody is sent away.
    pub(crate) fn drained(&self) -> Option<Drained> {
        let up = self.fleet().linked();
        let orders = self.drains().read();
        if orders.all.is_none() && orders.nodes.is_empty() {
            return None;
        }
        let node = |(node, order): (&NodeName, &Order)| DrainedNode {
            node: node.to_string(),
            order: order.shown(),
        };
        let to_go = up.iter().filter(|node| orders.of(node).is_some());
        Some(Drained {
            all: orders.all.as_ref().map(Order::shown),
            nodes: orders.nodes.iter().map(node).collect(),
            links: to_go.count() as u64,
        })
    }

    /// Sends nodes away from now on. The order is on disk before it holds.
    pub(crate) async fn drain_nodes(&self, whom: &Whom, order: &Order) -> Result<(), AppendError> {
        let each = match whom {
            Whom::All => vec![(FOR_ALL.to_owned(), Whom::All)],
            Whom::Nodes(nodes) => {
                let one = |node: &NodeName| {
                    let alone = Whom::Nodes(vec![node.clone()]);
                    (format!("{FOR_NODES}{node}"), alone)
                };
                nodes.iter().map(one).collect()
            }
        };
        for (key, whom) in each {
            let value = Some((order.encode(), Timestamp::default()));
            stored(self.streams().put(&key, None, value).await.map(drop))?;
            // what is on disk holds, also if the next one fails: `resume` has to know of it
            self.drains().write().put(&whom, order);
            self.tell_drains();
        }
        Ok(())
    }

    /// Takes nodes in again; whether any order was lifted.
    pub(crate) async fn resume_nodes(&self, whom: &Whom) -> Result<bool, AppendError> {
        let keys = self.drains().read().keys(whom);
        for key in &keys {
            stored(self.streams().put(key, None, None).await.map(drop))?;
            self.drains().write().lift(key);
            self.tell_drains();
        }
        Ok(!keys.is_empty())
    }

    fn tell_drains(&self) {
        let count = |count: &mut u64| *count = count.wrapping_add(1);
        self.drains().changed.send_modify(count);
    }
}

/// Nobody else changes an order, so a conflict is as good as done.
fn stored(put: Result<(), ValueError>) -> Result<(), AppendError> {
    match put {
        Err(ValueError::Store(error)) => Err(error),
        Ok(()) | Err(ValueError::Conflict { .. }) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(to: Option<&str>) -> Order {
        Order {
            to: to.map(|to| to.parse().unwrap()),
            reason: Some("disk".to_owned()),
            since: Timestamp::from_millis(5),
        }
    }

    fn node(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    #[test]
    fn an_order_of_its_own_goes_before_that_for_all() {
        let mut orders = Orders::default();
        let (one, other) = (node("edge-1.mill7.acme"), node("edge-2.mill7.acme"));
        assert_eq!(orders.of(&one), None);
        let away = order(Some("relay-2:7443"));
        orders.put(&Whom::Nodes(vec![one.clone()]), &away);
        assert_eq!((orders.of(&one), orders.of(&other)), (Some(&away), None));
        orders.put(&Whom::All, &order(None));
        assert_eq!(orders.of(&one), Some(&away));
        assert_eq!(orders.of(&other), Some(&order(None)));
        assert_eq!(orders.keys(&Whom::Nodes(vec![other])), Vec::<String>::new());
        assert_eq!(
            orders.keys(&Whom::All),
            ["drain/all", "drain/node/edge-1.mill7.acme"]
        );
        orders.lift("drain/node/edge-1.mill7.acme");
        assert_eq!(orders.of(&one), Some(&order(None)));
        orders.lift(FOR_ALL);
        assert_eq!(orders.of(&one), None);
    }

    #[test]
    fn an_order_is_kept_and_told() {
        for to in [None, Some("relay-2:7443"), Some("[2001:db8::1]:443")] {
            let order = order(to);
            assert_eq!(Order::decode(&order.encode()).as_ref(), Some(&order));
            let refusal = order.refusal(&node("relay-1.hq.acme"));
            assert_eq!(refusal.code, link::DRAINED);
            assert_eq!(refusal.to, order.to);
            let there = to.map_or_else(String::new, |to| format!("; go to {to}"));
            assert_eq!(
                refusal.reason,
                format!("relay-1.hq.acme is drained: disk{there}")
            );
        }
    }
}
