//! Asking the relay for its fleet.

use std::path::Path;
use std::time::Duration;

use qc_core::admin::Client;
use qc_core::admin::api::{FLEET_SCHEMA, Fleet, Reply};
use qc_core::failure::{Exit, Failure};
use qc_core::safe_text::safe;
use tokio::runtime::{Builder, Runtime};

/// The longest wait for an answer; a view that asks every few seconds must not hang for half a minute.
const PATIENCE: Duration = Duration::from_secs(10);

/// A relay to ask. Each question blocks.
#[derive(Debug)]
pub(crate) struct Source {
    client: Client,
    runtime: Runtime,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As it came, with members that this version does not know.
    pub(crate) raw: String,
    /// As this version reads it.
    pub(crate) reply: Reply<Fleet>,
}

impl Source {
    /// The relay behind `socket`; nothing is asked yet.
    pub(crate) fn open(socket: &Path, timeout: Duration) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            client: Client::new("qc-relay", socket, timeout.min(PATIENCE)),
            runtime: runtime.map_err(|error| {
                Failure::new(Exit::Other, "QC6003", "cannot start the runtime").because(&error)
            })?,
        })
    }

    /// Asks for the fleet.
    pub(crate) fn fetch(&self) -> Result<Answer, Failure> {
        let raw = self.runtime.block_on(self.client.get_text("/v1/fleet"))?;
        Answer::parse(raw)
    }
}

impl Answer {
    /// Reads an answer.
    pub(crate) fn parse(raw: String) -> Result<Self, Failure> {
        let reply: Reply<Fleet> = serde_json::from_str(&raw).map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                "QC6004",
                "the relay's answer is not a fleet",
            )
            .because(&error)
            .help("compare the versions: qc-top --version, qc-relay --version")
        })?;
        if reply.schema != FLEET_SCHEMA {
            let theirs = safe(&reply.schema, 40);
            let message = format!("the relay speaks {theirs}, this qc-top {FLEET_SCHEMA}");
            return Err(Failure::new(Exit::Conflict, "QC6005", message)
                .help("use the qc-top of the relay's release"));
        }
        Ok(Self { raw, reply })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_schema_is_version_skew() {
        let raw = r#"{"schema":"qc.fleet/2","generated_at":"","source":"","data":{}}"#;
        let failure = Answer::parse(raw.to_owned()).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Conflict, "QC6005"));
        let failure = Answer::parse("[]".to_owned()).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Unreachable, "QC6004"));
    }
}
