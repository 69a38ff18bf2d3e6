//! Checking all files against the schema in one walk, and merging them on the way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::problem::{self, Place};
use super::schema::quoted;
use super::suggest::nearest;
use super::{Key, Kind, Origin, Problem, Schema, Section, Shape, Source, Variant, value};
use crate::failure::{ErrorCode, Exit, Failure};
use crate::safe_text::safe;

const SYNTAX_ERRORS: usize = 10;

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

/// The pairs of `vars`, usually `std::env::vars_os()`, that may be overrides for [`load`].
pub fn overrides(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    vars.into_iter()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let value = value.into_string().ok()?;
            name.starts_with("QC_").then_some((name, value))
        })
        .collect()
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

pub(super) struct Walk {
    pub(super) schema: Schema,
    pub(super) table: Table,
    pub(super) places: BTreeMap<String, Place>,
    pub(super) problems: Vec<Problem>,
    file: usize,
}

/// The keys that may stand at one place: how it is called and explained.
struct Level<'a> {
    path: &'a str,
    label: &'a str,
    explain: &'a str,
    keys: &'static [Key],
    variants: &'static [Variant],
}

impl Walk {
    /// Walks one file; false if it is not TOML.
    fn document(&mut self, source: &Source) -> bool {
        let (root, errors) = DeTable::parse_recoverable(&source.text);
        if !errors.is_empty() {
            for error in errors.iter().take(SYNTAX_ERRORS) {
                let span = error.span().unwrap_or(0..0);
                let message = safe(error.message().lines().next().unwrap_or_default(), 200);
                self.report(
                    "QC1002",
                    span,
                    format!("not valid TOML: {message}"),
                    None,
                    None,
                );
            }
            return false;
        }
        let known = || self.schema.sections.iter();
        let names: Vec<&'static str> = known().map(|section| section.name).collect();
        for (key, found) in root.get_ref() {
            let name: &str = key.get_ref();
            if name == "schema" {
                self.version(found);
                continue;
            }
            match self
                .schema
                .sections
                .iter()
                .find(|section| section.name == name)
            {
                Some(section) if section.shape == Shape::One => self.one(section, found),
                Some(section) => self.many(section, found, source),
                None => {
                    let (what, shown) = match found.get_ref() {
                        DeValue::Table(_) => ("section", format!("[{}]", safe(name, 80))),
                        DeValue::Array(items)
                            if !items.is_empty()
                                && items.iter().all(|i| i.get_ref().is_table()) =>
                        {
                            ("section", format!("[[{}]]", safe(name, 80)))
                        }
                        _ => (
                            "key",
                            format!("'{}' at the top of the file", safe(name, 80)),
                        ),
                    };
                    let meant = nearest(name, names.iter().copied());
                    let help = format!("{} config explain", self.schema.program);
                    self.report(
                        "QC1004",
                        key.span(),
                        format!("unknown {what} {shown}"),
                        meant,
                        Some(help),
                    );
                }
            }
        }
        true
    }

    fn version(&mut self, found: &Spanned<DeValue<'_>>) {
        let one = Kind::Integer { min: 1, max: 1 };
        self.place("schema".to_owned(), found.span());
        if let Ok(version) = value::check(one, found) {
            self.table.insert("schema".to_owned(), version);
            return;
        }
        let program = self.schema.program;
        let message = format!("this {program} reads only files with schema = 1");
        let help = Some(format!("{program} version"));
        self.report("QC1003", found.span(), message, None, help);
    }

    fn one(&mut self, section: &'static Section, found: &Spanned<DeValue<'_>>) {
        let label = format!("[{}]", section.name);
        let DeValue::Table(table) = found.get_ref() else {
            return self.wrong_shape(section, &label, found.span());
        };
        self.place_if_new(section.name, found.span());
        let level = Level {
            path: section.name,
            label: &label,
            explain: section.name,
            keys: section.keys,
            variants: section.variants,
        };
        let mut merged = take_table(&mut self.table, section.name);
        self.fields(&level, table, &mut merged);
        self.table
            .insert(section.name.to_owned(), Value::Table(merged));
    }

