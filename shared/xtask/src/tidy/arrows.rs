//! Who may use whom: between crates by their manifests, inside qc-core by its layers.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{Token, begins};
use super::{Finding, Tree};

/// The layers of qc-core, lowest first. A module uses lower rows, and its own row without cycles.
const LAYERS: [&[&str]; 6] = [
    &[
        "model",
        "clock",
        "backoff",
        "secret",
        "safe_text",
        "durable",
        "failure",
    ],
    &["wire", "cloudevents", "filter", "policy"],
    &[
        "store", "streams", "parts", "pki", "control", "registry", "drain", "audit", "ledger",
    ],
    &["tls", "est", "link", "reach", "door", "admin"],
    &["config", "telemetry", "service"],
    &["node", "upkeep", "uplink", "cli"],
];

const CORE: &str = "shared/qc-core/src/";

/// Binaries meet on the wire: only xtask links them, and nobody links xtask. Every member takes its
/// dependencies, lints and licence from the workspace.
pub(super) fn manifests(tree: &Tree) -> Vec<Finding> {
    let name_of = |table: &toml::Table| {
        let name = table.get("package").and_then(|p| p.get("name"));
        name.and_then(|n| n.as_str()).unwrap_or_default().to_owned()
    };
    let bins: BTreeSet<String> = tree
        .manifests()
        .filter(|(path, _)| path.starts_with("bins/"))
        .map(|(_, table)| name_of(&table))
        .collect();
    let mut findings = Vec::new();
    for (path, table) in tree.manifests() {
        if table.contains_key("workspace") {
            continue; // a workspace of its own, with nothing to inherit
        }
        let mut say = |rule, subject: String, message: String| {
            findings.push(Finding {
                rule,
                subject,
                place: path.to_owned(),
                message,
            });
        };
        let own = name_of(&table);
        for (dependency, from_workspace) in dependencies(&table) {
            let arrow = format!("{own} -> {dependency}");
            if dependency == "xtask" {
                say("arrows", arrow, "nobody links xtask".to_owned());
            } else if bins.contains(&dependency) && own != "xtask" {
                let message =
                    format!("{own} may not link the binary {dependency}: they meet on the wire");
                say("arrows", arrow, message);
            } else if !from_workspace {
                let message = format!(
                    "{dependency} needs `workspace = true`: versions stand once, in the root"
                );
                say("manifest", arrow, message);
            }
        }
        let inherited = |section: &toml::Table, key: &str| {
            let value = section.get(key).and_then(|v| v.get("workspace"));
            value.and_then(toml::Value::as_bool) == Some(true)
        };
        if !inherited(&table, "lints") {
            say(
                "manifest",
                own.clone(),
                "lacks `[lints] workspace = true`".to_owned(),
            );
        }
        let package = table.get("package").and_then(toml::Value::as_table);
        for key in ["license", "version", "edition", "rust-version", "publish"] {
            if !package.is_some_and(|package| inherited(package, key)) {
                say(
                    "manifest",
                    own.clone(),
                    format!("lacks `{key}.workspace = true`"),
                );
            }
        }
    }
    findings
}

/// Every dependency of any kind, and whether the workspace table decides its version.
fn dependencies(table: &toml::Table) -> Vec<(String, bool)> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = table.get("target").and_then(toml::Value::as_table);
    let per_target = targets.into_iter().flat_map(toml::Table::values);
    let sections = per_target.filter_map(toml::Value::as_table).chain([table]);
    sections
        .flat_map(|section| {
            KINDS
                .iter()
                .filter_map(|kind| section.get(*kind)?.as_table())
        })
        .flat_map(toml::Table::iter)
        .map(|(name, value)| {
            let package = value.get("package").and_then(toml::Value::as_str);
            let workspace = value.get("workspace").and_then(toml::Value::as_bool);
            (package.unwrap_or(name).to_owned(), workspace == Some(true))
        })
        .collect()
}

