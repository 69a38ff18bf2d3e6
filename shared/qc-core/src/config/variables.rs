//! Overrides from the environment, which arrive as an argument.

use std::ffi::OsString;

use toml::{Table, Value};

use super::problem::Place;
use super::walk::{Walk, take_table};
use super::{Key, Kind, Problem, Shape, value};

/// The pairs of `vars`, usually `std::env::vars_os()`, that may be overrides for [`super::load`].
pub fn overrides(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    vars.into_iter()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let value = value.into_string().ok()?;
            name.starts_with("QC_").then_some((name, value))
        })
        .collect()
}

impl Walk {
    /// `QC_NODE_BUFFER_MAX` for `max` of `buffer` of `[node]`.
    pub(super) fn environment(&mut self, env: &[(String, String)]) {
        for section in self.schema.sections {
            if section.shape == Shape::One {
                let mut merged = take_table(&mut self.table, section.name);
                let prefix = format!("QC_{}", section.name.to_ascii_uppercase());
                self.overrides(env, &prefix, section.name, section.keys, &mut merged);
                if !merged.is_empty() || self.places.contains_key(section.name) {
                    self.table
                        .insert(section.name.to_owned(), Value::Table(merged));
                }
            }
        }
    }

    fn overrides(
        &mut self,
        env: &[(String, String)],
        prefix: &str,
        path: &str,
        keys: &'static [Key],
        merged: &mut Table,
    ) {
        for key in keys {
            let name = format!("{prefix}_{}", key.name.to_ascii_uppercase());
            let path = format!("{path}.{}", key.name);
            if let Kind::Table(keys) = key.kind {
                let mut below = take_table(merged, key.name);
                self.overrides(env, &name, &path, keys, &mut below);
                if !below.is_empty() || self.places.contains_key(&path) {
                    merged.insert(key.name.to_owned(), Value::Table(below));
                }
                continue;
            }
            let Some((_, text)) = env.iter().find(|(set, _)| *set == name) else {
                continue;
            };
            let checked = if key.secret {
                Err("is a secret, which the environment may not hold; name a file".to_owned())
            } else {
                value::from_text(key.kind, text)
            };
            self.places.insert(path.clone(), Place::Env(name.clone()));
            match checked {
                Ok(value) => drop(merged.insert(key.name.to_owned(), value)),
                Err(message) => self.problems.push(Problem {
                    code: "QC1010",
                    place: Place::Env(name),
                    message: format!("'{path}' {message}"),
                    meant: None,
                    help: None,
                    hide: false,
                }),
            }
        }
    }
}