    fn many(&mut self, section: &'static Section, found: &Spanned<DeValue<'_>>, source: &Source) {
        let label = format!("[[{}]]", section.name);
        let DeValue::Array(items) = found.get_ref() else {
            return self.wrong_shape(section, &label, found.span());
        };
        let mut here: BTreeMap<String, Range<usize>> = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            let DeValue::Table(table) = item.get_ref() else {
                self.wrong_shape(section, &label, item.span());
                continue;
            };
            let name = valid_name(section, table);
            let path = match &name {
                Some((name, _)) => format!("{}[{name}]", section.name),
                None => format!("{}[#{}.{at}]", section.name, self.file),
            };
            if let Some((name, span)) = name.clone()
                && let Some(first) = here.insert(name.clone(), span.clone())
            {
                let message = format!(
                    "two {label} have the name '{}', the first in line {}",
                    safe(&name, 80),
                    source.position(first.start).0
                );
                self.report("QC1008", span, message, None, None);
            }
            self.place_if_new(&path, item.span());
            let level = Level {
                path: &path,
                label: &label,
                explain: section.name,
                keys: section.keys,
                variants: section.variants,
            };
            let Some((name, _)) = name else {
                // Merges with nothing, so what it lacks is known now.
                let mut alone = Table::new();
                self.fields(&level, table, &mut alone);
                self.complete_keys(&path, &label, section.name, section.keys, &mut alone);
                self.complete_variant(&path, &label, section, &mut alone);
                continue;
            };
            let mut merged = take_item(&mut self.table, section.name, &name);
            self.fields(&level, table, &mut merged);
            push_item(&mut self.table, section.name, merged);
        }
    }

    fn fields(&mut self, level: &Level<'_>, table: &DeTable<'_>, merged: &mut Table) {
        for (key, found) in table {
            let name: &str = key.get_ref();
            let path = format!("{}.{name}", level.path);
            if let Some(declared) = level.keys.iter().find(|declared| declared.name == name) {
                self.field(level, declared, key.span(), found, merged);
            } else if let Some(variant) = level.variants.iter().find(|v| v.name == name) {
                let explain = format!("{}.{name}", level.explain);
                let label = format!("[{explain}]");
                let DeValue::Table(table) = found.get_ref() else {
                    let message = format!("'{name}' in {} must be a table {label}", level.label);
                    let help = Some(self.explain(&explain));
                    self.report("QC1005", found.span(), message, None, help);
                    continue;
                };
                self.place_if_new(&path, found.span());
                let inner = Level {
                    path: &path,
                    label: &label,
                    explain: &explain,
                    keys: variant.keys,
                    variants: &[],
                };
                let mut below = take_table(merged, name);
                self.fields(&inner, table, &mut below);
                merged.insert(name.to_owned(), Value::Table(below));
            } else {
                let known = level.keys.iter().map(|key| key.name);
                let known = known.chain(level.variants.iter().map(|variant| variant.name));
                let message = format!("unknown key '{}' in {}", safe(name, 80), level.label);
                let help = Some(self.explain(level.explain));
                let meant = nearest(name, known);
                let secret = |key: &Key| key.secret && Some(key.name) == meant;
                let first = self.problems.len();
                self.report("QC1004", key.span(), message, meant, help);
                if level.keys.iter().any(secret) {
                    self.hide_from(first);
                }
            }
        }
    }

    fn field(
        &mut self,
        level: &Level<'_>,
        key: &'static Key,
        key_span: Range<usize>,
        found: &Spanned<DeValue<'_>>,
        merged: &mut Table,
    ) {
        let path = format!("{}.{}", level.path, key.name);
        self.place(path.clone(), key_span);
        match (key.kind, found.get_ref()) {
            (Kind::Table(keys), DeValue::Table(table)) => {
                let explain = format!("{}.{}", level.explain, key.name);
                let inner = Level {
                    path: &path,
                    label: &format!("[{explain}]"),
                    explain: &explain,
                    keys,
                    variants: &[],
                };
                let mut below = take_table(merged, key.name);
                self.fields(&inner, table, &mut below);
                merged.insert(key.name.to_owned(), Value::Table(below));
            }
            (Kind::Map(kind), DeValue::Table(table)) => {
                let mut below = take_table(merged, key.name);
                for (name, found) in table {
                    let name: &str = name.get_ref();
                    if let Some(value) = self.value(level, name, *kind, found) {
                        self.place(format!("{path}.{name}"), found.span());
                        below.insert(name.to_owned(), value);
                    }
                }
                merged.insert(key.name.to_owned(), Value::Table(below));
            }
            (kind, _) => {
                let first = self.problems.len();
                if let Some(value) = self.value(level, key.name, kind, found) {
                    merged.insert(key.name.to_owned(), value);
                }
                if key.secret && self.problems.len() > first {
                    self.problems.truncate(first);
                    let expected = kind.expected();
                    let message = format!("'{}' in {} is not {expected}", key.name, level.label);
                    let help = Some(self.explain(level.explain));
                    self.report("QC1005", found.span(), message, None, help);
                    self.hide_from(first);
                }
            }
        }
    }

    fn value(
        &mut self,
        level: &Level<'_>,
        name: &str,
        kind: Kind,
        found: &Spanned<DeValue<'_>>,
    ) -> Option<Value> {
        match value::check(kind, found) {
            Ok(value) => Some(value),
            Err(rejected) => {
                let name = safe(name, 80);
                for value::Rejected {
                    code,
                    span,
                    message,
                    meant,
                } in rejected
                {
                    let message = format!("'{name}' in {} {message}", level.label);
                    let help = Some(self.explain(level.explain));
                    self.report(code, span, message, meant, help);
                }
                None
            }
        }
    }

    fn wrong_shape(&mut self, section: &Section, label: &str, span: Range<usize>) {
        let message = format!("'{}' must be written as {label}", section.name);
        let help = Some(self.explain(section.name));
        self.place_if_new(section.name, span.clone());
        self.report("QC1005", span, message, None, help);
    }

    /// `QC_NODE_BUFFER_MAX` for `max` of `buffer` of `[node]`.
    fn environment(&mut self, env: &[(String, String)]) {
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

    pub(super) fn explain(&self, section: &str) -> String {
        explain(&self.schema, section)
    }

    fn place(&mut self, path: String, span: Range<usize>) {
        let file = self.file;
        self.places.insert(path, Place::File { file, span });
    }

    /// A section stays where it was opened first.
    fn place_if_new(&mut self, path: &str, span: Range<usize>) {
        if !self.places.contains_key(path) {
            self.place(path.to_owned(), span);
        }
    }

    fn report(
        &mut self,
        code: ErrorCode,
        span: Range<usize>,
        message: String,
        meant: Option<&'static str>,
        help: Option<String>,
    ) {
        let place = Place::File {
            file: self.file,
            span,
        };
        self.problems.push(Problem {
            code,
            place,
            message,
            meant,
            help,
            hide: false,
        });
    }

    /// Shows no source line for the problems from the `first` on: a secret may stand in it.
    fn hide_from(&mut self, first: usize) {
        for problem in self.problems.iter_mut().skip(first) {
            problem.hide = true;
        }
    }
}

