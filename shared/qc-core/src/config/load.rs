//! From files to an accepted configuration, or to a failure that lists every problem.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::problem::{self, Place};
use super::walk::{Walk, explain};
use super::{Origin, Problem, Schema, Source};
use crate::failure::{ErrorCode, Exit, Failure};

/// A configuration that the schema accepts: merged, complete, with an origin for every key.
#[derive(Clone)]
pub struct Loaded {
    pub(super) schema: Schema,
    pub(super) sources: Vec<Source>,
    pub(super) table: Table,
    pub(super) places: BTreeMap<String, Place>,
}

/// Checks and merges `sources` (the main file first) and the overrides in `env`, which are pairs of
/// a name such as `QC_NODE_NAME` and its value; other names are passed over. The failure lists every
/// problem of all files.
pub fn load(
    schema: &Schema,
    sources: Vec<Source>,
    env: &[(String, String)],
) -> Result<Loaded, Failure> {
    let mut walk = Walk {
        schema: *schema,
        table: Table::new(),
        places: BTreeMap::new(),
        problems: Vec::new(),
        file: 0,
    };
    let mut parsed = true;
    for (file, source) in sources.iter().enumerate() {
        walk.file = file;
        parsed &= walk.document(source);
    }
    walk.environment(env);
    if parsed {
        walk.complete();
    }
    if walk.problems.is_empty() {
        Ok(Loaded {
            schema: walk.schema,
            sources,
            table: walk.table,
            places: walk.places,
        })
    } else {
        Err(problem::failure(&sources, walk.problems))
    }
}

impl fmt::Debug for Loaded {
    /// Without values, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl Loaded {
    /// Fills the binary's own structs.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        Value::Table(self.table.clone())
            .try_into()
            .map_err(|error: toml::de::Error| {
                let message = format!("{} does not fit together", self.name());
                Failure::new(Exit::Config, "QC1011", message).because(&error)
            })
    }

    /// The name of the main file.
    pub fn name(&self) -> &str {
        self.sources.first().map_or("", |source| &source.name)
    }

    /// The merged table with defaults filled in.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Where a key comes from; `path` is like `node.name` or `source[lab-drop].file.path`.
    pub fn origin(&self, path: &str) -> Option<Origin> {
        Some(match self.places.get(path)? {
            Place::File { file, span } => {
                let source = self.sources.get(*file)?;
                let (line, _) = source.position(span.start);
                Origin::File {
                    name: source.name.clone(),
                    line,
                }
            }
            Place::Env(name) => Origin::Env(name.clone()),
            Place::Default => Origin::Default,
        })
    }

    /// A problem that only the binary can see, at the place of the key `path`; for
    /// [`Self::refuse`].
    pub fn problem(&self, path: &str, code: ErrorCode, message: impl Into<String>) -> Problem {
        let place = self.places.get(path).cloned().unwrap_or(Place::Default);
        let section = path.split(['.', '[']).next().unwrap_or(path);
        Problem {
            code,
            place,
            message: message.into(),
            meant: None,
            help: Some(explain(&self.schema, section)),
            hide: false,
        }
    }

    /// The failure that lists `problems`; `Ok` without any.
    pub fn refuse(&self, problems: Vec<Problem>) -> Result<(), Failure> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problem::failure(&self.sources, problems))
        }
    }
}
