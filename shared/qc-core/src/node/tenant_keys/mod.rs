//! The keys of tenants: made, kept, wrapped anew, destroyed.
//!
//! ```text
//! keys/tenants/TENANT.key         all generations of a tenant's key, each wrapped; JSON, mode 0600
//! keys/tenants/TENANT.destroyed   which keys were destroyed, when and why; written before they are
//! ```
//!
//! Each generation is wrapped by the node key, or by a key that a program in the tenant's custody gives.
//! Wrapped, because then a copy of the directory is worth nothing without the node key, and a rotation of
//! the node key after a destruction makes older copies of the file worthless, too. While the node key
//! changes, a file is wrapped by the old or the new one and says by which; a start has both at hand.
//!
//! A file is what counts: a tenant that has one is sealed by it, whatever the configuration says, and one
//! whose key was destroyed is refused until a new key is made.

mod asking;
mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use self::asking::side_by_side;
use self::file::{
    Custodian, Death, Grave, KeyFile, grave_path, key_path, names, parse_id, read, shown,
};
use super::unwrapper;
use crate::admin::keys::{TenantKeyRow, TenantKeyState};
use crate::durable;
use crate::failure::{Exit, Failure};
use crate::model::{Tenant, Timestamp};
use crate::safe_text::safe;
use crate::secret::Secret;
use crate::store::{Custody, Keyring, NoKey, NodeKey, TenantKey};

/// What the configuration says of a tenant whose bodies are to be under keys of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantKeyRule {
    /// The tenant.
    pub tenant: Tenant,
    /// The program that gives the wrapping key; empty when the node key wraps.
    pub exec: Vec<String>,
    /// How long the program may take.
    pub deadline: Duration,
    /// How long its answer counts.
    pub lease: Duration,
}

/// What is known of one tenant.
#[derive(Default)]
struct Held {
    file: Option<KeyFile>,
    grave: Grave,
    /// Why its keys are not open, if they are not.
    away: Option<String>,
    /// When its program was asked last.
    asked: Option<Instant>,
    /// Whether its destruction is recorded, and its file not yet gone for good.
    is_going: bool,
}

/// What became of a tenant's key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) old: Option<u32>,
    pub(super) new: Option<u32>,
    pub(super) number: u32,
}

/// The keys of all tenants, in the clear as long as they may be.
pub(super) struct TenantKeys {
    dir: PathBuf,
    rules: BTreeMap<String, TenantKeyRule>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    tenants: BTreeMap<String, Held>,
    open: HashMap<u32, Secret<[u8; 32]>>,
}

impl TenantKeys {
    /// Reads the directory, ends destructions that were cut off, and opens what the node keys open.
    /// Programs are asked by [`Self::ask_all`].
    pub(super) fn load(
        dir: &Path,
        rules: &[TenantKeyRule],
        keys: &Keyring,
    ) -> Result<Self, Failure> {
        let unusable = |error: io::Error| {
            let message = format!("the keys of tenants in {} cannot be read", dir.display());
            Failure::new(Exit::Disk, "QC3010", message)
                .because(&error)
                .help(format!("ls -l {}", dir.display()))
        };
        durable::sweep(dir).map_err(unusable)?;
        let mut state = State::default();
        for (tenant, ending) in names(dir).map_err(unusable)? {
            if ending == "destroyed" {
                let bytes = read(&grave_path(dir, &tenant)).map_err(unusable)?;
                state.held(&tenant).grave = Grave::parse(&bytes);
            }
        }
        for (tenant, ending) in names(dir).map_err(unusable)? {
            if ending == "key" {
                let path = key_path(dir, &tenant);
                let bytes = read(&path).map_err(unusable)?;
                let held = state.held(&tenant);
                let file = KeyFile::parse(&bytes, &tenant);
                if held.grave.is_unfinished(&bytes, file.as_ref().ok()) {
                    durable::shred(&path).map_err(unusable)?;
                    continue;
                }
                match file {
                    Ok(file) => held.file = Some(file),
                    Err(reason) => held.away = Some(reason.to_owned()),
                }
            }
        }
        let rules = rules.iter().cloned();
        let ring = Self {
            dir: dir.to_owned(),
            rules: rules.map(|rule| (rule.tenant.to_string(), rule)).collect(),
            state: RwLock::new(state),
        };
        ring.open_by(|file| match file.custody {
            Custodian::Exec => Err("its program was not asked yet".to_owned()),
            Custodian::Node => parse_id(&file.wrapped_by)
                .and_then(|id| keys.get(id).cloned())
                .ok_or_else(|| {
                    format!(
                        "it is wrapped by node key {}, which is not here",
                        file.wrapped_by
                    )
                }),
        });
        Ok(ring)
    }

