//! The stable codes of the link, `QC2200` to `QC2299` and a few of others. A number never changes meaning.

use crate::wire::Code;

/// The peer did not accept our certificate, with the code that TLS has for it.
pub const NOT_ADMITTED: Code = Code::new(2032);
/// The node is shutting down or restarting; nothing is wrong.
pub const GOING_AWAY: Code = Code::new(2200);
/// The peer broke the protocol.
pub const PROTOCOL: Code = Code::new(2201);
/// The two nodes have no protocol version in common.
pub const VERSION: Code = Code::new(2202);
/// The peer did not greet in time.
pub const HELLO_TIMEOUT: Code = Code::new(2203);
/// Nothing was heard from the peer for too long.
pub const SILENT: Code = Code::new(2204);
/// The peer acknowledged what was never sent to it.
pub const FORGED_ACK: Code = Code::new(2205);
/// Numbers in a batch do not rise, or belong to another channel or epoch.
pub const ORDER: Code = Code::new(2206);
/// The peer sent more than it was granted.
pub const WINDOW: Code = Code::new(2207);
/// Bytes that are not frames of this protocol.
pub const FRAME: Code = Code::new(2208);
/// More channels than a session may have.
pub const TOO_MANY: Code = Code::new(2209);
/// The name in the greeting is not the one in the certificate.
pub const WRONG_NODE: Code = Code::new(2210);
/// The peer takes no bytes, or asks without reading the answers.
pub const SLOW: Code = Code::new(2211);
/// A newer link of the same node took over.
pub const REPLACED: Code = Code::new(2212);
/// The receiver has more of this epoch than the sender: the sender's store went back in time.
pub const REWOUND: Code = Code::new(2213);
/// A channel answers a subscription that was never made.
pub const NOT_ASKED: Code = Code::new(2214);
/// The connection was cut without a farewell.
pub const CUT: Code = Code::new(2215);
/// The stream ends here, or its epoch changed; nothing is wrong.
pub const ENDED: Code = Code::new(2216);
/// No relay could be reached.
pub const UNREACHABLE: Code = Code::new(2217);
/// The peer may not send or read this stream.
pub const NOT_ALLOWED: Code = Code::new(2218);
/// The peer runs a version that takes no calls.
pub const NO_CALLS: Code = Code::new(2230);
/// Nothing of this name can be called here, or not by this peer.
pub const NO_TARGET: Code = Code::new(2231);
/// The peer runs a version that takes no messages in parts.
pub const NO_PARTS: Code = Code::new(4020);
/// There is no such stream here.
pub const NO_STREAM: Code = Code::new(2219);
/// The relay is drained: it sends its peers away, and takes none until it is resumed.
pub const DRAINED: Code = Code::new(2240);
/// Two machines take turns with one identity.
pub const DUPLICATE: Code = Code::new(2225);