/// A module of qc-core uses only lower layers.
pub(super) fn layers(tree: &Tree) -> Vec<Finding> {
    let layer = |name: &str| LAYERS.iter().position(|row| row.contains(&name));
    let mut level: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut arrows = Vec::new();
    for (path, tokens) in tree.product(CORE) {
        let Some((module, depth)) = module_of(path) else {
            continue;
        };
        let Some(own) = layer(module) else {
            findings.push(Finding {
                rule: "layers",
                subject: module.to_owned(),
                place: path.to_owned(),
                message: format!("the module {module} has no row in LAYERS (tidy/arrows.rs)"),
            });
            continue;
        };
        for (target, line) in uses(&tokens, depth) {
            let Some(other) = layer(&target).filter(|_| target != module) else {
                continue;
            };
            if other == own {
                level
                    .entry(module.to_owned())
                    .or_default()
                    .insert(target.clone());
            }
            arrows.push((
                module.to_owned(),
                own,
                target,
                other,
                format!("{path}:{line}"),
            ));
        }
    }
    for (module, own, target, other, place) in arrows {
        let message = if other > own {
            format!("{module} (layer {own}) may not use {target} (layer {other})")
        } else if other == own && reaches(&level, &target, &module) {
            format!("{module} and {target} use each other")
        } else {
            continue;
        };
        findings.push(Finding {
            rule: "layers",
            subject: format!("{module} -> {target}"),
            place,
            message,
        });
    }
    findings
}

/// The top-level module a file belongs to, and how many `super` lead from it to the crate.
fn module_of(path: &str) -> Option<(&str, usize)> {
    let inside = path.strip_prefix(CORE)?.strip_suffix(".rs")?;
    let parts: Vec<&str> = inside.split('/').filter(|part| *part != "mod").collect();
    let module = *parts.first()?;
    (module != "lib").then_some((module, parts.len()))
}

/// The crate's modules that `tokens` name through `crate::` or enough `super::`, with their lines.
fn uses(tokens: &[Token], depth: usize) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut rest = tokens;
    while !rest.is_empty() {
        let mut after = rest;
        let mut supers = 0;
        while begins(after, &["super", "::"]) {
            supers += 1;
            after = after.get(2..).unwrap_or_default();
        }
        if supers == depth {
            names(after, &mut found);
        } else if supers == 0 && begins(rest, &["crate", "::"]) {
            names(rest.get(2..).unwrap_or_default(), &mut found);
        }
        rest = rest.get((2 * supers).max(1)..).unwrap_or_default();
    }
    found
}

/// The first names of a path or of a `{}` group of paths.
fn names(tokens: &[Token], found: &mut Vec<(String, usize)>) {
    if !begins(tokens, &["{"]) {
        found.extend(tokens.first().map(|t| (t.text.clone(), t.line)));
        return;
    }
    let (mut depth, mut first) = (0_usize, true);
    for token in tokens {
        if token.is("{") {
            depth += 1;
        } else if token.is("}") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return;
            }
        } else if token.is(",") {
            first = depth == 1;
        } else if first && depth == 1 {
            found.push((token.text.clone(), token.line));
            first = false;
        }
    }
}