    /// Opens every tenant's generations with the key that `key_for` gives.
    fn open_by(&self, key_for: impl Fn(&KeyFile) -> Result<NodeKey, String>) {
        let mut state = self.write();
        let State { tenants, open } = &mut *state;
        for held in tenants.values_mut() {
            let Some(file) = &held.file else { continue };
            match key_for(file).and_then(|key| file.open(&key)) {
                Ok(keys) => {
                    open.extend(keys);
                    held.away = None;
                }
                Err(reason) => held.away = Some(reason),
            }
        }
    }

    /// Whether a program has to be asked now and then.
    pub(super) fn has_programs(&self) -> bool {
        self.rules.values().any(|rule| !rule.exec.is_empty())
    }

    /// Tenants that are to have a key and never had one.
    pub(super) fn wanting(&self) -> Vec<Tenant> {
        let state = self.read();
        let rules = self.rules.values();
        let wanting = rules.filter(|rule| {
            let held = state.tenants.get(rule.tenant.as_str());
            held.is_none_or(Held::is_new)
        });
        wanting.map(|rule| rule.tenant.clone()).collect()
    }

    /// Makes the first key of a tenant, or the first after a destruction; `None` when it has one.
    pub(super) fn create(
        &self,
        tenant: &Tenant,
        node: &NodeKey,
        now: Timestamp,
    ) -> Result<Option<Change>, Failure> {
        {
            let state = self.read();
            let held = state.tenants.get(tenant.as_str());
            if held.is_some_and(|held| held.file.is_some()) {
                return Ok(None);
            }
            if let Some(reason) = held.and_then(|held| held.away.as_ref()) {
                return Err(away(tenant, reason));
            }
        }
        let wrapping = self.wrapping_key(tenant, node)?;
        self.add_generation(tenant, wrapping, now).map(Some)
    }

    /// Makes the first keys of tenants that are [`Self::wanting`] them. One whose program is slow holds up
    /// nobody else.
    pub(super) fn create_all(
        &self,
        tenants: Vec<Tenant>,
        node: &NodeKey,
        now: Timestamp,
    ) -> Vec<(Tenant, Result<Change, Failure>)> {
        let wrapping = side_by_side(tenants, |tenant| {
            let wrapping = self.wrapping_key(&tenant, node);
            (tenant, wrapping)
        });
        let make = |(tenant, wrapping): (Tenant, Result<_, Failure>)| {
            let made = wrapping.and_then(|wrapping| self.add_generation(&tenant, wrapping, now));
            (tenant, made)
        };
        wrapping.into_iter().map(make).collect()
    }

    /// Makes a new generation for what comes from now on, and wraps the older ones anew.
    pub(super) fn rotate(
        &self,
        tenant: &Tenant,
        node: &NodeKey,
        now: Timestamp,
    ) -> Result<Change, Failure> {
        {
            let state = self.read();
            match state.tenants.get(tenant.as_str()) {
                None => return Err(no_key(tenant)),
                Some(held) => match (&held.file, &held.away, held.grave.last()) {
                    (_, Some(reason), _) => return Err(away(tenant, reason)),
                    (Some(_), None, _) => {}
                    (None, None, Some(death)) => return Err(destroyed(tenant, death)),
                    (None, None, None) => return Err(no_key(tenant)),
                },
            }
        }
        let wrapping = self.wrapping_key(tenant, node)?;
        self.add_generation(tenant, wrapping, now)
    }

