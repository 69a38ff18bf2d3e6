//! The stable codes of getting through, `QC2040` to `QC2059`. A number never changes meaning.

use crate::wire::Code;

/// A name cannot be looked up, and no address of it was ever good.
pub const NO_NAME: Code = Code::new(2040);
/// The proxy wants credentials, or others.
pub const PROXY_CREDENTIALS: Code = Code::new(2042);
/// The proxy does not allow the relay.
pub const PROXY_FORBIDS: Code = Code::new(2043);
/// The proxy does not get through to the relay.
pub const PROXY_CANNOT_REACH: Code = Code::new(2044);
/// What answers does not speak the proxy's protocol.
pub const PROXY_GARBLED: Code = Code::new(2045);
/// Nobody answers where the proxy should be.
pub const PROXY_UNREACHABLE: Code = Code::new(2046);
/// The proxy did not answer in time.
pub const PROXY_SILENT: Code = Code::new(2047);
/// The file with the proxy's credentials cannot be used.
pub const CREDENTIALS_FILE: Code = Code::new(2048);
/// The proxy answered something else.
pub const PROXY_STATUS: Code = Code::new(2049);
/// The other side does not take a link over WebSocket.
pub const UPGRADE_REFUSED: Code = Code::new(2051);
/// Something on the way breaks mutual TLS.
pub const INSPECTED: Code = Code::new(2052);
/// The source address cannot be used.
pub const SOURCE: Code = Code::new(2053);
