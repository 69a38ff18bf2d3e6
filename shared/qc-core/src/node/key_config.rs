//! What a configuration says of keys, the same on relay and edge.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{KeyOptions, TenantKeyRule};
use crate::config::{Key, Kind, Section, Shape, de};
use crate::model::Tenant;

/// A key of `[store]`.
pub const PASSPHRASE_FILE: Key = Key::new(
    "passphrase_file",
    Kind::Path,
    "File with the passphrase of the node key, for its owner only. The credential qc-node-passphrase \
     does the same.",
)
.example("\"/etc/qc/secrets/node-passphrase\"");

/// `[[tenant_key]]`
pub const TENANT_KEYS: Section = Section {
    name: "tenant_key",
    shape: Shape::Many,
    required: false,
    doc: "A tenant whose bodies are under a key of their own, so that 'key destroy' makes them unreadable \
          for good. With 'exec' a program in the tenant's custody keeps what wraps that key.",
    keys: &[
        Key::new("name", Kind::Label, "The tenant.").required().example("\"acme\""),
        Key::new(
            "exec",
            Kind::List(&Kind::String),
            "Program and arguments that print the wrapping key: 32 bytes, or 64 hexadecimal digits. No \
             shell, no environment. Empty: the node key wraps.",
        )
        .example("[\"/usr/local/bin/unwrap\", \"acme\"]"),
        Key::new("deadline", Kind::Duration, "How long the program may take.").default("\"10s\""),
        Key::new(
            "lease",
            Kind::Duration,
            "How long its answer counts. When it gives no key then, nothing of the tenant is read or taken.",
        )
        .default("\"60s\""),
    ],
    variants: &[],
};

/// `[[tenant_key]]` as it is read.
#[derive(Debug, Deserialize)]
pub struct TenantKeySection {
    /// The tenant.
    #[serde(deserialize_with = "de::parsed")]
    name: Tenant,
    /// The program.
    #[serde(default)]
    exec: Vec<String>,
    /// How long it may take.
    #[serde(deserialize_with = "de::duration")]
    deadline: Duration,
    /// How long its answer counts.
    #[serde(deserialize_with = "de::duration")]
    lease: Duration,
}

impl TenantKeySection {
    /// What the schema cannot say: the path of a wrong value, and what is wrong.
    pub fn problem(&self) -> Option<(String, &'static str)> {
        let program = self.exec.first()?;
        let path = format!("tenant_key[{}].exec", self.name);
        (!program.starts_with('/')).then_some((path, "the program wants its whole path"))
    }
}

impl KeyOptions {
    /// The options that a configuration asks for; `credentials` is the service manager's directory.
    pub fn new(
        passphrase_file: Option<&PathBuf>,
        tenants: &[TenantKeySection],
        credentials: Option<PathBuf>,
    ) -> Self {
        let rule = |section: &TenantKeySection| TenantKeyRule {
            tenant: section.name.clone(),
            exec: section.exec.clone(),
            deadline: section.deadline,
            lease: section.lease,
        };
        Self {
            credentials,
            passphrase_file: passphrase_file.cloned(),
            tenants: tenants.iter().map(rule).collect(),
        }
    }
}
