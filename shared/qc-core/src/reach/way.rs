//! Which way a link goes, for `status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::Timestamp;

/// How a relay was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The address of the relay, or of the proxy, that answered.
    pub remote: String,
    /// The proxy, if there is one.
    pub proxy: Option<String>,
    /// Whether the link is inside a WebSocket.
    pub websocket: bool,
    /// When the address was last seen to be good, if the name could not be looked up now.
    pub address_from: Option<Timestamp>,
    /// When the connection was made.
    pub at: Timestamp,
}

/// The way of the newest connection to every relay address. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Ways(Arc<Mutex<BTreeMap<String, Way>>>);

impl Ways {
    /// The way of the newest connection to `address`, a `HOST:PORT` as configured.
    pub fn of(&self, address: &str) -> Option<Way> {
        let ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ways.get(address).cloned()
    }

    pub(super) fn note(&self, address: &str, way: Way) {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ways.insert(address.to_owned(), way);
    }
}
