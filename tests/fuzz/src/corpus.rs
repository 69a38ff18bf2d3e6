//! Inputs as they are kept: one a line in hex, in `corpus/NAME.hex` what covers the code, in `found/NAME.hex`
//! what once broke it, with a word about each.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use crate::Target;

/// Where both folders are.
const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// The file of inputs that a fuzzer came to, the fewest that cover as much.
pub fn file(target: &Target) -> PathBuf {
    Path::new(HOME).join(format!("corpus/{}.hex", target.name))
}

/// All kept inputs of a target.
pub fn kept(target: &Target) -> Vec<Vec<u8>> {
    let found = Path::new(HOME).join(format!("found/{}.hex", target.name));
    let texts = [file(target), found].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    texts.iter().flat_map(|text| parse(text)).collect()
}

/// The inputs of a text; lines that begin with `#` are for people.
pub fn parse(text: &str) -> Vec<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let input = |line: &str| HEXLOWER.decode(line.trim().as_bytes()).unwrap();
    lines.map(input).collect()
}

/// The text of these inputs, short ones first, each once.
pub fn text(target: &Target, inputs: &[Vec<u8>]) -> String {
    let each: BTreeSet<(usize, &[u8])> = inputs.iter().map(|i| (i.len(), i.as_slice())).collect();
    let head = format!("# {}: {}\n", target.name, target.what);
    let lines = each.iter().map(|(_, input)| HEXLOWER.encode(input) + "\n");
    head + &lines.collect::<String>()
}
