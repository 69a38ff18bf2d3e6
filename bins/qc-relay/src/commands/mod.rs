//! One verb, one file. Verbs that ask a running relay do so over its admin socket.

pub(crate) mod fleet;
pub(crate) mod ledger;
pub(crate) mod publish;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod streams;
pub(crate) mod tail;

use std::path::PathBuf;

use qc_core::admin::Client;
use qc_core::cli::{ConfigCommand, ConfigPlace, Failure, Globals, Output};
use qc_core::clock::SystemClock;
use qc_core::config::{self, Loaded};
use qc_core::model::Timestamp;

use crate::config::{DEFAULT_FILE, DEFAULT_SOCKET, RelayConfig, SCHEMA};

/// What every verb has at hand.
pub(crate) struct Context {
    /// The global flags.
    pub globals: Globals,
    /// The socket that was named.
    pub socket: Option<PathBuf>,
    /// Both streams.
    pub out: Output,
}

impl Context {
    /// Now, for output.
    #[expect(
        clippy::unused_self,
        reason = "time comes from the context, wherever that has it from"
    )]
    pub(crate) fn now(&self) -> Timestamp {
        SystemClock::machine_time()
    }

    /// The configuration file and its overrides.
    pub(crate) fn load(&self) -> Result<(Loaded, RelayConfig), Failure> {
        let path = self.config_path();
        let loaded = config::load(&SCHEMA, config::read(&path, "qc-relay")?, &overrides())?;
        let parsed = RelayConfig::from_loaded(&loaded)?;
        Ok((loaded, parsed))
    }

    /// A client of the running relay: the socket that was named, else the configured one, else the
    /// usual one.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let socket = match (&self.socket, &self.globals.config) {
            (Some(socket), _) => socket.clone(),
            (None, Some(_)) => self.load()?.1.admin.socket,
            (None, None) => self.load().map_or_else(
                |_| PathBuf::from(DEFAULT_SOCKET),
                |(_, config)| config.admin.socket,
            ),
        };
        Ok(Client::new(socket, self.globals.timeout))
    }

    fn config_path(&self) -> PathBuf {
        self.globals
            .config
            .clone()
            .unwrap_or_else(|| PathBuf::from(DEFAULT_FILE))
    }
}

/// Runs `config check|show|sample|explain`.
pub(crate) fn config(context: &Context, verb: &ConfigCommand) -> Result<(), Failure> {
    let (path, env) = (context.config_path(), overrides());
    let place = ConfigPlace {
        schema: &SCHEMA,
        path: &path,
        env: &env,
    };
    verb.run(&place, &context.out, context.now(), |loaded| {
        RelayConfig::from_loaded(loaded).map(drop)
    })
}

/// Runs an asynchronous verb to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    qc_core::service::runtime(1)?.block_on(work)
}

fn overrides() -> Vec<(String, String)> {
    config::overrides(std::env::vars_os())
}
