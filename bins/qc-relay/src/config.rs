//! `/etc/qc/relay.toml`: what it may say, and what it says, parsed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use qc_core::cli::{Exit, Failure, store_problems};
use qc_core::config::{
    ADMIN, ADMIN_GROUP, ADMIN_REMOTE, ADMIN_SOCKET, AdminSection, Key, Kind, Loaded, Problem,
    STORE_MAX, STORE_MIN_FREE, STORE_SEGMENT, Schema, Section, Shape, StoreSection, de,
};
use qc_core::model::{DataClass, NodeName, NodePattern, Region, StreamName};
use qc_core::node::{CONTROL, ControlSection, PASSPHRASE_FILE, TENANT_KEYS, TenantKeySection};
use qc_core::store::Limits;
use qc_core::uplink::{UPLINK, UplinkSection};
use qc_core::wire::MAX_STREAMS;
use serde::Deserialize;

use crate::circles::{comes_back, own_parent};
use crate::hub::access::{Access, Direction, StreamRule};
use crate::retention::{ClassSection, Retention};

/// The main file where `-c` does not name another.
pub(crate) const DEFAULT_FILE: &str = "/etc/qc/relay.toml";
/// The admin socket where nothing names another.
pub(crate) const DEFAULT_SOCKET: &str = "/run/qc-relay/admin.sock";

/// How many there may be of something.
const COUNT: Kind = Kind::Integer {
    min: 1,
    max: 65_536,
};

