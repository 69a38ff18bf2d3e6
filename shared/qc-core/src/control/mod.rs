//! Control objects: what an operator has signed for many nodes, such as revocation lists.
//!
//! An object goes from a relay to the nodes below it, or by hand. Who carries it is not believed: every node
//! reads it ([`Object::decode`]), judges its signer and takes it only if it is newer than what it has ([`judge()`], [`step`]).
//! What it took is kept as it came ([`Kept`]), so that it can be handed on and told. Pure, but for that one
//! directory.

mod judge;
mod kept;
mod kind;
mod object;
mod revocations;
#[cfg(test)]
mod tests;

pub use judge::{Rejection, Signed, Step, judge, step};
pub use kept::{Kept, KeptError, MAX_KEPT};
pub use kind::{Kind, Label, Mark, UnknownKind};
pub use object::{
    Draft, MAX_AUDIENCE, MAX_OBJECT, MAX_PAYLOAD, Object, ObjectError, Parts, SignError,
};
pub use revocations::{Taken, lists as revocation_lists, pack as pack_revocations, take};
