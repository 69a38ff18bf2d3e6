//! Where a daemon's store lies and where its keys come from, as its configuration says: for the daemon at
//! its start, and for commands that do without it.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Context, Failure};
use crate::config::{Loaded, Problem, StoreSection};
use crate::node::{KeyOptions, TenantKeySection};

/// What a configuration says of the store.
#[derive(Debug, Deserialize)]
pub(super) struct StorePlace {
    node: NodeSection,
    /// `[store]`
    pub(super) store: StoreSection,
    #[serde(default)]
    tenant_key: Vec<TenantKeySection>,
}

#[derive(Debug, Deserialize)]
struct NodeSection {
    state: PathBuf,
}

impl StorePlace {
    /// As the configuration says that `context` loads.
    pub(super) fn load(context: &Context) -> Result<Self, Failure> {
        let loaded = context.load()?;
        let place: Self = loaded.parse()?;
        loaded.refuse(store_problems(&loaded, &place.store, &place.tenant_key))?;
        Ok(place)
    }

    /// The state directory.
    pub(super) fn state(&self) -> &PathBuf {
        &self.node.state
    }

    /// Where the keys of the store come from.
    pub(super) fn keys(&self, context: &Context) -> KeyOptions {
        context.key_options(&self.store, &self.tenant_key)
    }
}

impl Context {
    /// Where the keys of a store come from: its configuration, and credentials of the service manager.
    pub fn key_options(&self, store: &StoreSection, tenants: &[TenantKeySection]) -> KeyOptions {
        let credentials = self.variable("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        KeyOptions::new(store.passphrase_file.as_ref(), tenants, credentials)
    }
}

/// What the schema cannot say of the store and its keys.
pub fn store_problems(
    loaded: &Loaded,
    store: &StoreSection,
    tenants: &[TenantKeySection],
) -> Vec<Problem> {
    let of_store = store.problem().into_iter();
    let of_store = of_store.map(|(path, message)| loaded.problem(path, "QC1020", message));
    let of_keys = tenants.iter().filter_map(TenantKeySection::problem);
    let of_keys = of_keys.map(|(path, message)| loaded.problem(&path, "QC1020", message));
    of_store.chain(of_keys).collect()
}