    fn add_generation(
        &self,
        tenant: &Tenant,
        (custody, wrapping): (Custodian, NodeKey),
        now: Timestamp,
    ) -> Result<Change, Failure> {
        let mut key = Secret::new([0; 32]);
        let random = aws_lc_rs::rand::fill(key.expose_mut());
        random
            .map_err(|_| Failure::new(Exit::Other, "QC0018", "the system gives no random bytes"))?;
        let id = self.free_id();
        let (file, old, number) = {
            let state = self.read();
            let held = state.tenants.get(tenant.as_str());
            let before = held.and_then(|held| held.file.as_ref());
            let generations = before.map_or_else(Vec::new, |file| file.generations.clone());
            let number = generations.last().map_or(0, |last| last.number) + 1;
            let mut file = KeyFile::new(tenant, custody, wrapping.id(), generations);
            file.wrap(&wrapping, &state.open)
                .and_then(|()| file.push(&wrapping, number, id, &key, now))
                .map_err(|error| not_written(tenant, &error))?;
            (file, held.and_then(Held::newest), number)
        };
        self.save(&file)
            .map_err(|error| not_written(tenant, &error))?;
        let mut state = self.write();
        state.open.insert(id, key);
        let held = state.held(tenant.as_str());
        (held.file, held.away) = (Some(file), None);
        Ok(Change {
            old,
            new: Some(id),
            number,
        })
    }

    fn wrapping_key(
        &self,
        tenant: &Tenant,
        node: &NodeKey,
    ) -> Result<(Custodian, NodeKey), Failure> {
        let rule = self.rules.get(tenant.as_str());
        match rule.filter(|rule| !rule.exec.is_empty()) {
            None => Ok((Custodian::Node, node.clone())),
            Some(rule) => unwrapper::ask(&rule.exec, rule.deadline)
                .map(|key| (Custodian::Exec, key))
                .map_err(|reason| away(tenant, &reason)),
        }
    }

    /// A number that no key of any tenant has or had.
    fn free_id(&self) -> u32 {
        let state = self.read();
        let is_taken = |id: u32| {
            let taken = |held: &Held| held.ids().chain(held.grave.ids()).any(|known| known == id);
            id == 0 || state.tenants.values().any(taken)
        };
        let mut id = fastrand::u32(1..);
        while is_taken(id) {
            id = fastrand::u32(1..);
        }
        id
    }

    /// Wraps under another node key whatever a node key wraps.
    pub(super) fn rewrap(&self, node: &NodeKey) -> io::Result<()> {
        let mut files: Vec<KeyFile> = Vec::new();
        {
            let state = self.read();
            for held in state.tenants.values() {
                let wrapped = held.file.as_ref().filter(|file| {
                    file.custody == Custodian::Node && file.wrapped_by != shown(node.id())
                });
                // what does not open now stays as it is: the key that wraps it is none of ours
                if let (Some(file), None) = (wrapped, &held.away) {
                    let mut file = file.clone();
                    file.wrapped_by = shown(node.id());
                    file.wrap(node, &state.open)?;
                    files.push(file);
                }
            }
        }
        for file in files {
            self.save(&file)?;
            let tenant = file.tenant.clone();
            self.write().held(&tenant).file = Some(file);
        }
        Ok(())
    }

