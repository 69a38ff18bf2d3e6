//! Stories of `qc-pki`: the real binary, with `openssl` and `curl` as strangers who judge.

mod airgap;
mod enroll;
mod est;
mod judge;
mod kit;
