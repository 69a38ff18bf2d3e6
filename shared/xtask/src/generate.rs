//! `cargo xtask gen`: completions and manual pages from the binaries' own command lines.
//!
//! Both are committed, so a package needs no build tools, and a test fails when they drift. The
//! output depends on the command lines alone: no date, no path, no terminal width.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;
use qc_core::cli::{Exit, Failure, Output};
use qc_core::durable;

use crate::CHORE;
use crate::workspace::Workspace;

/// A binary and the command line it parses.
pub type Binary = (&'static str, fn() -> Command);

/// The binaries that have completions and manual pages. A fifth binary adds its line here.
pub const BINARIES: [Binary; 4] = [
    ("qc-edge", qc_edge::command),
    ("qc-pki", qc_pki::command),
    ("qc-relay", qc_relay::command),
    ("qc-top", qc_top::command),
];

/// The date on every page: when this version was made. An empty one would shift the page's header
/// fields, and the day of the build would make every build differ.
const PAGE_DATE: &str = "2026-11-21";

/// Write completions and manual pages, section 1
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Change nothing; list the files that drifted and exit 4
    #[arg(long)]
    check: bool,
}

/// Writes the generated files, or lists those that drifted.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    let wanted = files(&BINARIES)?;
    let drift = drift(workspace.root(), &wanted);
    for (path, how) in &drift {
        output.line(&format!("{how} {}", path.display()))?;
    }
    if args.check {
        return if drift.is_empty() {
            output.line(&format!("gen: {} files are current", wanted.len()))
        } else {
            let message = format!("{} generated files drifted", drift.len());
            Err(Failure::new(Exit::Problems, CHORE, message)
                .help("cargo xtask gen, and commit what it writes"))
        };
    }
    for (path, how) in &drift {
        apply(&workspace.root().join(path), wanted.get(path)).map_err(|error| {
            let message = format!("{how}: cannot write {}", path.display());
            Failure::new(Exit::Disk, CHORE, message).because(&error)
        })?;
    }
    output.line(&format!(
        "gen: {} files, {} changed",
        wanted.len(),
        drift.len()
    ))
}

fn apply(path: &Path, content: Option<&Vec<u8>>) -> std::io::Result<()> {
    let Some(content) = content else {
        return std::fs::remove_file(path);
    };
    durable::create_dir_all(path.parent().unwrap_or(path), 0o755)?;
    durable::write_atomic(path, content, 0o644)
}

/// Every generated file, by its path from the root.
pub fn files(binaries: &[Binary]) -> Result<BTreeMap<PathBuf, Vec<u8>>, Failure> {
    let mut files = BTreeMap::new();
    for (name, command) in binaries {
        let shells = [
            (Shell::Bash, format!("{name}.bash")),
            (Shell::Zsh, format!("_{name}")),
            (Shell::Fish, format!("{name}.fish")),
        ];
        for (shell, file) in shells {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command(), *name, &mut text);
            files.insert(Path::new("completions").join(file), text);
        }
        let mut top = command().name(*name).disable_help_subcommand(true);
        top.build();
        pages(&top, name, &mut files)?;
    }
    Ok(files)
}

/// The page of a command and those of its visible subcommands: `qc-pki-token-new.1`.
fn pages(
    command: &Command,
    name: &str,
    files: &mut BTreeMap<PathBuf, Vec<u8>>,
) -> Result<(), Failure> {
    let mut page = Vec::new();
    let named = command
        .clone()
        .name(name.to_owned())
        .display_name(name.to_owned());
    clap_mangen::Man::new(named)
        .manual("Quick Connect")
        .date(PAGE_DATE)
        .source(format!("Quick Connect {}", env!("CARGO_PKG_VERSION")))
        .render(&mut page)
        .map_err(|error| {
            Failure::new(Exit::Bug, CHORE, format!("cannot render {name}.1")).because(&error)
        })?;
    files.insert(PathBuf::from(format!("man/{name}.1")), calm(&page));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        pages(sub, &format!("{name}-{}", sub.get_name()), files)?;
    }
    Ok(())
}

