//! The two files of a tenant's keys, as JSON: the wrapped generations, and the record of what was destroyed.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{Tenant, Timestamp};
use crate::safe_text::safe;
use crate::secret::Secret;
use crate::store::{NodeKey, WrappedKey};

const KEYS: &str = "qc.tenant-keys/1";
const GRAVE: &str = "qc.tenant-keys-destroyed/1";
/// The largest file that is read.
const MAX_FILE: u64 = 4 << 20;

/// Who wraps a tenant's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Custodian {
    Node,
    Exec,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeyFile {
    pub(super) schema: String,
    pub(super) tenant: String,
    pub(super) custody: Custodian,
    pub(super) wrapped_by: String,
    /// Oldest first; the last one seals what is new.
    pub(super) generations: Vec<Generation>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Generation {
    pub(super) number: u32,
    pub(super) id: String,
    pub(super) created: String,
    pub(super) salt: String,
    pub(super) sealed: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Grave {
    pub(super) schema: String,
    pub(super) tenant: String,
    pub(super) destroyed: Vec<Death>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Death {
    pub(super) at: String,
    pub(super) reason: String,
    pub(super) ids: Vec<String>,
}

/// Generations in the clear.
pub(super) type Opened = Vec<(u32, Secret<[u8; 32]>)>;

impl KeyFile {
    pub(super) fn new(
        tenant: &Tenant,
        custody: Custodian,
        wrapped_by: u32,
        generations: Vec<Generation>,
    ) -> Self {
        Self {
            schema: KEYS.to_owned(),
            tenant: tenant.to_string(),
            custody,
            wrapped_by: shown(wrapped_by),
            generations,
        }
    }

    /// Reads the file of `tenant`; the reason why it cannot be used has no place in it.
    pub(super) fn parse(bytes: &[u8], tenant: &str) -> Result<Self, &'static str> {
        let file: Self = serde_json::from_slice(bytes).map_err(|_| "its file is damaged")?;
        if file.schema != KEYS {
            return Err("its file is of another version of this program");
        }
        if file.tenant != tenant {
            return Err("its file is another tenant's");
        }
        Ok(file)
    }

    pub(super) fn open(&self, key: &NodeKey) -> Result<Opened, String> {
        if self.wrapped_by != shown(key.id()) {
            let (wrapped_by, found) = (&self.wrapped_by, key.id());
            return Err(format!(
                "it is wrapped by key {wrapped_by}, and key {found:08x} was given"
            ));
        }
        let open = |generation: &Generation| {
            let wrapped = WrappedKey {
                salt: bytes(&generation.salt)?,
                sealed: bytes(&generation.sealed)?,
            };
            let id = parse_id(&generation.id)?;
            Some((id, key.unwrap(&wrapped, &whose(&self.tenant, id))?))
        };
        let opened: Option<Opened> = self.generations.iter().map(open).collect();
        opened.ok_or_else(|| "its file is damaged".to_owned())
    }

    /// Wraps every generation anew.
    pub(super) fn wrap(
        &mut self,
        key: &NodeKey,
        open: &HashMap<u32, Secret<[u8; 32]>>,
    ) -> io::Result<()> {
        for generation in &mut self.generations {
            let id = parse_id(&generation.id).unwrap_or(0);
            let plain = open.get(&id);
            let plain = plain.ok_or_else(|| io::Error::other("a generation is not open"))?;
            let wrapped = key.wrap(plain, &whose(&self.tenant, id))?;
            (generation.salt, generation.sealed) = (hex(&wrapped.salt), hex(&wrapped.sealed));
        }
        Ok(())
    }

    pub(super) fn push(
        &mut self,
        wrapping: &NodeKey,
        number: u32,
        id: u32,
        key: &Secret<[u8; 32]>,
        now: Timestamp,
    ) -> io::Result<()> {
        let wrapped = wrapping.wrap(key, &whose(&self.tenant, id))?;
        self.generations.push(Generation {
            number,
            id: shown(id),
            created: now.to_string(),
            salt: hex(&wrapped.salt),
            sealed: hex(&wrapped.sealed),
        });
        Ok(())
    }
}

impl Grave {
    /// Reads the record. A damaged one still says that something was destroyed.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_else(|_| Self {
            destroyed: vec![Death {
                at: "an unknown day".to_owned(),
                reason: "the record of it is damaged".to_owned(),
                ids: Vec::new(),
            }],
            ..Self::default()
        })
    }

    pub(super) fn add(
        &mut self,
        tenant: &Tenant,
        now: Timestamp,
        reason: String,
        ids: Vec<String>,
    ) {
        (self.schema, self.tenant) = (GRAVE.to_owned(), tenant.to_string());
        self.destroyed.push(Death {
            at: now.to_string(),
            reason,
            ids,
        });
    }

    pub(super) fn last(&self) -> Option<&Death> {
        self.destroyed.last()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        let ids = self.destroyed.iter().flat_map(|death| &death.ids);
        ids.filter_map(|id| parse_id(id))
    }

    /// Whether the key file beside it is one whose destruction was cut off: still as it was, or half
    /// overwritten, which leaves zeros that no sound file has.
    pub(super) fn is_unfinished(&self, bytes: &[u8], file: Option<&KeyFile>) -> bool {
        let is_buried = |generation: &Generation| {
            parse_id(&generation.id).is_some_and(|id| self.ids().any(|buried| buried == id))
        };
        match file {
            _ if self.destroyed.is_empty() => false,
            Some(file) => file.generations.iter().any(is_buried),
            None => bytes.contains(&0) || bytes.is_empty(),
        }
    }
}

impl Death {
    pub(super) fn newest(&self) -> Option<u32> {
        self.ids.last().and_then(|id| parse_id(id))
    }

    pub(super) fn has(&self, id: u32) -> bool {
        self.ids.iter().any(|known| parse_id(known) == Some(id))
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "was destroyed on {}: {}",
            self.at,
            safe(&self.reason, 200)
        )
    }
}

pub(super) fn key_path(dir: &Path, tenant: &str) -> PathBuf {
    dir.join(format!("{tenant}.key"))
}

pub(super) fn grave_path(dir: &Path, tenant: &str) -> PathBuf {
    dir.join(format!("{tenant}.destroyed"))
}

/// The files of tenants: whose, and of which kind. Others are none of ours.
pub(super) fn names(dir: &Path) -> io::Result<Vec<(String, String)>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let parts = name.to_str().and_then(|name| name.rsplit_once('.'));
        if let Some((tenant, ending)) = parts
            && tenant.parse::<Tenant>().is_ok()
        {
            names.push((tenant.to_owned(), ending.to_owned()));
        }
    }
    Ok(names)
}

pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A key opens only as the key of its tenant and under its number.
fn whose(tenant: &str, id: u32) -> Vec<u8> {
    format!("{tenant} {id:08x}").into_bytes()
}

pub(super) fn shown(id: u32) -> String {
    format!("{id:08x}")
}

pub(super) fn parse_id(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let decoded = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?;
    decoded.try_into().ok()
}