    /// Destroys every generation of a tenant's key for good; `None` when that is done already. What they
    /// sealed stays unreadable.
    pub(super) fn destroy(
        &self,
        tenant: &Tenant,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<Change>, Failure> {
        let failed = |error: &io::Error| {
            let message = format!("the key of tenant {tenant} is not destroyed yet");
            Failure::new(Exit::Disk, "QC3050", message)
                .because(error)
                .help("the same command once more, or a restart, ends it")
        };
        let path = key_path(&self.dir, tenant.as_str());
        let (old, ids, mut grave, is_out_of_use, is_going) = {
            let state = self.read();
            let held = state.tenants.get(tenant.as_str());
            let held = held.ok_or_else(|| no_key(tenant))?;
            let ids: Vec<String> = held.ids().map(shown).collect();
            let is_out_of_use = held.file.is_none() && held.away.is_none();
            let grave = held.grave.clone();
            (held.newest(), ids, grave, is_out_of_use, held.is_going)
        };
        let is_recorded = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_out_of_use && !is_going => {
                return grave.last().map(|_| None).ok_or_else(|| no_key(tenant));
            }
            Err(_) => grave.last().is_some(),
            Ok(bytes) => {
                let file = KeyFile::parse(&bytes, tenant.as_str()).ok();
                grave.is_unfinished(&bytes, file.as_ref())
            }
        };
        if is_out_of_use && is_recorded {
            // a destruction that failed or was cut off: only its file is left, or not even that
            self.bury(tenant).map_err(|e| failed(&e))?;
            let old = grave.last().and_then(Death::newest);
            return Ok(Some(Change {
                old,
                ..Change::default()
            }));
        }
        grave.add(tenant, now, safe(reason, 400), ids);
        let text = serde_json::to_vec_pretty(&grave).map_err(|e| failed(&e.into()))?;
        let record = grave_path(&self.dir, tenant.as_str());
        durable::write_atomic(&record, &text, 0o600).map_err(|e| failed(&e))?;
        {
            // from here on it is destroyed, whatever becomes of the file before the next start
            let mut state = self.write();
            let State { tenants, open } = &mut *state;
            if let Some(held) = tenants.get_mut(tenant.as_str()) {
                held.ids().for_each(|id| drop(open.remove(&id)));
                (held.file, held.away, held.grave) = (None, None, grave);
                held.is_going = true;
            }
        }
        self.bury(tenant).map_err(|e| failed(&e))?;
        Ok(Some(Change {
            old,
            ..Change::default()
        }))
    }

    /// Overwrites and removes the file of a tenant whose destruction is recorded.
    fn bury(&self, tenant: &Tenant) -> io::Result<()> {
        match durable::shred(&key_path(&self.dir, tenant.as_str())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => durable::sync_dir(&self.dir)?,
            shredded => shredded?,
        }
        self.write().held(tenant.as_str()).is_going = false;
        Ok(())
    }

    /// The tenants with keys, with rules, or with destroyed keys.
    pub(super) fn rows(&self) -> Vec<TenantKeyRow> {
        let state = self.read();
        let ruled = self.rules.keys().map(String::as_str);
        let mut names: Vec<&str> = state
            .tenants
            .keys()
            .map(String::as_str)
            .chain(ruled)
            .collect();
        names.sort_unstable();
        names.dedup();
        let row = |name: &str| {
            let held = state.tenants.get(name);
            let rule = self.rules.get(name).filter(|rule| !rule.exec.is_empty());
            let file = held.and_then(|held| held.file.as_ref());
            let newest = file.and_then(|file| file.generations.last());
            let away = held.and_then(|held| held.away.clone());
            let death = held.and_then(|held| held.grave.last());
            let by_exec =
                file.map_or_else(|| rule.is_some(), |file| file.custody == Custodian::Exec);
            TenantKeyRow {
                tenant: name.to_owned(),
                state: match (file, &away, death) {
                    (_, Some(_), _) => TenantKeyState::Away,
                    (Some(_), None, _) => TenantKeyState::InUse,
                    (None, None, Some(_)) => TenantKeyState::Destroyed,
                    (None, None, None) => TenantKeyState::Missing,
                },
                id: newest.map(|newest| newest.id.clone()),
                generation: newest.map_or(0, |newest| u64::from(newest.number)),
                generations: file.map_or(0, |file| file.generations.len() as u64),
                custody: if by_exec { "exec" } else { "node" }.to_owned(),
                since: newest
                    .map(|newest| newest.created.clone())
                    .or_else(|| death.map(|death| death.at.clone())),
                reason: away.or_else(|| {
                    let is_gone = file.is_none();
                    death.filter(|_| is_gone).map(|death| death.reason.clone())
                }),
            }
        };
        names.into_iter().map(row).collect()
    }

