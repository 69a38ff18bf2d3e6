//! Configuration files.

use qc_core::config::{Key, Kind, Schema, Section, Shape, Source, Variant, load};

/// A schema with a key of every kind.
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
                Key::new("name", Kind::NodeName, "Who it is."),
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
                Key::new("format", Kind::Enum(&["journal", "text"]), "How it looks.")
                    .default("\"text\""),
                Key::new("color", Kind::Bool, "Colours.").default("false"),
            ],
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
                Key::new("stream", Kind::StreamName, "Where they go."),
            ],
            variants: &[
                Variant {
                    name: "file",
                    doc: "Files dropped in a folder.",
                    keys: &[
                        Key::new("path", Kind::Path, "The folder."),
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
                        Key::new("listen", Kind::Listen, "Where."),
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

/// The text of a main file and, behind a NUL, of one beside it; behind another NUL, an override by the environment.
/// What is refused is refused in words that are safe to show.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut parts = text.split('\0');
    let mut next = |name: &str| Source::new(name, parts.next().unwrap_or_default());
    let sources = vec![next("edge.toml"), next("edge.d/10.toml")];
    let of_env = parts.next().unwrap_or_default();
    let env = [
        ("QC_NODE_NAME".to_owned(), of_env.to_owned()),
        ("QC_NODE_BUFFER__MAX".to_owned(), of_env.to_owned()),
    ];
    let env = if of_env.is_empty() { &env[..0] } else { &env };
    match load(&SCHEMA, sources, env) {
        Ok(loaded) => {
            assert!(loaded.table().contains_key("node"));
            let _shown = format!("{loaded:?}");
        }
        Err(failure) => {
            assert!(!failure.code.is_empty());
            let shown = format!("{failure:?}");
            assert!(!shown.contains('\u{1b}'), "{shown}");
            let lines = failure.message.lines().chain(failure.detail.lines());
            for line in lines {
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
}
