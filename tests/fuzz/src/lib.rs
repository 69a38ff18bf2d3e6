//! Fuzz targets: whatever bytes come from a peer, a proxy, a file or a person, nothing panics, nothing grows
//! beyond its bound, and what was taken in comes out again as the same.
//!
//! A target is a function over bytes that fails its run by a panic. Where chance alone would never come past a
//! checksum, it reads its input as instructions instead and makes well-formed frames of them. `cargo xtask
//! evidence fuzz` drives them with coverage; `cargo test` replays what is kept in `corpus/` and `found/`, and
//! mutations of it with a fixed seed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails here has found something"
)]

pub mod corpus;
mod events;
mod files;
mod frames;
mod input;
pub mod mutate;
mod pki;
mod session;
mod texts;
mod ways;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its files.
    pub name: &'static str,
    /// What is fed to what.
    pub what: &'static str,
    /// What of the product it runs, as paths from the root: counts begin anew when that changes.
    pub sources: &'static [&'static str],
    /// The longest input that makes sense.
    pub longest: usize,
    /// Runs it on one input; a panic is a find.
    pub run: fn(&[u8]),
}

const WIRE: &str = "shared/qc-core/src/wire";
const LINK: &str = "shared/qc-core/src/link/session";
const REACH: &str = "shared/qc-core/src/reach";
const PKI: &str = "shared/qc-core/src/pki";
const MODEL: &str = "shared/qc-core/src/model";
const EVENTS: &str = "shared/qc-core/src/cloudevents";

impl Target {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self {
            name: "frames",
            what: "a byte stream in slices of any size to the frame decoder",
            sources: &[WIRE],
            longest: 8192,
            run: frames::frames,
        },
        Self {
            name: "control",
            what: "payloads of control messages of every kind, and back",
            sources: &[WIRE, MODEL],
            longest: 4096,
            run: frames::control,
        },
        Self {
            name: "records",
            what: "the payload of a batch, and back",
            sources: &[WIRE],
            longest: 4096,
            run: frames::records,
        },
        Self {
            name: "envelope",
            what: "the head of a record, and back",
            sources: &[WIRE, MODEL],
            longest: 2048,
            run: frames::envelope,
        },
        Self {
            name: "greeting",
            what: "the first frame of a peer to a session of either side",
            sources: &[WIRE, LINK],
            longest: 4200,
            run: session::greeting,
        },
        Self {
            name: "session",
            what: "frames, time and answers of the program in any order to a whole session",
            sources: &[WIRE, LINK],
            longest: 4096,
            run: session::session,
        },
        Self {
            name: "http-proxy",
            what: "the answer of a proxy to CONNECT",
            sources: &[REACH],
            longest: 10_000,
            run: ways::http_proxy,
        },
        Self {
            name: "socks5",
            what: "the answers of a SOCKS5 proxy",
            sources: &[REACH],
            longest: 600,
            run: ways::socks5,
        },
        Self {
            name: "websocket",
            what: "the answer to an upgrade and the messages behind it; the headers of a request for one",
            sources: &[REACH],
            longest: 10_000,
            run: ways::websocket,
        },
        Self {
            name: "events",
            what: "CloudEvents as JSON, one and in a batch, and back",
            sources: &[EVENTS, MODEL],
            longest: 4096,
            run: events::json,
        },
        Self {
            name: "headers",
            what: "CloudEvents as HTTP headers, and back",
            sources: &[EVENTS, MODEL],
            longest: 2048,
            run: events::headers,
        },
        Self {
            name: "config",
            what: "a configuration in TOML and its environment",
            sources: &["shared/qc-core/src/config"],
            longest: 4096,
            run: files::config,
        },
        Self {
            name: "filter",
            what: "a filter expression, and records to it",
            sources: &["shared/qc-core/src/filter.rs"],
            longest: 1100,
            run: texts::filter,
        },
        Self {
            name: "names",
            what: "names, addresses, times and patterns as text, and back",
            sources: &[MODEL, REACH],
            longest: 600,
            run: texts::names,
        },
        Self {
            name: "safe-text",
            what: "any text to a terminal",
            sources: &["shared/qc-core/src/safe_text.rs"],
            longest: 600,
            run: texts::safe_text,
        },
        Self {
            name: "certificate",
            what: "certificates, requests, lists of revoked ones and bundles in DER and PEM",
            sources: &[PKI],
            longest: 4096,
            run: pki::der,
        },
        Self {
            name: "join",
            what: "the files of a node that joins by a stick",
            sources: &[PKI],
            longest: 8192,
            run: pki::join,
        },
        Self {
            name: "control-object",
            what: "control objects as they come over a link or lie in a file, and their lists",
            sources: &["shared/qc-core/src/control", MODEL],
            longest: 4096,
            run: pki::control_object,
        },
        Self {
            name: "token",
            what: "an invitation as it is typed",
            sources: &[PKI],
            longest: 300,
            run: pki::token,
        },
    ];

    /// The target of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        const ALL: &[Target] = &Target::ALL;
        ALL.iter().find(|target| target.name == name)
    }
}
