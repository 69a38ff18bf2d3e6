//! The keys of a node's store while it is open: what is shown of them, and how they change.
//!
//! One change at a time. A rotation of the node key goes from [`Step`] to step. From the first one on the new
//! key is the key in use, and only what is not yet done is left: cut off or failed anywhere, the next
//! rotation, or the next start, ends it. What blocks (files, passphrases, programs) runs where it may.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::key_files::{KeyFiles, KeySource, Loaded};
use super::tenant_keys::{Change, TenantKeys};
use super::{TenantKeyRule, blocking, not_wrapped};
use crate::admin::keys::{KeyChange, KeyReport, NodeKeyRow};
use crate::clock::Clock;
use crate::drain::Drain;
use crate::failure::{Exit, Failure};
use crate::model::Tenant;
use crate::safe_text::safe;
use crate::store::{Keyring, Log, NodeKey, RealDisk, segment_keys};

/// Where the keys of a node come from.
#[derive(Debug, Clone, Default)]
pub struct KeyOptions {
    /// The directory of the service manager's credentials, if it gave one.
    pub credentials: Option<PathBuf>,
    /// The file with the passphrase of the node key.
    pub passphrase_file: Option<PathBuf>,
    /// Tenants whose bodies are to be under keys of their own.
    pub tenants: Vec<TenantKeyRule>,
}

/// The keys of an open store. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    files: KeyFiles,
    tenants: Arc<TenantKeys>,
    log: Log,
    log_dir: PathBuf,
    program: String,
    clock: Arc<dyn Clock>,
    node: Mutex<InUse>,
    /// Held while something changes.
    changing: tokio::sync::Mutex<()>,
}

/// The node key that seals what is new.
#[derive(Clone)]
struct InUse {
    key: NodeKey,
    source: KeySource,
    lies_open: bool,
    /// Whether it has not yet taken the place of the one before, which must stay until then. It is durable
    /// under another name.
    unfinished: bool,
}

/// The keys before the store is open.
pub(super) struct AtHand {
    files: KeyFiles,
    loaded: Loaded,
    pub(super) tenants: Arc<TenantKeys>,
}

/// How far a rotation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The next key is durable beside the key.
    Prepared,
    /// Every segment is wrapped under it.
    Segments,
    /// Every tenant's keys are.
    Tenants,
    /// It has the name of the key.
    Adopted,
}

#[cfg(test)]
pub(super) const STEPS: [Step; 4] = [Step::Prepared, Step::Segments, Step::Tenants, Step::Adopted];

impl AtHand {
    /// Loads the node key and what it wraps, and asks the programs of tenants.
    pub(super) fn load(
        dir: &Path,
        options: &KeyOptions,
        sealed: bool,
        clock: &dyn Clock,
    ) -> Result<Self, Failure> {
        let files = KeyFiles {
            dir: dir.join("keys"),
            credentials: options.credentials.clone(),
            passphrase_file: options.passphrase_file.clone(),
        };
        let loaded = files.load(sealed).map_err(|error| error.failure())?;
        let keys = loaded.keyring();
        let tenants = TenantKeys::load(&files.dir.join("tenants"), &options.tenants, &keys)?;
        tenants.ask_all(clock.instant());
        Ok(Self {
            files,
            loaded,
            tenants: Arc::new(tenants),
        })
    }

    pub(super) fn keyring(&self) -> Keyring {
        self.loaded.keyring()
    }

    /// What may be shown of them.
    pub(super) fn report(&self, log_dir: &Path, clock: &dyn Clock) -> KeyReport {
        let node = InUse::new(&self.loaded);
        KeyReport {
            node: node_row(&self.files, &node, log_dir, clock),
            tenants: self.tenants.rows(),
        }
    }

