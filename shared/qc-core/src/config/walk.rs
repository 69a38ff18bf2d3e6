//! One walk over each file: every key is checked against the schema, reported or merged, and its
//! place is noted.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::problem::Place;
use super::schema::quoted;
use super::suggest::nearest;
use super::{Key, Kind, Problem, Schema, Section, Shape, Source, Variant, value};
use crate::failure::ErrorCode;
use crate::safe_text::safe;

const SYNTAX_ERRORS: usize = 10;

pub(super) struct Walk {
    pub(super) schema: Schema,
    pub(super) table: Table,
    pub(super) places: BTreeMap<String, Place>,
    pub(super) problems: Vec<Problem>,
    pub(super) file: usize,
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
    pub(super) fn document(&mut self, source: &Source) -> bool {
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

pub(super) fn explain(schema: &Schema, section: &str) -> String {
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
