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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Exit, Globals};
    use crate::config::{Key, Kind, Section, Shape};
    use crate::durable::write_atomic;

    static SCHEMA: Schema = Schema {
        program: "qc-test",
        file: "/etc/qc/test.toml",
        sections: &[Section {
            name: "node",
            shape: Shape::One,
            required: true,
            doc: "This node.",
            keys: &[Key::new("name", Kind::Label, "Who.")
                .required()
                .example("\"a\"")],
            variants: &[],
        }],
    };

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        command: ConfigCommand,
    }

    fn run(path: &Path, words: &[&str]) -> Result<(), Failure> {
        let words = std::iter::once("config").chain(words.iter().copied());
        let line = Line::try_parse_from(words).unwrap();
        let place = ConfigPlace {
            schema: &SCHEMA,
            path,
            env: &[],
        };
        let out = Output::new(&Globals::default(), "qc-test");
        let now = Timestamp::from_millis(0);
        line.command.run(&place, &out, now, |loaded| {
            let taken = loaded.problem("node.name", "QC2001", "has no certificate");
            let bad = loaded.table().to_string().contains("\"b\"");
            loaded.refuse(bad.then_some(taken).into_iter().collect())
        })
    }

    #[test]
    fn every_verb_does_its_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.toml");
        for verb in [&["check"][..], &["show", "--origin"]] {
            let failure = run(&path, verb).unwrap_err();
            assert_eq!((failure.code, failure.exit), ("QC1001", Exit::Config));
        }
        run(&path, &["sample"]).unwrap();
        run(&path, &["explain"]).unwrap();
        assert_eq!(
            run(&path, &["explain", "x"]).unwrap_err().exit,
            Exit::NotFound
        );
        write_atomic(&path, SCHEMA.sample().as_bytes(), 0o600).unwrap();
        run(&path, &["check"]).unwrap();
        run(&path, &["show", "--origin"]).unwrap();
        write_atomic(&path, b"schema = 1\nnode.name = \"b\"\n", 0o600).unwrap();
        let failure = run(&path, &["check"]).unwrap_err();
        assert_eq!(failure.code, "QC2001");
        assert!(
            failure
                .message
                .ends_with("test.toml:2:6: has no certificate")
        );
    }
}