    /// The store is open: ends a change of the node key that was cut off, and makes the keys of tenants
    /// that never had a message.
    pub(super) async fn settle(
        self,
        log: Log,
        log_dir: PathBuf,
        program: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Keys, Failure> {
        let Self {
            files,
            loaded,
            tenants,
        } = self;
        let keys = Keys {
            inner: Arc::new(Inner {
                files,
                tenants,
                log,
                log_dir,
                program: program.to_owned(),
                clock,
                node: Mutex::new(InUse::new(&loaded)),
                changing: tokio::sync::Mutex::new(()),
            }),
        };
        if loaded.other.is_some() || loaded.adopt {
            let id = shown(&loaded.current);
            match keys.wrap_all(Step::Adopted).await {
                Ok(()) => {
                    tracing::info!(
                        code = "QC3044",
                        key = id,
                        "A change of the node key that had begun is done."
                    );
                }
                // both keys are kept, so the node runs, and the next rotation or start goes on
                Err(failure) => {
                    tracing::error!(
                        code = failure.code,
                        key = id,
                        "A change of the node key that had begun is not done yet: {failure}"
                    );
                }
            }
        }
        if keys.in_use(|node| node.lies_open) {
            let path = keys.inner.files.key().display().to_string();
            tracing::warn!(
                code = "QC3042",
                path,
                "The node key lies there in the clear."
            );
        }
        let making = keys.clone();
        blocking(move || making.create_wanted()).await??;
        Ok(keys)
    }
}

impl InUse {
    fn new(loaded: &Loaded) -> Self {
        Self {
            key: loaded.current.clone(),
            source: loaded.source,
            lies_open: loaded.lies_open,
            unfinished: loaded.adopt,
        }
    }
}

impl Loaded {
    fn keyring(&self) -> Keyring {
        Keyring {
            current: self.current.clone(),
            other: self.other.clone(),
        }
    }
}

impl Keys {
    /// Everything that may be shown of the keys. Reads the headers of all segments.
    pub fn report(&self) -> KeyReport {
        let inner = &self.inner;
        let node = self.in_use(InUse::clone);
        KeyReport {
            node: node_row(&inner.files, &node, &inner.log_dir, inner.clock.as_ref()),
            tenants: inner.tenants.rows(),
        }
    }

    /// Puts a new key in the place of the node key: everything is wrapped under it when this returns.
    pub async fn rotate(&self) -> Result<KeyChange, Failure> {
        self.rotate_until(Step::Adopted).await
    }

    pub(super) async fn rotate_until(&self, last: Step) -> Result<KeyChange, Failure> {
        let _alone = self.inner.changing.lock().await;
        let (source, is_unfinished) = self.in_use(|node| (node.source, node.unfinished));
        if source == KeySource::Credential {
            return Err(self.by_credential());
        }
        if is_unfinished {
            self.wrap_all(Step::Adopted).await?;
        }
        let old = self.in_use(|node| node.key.clone());
        let (inner, before) = (Arc::clone(&self.inner), old.clone());
        let new = blocking(move || inner.files.prepare_next(&before)).await?;
        let new = new.map_err(|error| error.failure())?;
        // it is durable: whatever fails from here on, what may be wrapped by it is not forgotten
        self.set(|node| (node.key, node.unfinished) = (new.clone(), true));
        if last > Step::Prepared {
            self.wrap_all(last).await?;
        }
        let change = KeyChange {
            done: "rotated".to_owned(),
            old: Some(shown(&old)),
            new: Some(shown(&new)),
            segments: self.inner.log.stats().segments,
            ..KeyChange::default()
        };
        tracing::info!(
            code = "QC3043",
            old = shown(&old),
            new = shown(&new),
            "The node key is another one now."
        );
        Ok(change)
    }

    /// Wraps everything under the key in use, and gives it the name of the key if it has another one. Once
    /// more does no harm.
    async fn wrap_all(&self, last: Step) -> Result<(), Failure> {
        let inner = &self.inner;
        let (key, is_unfinished) = self.in_use(|node| (node.key.clone(), node.unfinished));
        let wrapped = inner.log.rewrap(key.clone()).await;
        wrapped.map_err(|error| not_wrapped(&error))?;
        if last == Step::Segments {
            return Ok(());
        }
        let (tenants, node) = (Arc::clone(&inner.tenants), key.clone());
        let wrapped = blocking(move || tenants.rewrap(&node)).await?;
        wrapped.map_err(|error| not_wrapped(&error))?;
        if last == Step::Tenants || !is_unfinished {
            return Ok(());
        }
        let inner = Arc::clone(inner);
        let adopted = blocking(move || inner.files.adopt_next(&key)).await?;
        let adopted = adopted.map_err(|error| {
            let failure = error.failure();
            failure
                .help("key rotate    or a restart ends the change; both keys are kept until then")
        })?;
        self.set(|node| {
            (node.source, node.lies_open) = (adopted.source, adopted.lies_open);
            node.unfinished = false;
        });
        Ok(())
    }

