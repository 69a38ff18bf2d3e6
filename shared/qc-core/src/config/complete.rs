//! After the merge: what is missing, what is there too often, and the defaults.

use toml::{Table, Value};

use super::problem::Place;
use super::value;
use super::walk::{Walk, choice, take_table};
use super::{Key, Kind, Problem, Section, Shape, Variant};

impl Walk {
    /// Reports missing keys and sections, and fills in defaults.
    pub(super) fn complete(&mut self) {
        if !self.places.contains_key("schema") {
            let help = Some(format!("{} config sample", self.schema.program));
            self.missing(
                "QC1003",
                "",
                "the key 'schema = 1' is missing".to_owned(),
                help,
            );
        }
        for section in self.schema.sections {
            match section.shape {
                Shape::One => self.complete_one(section),
                Shape::Many => self.complete_many(section),
            }
        }
    }

    fn complete_one(&mut self, section: &'static Section) {
        let present = self.places.contains_key(section.name)
            || matches!(self.table.get(section.name), Some(Value::Table(_)));
        if !present && section.required {
            let message = format!("the section [{}] is missing", section.name);
            let help = Some(self.explain(section.name));
            return self.missing("QC1007", "", message, help);
        }
        let wants_keys =
            section.keys.iter().any(|key| key.required) || !section.variants.is_empty();
        if !present && wants_keys {
            return;
        }
        let mut table = take_table(&mut self.table, section.name);
        let label = format!("[{}]", section.name);
        self.complete_keys(section.name, &label, section.name, section.keys, &mut table);
        self.complete_variant(section.name, &label, section, &mut table);
        self.table
            .insert(section.name.to_owned(), Value::Table(table));
    }

    fn complete_many(&mut self, section: &'static Section) {
        let items = match self.table.get_mut(section.name) {
            Some(Value::Array(items)) => std::mem::take(items),
            _ => Vec::new(),
        };
        let label = format!("[[{}]]", section.name);
        if items.is_empty() && section.required && !self.places.contains_key(section.name) {
            let message = format!("at least one {label} is needed");
            let help = Some(self.explain(section.name));
            self.missing("QC1007", "", message, help);
        }
        let mut complete = Vec::new();
        for item in items {
            let Value::Table(mut item) = item else {
                continue;
            };
            let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
            let path = format!("{}[{name}]", section.name);
            self.complete_keys(&path, &label, section.name, section.keys, &mut item);
            self.complete_variant(&path, &label, section, &mut item);
            complete.push(Value::Table(item));
        }
        self.table
            .insert(section.name.to_owned(), Value::Array(complete));
    }

    pub(super) fn complete_keys(
        &mut self,
        path: &str,
        label: &str,
        explain: &str,
        keys: &'static [Key],
        table: &mut Table,
    ) {
        for key in keys {
            let key_path = format!("{path}.{}", key.name);
            let placed = self.places.contains_key(&key_path);
            if placed && !matches!(key.kind, Kind::Table(_)) {
                continue; // given, and if it was wrong that is reported
            }
            match key.kind {
                Kind::Table(keys) if placed || (key.default.is_none() && !key.required) => {
                    let wants_keys = keys.iter().any(|key| key.required);
                    if !placed && wants_keys {
                        continue;
                    }
                    let mut below = take_table(table, key.name);
                    let below_explain = format!("{explain}.{}", key.name);
                    let below_label = format!("[{below_explain}]");
                    self.complete_keys(&key_path, &below_label, &below_explain, keys, &mut below);
                    table.insert(key.name.to_owned(), Value::Table(below));
                }
                kind => match key.default.map(|text| value::literal(kind, text)) {
                    Some(Ok(value)) => {
                        self.places.insert(key_path, Place::Default);
                        table.insert(key.name.to_owned(), value);
                    }
                    Some(Err(_)) | None if key.required => {
                        let message = format!("{label} lacks the key '{}'", key.name);
                        let help = Some(self.explain(explain));
                        self.missing("QC1007", path, message, help);
                    }
                    Some(Err(_)) | None => {}
                },
            }
        }
    }

    pub(super) fn complete_variant(
        &mut self,
        path: &str,
        label: &str,
        section: &'static Section,
        table: &mut Table,
    ) {
        if section.variants.is_empty() {
            return;
        }
        let is_given = |variant: &&Variant| table.contains_key(variant.name);
        let given: Vec<&'static Variant> = section.variants.iter().filter(is_given).collect();
        match given.as_slice() {
            [variant] => {
                let explain = format!("{}.{}", section.name, variant.name);
                let below_path = format!("{path}.{}", variant.name);
                let mut below = take_table(table, variant.name);
                let below_label = format!("[{explain}]");
                self.complete_keys(
                    &below_path,
                    &below_label,
                    &explain,
                    variant.keys,
                    &mut below,
                );
                table.insert(variant.name.to_owned(), Value::Table(below));
            }
            [] => {
                let message = format!(
                    "{label} needs one sub-table of {}",
                    choice(section.variants)
                );
                let help = Some(self.explain(section.name));
                self.missing("QC1009", path, message, help);
            }
            [_, second, ..] => {
                let message = format!(
                    "{label} has more than one sub-table, '{}' is the second",
                    second.name
                );
                let help = Some(self.explain(section.name));
                let second = format!("{path}.{}", second.name);
                self.missing("QC1009", &second, message, help);
            }
        }
    }

    fn missing(&mut self, code: &'static str, path: &str, message: String, help: Option<String>) {
        let start = Place::File {
            file: 0,
            span: 0..0,
        };
        let place = self.places.get(path).cloned().unwrap_or(start);
        self.problems.push(Problem {
            code,
            place,
            message,
            meant: None,
            help,
            hide: false,
        });
    }
}
