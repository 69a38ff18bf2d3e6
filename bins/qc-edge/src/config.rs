//! `/etc/qc/edge.toml`: what it may say, and what it says, parsed.

use std::path::PathBuf;

use qc_core::cli::{Failure, store_problems};
use qc_core::config::{
    ADMIN, ADMIN_GROUP, ADMIN_REMOTE, ADMIN_SOCKET, AdminSection, Key, Kind, Loaded, STORE_MAX,
    STORE_MIN_FREE, STORE_SEGMENT, Schema, Section, Shape, StoreSection, Variant, de,
};
use qc_core::model::{DataClass, Lane, StreamName};
use qc_core::node::{CONTROL, ControlSection, PASSPHRASE_FILE, TENANT_KEYS, TenantKeySection};
use qc_core::uplink::{UPLINK, UplinkSection};
use serde::Deserialize;

use crate::sinks::file_out::FileOutConfig;
use crate::sinks::webhook_out::WebhookOutConfig;
use crate::sources::file_drop::FileDropConfig;
use crate::sources::webhook::WebhookConfig;

/// The main file where `-c` does not name another.
pub(crate) const DEFAULT_FILE: &str = "/etc/qc/edge.toml";
/// The admin socket where nothing names another.
pub(crate) const DEFAULT_SOCKET: &str = "/run/qc-edge/admin.sock";

const LANES: Kind = Kind::Enum(&["critical", "high", "normal", "low"]);

