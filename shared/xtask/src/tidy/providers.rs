//! One crypto provider in the whole tree: with two compiled in, rustls panics at run time.
//!
//! `Cargo.lock` names `ring` through a weak feature of rustls-webpki although nothing builds it, so
//! the lock shows versions and `cargo tree` shows what is built.

use qc_core::cli::Failure;

use super::{Finding, Tree};
use crate::workspace::Workspace;

const BANNED: [(&str, &str); 6] = [
    ("ring", "the provider is aws-lc-rs"),
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("boring-sys", "the provider is aws-lc-rs"),
    ("rustls-openssl", "the provider is aws-lc-rs"),
];
const ONCE: [&str; 5] = [
    "aws-lc-rs",
    "aws-lc-sys",
    "rustls",
    "rustls-webpki",
    "tokio-rustls",
];

/// Name and version of every crate that a build of the workspace, tests included, compiles.
pub(super) fn built(workspace: &Workspace) -> Result<Vec<(String, String)>, Failure> {
    let text = Workspace::capture(workspace.cargo().args([
        "tree",
        "--workspace",
        "--locked",
        "--edges=normal,build,dev",
        "--prefix=none",
        "--format={p}",
    ]))?;
    Ok(parse(&text))
}

/// Nothing banned is built, and the provider is built exactly once.
pub(super) fn check(built: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, why) in BANNED {
        if let Some((_, version)) = built.iter().find(|(built, _)| built == name) {
            findings.push(finding(
                name,
                "cargo tree",
                format!("{name} {version} is built: {why}"),
            ));
        }
    }
    for name in ONCE {
        let versions = versions_of(built, name);
        if versions.len() != 1 {
            let message = format!("{name} must be built in one version, not in {versions:?}");
            findings.push(finding(name, "cargo tree", message));
        }
    }
    findings
}

/// The lock holds one version of each crate of the provider's family.
pub(super) fn locked(tree: &Tree) -> Vec<Finding> {
    let lock: toml::Table = tree
        .get("Cargo.lock")
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let field = |package: &toml::Value, key| Some(package.get(key)?.as_str()?.to_owned());
    let locked: Vec<(String, String)> = packages
        .into_iter()
        .flatten()
        .filter_map(|package| Some((field(package, "name")?, field(package, "version")?)))
        .collect();
    ONCE.iter()
        .filter(|name| versions_of(&locked, name).len() > 1)
        .map(|name| {
            let message = format!("{name} is locked in {:?}", versions_of(&locked, name));
            finding(name, "Cargo.lock", message)
        })
        .collect()
}

fn parse(tree: &str) -> Vec<(String, String)> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        })
        .collect()
}

fn versions_of<'a>(crates: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let mut versions: Vec<&str> = crates
        .iter()
        .filter(|(crate_, _)| crate_ == name)
        .map(|(_, v)| v.as_str())
        .collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

fn finding(name: &str, place: &str, message: String) -> Finding {
    Finding {
        rule: "providers",
        subject: name.to_owned(),
        place: place.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "qc-pki v0.1.0 (bins/qc-pki)\naws-lc-rs v1.19.0\naws-lc-sys v0.47.0\n\
        rustls v0.23.46\nrustls v0.23.46 (*)\nrustls-webpki v0.103.16\ntokio-rustls v0.26.4\n";

    fn check_tree(more: &str, expected: &[&str]) {
        let found = check(&parse(&format!("{GOOD}{more}")));
        let names: Vec<_> = found.iter().map(|f| f.subject.as_str()).collect();
        assert_eq!(names, expected, "{more}");
    }

    #[test]
    fn one_provider_is_built() {
        check_tree("", &[]);
        check_tree("ring v0.17.14\n", &["ring"]);
        check_tree("openssl-sys v0.9.1\n", &["openssl-sys"]);
        check_tree("rustls v0.22.4\n", &["rustls"]);
        check_tree("aws-lc-sys v0.39.0\n", &["aws-lc-sys"]);
        assert_eq!(check(&[]).len(), ONCE.len(), "none at all is wrong too");
    }

    #[test]
    fn one_version_is_locked() {
        let one = "[[package]]\nname = \"rustls\"\nversion = \"0.23.46\"\n";
        let two = format!("{one}{}", one.replace("46", "45"));
        assert!(locked(&Tree::of(&[("Cargo.lock", one)])).is_empty());
        assert_eq!(locked(&Tree::of(&[("Cargo.lock", &two)])).len(), 1);
    }
}
