//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy can see.
//!
//! A rule is a pure function from the [`Tree`] (the workspace's text files in memory) to findings, so
//! each is proved on a tree of a few lines. The whole set runs under `cargo test` as well.

mod arrows;
mod codes;
mod providers;
mod sources;
mod testing;
mod texts;
mod tokens;
mod tree;

use qc_core::cli::{Exit, Failure, Output};

use crate::CHORE;
use crate::workspace::Workspace;
pub use tree::Tree;

/// Check the house rules: layers, manifests, code habits, one crypto provider
#[derive(Debug, clap::Args)]
pub struct Args {}

/// A breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// What an exception would name: a path, or an arrow such as `store -> link`.
    pub subject: String,
    /// Where: `path` or `path:line`.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// A breach that is meant, and why.
#[derive(Debug, Clone, Copy)]
pub struct Exception {
    /// The rule's name.
    pub rule: &'static str,
    /// The finding's subject.
    pub subject: &'static str,
    /// Why it is meant.
    pub reason: &'static str,
}

/// Every exception to every rule. One that excuses nothing any more is itself a finding.
pub const EXCEPTIONS: &[Exception] = &[Exception {
    rule: "printing",
    subject: "shared/qc-core/src/node/unwrapper.rs",
    reason: "it says where the output of another program goes, and prints nothing itself",
}];

/// Checks the workspace and prints what it finds.
pub fn run(_args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    let findings = all(workspace)?;
    if findings.is_empty() {
        return output.line("tidy: the house rules hold");
    }
    for finding in &findings {
        output.line(&format!(
            "{}: {}: {}",
            finding.place, finding.rule, finding.message
        ))?;
    }
    let message = format!("{} breaches of the house rules", findings.len());
    Err(Failure::new(Exit::Problems, CHORE, message)
        .help("mend them, or add a reasoned entry to EXCEPTIONS in shared/xtask/src/tidy/mod.rs"))
}

/// All findings in the workspace, exceptions taken off.
pub fn all(workspace: &Workspace) -> Result<Vec<Finding>, Failure> {
    let tree = Tree::load(workspace.root()).map_err(|error| {
        Failure::new(Exit::Other, CHORE, "cannot read the workspace").because(&error)
    })?;
    let mut findings = in_tree(&tree);
    findings.extend(providers::check(&providers::built(workspace)?));
    Ok(excuse(findings, EXCEPTIONS))
}

/// The findings that the files alone show.
pub fn in_tree(tree: &Tree) -> Vec<Finding> {
    [
        arrows::manifests,
        arrows::layers,
        sources::surroundings,
        sources::unsafe_code,
        sources::module_docs,
        sources::lengths,
        codes::registered,
        providers::locked,
        testing::unshipped,
        texts::places,
        texts::registries,
        texts::licences,
    ]
    .iter()
    .flat_map(|rule| rule(tree))
    .collect()
}

/// Takes off what is excused and adds the exceptions that excuse nothing.
pub fn excuse(findings: Vec<Finding>, exceptions: &[Exception]) -> Vec<Finding> {
    let excuses = |e: &Exception, f: &Finding| e.rule == f.rule && e.subject == f.subject;
    let stale = exceptions
        .iter()
        .filter(|e| !findings.iter().any(|f| excuses(e, f)))
        .map(|e| Finding {
            rule: "exceptions",
            subject: e.subject.to_owned(),
            place: "shared/xtask/src/tidy/mod.rs".to_owned(),
            message: format!("nobody needs the exception {} for {}", e.rule, e.subject),
        })
        .collect::<Vec<_>>();
    findings
        .into_iter()
        .filter(|f| !exceptions.iter().any(|e| excuses(e, f)))
        .chain(stale)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_rules_hold() {
        let findings = all(&Workspace::find().unwrap()).unwrap();
        let lines: Vec<_> = findings
            .iter()
            .map(|f| format!("{}: {}: {}", f.place, f.rule, f.message))
            .collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn an_exception_excuses_one_subject_and_goes_stale() {
        let finding = Finding {
            rule: "length",
            subject: "a.rs".to_owned(),
            place: "a.rs".to_owned(),
            message: String::new(),
        };
        let meant = Exception {
            rule: "length",
            subject: "a.rs",
            reason: "generated",
        };
        assert_eq!(excuse(vec![finding.clone()], &[]).len(), 1);
        assert!(excuse(vec![finding], &[meant]).is_empty());
        assert!(
            excuse(Vec::new(), &[meant])[0]
                .message
                .contains("nobody needs")
        );
    }
}
