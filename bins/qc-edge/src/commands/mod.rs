//! One verb, one file. Verbs that ask a running edge do so over its admin socket.

pub(crate) mod netdeps;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod streams;