fn reaches(edges: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            open.extend(edges.get(at).into_iter().flatten().map(String::as_str));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "version.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\
        [lints]\nworkspace = true\n";

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{PACKAGE}{rest}")
    }

    #[test]
    fn a_workspace_of_its_own_inherits_nothing() {
        let own = "[workspace]\n[package]\nname = \"driver\"\nversion = \"0.1.0\"\n";
        let member = own.strip_prefix("[workspace]\n").unwrap();
        for (text, expected) in [(own, 0), (member, 6)] {
            let tree = Tree::of(&[("tests/fuzz/driver/Cargo.toml", text)]);
            assert_eq!(manifests(&tree).len(), expected);
        }
    }

    fn check_manifest(name: &str, rest: &str, expected: &[&str]) {
        let top = manifest("qc-top", "");
        let tested = manifest(name, rest);
        let dir = if name.starts_with("qc-core") {
            "shared"
        } else {
            "bins"
        };
        let path = format!("{dir}/{name}/Cargo.toml");
        let tree = Tree::of(&[("bins/qc-top/Cargo.toml", &top), (&path, &tested)]);
        let found: Vec<_> = manifests(&tree).into_iter().map(|f| f.subject).collect();
        assert_eq!(found, expected, "{rest}");
    }

    #[test]
    fn binaries_meet_on_the_wire() {
        check_manifest("qc-relay", "[dependencies]\nbytes.workspace = true\n", &[]);
        check_manifest(
            "qc-relay",
            "[dependencies]\nqc-top.workspace = true\n",
            &["qc-relay -> qc-top"],
        );
        check_manifest(
            "qc-core",
            "[dev-dependencies]\nqc-top.workspace = true\n",
            &["qc-core -> qc-top"],
        );
        check_manifest(
            "qc-core",
            "[dependencies]\nxtask.workspace = true\n",
            &["qc-core -> xtask"],
        );
        check_manifest(
            "qc-relay",
            "[build-dependencies]\nx = { workspace = true, package = \"qc-top\" }\n",
            &["qc-relay -> qc-top"],
        );
    }

    #[test]
    fn versions_stand_once() {
        check_manifest(
            "qc-relay",
            "[dependencies]\nbytes = \"1\"\n",
            &["qc-relay -> bytes"],
        );
        check_manifest(
            "qc-relay",
            "[target.'cfg(unix)'.dependencies]\nbytes = \"1\"\n",
            &["qc-relay -> bytes"],
        );
        let tree = Tree::of(&[("tests/Cargo.toml", "[package]\nname = \"t\"\n")]);
        assert_eq!(manifests(&tree).len(), 6, "lints, licence and four more");
    }

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let paths: Vec<_> = files
            .iter()
            .map(|(p, t)| (format!("{CORE}{p}"), *t))
            .collect();
        let files: Vec<_> = paths.iter().map(|(p, t)| (p.as_str(), *t)).collect();
        let found: Vec<_> = layers(&Tree::of(&files))
            .into_iter()
            .map(|f| f.subject)
            .collect();
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn arrows_point_down() {
        check(
            &[(
                "link/mod.rs",
                "use crate::store::Log; use crate::{model::{Seq}, wire};",
            )],
            &[],
        );
        check(
            &[("store/mod.rs", "use crate::link::Dialer;")],
            &["store -> link"],
        );
        check(
            &[("store/a/b.rs", "fn f() { crate::cli::say() }")],
            &["store -> cli"],
        );
        check(
            &[("wire/mod.rs", "use crate::{model::{Seq, tls}, store};")],
            &["wire -> store"],
        );
        check(
            &[(
                "wire/record.rs",
                "use super::super::store::Log; use super::link::x;",
            )],
            &["wire -> store"],
        );
        check(
            &[("clock.rs", "use super::store::Log;")],
            &["clock -> store"],
        );
        check(
            &[(
                "store/mod.rs",
                "// crate::link::x\nconst A: &str = \"crate::link::x\";",
            )],
            &[],
        );
        check(
            &[(
                "store/mod.rs",
                "#[cfg(test)] mod tests { use crate::link::x; }",
            )],
            &[],
        );
        check(&[("lib.rs", "pub use crate::cli::Output;")], &[]);
        check(&[("gossip.rs", "")], &["gossip"]);
    }

    #[test]
    fn one_layer_has_no_cycles() {
        check(&[("link.rs", "use crate::tls::A;"), ("tls.rs", "")], &[]);
        check(
            &[
                ("link.rs", "use crate::tls::A;"),
                ("tls.rs", "use crate::est::B;"),
                ("est.rs", "use crate::link::C;"),
            ],
            &["est -> link", "link -> tls", "tls -> est"],
        );
    }
}