fn explain(schema: &Schema, section: &str) -> String {
    format!("{} config explain {section}", schema.program)
}

pub(super) fn take_table(table: &mut Table, name: &str) -> Table {
    match table.get_mut(name) {
        Some(Value::Table(below)) => std::mem::take(below),
        _ => Table::new(),
    }
}

/// The name of an item of `[[section]]` and where it stands, if it has a valid one.
fn valid_name(section: &Section, table: &DeTable<'_>) -> Option<(String, Range<usize>)> {
    let key = section.keys.iter().find(|key| key.name == "name")?;
    let found = table.get("name")?;
    match value::check(key.kind, found) {
        Ok(Value::String(name)) => Some((name, found.span())),
        _ => None,
    }
}

/// Removes the item that has `name` from the array at `section`, or makes a new one.
fn take_item(table: &mut Table, section: &str, name: &str) -> Table {
    let Some(Value::Array(items)) = table.get_mut(section) else {
        return Table::new();
    };
    let named = |item: &mut Value| match item {
        Value::Table(item) if item.get("name").and_then(Value::as_str) == Some(name) => {
            Some(std::mem::take(item))
        }
        _ => None,
    };
    items.iter_mut().find_map(named).unwrap_or_default()
}

/// Puts `item` where [`take_item`] took it from, or at the end.
fn push_item(table: &mut Table, section: &str, item: Table) {
    let entry = table
        .entry(section)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(items) = entry {
        let empty = |item: &&mut Value| matches!(item, Value::Table(item) if item.is_empty());
        match items.iter_mut().find(empty) {
            Some(place) => *place = Value::Table(item),
            None => items.push(Value::Table(item)),
        }
    }
}

/// The words of a choice between sub-tables.
pub(super) fn choice(variants: &[Variant]) -> String {
    let names: Vec<&str> = variants.iter().map(|variant| variant.name).collect();
    quoted(&names).replace('"', "'")
}
