//! Error codes: each `QCnnnn` that the product prints stands once in the registry that `explain` reads.

use std::collections::BTreeMap;

use super::tokens::{Kind, Token, begins};
use super::{Finding, Tree};

const REGISTRY: &str = "shared/qc-core/src/cli/codes.rs";

/// Codes in use are registered, by `code("QCnnnn", ...)`, and none twice. In use is a text that begins
/// with one, and a number that travels as `Code::new(nnnn)`. Holds as soon as the registry exists.
pub(super) fn registered(tree: &Tree) -> Vec<Finding> {
    if tree.get(REGISTRY).is_none() {
        return Vec::new();
    }
    let (mut known, mut used) = (BTreeMap::new(), Vec::new());
    let mut findings = Vec::new();
    for (path, tokens) in ["bins/", "shared/qc-core/"]
        .iter()
        .flat_map(|part| tree.product(part))
    {
        for (at, token) in tokens.iter().enumerate() {
            let before = |count: usize| tokens.get(at.saturating_sub(count)..).unwrap_or_default();
            let Some(code) = code_in(token, before(4)) else {
                continue;
            };
            if path != REGISTRY || !begins(before(2), &["code", "("]) {
                used.push((code, path, token.line));
            } else if let Some(first) = known.insert(code.clone(), token.line) {
                let message = format!("{code} is registered in line {first} already");
                findings.push(finding(&code, path, token.line, message));
            }
        }
    }
    for (code, path, line) in used {
        if !known.contains_key(&code) {
            findings.push(finding(
                &code,
                path,
                line,
                format!("{code} is not in {REGISTRY}"),
            ));
        }
    }
    findings
}

fn code_in(token: &Token, before: &[Token]) -> Option<String> {
    let digits = if token.kind == Kind::Text {
        let word = token.text.split(' ').next()?;
        word.strip_prefix("QC")?
    } else if begins(before, &["Code", "::", "new", "("]) {
        &token.text
    } else {
        return None;
    };
    let whole = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    whole.then(|| format!("QC{digits}"))
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
        let registry = "//! `QC1001`\nconst A: &[Code] = &[code(\"QC1001\", \"see QC1002\")];\n\
            fn f() { fail(1, \"QC1001\") }";
        check(Some(registry), "fn f() { fail(\"QC1001\") }", 0);
        check(Some(registry), "fn f() { fail(\"QC1002\") }", 1);
        check(
            Some(registry),
            "#[cfg(test)] mod t { fn f() { fail(\"QC1002\") } }",
            0,
        );
        check(Some(registry), "fn f() { format!(\"QC1001 {why}\") }", 0);
        check(Some(registry), "fn f() { format!(\"QC1002 {why}\") }", 1);
        check(Some(registry), "const A: Code = Code::new(1001);", 0);
        check(Some(registry), "const A: Code = Code::new(1002);", 1);
        check(
            Some(registry),
            "fn f() { Code::new(number); Mode::new(1002) }",
            0,
        );
        check(Some("fn f() { fail(1, \"QC1001\") }"), "", 1);
        check(
            Some("const A: [Code; 2] = [code(\"QC1001\"), code(\"QC1001\")];"),
            "",
            1,
        );
        check(None, "fn f() { fail(\"QC9999\") }", 0);
    }
}
