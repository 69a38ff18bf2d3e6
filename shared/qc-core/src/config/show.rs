//! The schema and a loaded configuration as text: sample, explanation, effective values.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::suggest::nearest;
use super::walk::choice;
use super::{Key, Kind, Loaded, Schema, Section, Shape};
use crate::failure::{Exit, Failure};
use crate::safe_text::safe;

impl Schema {
    /// A file with every key, its explanation and default; optional keys stand behind `#`. It passes
    /// the check as it is.
    pub fn sample(&self) -> String {
        let mut text = format!(
            "# {} configuration, usually {}\n\
             # Drop-ins: {}/NN-name.toml. Check: {} config check\n\n\
             # Version of this file's format\nschema = 1\n",
            self.program,
            self.file,
            self.file.replace(".toml", ".d"),
            self.program
        );
        for section in self.sections {
            let (open, close) = brackets(section.shape);
            // An optional section with required keys would switch something on: it is behind `#`.
            let wants_keys =
                section.keys.iter().any(|key| key.required) || !section.variants.is_empty();
            let live = section.required || !wants_keys;
            let off = if live { "" } else { "# " };
            text.push('\n');
            comment(&mut text, section.doc);
            line(&mut text, &format!("{off}{open}{}{close}", section.name));
            sample_keys(&mut text, section.keys, live);
            for (at, variant) in section.variants.iter().enumerate() {
                let live = live && at == 0;
                let off = if live { "" } else { "# " };
                text.push('\n');
                comment(&mut text, variant.doc);
                line(
                    &mut text,
                    &format!("{off}[{}.{}]", section.name, variant.name),
                );
                sample_keys(&mut text, variant.keys, live);
            }
        }
        text
    }

    /// Explains all sections, or the one at `path` such as `source.file`.
    pub fn explain(&self, path: Option<&str>) -> Result<String, Failure> {
        let mut text = String::new();
        let Some(path) = path else {
            for section in self.sections {
                let (open, close) = brackets(section.shape);
                let first = section.doc.lines().next().unwrap_or_default();
                line(
                    &mut text,
                    &format!("{open}{}{close}  {first}", section.name),
                );
            }
            return Ok(text);
        };
        let mut parts = path.split('.');
        let name = parts.next().unwrap_or_default();
        let names = self.sections.iter().map(|section| section.name);
        let Some(section) = self.sections.iter().find(|section| section.name == name) else {
            return Err(self.unknown(path, nearest(name, names)));
        };
        let Some(below) = parts.next() else {
            explain_section(&mut text, section);
            return Ok(text);
        };
        let table = section.keys.iter().find_map(|key| match key.kind {
            Kind::Table(keys) if key.name == below => Some((key.doc, keys)),
            _ => None,
        });
        let variant = section
            .variants
            .iter()
            .find(|variant| variant.name == below);
        let found = table.or_else(|| variant.map(|variant| (variant.doc, variant.keys)));
        let Some((doc, keys)) = found else {
            let names = section.variants.iter().map(|variant| variant.name);
            return Err(self.unknown(path, nearest(below, names)));
        };
        line(&mut text, &format!("[{name}.{below}]"));
        line(&mut text, doc);
        explain_keys(&mut text, keys);
        Ok(text)
    }

    fn unknown(&self, path: &str, meant: Option<&str>) -> Failure {
        let message = format!("there is no section '{}'", safe(path, 80));
        let failure = Failure::new(Exit::NotFound, "QC1012", message)
            .help(format!("{} config explain", self.program));
        match meant {
            Some(word) => failure.detail(format!("did you mean '{word}'?")),
            None => failure,
        }
    }
}

impl Loaded {
    /// The effective configuration as TOML; with `origin`, each key tells where it comes from.
    pub fn show(&self, origin: bool) -> String {
        let mut text = String::new();
        let show = Show {
            loaded: self,
            origin,
        };
        show.pair(&mut text, "schema", "schema", "1");
        for section in self.schema.sections {
            let (open, close) = brackets(section.shape);
            let header = format!("\n{open}{}{close}", section.name);
            match self.table.get(section.name) {
                Some(Value::Table(table)) => {
                    line(&mut text, &header);
                    show.section(&mut text, section.name, section, table);
                }
                Some(Value::Array(items)) => {
                    for item in items.iter().filter_map(Value::as_table) {
                        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
                        line(&mut text, &header);
                        let path = format!("{}[{name}]", section.name);
                        show.section(&mut text, &path, section, item);
                    }
                }
                _ => {}
            }
        }
        text
    }
}

