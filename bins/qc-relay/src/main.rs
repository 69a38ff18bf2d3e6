//! The qc-relay binary.

fn main() {}
