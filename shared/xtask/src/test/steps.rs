//! The steps of the test command, cheap ones first.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use qc_core::cli::Failure;

use super::{failure, tools};
use crate::evidence::store::Which;
use crate::workspace::{Workspace, spell, which};
use crate::{generate, tidy};

/// What a step that did not fail has to say.
pub(super) enum Done {
    Passed(String),
    Skipped(String),
}

/// One step: `run(workspace, quiet)`, where quiet keeps stdout free for JSON.
pub(super) struct Step {
    pub name: &'static str,
    pub repeat: String,
    pub run: Box<Run>,
}

type Run = dyn Fn(&Workspace, bool) -> Result<Done, Failure>;

/// The features of qc-core that are checked alone; none at all is checked too.
const FEATURES: [&str; 6] = ["store", "testing", "pki", "net", "shell", "cli"];

/// The steps in order.
pub(super) fn plan(install: bool, quick: bool) -> Vec<Step> {
    let mut steps = vec![
        tools_step(install),
        cargo("format", &["fmt", "--all", "--check"]),
        cargo(
            "format, driver",
            &[
                "fmt",
                "--manifest-path",
                "tests/fuzz/driver/Cargo.toml",
                "--check",
            ],
        ),
        step("house rules", "cargo xtask tidy", |workspace, _| {
            house_rules(workspace)
        }),
        step("generated", "cargo xtask gen --check", |workspace, _| {
            generated(workspace)
        }),
        step(
            "manual pages",
            "mandoc -Tlint -Wwarning man/*",
            |workspace, _| manuals(workspace),
        ),
        step(
            "completions",
            "bash -n, zsh -n, fish -n on completions/*",
            |workspace, _| completions(workspace),
        ),
        cargo(
            "clippy",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ],
        ),
    ];
    if quick {
        steps.push(tests(&[
            "test",
            "--workspace",
            "--locked",
            "--exclude",
            "qc-tests",
        ]));
        return steps;
    }
    let check = [
        "check",
        "--package",
        "qc-core",
        "--locked",
        "--no-default-features",
    ];
    steps.push(cargo("core, no feature", &check));
    for feature in FEATURES {
        let name: &'static str = match feature {
            "store" => "core, store",
            "testing" => "core, testing",
            "pki" => "core, pki",
            "net" => "core, net",
            "shell" => "core, shell",
            _ => "core, cli",
        };
        let with: Vec<&str> = check.into_iter().chain(["--features", feature]).collect();
        steps.push(cargo(name, &with));
    }
    steps.push(cargo(
        "binaries",
        &["build", "--workspace", "--bins", "--locked"],
    ));
    steps.push(tests(&["test", "--workspace", "--locked"]));
    // what is a sample in a debug build is the whole share here
    steps.push(tests_named(
        "store, exhaustive",
        &[
            "test",
            "--profile",
            "quick",
            "--package",
            "qc-core",
            "--locked",
            "--features",
            "testing",
            "--test",
            "store_*",
            "--",
            "--nocapture",
            "--test-threads=1",
        ],
    ));
    steps.extend(Which::ALL.map(store));
    steps.push(step("licences, bans", DENY, |workspace, quiet| {
        deny(workspace, quiet)
    }));
    steps
}

const DENY: &str = "cargo deny --offline check bans licenses sources";

fn step(
    name: &'static str,
    repeat: &str,
    run: impl Fn(&Workspace, bool) -> Result<Done, Failure> + 'static,
) -> Step {
    Step {
        name,
        repeat: repeat.to_owned(),
        run: Box::new(run),
    }
}

fn tools_step(install: bool) -> Step {
    let repeat = if install {
        "cargo xtask test --install"
    } else {
        "cargo xtask test"
    };
    step("programs", repeat, move |workspace, _| {
        let note = if install {
            tools::install(workspace)
        } else {
            tools::require()
        };
        note.map(Done::Passed)
    })
}

/// A share of one of the store's proofs.
fn store(which: Which) -> Step {
    let repeat = format!("cargo xtask evidence {}", which.name());
    step(which.name(), &repeat, move |workspace, _| {
        Ok(match which.check(workspace)? {
            Ok(note) => Done::Passed(note),
            Err(lacks) => Done::Skipped(lacks),
        })
    })
}

/// A cargo call whose success is the step's.
fn cargo(name: &'static str, arguments: &[&str]) -> Step {
    let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
    let repeat = format!("cargo {}", arguments.join(" "));
    step(name, &repeat, move |workspace, quiet| {
        let mut command = workspace.cargo();
        stream(command.args(&arguments), quiet, |_| {}).map(|()| Done::Passed(String::new()))
    })
}

/// A cargo test call; its note is the sum over all test binaries.
fn tests(arguments: &'static [&'static str]) -> Step {
    tests_named("tests", arguments)
}

