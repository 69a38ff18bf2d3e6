//! Stories: the shipped binaries as their users see them. One module a story, one integration binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what fails here fails its test"
)]

mod ack_order;
mod bad_input;
mod bad_lines;
mod control;
mod crossing;
mod curl;
mod dead_letters;
mod disk_errors;
mod disk_full;
mod drain;
mod front;
mod getting_through;
mod identity;
mod keys;
mod kill_any;
mod long_bodies;
mod over_the_link;
mod restarts;
mod restored;
mod retention;
mod shaping;
mod stranger;
mod three_tiers;
mod top;
mod twins;

/// A file beside this one that is no module here would be a story that nobody tells.
#[test]
fn no_story_is_forgotten() {
    let main = include_str!("main.rs");
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/stories");
    for entry in std::fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        let told = main.contains(&format!("\nmod {module};\n"));
        assert!(
            told || module == "main",
            "{name} is no module of stories/main.rs"
        );
    }
}