/// The page without the line breaks that the renderer puts around empty lines: mandoc rightly calls them
/// superfluous.
fn calm(page: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = page.split(|byte| *byte == b'\n').collect();
    let is_empty = |line: Option<&&[u8]>| line.is_some_and(|line| line.is_empty());
    let kept = lines.iter().enumerate().filter(|(at, line)| {
        let before = at.checked_sub(1).and_then(|at| lines.get(at));
        **line != b".br" || !(is_empty(before) || is_empty(lines.get(at + 1)))
    });
    kept.map(|(_, line)| *line).collect::<Vec<_>>().join(&b'\n')
}

/// The paths whose committed content is not `wanted`, and how they differ.
pub fn drift(root: &Path, wanted: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<(PathBuf, &'static str)> {
    let present = committed(root);
    let paths: BTreeSet<&PathBuf> = wanted.keys().chain(&present).collect();
    paths
        .into_iter()
        .filter_map(|path| {
            let how = match (wanted.get(path), std::fs::read(root.join(path)).ok()) {
                (Some(wanted), Some(there)) if *wanted == there => return None,
                (Some(_), Some(_)) => "changed",
                (Some(_), None) => "missing",
                (None, _) => "left over",
            };
            Some((path.clone(), how))
        })
        .collect()
}

/// What stands in the generated folders: all completions, and manual pages of section 1.
fn committed(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for (folder, generated) in [("completions", ""), ("man", ".1")] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        found.extend(
            names
                .filter(|name| name.ends_with(generated))
                .map(|name| Path::new(folder).join(name)),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_current() {
        let workspace = Workspace::find().unwrap();
        let drift = drift(workspace.root(), &files(&BINARIES).unwrap());
        assert!(drift.is_empty(), "run `cargo xtask gen`: {drift:?}");
    }

    fn sample() -> Command {
        let kind = clap::Arg::new("kind")
            .long("kind")
            .value_parser(["bound", "plain"]);
        let new = Command::new("new").about("Make a token").arg(kind);
        let hidden = Command::new("secret").hide(true);
        let token = Command::new("token")
            .about("Tokens")
            .subcommand(new)
            .subcommand(hidden);
        Command::new("qc-x")
            .about("A sample")
            .version("1.0")
            .subcommand(token)
    }

    #[test]
    fn one_page_a_command_three_completions_a_binary() {
        let files = files(&[("qc-x", sample)]).unwrap();
        let paths: Vec<_> = files.keys().map(|path| path.to_str().unwrap()).collect();
        let expected = [
            "completions/_qc-x",
            "completions/qc-x.bash",
            "completions/qc-x.fish",
            "man/qc-x-token-new.1",
            "man/qc-x-token.1",
            "man/qc-x.1",
        ];
        assert_eq!(paths, expected);
        assert_eq!(
            files,
            super::files(&[("qc-x", sample)]).unwrap(),
            "deterministic"
        );
    }

    #[test]
    fn mandoc_has_nothing_to_say() {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files(&[("qc-x", sample)]).unwrap() {
            let path = dir.path().join(path);
            apply(&path, Some(&content)).unwrap();
            if path.extension().is_none_or(|end| end != "1") {
                continue;
            }
            let mut mandoc = std::process::Command::new("mandoc");
            // without mandoc, the test command names it as missing before it comes here
            if let Ok(output) = mandoc.args(["-Tlint", "-Wwarning"]).arg(path).output() {
                let page = String::from_utf8_lossy(&content).into_owned();
                assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{page}");
            }
        }
    }

    #[test]
    fn drift_is_seen_and_mended() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = files(&[("qc-x", sample)]).unwrap();
        assert_eq!(drift(dir.path(), &wanted).len(), 6);
        for (path, content) in &wanted {
            apply(&dir.path().join(path), Some(content)).unwrap();
        }
        assert!(drift(dir.path(), &wanted).is_empty());
        for (path, content) in [
            ("man/qc-x.1", "old"),
            ("man/qc-gone.1", ""),
            ("man/qc-wire.7", ""),
        ] {
            apply(&dir.path().join(path), Some(&content.into())).unwrap();
        }
        let found = drift(dir.path(), &wanted);
        let expected = [("man/qc-gone.1", "left over"), ("man/qc-x.1", "changed")];
        assert_eq!(
            found,
            expected.map(|(path, how)| (PathBuf::from(path), how))
        );
    }
}
