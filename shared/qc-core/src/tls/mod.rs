//! TLS for links and front doors: credentials, the one peer verifier.
