//! The workspace's text files in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::tokens::{Token, product, tokens};

/// Text files by their path from the root, with `/` between the parts.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

const MAX_FILE: u64 = 4 << 20;

impl Tree {
    /// Reads every text file below `root` but build output and version control.
    pub fn load(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.walk(root, "")?;
        Ok(tree)
    }

    /// A tree made of `files`.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self {
            files: files.iter().map(own).collect(),
        }
    }

    /// Path and text of every file.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of one file.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Path and text of every Rust file.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        let rust = |path: &str| Path::new(path).extension().is_some_and(|end| end == "rs");
        self.files().filter(move |(path, _)| rust(path))
    }

    /// Path and tokens of the Rust files below `prefix`, tests left out.
    pub(super) fn product(&self, prefix: &str) -> impl Iterator<Item = (&str, Vec<Token>)> {
        let test = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
        self.rust()
            .filter(move |(path, _)| path.starts_with(prefix) && !test(path))
            .map(|(path, text)| (path, product(&tokens(text))))
    }

    /// Path and content of the members' manifests.
    pub fn manifests(&self) -> impl Iterator<Item = (&str, toml::Table)> {
        self.files()
            .filter(|(path, _)| path.ends_with("/Cargo.toml"))
            .filter_map(|(path, text)| Some((path, text.parse().ok()?)))
    }

    fn walk(&mut self, dir: &Path, prefix: &str) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let hidden =
                name.starts_with('.') && ![".ci", ".cargo", ".clippy.toml"].contains(&&*name);
            if hidden || (prefix.is_empty() && name.starts_with("target")) {
                continue;
            }
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file()
                && entry.metadata()?.len() <= MAX_FILE
                && let Ok(text) = String::from_utf8(std::fs::read(entry.path())?)
            {
                self.files.insert(path, text);
            }
        }
        Ok(())
    }
}
