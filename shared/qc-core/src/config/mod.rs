//! Configuration: TOML against a schema, with file, line and column for every error and origin.
//!
//! A binary declares a static [`Schema`] and serde structs. [`read`] takes the main file and its
//! drop-ins from disk, [`load`] checks all of it at once and merges, [`Loaded::parse`] fills the
//! structs. The same schema prints the sample file, explains sections and shows origins.
//!
//! ```toml
//! schema = 1
//! [node]                # Shape::One
//! name = "edge-012"
//! [[source]]            # Shape::Many, told apart by name
//! name = "lab-drop"
//! [source.file]         # Variant: exactly one of them
//! path = "/srv/lab/out"
//! ```
//!
//! Order of precedence: environment, drop-ins (later names win), main file, default.

mod complete;
mod daemon;
pub mod de;
mod load;
mod problem;
mod schema;
mod show;
mod source;
mod suggest;
mod units;
mod value;
mod variables;
mod walk;

pub use daemon::{
    ADMIN, ADMIN_GROUP, ADMIN_REMOTE, ADMIN_SOCKET, AdminSection, STORE_MAX, STORE_MIN_FREE,
    STORE_SEGMENT, StoreSection,
};
pub use load::{Loaded, load};
pub use problem::{Origin, Problem};
pub use schema::{Key, Kind, Schema, Section, Shape, Variant};
pub use source::{Source, read};
pub use units::{parse_duration, parse_size};
pub use variables::overrides;

#[cfg(test)]
mod tests;
