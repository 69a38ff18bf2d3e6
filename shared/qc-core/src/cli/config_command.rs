//! `config check | show | sample | explain`, the same in every binary that has a configuration.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Output;
use crate::config::{self, Loaded, Schema};
use crate::failure::Failure;
use crate::model::Timestamp;

/// Check, show and explain the configuration
#[derive(Debug, Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check the file and its drop-ins, and list every error
    Check,
    /// Show the configuration in effect
    Show {
        /// Tell where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print a commented sample file
    Sample,
    /// Explain the sections, or the keys of one
    Explain {
        /// A section such as node or source.file
        section: Option<String>,
    },
}

/// What [`ConfigCommand::run`] works on.
#[derive(Debug)]
pub struct ConfigPlace<'a> {
    /// The binary's schema.
    pub schema: &'a Schema,
    /// The main file.
    pub path: &'a Path,
    /// The environment's overrides, pairs of name and value.
    pub env: &'a [(String, String)],
}

impl ConfigCommand {
    /// Runs the verb. `check` looks at what the schema cannot see, such as the files that are named,
    /// and usually ends in [`Loaded::refuse`].
    pub fn run(
        &self,
        place: &ConfigPlace<'_>,
        out: &Output,
        now: Timestamp,
        check: impl FnOnce(&Loaded) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let schema = place.schema;
        match &self.verb {
            Verb::Check => {
                let loaded = load(place)?;
                check(&loaded)?;
                let data = json!({ "file": loaded.name(), "ok": true });
                out.result("qc.config-check/1", now, &data, || {
                    format!("{}: ok", loaded.name())
                })
            }
            Verb::Show { origin } => {
                let text = load(place)?.show(*origin);
                let data = json!({ "toml": text });
                out.result("qc.config-show/1", now, &data, || text.clone())
            }
            Verb::Sample => out.raw(schema.sample().trim_end().as_bytes(), true),
            Verb::Explain { section } => {
                let text = schema.explain(section.as_deref())?;
                out.raw(text.trim_end().as_bytes(), true)
            }
        }
    }
}

fn load(place: &ConfigPlace<'_>) -> Result<Loaded, Failure> {
    let sources = config::read(place.path, place.schema.program)?;
    config::load(place.schema, sources, place.env)
}