/// What the file may say.
pub(crate) const SCHEMA: Schema = Schema {
    program: "qc-relay",
    file: DEFAULT_FILE,
    sections: &[
        Section {
            name: "node",
            shape: Shape::One,
            required: false,
            doc: "This relay. Its name and tenant come from its certificate, not from here.",
            keys: &[
                Key::new(
                    "state",
                    Kind::Path,
                    "Directory of the store, the identity and the trust bundle.",
                )
                .default("\"/var/lib/qc-relay\""),
                Key::new(
                    "region",
                    Kind::Label,
                    "Where this relay stands, shown in status and fleet.",
                )
                .example("\"eu-de\""),
            ],
            variants: &[],
        },
        Section {
            name: "listen",
            shape: Shape::One,
            required: false,
            doc: "The one port: links, HTTP and enrollment are told apart by ALPN.",
            keys: &[
                Key::new("address", Kind::Listen, "Address and port.").default("\"0.0.0.0:7443\""),
                Key::new(
                    "handshake",
                    Kind::Duration,
                    "Time for a whole TLS handshake.",
                )
                .default("\"5s\""),
                Key::new(
                    "pending",
                    COUNT,
                    "Connections that may be in their handshake at once.",
                )
                .default("512"),
                Key::new(
                    "pending_per_address",
                    COUNT,
                    "Of those from one IPv4 address or one /64 of IPv6. Where nodes have linked from may be more, if there is room.",
                )
                .default("16"),
                Key::new(
                    "reserved",
                    Kind::Integer {
                        min: 0,
                        max: 65_536,
                    },
                    "Places of pending and of connections that only addresses get from which a node has linked. Without it 64, but at most an eighth of either.",
                )
                .example("64"),
                Key::new(
                    "anonymous",
                    COUNT,
                    "HTTP connections of clients without a certificate at once; one address has as many as pending_per_address.",
                )
                .default("256"),
                Key::new(
                    "connections",
                    Kind::Integer {
                        min: 16,
                        max: 10_000_000,
                    },
                    "Connections at once. Without it, and at most, what the system's limit of open files leaves.",
                )
                .example("20_000"),
            ],
            variants: &[],
        },
        Section {
            keys: &[
                ADMIN_SOCKET.default("\"/run/qc-relay/admin.sock\""),
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
            doc: "The durable log. Every acknowledgement follows an fdatasync of it.",
            keys: &[
                STORE_MAX.default("\"100GiB\""),
                STORE_SEGMENT.default("\"32MiB\""),
                STORE_MIN_FREE,
                Key::new(
                    "dead_letters",
                    Kind::Size,
                    "The most bytes of messages kept with the reason why they were refused. The default \
                     is 5% of max, 1GiB at most; beyond it publishers are refused without a copy.",
                )
                .example("\"1GiB\""),
                PASSPHRASE_FILE,
            ],
            variants: &[],
        },
        Section {
            name: "http",
            shape: Shape::One,
            required: false,
            doc: "Ingest and read over HTTP, on the same port.",
            keys: &[
                Key::new(
                    "max_body",
                    Kind::Size,
                    "The largest request body, at most 1GiB; one that is JSON of CloudEvents at most 16MiB.",
                )
                .default("\"1MiB\""),
                Key::new(
                    "max_wait",
                    Kind::Duration,
                    "The longest time a reader may wait.",
                )
                .default("\"60s\""),
            ],
            variants: &[],
        },
        Section {
            name: "link",
            shape: Shape::One,
            required: false,
            doc: "Links of edges.",
            keys: &[Key::new(
                "heartbeat",
                Kind::Duration,
                "Time between heartbeats; after two missing ones a link is stale.",
            )
            .default("\"5s\"")],
            variants: &[],
        },
        Section {
            doc: "The link to a parent relay. What goes up says 'uplink' of [[stream]] and of [[class]]; \
                  without both nothing does. Outbound only.",
            ..UPLINK
        },
        Section {
            name: "est",
            shape: Shape::One,
            required: false,
            doc: "Enrollment on this relay's port (RFC 7030). Without 'pki' it is off.",
            keys: &[
                Key::new("pki", Kind::Path, "The directory that qc-pki init made.")
                    .example("\"/var/lib/qc-pki\""),
                Key::new("ca", Kind::Label, "The issuing CA that signs.").example("\"issuing-hq\""),
                Key::new(
                    "passphrase_file",
                    Kind::Path,
                    "File with the passphrase of that CA's key.",
                )
                .example("\"/run/credentials/qc-relay.service/ca-pass\""),
            ],
            variants: &[],
        },
        TENANT_KEYS,
        Section {
            name: "class",
            shape: Shape::Many,
            required: false,
            doc: "What messages of a class may: how long they stay, and whether they leave to the parent. A stream \
                  of the class that asks for more is an error; one that says nothing takes this.",
            keys: &[
                Key::new("name", Kind::Label, "The class, as the streams name it.")
                    .required()
                    .example("\"internal\"")
                    .reload(),
                Key::new(
                    "keep",
                    Kind::Duration,
                    "The longest time that a message stays when every consumer has it.",
                )
                .example("\"7d\"")
                .reload(),
                Key::new(
                    "expire",
                    Kind::Duration,
                    "The longest time that a message stays, taken or not.",
                )
                .example("\"30d\"")
                .reload(),
                Key::new(
                    "uplink",
                    Kind::Bool,
                    "Whether messages of it may go to the parent. One that states a class without this stays \
                     here, whatever its stream says.",
                )
                .default("false")
                .reload(),
            ],
            variants: &[],
        },
        Section {
            name: "stream",
            shape: Shape::Many,
            required: false,
            doc: "A stream of this relay. What is not declared here does not exist, and whom no pattern \
                  names may not.",
            keys: &[
                Key::new("name", Kind::StreamName, "TENANT/NAME.")
                    .required()
                    .example("\"acme/lab-results\"")
                    .reload(),
                Key::new(
                    "class",
                    Kind::Label,
                    "The class of the data in it; messages of another class are refused.",
                )
                .required()
                .example("\"internal\"")
                .reload(),
                Key::new(
                    "publish",
                    Kind::List(&Kind::String),
                    "Nodes that may publish: NODE.SITE.TENANT, a label may be *.",
                )
                .default("[]")
                .example("[\"*.mill7.acme\"]")
                .reload(),
                Key::new(
                    "subscribe",
                    Kind::List(&Kind::String),
                    "Nodes that may subscribe and read.",
                )
                .default("[]")
                .example("[\"*.dock2.acme\"]")
                .reload(),
                Key::new(
                    "uplink",
                    Kind::Enum(&["none", "send", "receive"]),
                    "send: what is stored here goes to the parent's stream of this name, and is kept until it is \
                     on disk there. receive: what is stored there comes here.",
                )
                .default("\"none\"")
                .reload(),
                Key::new(
                    "keep",
                    Kind::Duration,
                    "How long a message stays after it was accepted, if every consumer has it. \
                     Without it what the class says, else 7d.",
                )
                .example("\"7d\"")
                .reload(),
                Key::new(
                    "expire",
                    Kind::Duration,
                    "How long a message stays at most, taken or not; what was not taken counts as expired. \
                     Without it what the class says, else nothing ever expires.",
                )
                .example("\"30d\"")
                .reload(),
                Key::new(
                    "max_messages",
                    Kind::Integer { min: 1, max: i64::MAX },
                    "The most messages. What every consumer has goes first; then publishers are refused.",
                )
                .example("1000000")
                .reload(),
                Key::new(
                    "max_bytes",
                    Kind::Size,
                    "The most bytes, likewise.",
                )
                .example("\"10GiB\"")
                .reload(),
            ],
            variants: &[],
        },
    ],
};

/// What the file says.
#[derive(Debug, Deserialize)]
pub(crate) struct RelayConfig {
    /// `[node]`
    pub node: NodeSection,
    /// `[listen]`
    pub listen: ListenSection,
    /// `[admin]`
    pub admin: AdminSection,
    /// `[control]`
    pub control: ControlSection,
    /// `[store]`
    pub store: StoreSection,
    /// `[http]`
    pub http: HttpSection,
    /// `[link]`
    pub link: LinkSection,
    /// `[uplink]`
    pub uplink: UplinkSection,
    /// `[est]`
    #[serde(default)]
    pub est: EstSection,
    /// `[[class]]`
    #[serde(default)]
    pub class: Vec<ClassSection>,
    /// `[[stream]]`
    #[serde(default)]
    stream: Vec<StreamSection>,
    /// `[[tenant_key]]`
    #[serde(default)]
    pub tenant_key: Vec<TenantKeySection>,
}

/// `[node]`
#[derive(Debug, Deserialize)]
pub(crate) struct NodeSection {
    /// The state directory.
    pub state: PathBuf,
    /// Where this relay stands.
    #[serde(default, deserialize_with = "de::maybe_parsed")]
    pub region: Option<Region>,
}

/// `[listen]`
#[derive(Debug, Deserialize)]
pub(crate) struct ListenSection {
    /// Address and port.
    #[serde(deserialize_with = "de::parsed")]
    pub address: SocketAddr,
    /// Time for a whole handshake.
    #[serde(deserialize_with = "de::duration")]
    pub handshake: Duration,
    /// Handshakes at once.
    pub pending: usize,
    /// Those of one address.
    pub pending_per_address: usize,
    /// Places for known addresses.
    #[serde(default)]
    pub reserved: Option<usize>,
    /// HTTP connections without a certificate.
    pub anonymous: usize,
    /// Connections of any kind.
    #[serde(default)]
    pub connections: Option<usize>,
}

/// `[http]`
#[derive(Debug, Deserialize)]
pub(crate) struct HttpSection {
    /// The largest body.
    #[serde(deserialize_with = "de::size")]
    pub max_body: u64,
    /// The longest wait of a reader.
    #[serde(deserialize_with = "de::duration")]
    pub max_wait: Duration,
}

/// `[link]`
#[derive(Debug, Deserialize)]
pub(crate) struct LinkSection {
    /// Time between heartbeats.
    #[serde(deserialize_with = "de::duration")]
    pub heartbeat: Duration,
}

/// `[est]`
#[derive(Debug, Default, Deserialize)]
pub(crate) struct EstSection {
    /// The PKI directory.
    pub pki: Option<PathBuf>,
    /// The issuing CA.
    pub ca: Option<String>,
    /// Its passphrase.
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct StreamSection {
    #[serde(deserialize_with = "de::parsed")]
    name: StreamName,
    #[serde(deserialize_with = "de::parsed")]
    class: DataClass,
    publish: Vec<String>,
    subscribe: Vec<String>,
    #[serde(deserialize_with = "de::parsed")]
    uplink: Direction,
    #[serde(default, deserialize_with = "de::maybe_duration")]
    keep: Option<Duration>,
    #[serde(default, deserialize_with = "de::maybe_duration")]
    expire: Option<Duration>,
    #[serde(default)]
    max_messages: Option<u64>,
    #[serde(default, deserialize_with = "de::maybe_size")]
    max_bytes: Option<u64>,
}

impl ListenSection {
    /// The places for known addresses, of so many `connections`.
    pub(crate) fn reserved(&self, connections: usize) -> usize {
        let most = self.pending.min(connections) / 8;
        self.reserved.unwrap_or_else(|| most.min(64))
    }
}

impl RelayConfig {
    /// Reads a configuration that the schema has accepted and checks what only this binary can see.
    pub(crate) fn from_loaded(loaded: &Loaded) -> Result<Self, Failure> {
        let config: Self = loaded.parse()?;
        let mut problems = Vec::new();
        let mut problem = |path: String, message: String| {
            problems.push(loaded.problem(&path, "QC1020", message));
        };
        for stream in &config.stream {
            for (key, patterns) in [
                ("publish", &stream.publish),
                ("subscribe", &stream.subscribe),
            ] {
                for pattern in patterns {
                    if let Err(error) = pattern.parse::<NodePattern>() {
                        problem(format!("stream[{}].{key}", stream.name), error.to_string());
                    }
                }
            }
        }
        let most = config.listen.connections.unwrap_or(usize::MAX);
        if config.listen.reserved(most) >= config.listen.pending.min(most) {
            problem(
                "listen.reserved".to_owned(),
                "it leaves nobody a place who was not here before".to_owned(),
            );
        }
        if config.http.max_body > qc_core::parts::MAX_WHOLE {
            problem(
                "http.max_body".to_owned(),
                "at most 1GiB is possible".to_owned(),
            );
        }
        if config.est.pki.is_some() != config.est.ca.is_some() {
            problem(
                "est.pki".to_owned(),
                "'pki' and 'ca' belong together".to_owned(),
            );
        }
        problems.extend(store_problems(loaded, &config.store, &config.tenant_key));
        problems.extend(config.uplink.problem(loaded));
        if let Some(relay) = own_parent(config.listen.address, &config.uplink.relay) {
            let message = format!("{relay} is this relay itself: messages would go in a circle");
            problems.push(loaded.problem("uplink.relay", "QC1020", message));
        }
        problems.extend(config.uplink_problems(loaded));
        for class in &config.class {
            problems.extend(class.problem(loaded));
        }
        for rule in config.access().streams() {
            if let Some(class) = config.class(&rule.class) {
                problems.extend(rule.retention.problems(&rule.name, class, loaded));
            }
        }
        loaded.refuse(problems)?;
        Ok(config)
    }

    /// What holds for every declared stream.
    pub(crate) fn access(&self) -> Access {
        let parsed = |list: &[String]| list.iter().filter_map(|text| text.parse().ok()).collect();
        let rule = |stream: &StreamSection| {
            let own = Limits {
                keep: stream.keep,
                expire: stream.expire,
                max_messages: stream.max_messages,
                max_bytes: stream.max_bytes,
            };
            StreamRule {
                name: stream.name.clone(),
                class: stream.class.clone(),
                publish: parsed(&stream.publish),
                subscribe: parsed(&stream.subscribe),
                retention: Retention::of(&own, self.class(&stream.class)),
                uplink: stream.uplink,
            }
        };
        Access::new(self.stream.iter().map(rule), self.class.clone())
    }

    /// Streams that have something to do with a parent and cannot.
    fn uplink_problems(&self, loaded: &Loaded) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut counts = [0; 2];
        let mut say = |stream: &StreamSection, message: String, help: String| {
            let path = format!("stream[{}].uplink", stream.name);
            problems.push(loaded.problem(&path, "QC1020", message).help(help));
        };
        for stream in &self.stream {
            let back = |parent| {
                let verb = comes_back(stream.uplink, parent, &stream.publish, &stream.subscribe);
                verb.zip(Some(parent))
            };
            if let Some((verb, parent)) = self.uplink.name.as_ref().and_then(back) {
                let message =
                    format!("'{verb}' names the parent {parent}: it would go in a circle");
                let help = format!("take {parent} out of '{verb}', or uplink = \"none\"");
                say(stream, message, help);
            }
            let [sent, received] = &mut counts;
            let count = match stream.uplink {
                Direction::None => continue,
                Direction::Send => sent,
                Direction::Receive => received,
            };
            *count += 1;
            if *count > MAX_STREAMS {
                let message = format!("a link carries {MAX_STREAMS} streams each way");
                let help = "fewer streams with 'uplink', or another relay for some".to_owned();
                say(stream, message, help);
            }
            if self.uplink.relay.is_empty() {
                let help = "[uplink] relay = [\"HOST:PORT\"]".to_owned();
                say(
                    stream,
                    "there is no parent: [uplink] names none".to_owned(),
                    help,
                );
            }
            let class = &stream.class;
            let may = self.class(class).is_some_and(|class| class.uplink);
            if stream.uplink == Direction::Send && !may {
                let message = format!("class '{class}' does not go to the parent");
                let help = format!("[[class]] name = \"{class}\", uplink = true, if it may leave");
                say(stream, message, help);
            }
        }
        problems
    }

    /// Streams of another tenant than this relay's have nothing to do with a parent: it would refuse them,
    /// and they would be kept for it for ever. The name is in the certificate, so this is known late.
    pub(crate) fn refuse_foreign(&self, node: &NodeName) -> Result<(), Failure> {
        let foreign = |stream: &&StreamSection| {
            stream.uplink != Direction::None && stream.name.tenant() != node.tenant()
        };
        let Some(stream) = self.stream.iter().find(foreign) else {
            return Ok(());
        };
        let name = &stream.name;
        let message =
            format!("{name} belongs to another tenant than {node}: no parent takes it from here");
        Err(Failure::new(Exit::Config, "QC1020", message)
            .help("uplink = \"none\" for it, or a relay of its own tenant"))
    }

    fn class(&self, name: &DataClass) -> Option<&ClassSection> {
        self.class.iter().find(|class| class.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qc_core::config::{Source, load};

    #[test]
    fn the_committed_sample_is_what_the_program_prints() {
        let committed = include_str!("../../../shared/dist/samples/relay.toml");
        let hint = "qc-relay config sample > shared/dist/samples/relay.toml";
        assert_eq!(committed.trim_end(), SCHEMA.sample().trim_end(), "{hint}");
    }

    #[test]
    fn the_schema_is_sound_and_its_sample_passes() {
        assert_eq!(SCHEMA.lint(), Vec::<String>::new());
        let sample = Source::new("sample.toml", SCHEMA.sample());
        RelayConfig::from_loaded(&load(&SCHEMA, vec![sample], &[]).unwrap()).unwrap();
    }

    #[test]
    fn few_places_leave_some_to_strangers() {
        let read = |listen: &str| {
            let text = format!("schema = 1\n[listen]\n{listen}\n");
            let loaded = load(&SCHEMA, vec![Source::new("relay.toml", text)], &[]);
            loaded.and_then(|loaded| RelayConfig::from_loaded(&loaded))
        };
        for (listen, connections, reserved) in [
            ("", 20_000, 64),
            ("", 256, 32),
            ("pending = 64", 20_000, 8),
            ("pending = 1", 20_000, 0),
            ("connections = 16", 16, 2),
            ("reserved = 63\npending = 64", 20_000, 63),
        ] {
            let config = read(listen).unwrap();
            assert_eq!(config.listen.reserved(connections), reserved, "{listen}");
        }
        assert!(read("reserved = 64\npending = 64").is_err());
    }

    #[test]
    fn what_cannot_go_to_a_parent_is_named_with_its_place() {
        let class = "[[class]]\nname = \"c\"\nuplink = true\n";
        let parent = "[uplink]\nrelay = [\"hq:1\"]\n";
        for (more, uplink, words) in [
            (class, "send", Some("no parent: [uplink] names none")),
            (class, "receive", Some("no parent: [uplink] names none")),
            (parent, "send", Some("class 'c' does not go to the parent")),
            (parent, "both", Some("\"send\", \"receive\"")),
            (parent, "receive", None),
            ("", "none", None),
        ] {
            let text = format!(
                "schema = 1\n[[stream]]\nname = \"acme/x\"\nclass = \"c\"\nuplink = \"{uplink}\"\n{more}"
            );
            let loaded = load(&SCHEMA, vec![Source::new("relay.toml", text)], &[]);
            let read = loaded.and_then(|loaded| RelayConfig::from_loaded(&loaded));
            let error = read.err().map(|error| error.to_string());
            match words {
                None => assert_eq!(error, None, "{uplink}"),
                Some(words) => {
                    let error = error.unwrap();
                    assert!(
                        error.contains("relay.toml:5") && error.contains(words),
                        "{error}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_would_go_in_a_circle_is_refused() {
        let read = |uplink: &str, stream: &str| {
            let text = format!(
                "schema = 1\n[uplink]\nname = \"relay-1.hq.acme\"\nrelay = [\"{uplink}\"]\n\
                 [[class]]\nname = \"c\"\nuplink = true\n\
                 [[stream]]\nname = \"acme/x\"\nclass = \"c\"\nuplink = \"send\"\n{stream}"
            );
            let loaded = load(&SCHEMA, vec![Source::new("relay.toml", text)], &[]);
            let read = loaded.and_then(|loaded| RelayConfig::from_loaded(&loaded));
            read.err()
                .map_or_else(String::new, |error| error.to_string())
        };
        assert_eq!(read("hq.example:7443", ""), "");
        let own = read("127.0.0.1:7443", "");
        assert!(
            own.contains("relay.toml:4") && own.contains("this relay itself"),
            "{own}"
        );
        let back = read("hq.example:7443", "publish = [\"relay-1.hq.acme\"]\n");
        assert!(
            back.contains("relay.toml:11") && back.contains("'publish' names"),
            "{back}"
        );
    }

    #[test]
    fn a_bad_pattern_is_named_with_its_place() {
        let text =
            "schema = 1\n[[stream]]\nname = \"acme/x\"\nclass = \"c\"\npublish = [\"mill7\"]\n";
        let loaded = load(&SCHEMA, vec![Source::new("relay.toml", text)], &[]).unwrap();
        let error = RelayConfig::from_loaded(&loaded).unwrap_err().to_string();
        assert!(
            error.contains("relay.toml:5") && error.contains("'mill7'"),
            "{error}"
        );
    }
}
