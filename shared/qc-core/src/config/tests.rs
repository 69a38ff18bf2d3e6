//! Whole files against a schema that has one of everything; the expected text is exact.

use std::time::Duration;

use serde::Deserialize;

use super::*;
use crate::failure::{Exit, Failure};
use crate::model::NodeName;

static SCHEMA: Schema = Schema {
    program: "qc-edge",
    file: "/etc/qc/edge.toml",
    sections: &[
        Section {
            name: "node",
            shape: Shape::One,
            required: true,
            doc: "This node.",
            keys: &[
                Key::new("name", Kind::NodeName, "Who it is.")
                    .required()
                    .example("\"edge-1.site-1.acme\""),
                Key::new("relay", Kind::List(&Kind::Addr), "Where it links to.").default("[]"),
                Key::new("buffer", Kind::Table(BUFFER), "What it keeps."),
                Key::new("key_password", Kind::String, "Opens the key.").secret(),
            ],
            variants: &[],
        },
        Section {
            name: "log",
            shape: Shape::One,
            required: false,
            doc: "Its log.",
            keys: &[
                Key::new(
                    "format",
                    Kind::Enum(&["journal", "text", "json"]),
                    "How it looks.",
                )
                .default("\"text\"")
                .reload(),
                Key::new("color", Kind::Bool, "Colours.").default("false"),
            ],
            variants: &[],
        },
        Section {
            name: "metrics",
            shape: Shape::One,
            required: false,
            doc: "Figures for a collector.",
            keys: &[Key::new("listen", Kind::Listen, "Where.")
                .required()
                .example("\"127.0.0.1:9464\"")],
            variants: &[],
        },
        Section {
            name: "source",
            shape: Shape::Many,
            required: false,
            doc: "Where messages come from.",
            keys: &[
                Key::new("name", Kind::Label, "Tells it apart.")
                    .required()
                    .example("\"lab-drop\""),
                Key::new("stream", Kind::StreamName, "Where they go.")
                    .required()
                    .example("\"acme/lab\""),
            ],
            variants: &[
                Variant {
                    name: "file",
                    doc: "Files dropped in a folder.",
                    keys: &[
                        Key::new("path", Kind::Path, "The folder.")
                            .required()
                            .example("\"/srv/lab/out\""),
                        Key::new(
                            "poll_ms",
                            Kind::Integer {
                                min: 10,
                                max: 60_000,
                            },
                            "How often.",
                        )
                        .default("1000"),
                    ],
                },
                Variant {
                    name: "webhook",
                    doc: "HTTP requests.",
                    keys: &[
                        Key::new("listen", Kind::Listen, "Where.")
                            .required()
                            .example("\"127.0.0.1:8080\""),
                        Key::new("headers", Kind::Map(&Kind::String), "Wanted ones."),
                    ],
                },
            ],
        },
    ],
};

const BUFFER: &[Key] = &[
    Key::new("max", Kind::Size, "At most.").default("\"16GiB\""),
    Key::new("linger", Kind::Duration, "Waits for company.").default("\"2ms\""),
];

const GOOD: &str = r#"schema = 1
[node]
name = "edge-12.site-3.acme"
relay = ["relay-1.dc.example:7443", "[::1]:7443"]
buffer = { max = "1GiB" }
[[source]]
name = "lab-drop"
stream = "acme/lab"
[source.file]
path = "/srv/lab/out"
"#;