    /// Makes a new generation of a tenant's key for what comes from now on.
    pub async fn rotate_tenant(&self, tenant: Tenant) -> Result<KeyChange, Failure> {
        let changed = self.change(tenant, "rotated", |keys, tenant, node, now| {
            keys.rotate(tenant, node, now).map(Some)
        });
        let (change, _) = changed.await?;
        let (tenant, key) = (change.tenant.as_deref(), change.new.as_deref());
        tracing::info!(
            code = "QC3051",
            tenant,
            key,
            "The tenant's key has a new generation."
        );
        Ok(change)
    }

    /// Makes a key for a tenant that has none.
    pub async fn create_tenant(&self, tenant: Tenant) -> Result<KeyChange, Failure> {
        let changed = self.change(tenant, "created", |keys, tenant, node, now| {
            keys.create(tenant, node, now)
        });
        let (change, is_changed) = changed.await?;
        // what was taken in before is remembered in the clear, and from now on nothing is
        self.inner.log.forget_plain();
        if is_changed {
            say_created(change.tenant.as_deref(), change.new.as_deref());
        }
        Ok(change)
    }

    /// Destroys all generations of a tenant's key for good.
    pub async fn destroy_tenant(&self, tenant: Tenant, reason: &str) -> Result<KeyChange, Failure> {
        let why = reason.to_owned();
        let changed = self.change(tenant, "destroyed", move |keys, tenant, _, now| {
            keys.destroy(tenant, &why, now)
        });
        let changed = changed.await;
        // also when it was cut off: what could be destroyed is
        self.inner.log.forget_plain();
        let (change, is_changed) = changed?;
        if is_changed {
            let (tenant, key) = (change.tenant.as_deref(), change.old.as_deref());
            let reason = safe(reason, 400);
            tracing::warn!(
                code = "QC3052",
                tenant,
                key,
                reason,
                "The tenant's key is destroyed."
            );
        }
        Ok(change)
    }

    /// Does it alone, where it may block. Says also whether anything has changed.
    async fn change(
        &self,
        tenant: Tenant,
        done: &str,
        change: impl FnOnce(
            &TenantKeys,
            &Tenant,
            &NodeKey,
            crate::model::Timestamp,
        ) -> Result<Option<Change>, Failure>
        + Send
        + 'static,
    ) -> Result<(KeyChange, bool), Failure> {
        let _alone = self.inner.changing.lock().await;
        let (node, now) = (self.in_use(|node| node.key.clone()), self.inner.clock.now());
        let (keys, name) = (Arc::clone(&self.inner.tenants), tenant.to_string());
        let changed = blocking(move || change(&keys, &tenant, &node, now)).await??;
        let is_changed = changed.is_some();
        let Change { old, new, number } = changed.unwrap_or_default();
        let change = KeyChange {
            done: if is_changed { done } else { "unchanged" }.to_owned(),
            tenant: Some(name),
            old: old.map(|id| format!("{id:08x}")),
            new: new.map(|id| format!("{id:08x}")),
            generation: u64::from(number),
            segments: 0,
        };
        Ok((change, is_changed))
    }