struct Show<'a> {
    loaded: &'a Loaded,
    origin: bool,
}

impl Show<'_> {
    fn section(&self, text: &mut String, path: &str, section: &Section, table: &Table) {
        self.keys(text, path, "", section.keys, table);
        for variant in section.variants {
            if let Some(Value::Table(below)) = table.get(variant.name) {
                line(text, &format!("[{}.{}]", section.name, variant.name));
                let path = format!("{path}.{}", variant.name);
                self.keys(text, &path, "", variant.keys, below);
            }
        }
    }

    /// `prefix` holds the dotted way from the header to nested tables.
    fn keys(&self, text: &mut String, path: &str, prefix: &str, keys: &[Key], table: &Table) {
        for key in keys {
            let path = format!("{path}.{}", key.name);
            let name = format!("{prefix}{}", key.name);
            match (key.kind, table.get(key.name)) {
                (_, None) => {}
                (_, Some(_)) if key.secret => self.pair(text, &path, &name, "\"(secret)\""),
                (Kind::Table(keys), Some(Value::Table(below))) => {
                    self.keys(text, &path, &format!("{name}."), keys, below);
                }
                (_, Some(value)) => self.pair(text, &path, &name, &value.to_string()),
            }
        }
    }

    fn pair(&self, text: &mut String, path: &str, name: &str, value: &str) {
        match self.loaded.origin(path).filter(|_| self.origin) {
            Some(origin) => line(text, &format!("{name} = {value}  # {origin}")),
            None => line(text, &format!("{name} = {value}")),
        }
    }
}

fn sample_keys(text: &mut String, keys: &[Key], live: bool) {
    for key in keys {
        comment(text, key.doc);
        let off = if live && key.required { "" } else { "# " };
        let literal = key
            .example
            .filter(|_| key.required)
            .or(key.default)
            .or(key.example);
        match (key.kind, literal) {
            (_, Some(literal)) => line(text, &format!("{off}{} = {literal}", key.name)),
            (Kind::Table(keys), None) => {
                let pairs: Vec<String> = keys
                    .iter()
                    .filter_map(|key| {
                        let literal = key.default.or(key.example)?;
                        Some(format!("{} = {literal}", key.name))
                    })
                    .collect();
                line(
                    text,
                    &format!("{off}{} = {{ {} }}", key.name, pairs.join(", ")),
                );
            }
            (kind, None) => line(text, &format!("# {} = ({})", key.name, kind.expected())),
        }
    }
}

fn explain_section(text: &mut String, section: &Section) {
    let (open, close) = brackets(section.shape);
    line(text, &format!("{open}{}{close}", section.name));
    line(text, section.doc);
    explain_keys(text, section.keys);
    if !section.variants.is_empty() {
        line(
            text,
            &format!("\nExactly one sub-table of {}:", choice(section.variants)),
        );
        for variant in section.variants {
            let first = variant.doc.lines().next().unwrap_or_default();
            line(
                text,
                &format!("  [{}.{}]  {first}", section.name, variant.name),
            );
        }
    }
}

fn explain_keys(text: &mut String, keys: &[Key]) {
    for key in keys {
        let presence = match key.default {
            _ if key.required => "required".to_owned(),
            Some(default) => format!("default {default}"),
            None => "optional".to_owned(),
        };
        let change = if key.reload { "reload" } else { "restart" };
        line(text, &format!("\n  {}  ({presence}, {change})", key.name));
        for doc in key.doc.lines() {
            line(text, &format!("      {doc}"));
        }
        line(text, &format!("      Takes {}.", key.kind.expected()));
    }
}

fn comment(text: &mut String, doc: &str) {
    for doc in doc.lines() {
        line(text, &format!("# {doc}"));
    }
}

fn line(text: &mut String, line: &str) {
    let _infallible = writeln!(text, "{line}");
}

fn brackets(shape: Shape) -> (&'static str, &'static str) {
    match shape {
        Shape::One => ("[", "]"),
        Shape::Many => ("[[", "]]"),
    }
}