fn load_files(files: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Loaded, Failure> {
    let sources = files.iter().map(|(name, text)| Source::new(*name, *text));
    let env: Vec<_> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    load(&SCHEMA, sources.collect(), &env)
}

fn refused(text: &str) -> String {
    let failure = load_files(&[("/etc/qc/edge.toml", text)], &[]).unwrap_err();
    assert_eq!(failure.exit, Exit::Config);
    let shown = failure.to_string();
    assert!(shown.is_ascii(), "{shown}");
    shown
}

#[test]
fn an_unknown_key_is_shown_with_its_place_and_a_suggestion() {
    let text = GOOD.replace("path =", "  poll_sm = 5\npath =");
    assert_eq!(
        refused(&text),
        "error[QC1004] /etc/qc/edge.toml:10:3: unknown key 'poll_sm' in [source.file]\n\
         10 |   poll_sm = 5\n   |   ^^^^^^^ did you mean 'poll_ms'?\n\
         help: qc-edge config explain source.file"
    );
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_file() {
    let text = r#"schema = 1
[node]
relay = ["relay-1:7443", "nowhere", 5]
buffer = { max = "1Gib", lingr = "1s" }
[log]
format = "jsno"
color = "yes"
[[source]]
name = "Lab"
stream = "acme/lab"
[source.file]
poll_ms = 5
[[source]]
name = "a"
[[source]]
name = "a"
stream = "lab"
[source.file]
path = "/x"
[source.webhook]
listen = "localhost:80"
[nod]
"#;
    assert_eq!(
        refused(text),
        r#"error[QC1007] /etc/qc/edge.toml:2:1: [node] lacks the key 'name'
2 | [node]
  | ^^^^^^
help: qc-edge config explain node

error[QC1006] /etc/qc/edge.toml:3:26: 'relay' in [node] is 'nowhere', expected an address "HOST:PORT"
3 | relay = ["relay-1:7443", "nowhere", 5]
  |                          ^^^^^^^^^
help: qc-edge config explain node

error[QC1005] /etc/qc/edge.toml:3:37: 'relay' in [node] is a whole number, expected an address "HOST:PORT"
3 | relay = ["relay-1:7443", "nowhere", 5]
  |                                     ^
help: qc-edge config explain node

error[QC1006] /etc/qc/edge.toml:4:18: 'max' in [node.buffer] is '1Gib', expected a size such as "64KiB" or "16GiB"
4 | buffer = { max = "1Gib", lingr = "1s" }
  |                  ^^^^^^
help: qc-edge config explain node.buffer

error[QC1004] /etc/qc/edge.toml:4:26: unknown key 'lingr' in [node.buffer]
4 | buffer = { max = "1Gib", lingr = "1s" }
  |                          ^^^^^ did you mean 'linger'?
help: qc-edge config explain node.buffer

error[QC1006] /etc/qc/edge.toml:6:10: 'format' in [log] is 'jsno', expected one of "journal", "text", "json"
6 | format = "jsno"
  |          ^^^^^^ did you mean 'json'?
help: qc-edge config explain log

error[QC1005] /etc/qc/edge.toml:7:9: 'color' in [log] is a string, expected true or false
7 | color = "yes"
  |         ^^^^^
help: qc-edge config explain log

error[QC1006] /etc/qc/edge.toml:9:8: 'name' in [[source]] is not valid: 'Lab' has the character 'L'; allowed are a-z, 0-9 and - (not at the ends)
9 | name = "Lab"
  |        ^^^^^
help: qc-edge config explain source

error[QC1007] /etc/qc/edge.toml:11:1: [source.file] lacks the key 'path'
11 | [source.file]
   | ^^^^^^^^^^^^^
help: qc-edge config explain source.file

error[QC1006] /etc/qc/edge.toml:12:11: 'poll_ms' in [source.file] is 5, expected a whole number from 10 to 60000
12 | poll_ms = 5
   |           ^
help: qc-edge config explain source.file

error[QC1008] /etc/qc/edge.toml:16:8: two [[source]] have the name 'a', the first in line 14
16 | name = "a"
   |        ^^^

error[QC1006] /etc/qc/edge.toml:17:10: 'stream' in [[source]] is not valid: 'lab' is not of the form TENANT/NAME
17 | stream = "lab"
   |          ^^^^^
help: qc-edge config explain source

error[QC1009] /etc/qc/edge.toml:20:1: [[source]] has more than one sub-table, 'webhook' is the second
20 | [source.webhook]
   | ^^^^^^^^^^^^^^^^
help: qc-edge config explain source

error[QC1006] /etc/qc/edge.toml:21:10: 'listen' in [source.webhook] is 'localhost:80', expected a local address "IP:PORT"
21 | listen = "localhost:80"
   |          ^^^^^^^^^^^^^^
help: qc-edge config explain source.webhook

error[QC1004] /etc/qc/edge.toml:22:2: unknown section [nod]
22 | [nod]
   |  ^^^ did you mean 'node'?
help: qc-edge config explain

15 errors"#
    );
}

#[test]
fn shapes_versions_and_missing_parts_are_named() {
    for (text, expected) in [
        (
            "",
            "error[QC1003] /etc/qc/edge.toml:1:1: the key 'schema = 1' is missing\n",
        ),
        (
            "schema = 2\n[node]\nname = \"a.b.c\"",
            "error[QC1003] /etc/qc/edge.toml:1:10: this qc-edge reads only files with schema = 1\n\
             1 | schema = 2\n  |          ^\nhelp: qc-edge version",
        ),
        (
            "schema = 1",
            "error[QC1007] /etc/qc/edge.toml:1:1: the section [node] is missing\n",
        ),
        (
            "schema = 1\nnode = 5",
            "error[QC1005] /etc/qc/edge.toml:2:8: 'node' must be written as [node]\n",
        ),
        (
            "schema = 1\n[node]\nname=\"a.b.c\"\n[source]\nname = \"x\"",
            "error[QC1005] /etc/qc/edge.toml:4:1: 'source' must be written as [[source]]\n",
        ),
        (
            "schema = 1\n[node]\nname=\"a.b.c\"\n[[source]]\nstream = \"a/b\"",
            "error[QC1007] /etc/qc/edge.toml:4:1: [[source]] lacks the key 'name'\n",
        ),
        (
            "schema = 1\n[node]\nname=\"a.b.c\"\n[[source]]\nname=\"x\"\nstream = \"a/b\"",
            "error[QC1009] /etc/qc/edge.toml:4:1: [[source]] needs one sub-table of 'file', 'webhook'\n",
        ),
        (
            "schema = 1\n[node]\nname=\"a.b.c\"\n[metrics]",
            "error[QC1007] /etc/qc/edge.toml:4:1: [metrics] lacks the key 'listen'\n",
        ),
        (
            "schema = 1\n[node\n",
            "error[QC1002] /etc/qc/edge.toml:2:6: not valid TOML: ",
        ),
        (
            "schema = 1\nschema = 1",
            "error[QC1002] /etc/qc/edge.toml:2:1: not valid TOML: duplicate key\n",
        ),
    ] {
        let shown = refused(text);
        assert!(shown.starts_with(expected), "{text:?} gave:\n{shown}");
    }
}

#[test]
fn hostile_text_is_shown_in_ascii_and_short() {
    let long = format!(
        "schema = 1\n[node]\nname = \"a.b.c\"\n{}x = 5",
        " ".repeat(400)
    );
    let shown = refused(&long);
    assert!(shown.lines().all(|line| line.len() < 120), "{shown}");
    let escape = "schema = 1\n[node]\nname = \"a.b.c\"\n\"\\u001b[31m\u{202e}\" = 5 # \u{e9}";
    assert!(refused(escape).starts_with(
        "error[QC1004] /etc/qc/edge.toml:4:1: unknown key '\\x1b[31m\\u{202e}' in [node]\n\
         4 | \"\\u001b[31m?\" = 5 # ?\n"
    ));
}

#[test]
fn a_secret_is_not_shown_in_an_error() {
    let text = GOOD.replace(
        "[[source]]",
        "key_password = [\"hunter2\"]\nkey_pasword = \"hunter2\"\n[[source]]",
    );
    assert_eq!(
        refused(&text),
        "error[QC1005] /etc/qc/edge.toml:6:16: 'key_password' in [node] is not a string\n\
         help: qc-edge config explain node\n\n\
         error[QC1004] /etc/qc/edge.toml:7:1: unknown key 'key_pasword' in [node]\n\
         did you mean 'key_password'?\nhelp: qc-edge config explain node\n\n2 errors"
    );
    let good = GOOD.replace("[[source]]", "key_password = \"hunter2\"\n[[source]]");
    let loaded = load_files(&[("edge.toml", &good)], &[]).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[derive(Debug, Deserialize)]
struct Config {
    node: Node,
    log: Log,
    metrics: Option<toml::Table>,
    source: Vec<toml::Table>,
}

#[derive(Debug, Deserialize)]
struct Node {
    #[serde(deserialize_with = "de::parsed")]
    name: NodeName,
    relay: Vec<String>,
    buffer: Buffer,
}

#[derive(Debug, Deserialize)]
struct Buffer {
    #[serde(deserialize_with = "de::size")]
    max: u64,
    #[serde(deserialize_with = "de::duration")]
    linger: Duration,
}

#[derive(Debug, Deserialize)]
struct Log {
    format: String,
}

#[test]
fn a_good_file_fills_the_structs_and_defaults() {
    let loaded = load_files(&[("edge.toml", GOOD)], &[]).unwrap();
    let config: Config = loaded.parse().unwrap();
    assert_eq!(config.node.name.site(), "site-3");
    assert_eq!(config.node.relay.len(), 2);
    assert_eq!(config.node.buffer.max, 1 << 30);
    assert_eq!(config.node.buffer.linger, Duration::from_millis(2));
    assert_eq!(config.log.format, "text");
    assert!(config.metrics.is_none());
    assert_eq!(config.source[0]["file"]["poll_ms"].as_integer(), Some(1000));
}

#[test]
fn drop_ins_and_environment_override_and_every_key_knows_its_origin() {
    let drop_in = r#"[node]
key_password = "hunter2"
[node.buffer]
linger = "9ms"
[[source]]
name = "lab-drop"
[source.file]
poll_ms = 50
[[source]]
name = "hook"
stream = "acme/hook"
[source.webhook]
listen = "127.0.0.1:8080"
headers = { x-key = "1" }
"#;
    let files = [("edge.toml", GOOD), ("edge.d/10-site.toml", drop_in)];
    let env = [
        ("QC_LOG_FORMAT", "json"),
        ("QC_NODE_BUFFER_MAX", "2GiB"),
        ("QC_OUTPUT", "json"),
    ];
    let loaded = load_files(&files, &env).unwrap();
    assert_eq!(
        loaded.show(true),
        r#"schema = 1  # edge.toml:1

[node]
name = "edge-12.site-3.acme"  # edge.toml:3
relay = ["relay-1.dc.example:7443", "[::1]:7443"]  # edge.toml:4
buffer.max = "2GiB"  # env QC_NODE_BUFFER_MAX
buffer.linger = "9ms"  # edge.d/10-site.toml:4
key_password = "(secret)"  # edge.d/10-site.toml:2

[log]
format = "json"  # env QC_LOG_FORMAT
color = false  # default

[[source]]
name = "lab-drop"  # edge.d/10-site.toml:6
stream = "acme/lab"  # edge.toml:8
[source.file]
path = "/srv/lab/out"  # edge.toml:10
poll_ms = 50  # edge.d/10-site.toml:8

[[source]]
name = "hook"  # edge.d/10-site.toml:10
stream = "acme/hook"  # edge.d/10-site.toml:11
[source.webhook]
listen = "127.0.0.1:8080"  # edge.d/10-site.toml:13
headers = { x-key = "1" }  # edge.d/10-site.toml:14
"#
    );
    assert!(!loaded.show(false).contains("hunter2"));
    load_files(&[("shown", &loaded.show(false))], &[]).unwrap();
}

#[test]
fn bad_overrides_are_named() {
    let env = [
        ("QC_NODE_BUFFER_MAX", "much"),
        ("QC_NODE_KEY_PASSWORD", "x"),
    ];
    let failure = load_files(&[("edge.toml", GOOD)], &env).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "error[QC1010] environment QC_NODE_BUFFER_MAX: 'node.buffer.max' is 'much', expected a size \
         such as \"64KiB\" or \"16GiB\"\n\n\
         error[QC1010] environment QC_NODE_KEY_PASSWORD: 'node.key_password' is a secret, which \
         the environment may not hold; name a file\n\n2 errors"
    );
}

#[test]
fn the_binary_adds_problems_at_the_place_of_a_key() {
    let loaded = load_files(&[("edge.toml", GOOD)], &[]).unwrap();
    let path = "source[lab-drop].file.path";
    let problem = loaded.problem(path, "QC4101", "the folder does not exist");
    assert_eq!(
        loaded.refuse(vec![problem]).unwrap_err().to_string(),
        "error[QC4101] edge.toml:10:1: the folder does not exist\n\
         10 | path = \"/srv/lab/out\"\n   | ^^^^\nhelp: qc-edge config explain source"
    );
    loaded.refuse(Vec::new()).unwrap();
}

#[test]
fn the_sample_explains_itself_and_passes() {
    assert_eq!(SCHEMA.lint(), Vec::<String>::new());
    let sample = SCHEMA.sample();
    for part in [
        "schema = 1\n",
        "[node]\n# Who it is.\nname = \"edge-1.site-1.acme\"\n",
        "# buffer = { max = \"16GiB\", linger = \"2ms\" }\n",
        "# [[source]]\n",
        "# [source.webhook]\n",
    ] {
        assert!(sample.contains(part), "{part:?} in\n{sample}");
    }
    // A person who removes every "# " before a key or header gets a valid file, too.
    let live: Vec<&str> = sample
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter(|line| line.is_empty() || line.contains(" = ") || line.starts_with('['))
        .filter(|line| !line.contains("= (") && !line.contains("webhook"))
        .filter(|line| *line != "listen = \"127.0.0.1:8080\"")
        .collect();
    load_files(&[("live", &live.join("\n"))], &[]).unwrap();
}

#[test]
fn sections_are_explained() {
    assert_eq!(
        SCHEMA.explain(Some("source.file")).unwrap(),
        "[source.file]\nFiles dropped in a folder.\n\n  path  (required, restart)\n      The folder.\n      \
         Takes a path in quotes.\n\n  poll_ms  (default 1000, restart)\n      How often.\n      \
         Takes a whole number from 10 to 60000.\n"
    );
    assert!(
        SCHEMA
            .explain(None)
            .unwrap()
            .contains("[[source]]  Where messages come from.\n")
    );
    assert!(
        SCHEMA
            .explain(Some("node.buffer"))
            .unwrap()
            .contains("linger")
    );
    let failure = SCHEMA.explain(Some("sorce")).unwrap_err();
    assert_eq!((failure.code, failure.exit), ("QC1012", Exit::NotFound));
    assert_eq!(failure.detail, "did you mean 'source'?");
}

#[test]
fn files_are_read_in_order_and_refused_with_a_next_step() {
    use crate::durable::{create_dir_all, write_atomic};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edge.toml");
    let code = |path: &std::path::Path| {
        let failure = read(path, "qc-edge").unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        failure.to_string()
    };
    let shown = path.display();
    assert_eq!(
        code(&path),
        format!(
            "error[QC1001] the configuration file {shown} does not exist\n\
             help: qc-edge config sample > {shown}\nhelp: qc-edge --config FILE"
        )
    );
    assert!(code(dir.path()).contains("not a regular file"));
    write_atomic(&path, b"schema = 1\n\xff", 0o600).unwrap();
    assert!(code(&path).contains("is not UTF-8 text (line 2)"));
    write_atomic(&path, &vec![b'#'; (1 << 20) + 1], 0o600).unwrap();
    assert!(code(&path).contains("is larger than 1 MiB"));
    write_atomic(&path, GOOD.as_bytes(), 0o600).unwrap();
    let below = dir.path().join("edge.d");
    create_dir_all(&below, 0o700).unwrap();
    for name in ["20-b.toml", "10-a.toml", ".hidden.toml", "note.txt"] {
        write_atomic(&below.join(name), b"[log]\n", 0o600).unwrap();
    }
    let names: Vec<_> = read(&path, "qc-edge")
        .unwrap()
        .into_iter()
        .map(|s| s.name)
        .collect();
    assert_eq!(names.len(), 3);
    assert!(names[1].ends_with("10-a.toml") && names[2].ends_with("20-b.toml"));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _refused_or_not = load_files(&[("x", &text)], &[]);
    }

    #[test]
    fn no_mutation_panics(at in 0..GOOD.len(), cut in 0..12usize, insert in "[\\[\\]{}=\"'.\n #a-zé0-9]{0,6}") {
        let mut text = GOOD.to_owned();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &insert);
        let _refused_or_not = load_files(&[("x", GOOD), ("y", &text)], &[]);
        if let Ok(loaded) = load_files(&[("x", &text)], &[]) {
            proptest::prop_assert!(load_files(&[("again", &loaded.show(false))], &[]).is_ok());
        }
    }
}