/// What the file may say.
pub(crate) const SCHEMA: Schema = Schema {
    program: "qc-edge",
    file: DEFAULT_FILE,
    sections: &[
        Section {
            name: "node",
            shape: Shape::One,
            required: false,
            doc: "This edge. Its name and tenant come from its certificate, not from here.",
            keys: &[
                Key::new("state", Kind::Path, "Directory of the buffer, the identity and the trust bundle.")
                    .default("\"/var/lib/qc-edge\""),
            ],
            variants: &[],
        },
        UPLINK,
        Section {
            keys: &[
                ADMIN_SOCKET.default("\"/run/qc-edge/admin.sock\""),
                ADMIN_GROUP,
                ADMIN_REMOTE,
            ],
            ..ADMIN
        },
        CONTROL,
        Section {
            name: "store",
            shape: Shape::One,
            required: false,
            doc: "The durable buffer. A source is told 'done' only after an fdatasync of it.",
            keys: &[
                STORE_MAX.default("\"16GiB\""),
                STORE_SEGMENT.default("\"16MiB\""),
                STORE_MIN_FREE,
                PASSPHRASE_FILE,
            ],
            variants: &[],
        },
        TENANT_KEYS,
        Section {
            name: "source",
            shape: Shape::Many,
            required: false,
            doc: "Where messages come from. Each goes to one stream in one lane, with one class.",
            keys: &[
                Key::new("name", Kind::Label, "Its name.").required().example("\"lab-drop\""),
                Key::new("stream", Kind::StreamName, "The stream its messages go to.")
                    .required()
                    .example("\"acme/lab-results\""),
                Key::new("class", Kind::Label, "The class of its data. Without one nothing is forwarded.")
                    .required()
                    .example("\"internal\""),
                Key::new("lane", LANES, "The lane of messages without a severitynumber.")
                    .default("\"normal\""),
            ],
            variants: &[
                Variant {
                    name: "file",
                    doc: "Files dropped into a directory. A file is taken when it has not changed for a while, \
                          and moved away when its content is on disk in the buffer.",
                    keys: &[
                        Key::new("path", Kind::Path, "The directory.")
                            .required()
                            .example("\"/srv/lab/out\""),
                        Key::new("poll", Kind::Duration, "How often to look.").default("\"2s\""),
                        Key::new("settle", Kind::Duration, "How long a file must not have changed.")
                            .default("\"2s\""),
                        Key::new("mode", Kind::Enum(&["whole", "lines"]), "A message is a file, or a line of one.")
                            .default("\"whole\""),
                        Key::new("done", Kind::String, "Folder in it for files that were taken.")
                            .default("\".done\""),
                        Key::new("error", Kind::String, "Folder in it for files that cannot be taken, with a reason beside each.")
                            .default("\".error\""),
                        Key::new("max_bytes", Kind::Size, "The largest file; 1GiB at most in whole mode.")
                            .default("\"1GiB\""),
                        Key::new("type", Kind::String, "The events' type; qc.file or qc.line by default.")
                            .example("\"com.example.result\""),
                    ],
                },
                Variant {
                    name: "webhook",
                    doc: "HTTP requests of other programs. Bound to loopback unless 'listen' says otherwise.",
                    keys: &[
                        Key::new("listen", Kind::Listen, "Address and port.")
                            .default("\"127.0.0.1:8480\""),
                        Key::new("path", Kind::String, "The one path that is served.").default("\"/\""),
                        Key::new("hmac_secret_file", Kind::Path, "File with the secret that senders sign with.")
                            .example("\"/etc/qc/secrets/hook\""),
                        Key::new("hmac_header", Kind::String, "Header with the HMAC-SHA256 of the body.")
                            .default("\"X-Hub-Signature-256\""),
                        Key::new("max_body", Kind::Size, "The largest body, at most 1GiB; with a secret or as JSON of CloudEvents at most 16MiB.").default("\"1MiB\""),
                        Key::new("dedupe_header", Kind::String, "Header that names a delivery: a repeated one is kept once.")
                            .default("\"Idempotency-Key\""),
                        Key::new("type", Kind::String, "The events' type if they do not say.")
                            .default("\"qc.webhook\""),
                    ],
                },
            ],
        },
        Section {
            name: "sink",
            shape: Shape::Many,
            required: false,
            doc: "Where messages go: from a relay's stream, or at once from what this edge has captured.",
            keys: &[
                Key::new("name", Kind::Label, "Its name.").required().example("\"to-erp\""),
                Key::new("stream", Kind::StreamName, "The stream it delivers.")
                    .required()
                    .example("\"acme/orders\""),
                Key::new("from", Kind::Enum(&["relay", "local"]), "Subscribed at the relay, or captured here.")
                    .default("\"relay\""),
            ],
            variants: &[
                Variant {
                    name: "file",
                    doc: "Files in a directory, each complete under its name or not there at all.",
                    keys: &[
                        Key::new("path", Kind::Path, "The directory.")
                            .required()
                            .example("\"/srv/erp/in\""),
                        Key::new("mode", Kind::Enum(&["one-per-message", "append-lines"]), "A file a message, or a line.")
                            .default("\"one-per-message\""),
                        Key::new("name", Kind::String, "File name of {id} {seq} {stream} {subject} {time} and text.")
                            .example("\"{seq}-{subject}\""),
                        Key::new("unfinished", Kind::Duration, "How long a message in parts may wait for its next part while the edge runs; then what came of it becomes dead letters.")
                            .default("\"30d\""),
                    ],
                },
                Variant {
                    name: "webhook",
                    doc: "HTTP requests to another program, one at a time and in order.",
                    keys: &[
                        Key::new("url", Kind::Url, "Where to post to.")
                            .required()
                            .example("\"http://erp.example/hook\""),
                        Key::new("format", Kind::Enum(&["binary", "structured"]), "Attributes in ce- headers, or one JSON document.")
                            .default("\"binary\""),
                        Key::new("secret_file", Kind::Path, "File with the secret to sign with.")
                            .example("\"/etc/qc/secrets/erp\""),
                        Key::new("timeout", Kind::Duration, "Time for one attempt.").default("\"30s\""),
                        Key::new("ca_file", Kind::Path, "Roots for an https server; the system's by default.")
                            .example("\"/etc/qc/erp-ca.pem\""),
                        Key::new("allow", Kind::List(&Kind::String), "Link-local or metadata addresses that are meant.")
                            .default("[]"),
                    ],
                },
            ],
        },
    ],
};

/// What the file says.
#[derive(Debug, Deserialize)]
pub(crate) struct EdgeConfig {
    /// `[node]`
    pub node: NodeSection,
    /// `[uplink]`
    pub uplink: UplinkSection,
    /// `[admin]`
    pub admin: AdminSection,
    /// `[control]`
    pub control: ControlSection,
    /// `[store]`
    pub store: StoreSection,
    /// `[[tenant_key]]`
    #[serde(default)]
    pub tenant_key: Vec<TenantKeySection>,
    /// `[[source]]`
    #[serde(default)]
    pub source: Vec<SourceSection>,
    /// `[[sink]]`
    #[serde(default)]
    pub sink: Vec<SinkSection>,
}