    /// Makes the keys of tenants that are to have one, as long as nothing of theirs is here: a key file
    /// that was lost is not taken for one that never was.
    fn create_wanted(&self) -> Result<(), Failure> {
        let inner = &self.inner;
        let (node, now) = (self.in_use(|node| node.key.clone()), inner.clock.now());
        let streams = inner.log.streams();
        let has_messages = |tenant: &Tenant| {
            let mut of_tenant = streams
                .iter()
                .filter(|info| info.key.name.tenant() == tenant.as_str());
            of_tenant.any(|info| info.last.0 > 0)
        };
        let (missing, wanting): (Vec<_>, Vec<_>) =
            inner.tenants.wanting().into_iter().partition(has_messages);
        for tenant in missing {
            let next = format!("{} key create --tenant {tenant}", inner.program);
            tracing::warn!(code = "QC3048", %tenant, next, "The tenant has messages here and no key of its own: nothing new of it is taken until it has one.");
        }
        for (tenant, made) in inner.tenants.create_all(wanting, &node, now) {
            match made {
                Ok(change) => {
                    let key = change.new.map(|id| format!("{id:08x}"));
                    say_created(Some(tenant.as_str()), key.as_deref());
                }
                // a program of the tenant that does not answer stops nobody else
                Err(failure) if failure.code == "QC3047" => {
                    let reason = failure.cause.join(": ");
                    let next = format!("{} key create --tenant {tenant}", inner.program);
                    tracing::warn!(
                        code = "QC3047",
                        %tenant,
                        reason,
                        next,
                        "The tenant's key could not be made: nothing of it is taken until it has one."
                    );
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Asks the programs of tenants again when their answers have run out, until the drain begins.
    pub fn watch(&self, drain: &Drain) {
        if self.inner.tenants.has_programs() {
            let (keys, until) = (self.clone(), drain.clone());
            let inner = Arc::clone(&keys.inner);
            let (tenants, clock) = (Arc::clone(&inner.tenants), Arc::clone(&inner.clock));
            let forget = move || keys.inner.log.forget_plain();
            drain.spawn("tenant keys", async move {
                tenants.watch(clock.as_ref(), until, forget).await;
            });
        }
    }

    fn in_use<T>(&self, look: impl FnOnce(&InUse) -> T) -> T {
        let node = self.inner.node.lock();
        look(&node.unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, change: impl FnOnce(&mut InUse)) {
        let node = self.inner.node.lock();
        change(&mut node.unwrap_or_else(PoisonError::into_inner));
    }

    fn by_credential(&self) -> Failure {
        let unit = &self.inner.program;
        let store = "/etc/credstore.encrypted";
        Failure::new(
            Exit::Refused,
            "QC3045",
            "the node key is a credential, and only the service manager changes those",
        )
        .help(format!(
            "systemd-creds decrypt {store}/qc-node.key - | systemd-creds encrypt --name=qc-node.key.old - {store}/qc-node.key.old"
        ))
        .help(format!(
            "openssl rand -hex 32 | systemd-creds encrypt --name=qc-node.key - {store}/qc-node.key"
        ))
        .help(format!(
            "LoadCredentialEncrypted=qc-node.key.old in the unit, systemctl restart {unit}; after QC3044 in its log take qc-node.key.old away again"
        ))
    }
}

fn say_created(tenant: Option<&str>, key: Option<&str>) {
    tracing::info!(
        code = "QC3051",
        tenant,
        key,
        "The tenant has a key of its own."
    );
}

fn node_row(files: &KeyFiles, node: &InUse, log_dir: &Path, clock: &dyn Clock) -> NodeKeyRow {
    let wrapped = segment_keys(&RealDisk, log_dir).unwrap_or_default();
    let since = match node.source {
        KeySource::Credential => None,
        KeySource::File | KeySource::Passphrase => files.since(),
    };
    let others = wrapped.iter().filter(|(id, _)| **id != node.key.id());
    NodeKeyRow {
        id: shown(&node.key),
        source: node.source.as_str().to_owned(),
        path: files.place(node.source).display().to_string(),
        since: since.map(|since| since.to_string()),
        age_s: since.map(|since| clock.now().since(since).as_secs()),
        segments: wrapped.get(&node.key.id()).copied().unwrap_or(0),
        other_segments: others.map(|(_, count)| count).sum(),
        lies_open: node.lies_open,
    }
}

fn shown(key: &NodeKey) -> String {
    format!("{:08x}", key.id())
}
