//! What Rust files may do and how they look.

use super::tokens::{Token, begins};
use super::{Finding, Tree};

const CORE: &str = "shared/qc-core/src/";
const MAX_LINES: usize = 700;

/// qc-core never reads the environment, and prints only in `cli` (`telemetry` may log to stderr).
pub(super) fn surroundings(tree: &Tree) -> Vec<Finding> {
    const ENVIRONMENT: [&[&str]; 2] = [&["std", "::", "env"], &["env", "::"]];
    const PRINTING: [&[&str]; 7] = [
        &["print", "!"],
        &["println", "!"],
        &["eprint", "!"],
        &["eprintln", "!"],
        &["stdout", "("],
        &["stderr", "("],
        &["io", "::", "stderr"],
    ];
    let mut findings = Vec::new();
    for (path, tokens) in tree.product(CORE) {
        let inside = path.trim_start_matches(CORE);
        for line in lines_with(&tokens, &ENVIRONMENT) {
            let message = "qc-core never reads the environment: take it as an argument";
            findings.push(finding("environment", path, line, message));
        }
        if inside.starts_with("cli/") {
            continue;
        }
        let logs = inside.starts_with("telemetry");
        let banned = if logs {
            PRINTING.get(..5).unwrap_or_default()
        } else {
            &PRINTING
        };
        for line in lines_with(&tokens, banned) {
            let message = "qc-core prints only through cli::Output";
            findings.push(finding("printing", path, line, message));
        }
    }
    findings
}

/// No `unsafe`: the lint can be lifted by an attribute, this cannot.
pub(super) fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let message = "`unsafe` needs an exception with its proof";
    tree.product("")
        .flat_map(|(path, tokens)| {
            let lines = lines_with(&tokens, &[&["unsafe"]]);
            lines
                .into_iter()
                .map(move |line| finding("unsafe", path, line, message))
        })
        .collect()
}

/// Every file opens with its point.
pub(super) fn module_docs(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|(_, text)| !text.trim_start().starts_with("//!"))
        .map(|(path, _)| {
            finding(
                "module doc",
                path,
                1,
                "open the file with `//!` and its point",
            )
        })
        .collect()
}

/// A file tells one story.
pub(super) fn lengths(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(path, text)| {
            let message = format!(
                "{} lines: two stories become a folder",
                text.lines().count()
            );
            finding("length", path, MAX_LINES, &message)
        })
        .collect()
}

fn lines_with(tokens: &[Token], patterns: &[&[&str]]) -> Vec<usize> {
    let mut lines: Vec<usize> = (0..tokens.len())
        .filter_map(|at| tokens.get(at..))
        .filter(|rest| patterns.iter().any(|pattern| begins(rest, pattern)))
        .filter_map(|rest| Some(rest.first()?.line))
        .collect();
    lines.dedup();
    lines
}

fn finding(rule: &'static str, path: &str, line: usize, message: &str) -> Finding {
    Finding {
        rule,
        subject: path.to_owned(),
        place: format!("{path}:{line}"),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Tree) -> Vec<Finding>, path: &str, text: &str, expected: &[&str]) {
        let found = rule(&Tree::of(&[(path, text)]));
        let rules: Vec<_> = found.iter().map(|f| f.rule).collect();
        assert_eq!(rules, expected, "{path}: {text}");
    }

    #[test]
    fn core_is_blind_and_mute() {
        let core = |file: &str| format!("{CORE}{file}");
        let check = |file: &str, text: &str, expected: &[&str]| {
            check(surroundings, &core(file), text, expected);
        };
        check(
            "tls/mod.rs",
            "fn f() { std::env::var(\"X\"); }",
            &["environment"],
        );
        check(
            "tls/mod.rs",
            "use std::env;\nfn f() { env::var_os(\"X\") }",
            &["environment", "environment"],
        );
        check("tls/mod.rs", "fn f() { env!(\"CARGO_PKG_VERSION\") }", &[]);
        check("store/mod.rs", "fn f() { println!(\"x\") }", &["printing"]);
        check(
            "store/mod.rs",
            "fn f() { io::stderr().lock() }",
            &["printing"],
        );
        check("cli/output.rs", "fn f() { io::stdout().lock() }", &[]);
        check(
            "telemetry/mod.rs",
            "fn f() { x.with_writer(std::io::stderr) }",
            &[],
        );
        check(
            "telemetry/mod.rs",
            "fn f() { std::io::stdout() }",
            &["printing"],
        );
        check(
            "store/mod.rs",
            "#[cfg(test)] mod tests { fn f() { println!() } }",
            &[],
        );
    }

    #[test]
    fn habits_of_files() {
        let path = "bins/qc-top/src/app.rs";
        check(
            unsafe_code,
            path,
            "fn f() { unsafe { g() } } // unsafe",
            &["unsafe"],
        );
        check(unsafe_code, path, "#![forbid(unsafe_code)]", &[]);
        check(module_docs, path, "use a;\n//! late", &["module doc"]);
        check(module_docs, path, "//! early", &[]);
        check(lengths, path, &"//\n".repeat(MAX_LINES), &[]);
        check(lengths, path, &"//\n".repeat(MAX_LINES + 1), &["length"]);
    }
}
