//! Error codes: each `QCnnnn` that the product prints stands once in the registry that `explain` reads.

use std::collections::BTreeMap;

use super::tokens::Kind;
use super::{Finding, Tree};

const REGISTRY: &str = "shared/qc-core/src/cli/codes.rs";

/// Codes in use are registered, registered codes are unique. Holds as soon as the registry exists.
pub(super) fn registered(tree: &Tree) -> Vec<Finding> {
    if tree.get(REGISTRY).is_none() {
        return Vec::new();
    }
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for (code, line) in in_file(tree, REGISTRY) {
        if let Some(first) = known.insert(code.clone(), line) {
            let message = format!("{code} is registered in line {first} already");
            findings.push(finding(&code, REGISTRY, line, message));
        }
    }
    for prefix in ["bins/", "shared/qc-core/"] {
        for (path, tokens) in tree.product(prefix).filter(|(path, _)| *path != REGISTRY) {
            for token in tokens
                .iter()
                .filter(|t| t.kind == Kind::Text && is_code(&t.text))
            {
                if !known.contains_key(&token.text) {
                    let message = format!("{} is not in {REGISTRY}", token.text);
                    findings.push(finding(&token.text, path, token.line, message));
                }
            }
        }
    }
    findings
}

fn in_file(tree: &Tree, path: &str) -> Vec<(String, usize)> {
    let files = tree.product(path);
    files
        .flat_map(|(_, tokens)| tokens)
        .filter(|token| token.kind == Kind::Text && is_code(&token.text))
        .map(|token| (token.text, token.line))
        .collect()
}

fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix("QC").unwrap_or_default();
    digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit())
}

fn finding(code: &str, path: &str, line: usize, message: String) -> Finding {
    Finding {
        rule: "codes",
        subject: code.to_owned(),
        place: format!("{path}:{line}"),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(registry: Option<&str>, code: &str, expected: usize) {
        let mut files = vec![("bins/qc-pki/src/app.rs", code)];
        files.extend(registry.map(|text| (REGISTRY, text)));
        assert_eq!(
            registered(&Tree::of(&files)).len(),
            expected,
            "{registry:?} {code}"
        );
    }

    #[test]
    fn codes_are_registered_once() {
        let registry = "//! `QC1001`\nconst A: &[(&str, &str)] = &[(\"QC1001\", \"see QC1002\")];";
        check(Some(registry), "fn f() { fail(\"QC1001\") }", 0);
        check(Some(registry), "fn f() { fail(\"QC1002\") }", 1);
        check(
            Some(registry),
            "#[cfg(test)] mod t { fn f() { fail(\"QC1002\") } }",
            0,
        );
        check(
            Some("const A: [&str; 2] = [\"QC1001\", \"QC1001\"];"),
            "",
            1,
        );
        check(None, "fn f() { fail(\"QC9999\") }", 0);
    }
}