    fn save(&self, file: &KeyFile) -> io::Result<()> {
        durable::create_dir_all(&self.dir, 0o700)?;
        let text = serde_json::to_vec_pretty(file)?;
        durable::write_atomic(&key_path(&self.dir, &file.tenant), &text, 0o600)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Custody for TenantKeys {
    fn sealing(&self, tenant: &str) -> Result<Option<TenantKey>, NoKey> {
        let state = self.read();
        let held = state.tenants.get(tenant);
        if let Some(held) = held {
            if let Some(reason) = &held.away {
                return Err(NoKey::Away(reason.clone()));
            }
            if let Some(id) = held.newest() {
                let key = state.open.get(&id).cloned();
                let missing = || NoKey::Away(format!("key {id:08x} is not open"));
                return key.map(|key| Some((id, key))).ok_or_else(missing);
            }
            if let Some(death) = held.grave.last() {
                return Err(NoKey::Destroyed(death.to_string()));
            }
        }
        if self.rules.contains_key(tenant) {
            let reason = "it is to have a key of its own and has none yet";
            return Err(NoKey::Away(reason.to_owned()));
        }
        Ok(None)
    }

    fn opening(&self, key: u32) -> Result<Secret<[u8; 32]>, NoKey> {
        let state = self.read();
        if let Some(key) = state.open.get(&key) {
            return Ok(key.clone());
        }
        for (tenant, held) in &state.tenants {
            let mut deaths = held.grave.destroyed.iter();
            if let Some(death) = deaths.find(|death| death.has(key)) {
                return Err(NoKey::Destroyed(format!(
                    "the key of tenant {tenant} {death}"
                )));
            }
            if held.ids().any(|id| id == key) {
                let reason = held.away.as_deref().unwrap_or("it does not open");
                let reason = format!("the key of tenant {tenant} is not at hand: {reason}");
                return Err(NoKey::Away(reason));
            }
        }
        Err(NoKey::Away(format!("tenant key {key:08x} is not here")))
    }
}

impl State {
    fn held(&mut self, tenant: &str) -> &mut Held {
        self.tenants.entry(tenant.to_owned()).or_default()
    }
}

impl Held {
    fn ids(&self) -> impl Iterator<Item = u32> {
        let generations = self.file.iter().flat_map(|file| &file.generations);
        generations.filter_map(|generation| parse_id(&generation.id))
    }

    fn newest(&self) -> Option<u32> {
        self.ids().last()
    }

    fn is_new(&self) -> bool {
        self.file.is_none() && self.away.is_none() && self.grave.destroyed.is_empty()
    }
}

fn no_key(tenant: &Tenant) -> Failure {
    let message = format!("tenant {tenant} has no key of its own");
    Failure::new(Exit::NotFound, "QC3048", message)
        .help(format!("key create --tenant {tenant}    makes one"))
}

fn away(tenant: &Tenant, reason: &str) -> Failure {
    let message = format!("the key of tenant {tenant} is not at hand");
    let mut failure = Failure::new(Exit::Refused, "QC3047", message);
    failure.cause.push(safe(reason, 400));
    failure.help("key show    tells who keeps it")
}

fn destroyed(tenant: &Tenant, death: &Death) -> Failure {
    let message = format!("the key of tenant {tenant} {death}");
    Failure::new(Exit::Refused, "QC3046", message)
        .help(format!("key create --tenant {tenant}    makes a new one"))
}

fn not_written(tenant: &Tenant, error: &io::Error) -> Failure {
    let message = format!("the key of tenant {tenant} cannot be written; nothing has changed");
    Failure::new(Exit::Disk, "QC3010", message)
        .because(error)
        .help("df -h    and: ls -ld DIR/keys/tenants")
}