fn tests_named(name: &'static str, arguments: &'static [&'static str]) -> Step {
    let repeat = format!("cargo {}", arguments.join(" "));
    step(name, &repeat, move |workspace, quiet| {
        let mut counts = Counts::default();
        let mut command = workspace.cargo();
        stream(command.args(arguments), quiet, |line| counts.take(line))?;
        if counts.passed == 0 {
            return Err(failure("no test ran"));
        }
        Ok(Done::Passed(counts.to_string()))
    })
}

/// Runs `command`, passes its stdout on line by line, and fails when it does.
fn stream(command: &mut Command, quiet: bool, mut each: impl FnMut(&str)) -> Result<(), Failure> {
    let what = spell(command);
    let broken = |error: &std::io::Error| failure(format!("cannot run {what}")).because(error);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| broken(&e))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|e| broken(&e))?;
            each(&String::from_utf8_lossy(&line));
            let _nobody_listens = if quiet {
                std::io::stderr()
                    .write_all(&line)
                    .and_then(|()| std::io::stderr().write_all(b"\n"))
            } else {
                std::io::stdout()
                    .write_all(&line)
                    .and_then(|()| std::io::stdout().write_all(b"\n"))
            };
        }
    }
    let status = child.wait().map_err(|e| broken(&e))?;
    if status.success() {
        Ok(())
    } else {
        Err(failure(format!("{what} failed: {status}")))
    }
}

/// The sums of libtest's result lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    binaries: u32,
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Counts {
    fn take(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        self.binaries += 1;
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let number = words
                .next()
                .and_then(|n| n.parse::<u32>().ok())
                .unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            binaries,
            passed,
            failed,
            ignored,
        } = self;
        write!(
            f,
            "{passed} passed, {failed} failed, {ignored} ignored in {binaries} binaries"
        )
    }
}

fn house_rules(workspace: &Workspace) -> Result<Done, Failure> {
    let findings = tidy::all(workspace)?;
    if findings.is_empty() {
        return Ok(Done::Passed(String::new()));
    }
    let lines = findings
        .iter()
        .map(|f| format!("  {}: {}: {}", f.place, f.rule, f.message));
    Err(
        failure(format!("{} breaches of the house rules", findings.len()))
            .detail(lines.collect::<Vec<_>>().join("\n")),
    )
}

fn generated(workspace: &Workspace) -> Result<Done, Failure> {
    let wanted = generate::files(&generate::BINARIES)?;
    let drift = generate::drift(workspace.root(), &wanted);
    if drift.is_empty() {
        return Ok(Done::Passed(format!("{} files", wanted.len())));
    }
    let lines = drift
        .iter()
        .map(|(path, how)| format!("  {how} {}", path.display()));
    Err(failure(format!("{} generated files drifted", drift.len()))
        .detail(lines.collect::<Vec<_>>().join("\n"))
        .help("cargo xtask gen, and commit what it writes"))
}

/// `mandoc` finds nothing to warn about.
fn manuals(workspace: &Workspace) -> Result<Done, Failure> {
    let pages = files_in(workspace, "man")?;
    let output = workspace
        .command("mandoc")
        .args(["-Tlint", "-Wwarning"])
        .args(&pages)
        .output()
        .map_err(|error| failure("cannot run mandoc").because(&error))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong: Vec<&str> = said.lines().collect();
    if wrong.is_empty() {
        Ok(Done::Passed(format!("{} pages", pages.len())))
    } else {
        let message = format!("mandoc warns in {} places", wrong.len());
        Err(failure(message).detail(wrong.join("\n")))
    }
}

/// Each shell reads its completions without an error.
fn completions(workspace: &Workspace) -> Result<Done, Failure> {
    let files = files_in(workspace, "completions")?;
    for file in &files {
        let shell = match file.extension().and_then(|e| e.to_str()) {
            Some("bash") => "bash",
            Some("fish") => "fish",
            _ => "zsh",
        };
        Workspace::capture(workspace.command(shell).arg("-n").arg(file))?;
    }
    Ok(Done::Passed(format!("{} files", files.len())))
}

fn files_in(workspace: &Workspace, folder: &str) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(workspace.root().join(folder))
        .map_err(|error| failure(format!("cannot list {folder}/")).because(&error))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    Ok(files)
}

/// cargo-deny judges when it is installed; building it takes longer than all of this.
fn deny(workspace: &Workspace, quiet: bool) -> Result<Done, Failure> {
    if which("cargo-deny").is_none() {
        return Ok(Done::Skipped("cargo-deny is not installed".to_owned()));
    }
    let mut command = workspace.cargo();
    command.args(["deny", "--offline", "check", "bans", "licenses", "sources"]);
    stream(&mut command, quiet, |_| {}).map(|()| Done::Passed(String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_sum_over_binaries() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s",
        ] {
            counts.take(line);
        }
        assert_eq!(
            counts.to_string(),
            "7 passed, 2 failed, 1 ignored in 2 binaries"
        );
    }

    #[test]
    fn quick_leaves_out_what_takes_long() {
        let names = |quick| {
            plan(false, quick)
                .iter()
                .map(|s| s.name)
                .collect::<Vec<_>>()
        };
        assert!(names(false).starts_with(&names(true)[..8]));
        assert!(!names(true).contains(&"core, net"));
        assert!(!names(true).contains(&"store, exhaustive"));
        assert_eq!(names(false).len(), 19 + Which::ALL.len());
    }

    #[test]
    fn a_step_that_fails_says_so() {
        let workspace = Workspace::find().unwrap();
        let mut seen = Vec::new();
        let mut command = workspace.command("sh");
        let ended = stream(command.args(["-c", "echo one; exit 3"]), true, |line| {
            seen.push(line.to_owned());
        });
        assert_eq!(seen, ["one"]);
        assert!(ended.unwrap_err().message.contains("exit status: 3"));
        assert!(stream(&mut workspace.command("true"), true, |_| {}).is_ok());
    }
}
