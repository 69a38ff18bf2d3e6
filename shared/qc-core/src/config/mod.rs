//! Configuration: TOML against a schema, with file, line and column for every error and origin.
