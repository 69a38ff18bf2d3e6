//! One verb, one file. Verbs that ask a running relay do so over its admin socket.

pub(crate) mod consumer;
pub(crate) mod control;
pub(crate) mod drain;
pub(crate) mod fleet;
pub(crate) mod node;
pub(crate) mod publish;
pub(crate) mod reload;
pub(crate) mod resume;
pub(crate) mod retention;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod streams;
pub(crate) mod tail;
