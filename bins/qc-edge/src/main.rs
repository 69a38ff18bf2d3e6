//! The qc-edge binary.

fn main() {}
