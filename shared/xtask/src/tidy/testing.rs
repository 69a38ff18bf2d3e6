//! Simulated disks are for tests: no binary that is shipped is built with them.

use super::{Finding, Tree};

const FEATURE: &str = "testing";

/// The feature `testing` of qc-core is named by no dependency of a binary, and by no other feature.
pub(super) fn unshipped(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, table) in tree.manifests() {
        let mut say = |subject: &str, message: String| {
            findings.push(Finding {
                rule: "testing",
                subject: subject.to_owned(),
                place: path.to_owned(),
                message,
            });
        };
        if path.starts_with("bins/") && asks(&table) {
            let message = format!("the feature {FEATURE} of qc-core is for tests and xtask");
            say(path, message);
        }
        let features = table.get("features").and_then(toml::Value::as_table);
        for (feature, needs) in features.into_iter().flatten() {
            if names(needs) {
                say(feature, format!("{feature} turns on {FEATURE}"));
            }
        }
    }
    findings
}

/// Whether a dependency that ends in the binary asks for the feature.
fn asks(manifest: &toml::Table) -> bool {
    ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.get("qc-core")?.get("features"))
        .any(names)
}

fn names(features: &toml::Value) -> bool {
    let mut names = features
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str);
    names.any(|name| name == FEATURE || name.ends_with("/testing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, manifest: &str, expected: usize) {
        let found = unshipped(&Tree::of(&[(path, manifest)]));
        assert_eq!(found.len(), expected, "{path}: {manifest}: {found:?}");
    }

    #[test]
    fn no_binary_has_simulated_disks() {
        let relay = "bins/qc-relay/Cargo.toml";
        let with = "qc-core = { workspace = true, features = [\"store\", \"testing\"] }\n";
        let without = "qc-core = { workspace = true, features = [\"store\"] }\n";
        check(relay, &format!("[dependencies]\n{with}"), 1);
        check(relay, &format!("[dependencies]\n{without}"), 0);
        check(relay, &format!("[dev-dependencies]\n{with}"), 0);
        check(relay, "[features]\nfull = [\"qc-core/testing\"]\n", 1);
        check(
            "shared/xtask/Cargo.toml",
            &format!("[dependencies]\n{with}"),
            0,
        );
        let core = "shared/qc-core/Cargo.toml";
        check(core, "[features]\ntesting = [\"store\"]\n", 0);
        check(core, "[features]\ndefault = [\"testing\"]\n", 1);
    }
}
