//! The qc-pki binary.

fn main() {}
