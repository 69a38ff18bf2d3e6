//! The qc-top binary.

fn main() {}