/// `[node]`
#[derive(Debug, Deserialize)]
pub(crate) struct NodeSection {
    /// The state directory.
    pub state: PathBuf,
}

/// `[[source]]`
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SourceSection {
    /// Its name.
    pub name: String,
    /// Where its messages go.
    #[serde(deserialize_with = "de::parsed")]
    pub stream: StreamName,
    /// The class of its data.
    #[serde(deserialize_with = "de::parsed")]
    pub class: DataClass,
    /// The lane of its messages.
    #[serde(deserialize_with = "de::parsed")]
    pub lane: Lane,
    /// `[source.file]`
    pub file: Option<FileDropConfig>,
    /// `[source.webhook]`
    pub webhook: Option<WebhookConfig>,
}

/// Where a sink's messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum From {
    /// A stream of the relay.
    Relay,
    /// What this edge has captured.
    Local,
}

/// `[[sink]]`
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SinkSection {
    /// Its name.
    pub name: String,
    /// The stream it delivers.
    #[serde(deserialize_with = "de::parsed")]
    pub stream: StreamName,
    /// Where the stream is read.
    pub from: From,
    /// `[sink.file]`
    pub file: Option<FileOutConfig>,
    /// `[sink.webhook]`
    pub webhook: Option<WebhookOutConfig>,
}

impl EdgeConfig {
    /// Reads a configuration that the schema has accepted and checks what only this binary can see.
    pub(crate) fn from_loaded(loaded: &Loaded) -> Result<Self, Failure> {
        let config: Self = loaded.parse()?;
        let mut problems = store_problems(loaded, &config.store, &config.tenant_key);
        problems.extend(config.uplink.problem(loaded));
        for sink in &config.sink {
            if sink.from == From::Relay && config.uplink.relay.is_empty() {
                let message = "it reads from the relay, but [uplink] names none";
                let path = format!("sink[{}].from", sink.name);
                problems.push(loaded.problem(&path, "QC1020", message));
            }
        }
        loaded.refuse(problems)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::config::{Source, load};

    #[test]
    fn the_committed_sample_is_what_the_program_prints() {
        let committed = include_str!("../../../shared/dist/samples/edge.toml");
        let hint = "qc-edge config sample > shared/dist/samples/edge.toml";
        assert_eq!(committed.trim_end(), SCHEMA.sample().trim_end(), "{hint}");
    }

    #[test]
    fn the_schema_is_sound_and_its_sample_passes() {
        assert_eq!(SCHEMA.lint(), Vec::<String>::new());
        let sample = Source::new("sample.toml", SCHEMA.sample());
        EdgeConfig::from_loaded(&load(&SCHEMA, vec![sample], &[]).unwrap()).unwrap();
    }

    #[test]
    fn a_way_that_cannot_be_is_named() {
        for (line, words) in [
            ("proxy = \"https://proxy:1\"", "is no proxy such as"),
            (
                "proxy = \"http://u:hush@proxy:1\"",
                "proxy_credentials_file",
            ),
            ("source = \"eth0\"", "is no IPv4 or IPv6 address"),
            (
                "proxy = \"http://p:1\"\nno_proxy = [\"10.0.0.0/40\"]",
                "no network such as",
            ),
            ("proxy_credentials_file = \"/x\"", "no proxy to show it to"),
            ("connect_timeout = \"0s\"", "leaves no time"),
            ("websocket = \"allways\"", "\"fallback\", \"always\""),
        ] {
            let text = format!("schema = 1\n[uplink]\n{line}\n");
            let loaded = load(&SCHEMA, vec![Source::new("edge.toml", text)], &[]);
            let error = loaded.and_then(|loaded| EdgeConfig::from_loaded(&loaded));
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("edge.toml:3") || error.contains("edge.toml:4"),
                "{error}"
            );
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_sink_from_nowhere_is_named() {
        let text =
            "schema = 1\n[[sink]]\nname = \"s\"\nstream = \"acme/x\"\n[sink.file]\npath = \"/x\"\n";
        let loaded = load(&SCHEMA, vec![Source::new("edge.toml", text)], &[]).unwrap();
        let error = EdgeConfig::from_loaded(&loaded).unwrap_err().to_string();
        assert!(error.contains("[uplink] names none"), "{error}");
    }
}
