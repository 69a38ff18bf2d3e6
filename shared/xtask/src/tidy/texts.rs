//! What no text file may say, and which files must be there.

use super::{Finding, Tree};

/// No path of a builder's machine, and no mirror's host name beside the samples.
pub(super) fn places(tree: &Tree) -> Vec<Finding> {
    // spelled in halves, or this file would find itself
    let everywhere = [concat!("/wo", "rk/"), concat!(".cargo/registry", "/src")];
    let hosts = [
        concat!("registry.", "npmjs"),
        concat!("registry.", "yarnpkg"),
        concat!("static.", "crates.io"),
    ];
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        for (number, line) in text.lines().enumerate() {
            let words = everywhere.iter().chain(&hosts);
            for word in words.filter(|word| line.contains(**word)) {
                findings.push(Finding {
                    rule: "places",
                    subject: path.to_owned(),
                    place: format!("{path}:{}", number + 1),
                    message: format!("`{word}` names one machine or mirror"),
                });
            }
        }
    }
    findings
}

/// Every locked crate comes from crates.io, and no configuration turns that elsewhere.
pub(super) fn registries(tree: &Tree) -> Vec<Finding> {
    const ONLY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    const CONFIG: &str = ".cargo/config.toml";
    let locked = tree
        .get("Cargo.lock")
        .unwrap_or_default()
        .lines()
        .enumerate();
    let foreign = locked.filter(|(_, line)| line.starts_with("source = ") && *line != ONLY);
    let config = tree.get(CONFIG).unwrap_or_default().lines().enumerate();
    let redirect = |line: &str| {
        ["[source", "[registries", "[registry", "[patch"]
            .iter()
            .any(|table| line.starts_with(table))
    };
    let redirected = config.filter(|(_, line)| redirect(line.trim()));
    let say = |path: &str, number: usize, line: &str| Finding {
        rule: "registries",
        subject: path.to_owned(),
        place: format!("{path}:{}", number + 1),
        message: format!("crates come from crates.io only, not `{line}`"),
    };
    foreign
        .map(|(number, line)| say("Cargo.lock", number, line))
        .chain(redirected.map(|(number, line)| say(CONFIG, number, line)))
        .collect()
}

/// The licence texts are there, and every vendored sample has its own.
pub(super) fn licences(tree: &Tree) -> Vec<Finding> {
    let mut needed: Vec<String> = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT"]
        .map(str::to_owned)
        .to_vec();
    for (path, _) in tree.files() {
        let inside = path
            .strip_prefix("tests/samples/")
            .and_then(|rest| rest.split_once('/'));
        if let Some((folder, _)) = inside {
            needed.push(format!("tests/samples/{folder}/LICENSE"));
            needed.push(format!("tests/samples/{folder}/SOURCE.md"));
        }
    }
    needed.sort();
    needed.dedup();
    needed
        .into_iter()
        .filter(|path| tree.get(path).is_none_or(|text| text.trim().is_empty()))
        .map(|path| Finding {
            rule: "licences",
            subject: path.clone(),
            place: path,
            message: "is missing or empty".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Tree) -> Vec<Finding>, path: &str, text: &str, expected: usize) {
        let found = rule(&Tree::of(&[(path, text)]));
        assert_eq!(found.len(), expected, "{path}: {text}: {found:?}");
    }

    #[test]
    fn texts_name_no_machine() {
        check(places, "README.md", concat!("see /wo", "rk/x"), 1);
        check(
            places,
            "README.md",
            "in the work/ folder of /var/lib/qc-edge",
            0,
        );
        check(
            places,
            "tests/samples/a/SOURCE.md",
            concat!("from registry.", "npmjs.org"),
            1,
        );
    }

    #[test]
    fn crates_come_from_crates_io() {
        let index = "registry+https://github.com/rust-lang/crates.io-index";
        check(
            registries,
            "Cargo.lock",
            &format!("source = \"{index}\"\n"),
            0,
        );
        check(
            registries,
            "Cargo.lock",
            "source = \"registry+https://mirror.example/\"\n",
            1,
        );
        check(
            registries,
            "Cargo.lock",
            "source = \"git+https://example.org/x#1\"\n",
            1,
        );
        check(registries, ".cargo/config.toml", "[source.crates-io]\n", 1);
    }

    #[test]
    fn licences_are_there() {
        assert_eq!(
            licences(&Tree::of(&[("LICENSE", "x"), ("LICENSE-MIT", "")])).len(),
            2
        );
        let root = [
            ("LICENSE", "x"),
            ("LICENSE-MIT", "x"),
            ("LICENSE-APACHE", "x"),
        ];
        assert!(licences(&Tree::of(&root)).is_empty());
        let mut sampled = root.to_vec();
        sampled.push(("tests/samples/a/b.csv", "1"));
        sampled.push(("tests/samples/a/LICENSE", "x"));
        assert_eq!(licences(&Tree::of(&sampled)).len(), 1);
    }
}
