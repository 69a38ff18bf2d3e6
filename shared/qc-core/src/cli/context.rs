//! What every verb of a daemon's binary has at hand: flags, streams, configuration, the running daemon.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ConfigCommand, ConfigPlace, Failure, Globals, Output};
use crate::admin::Client;
use crate::admin::api::Reply;
use crate::clock::SystemClock;
use crate::config::{self, AdminSection, Loaded, Schema};
use crate::model::{NodeName, Timestamp};

/// Where a relay answers when nothing says otherwise.
const RELAY_SOCKET: &str = "/run/qc-relay/admin.sock";

/// One daemon binary.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name, such as `qc-edge`.
    pub name: &'static str,
    /// What its configuration may say; `[admin] socket` is where the daemon answers.
    pub schema: &'static Schema,
    /// Where it answers when there is no configuration.
    pub socket: &'static str,
}

/// The surroundings of one command.
#[derive(Debug, Clone)]
pub struct Context {
    /// The binary.
    pub program: Program,
    /// The global flags.
    pub globals: Globals,
    /// The socket that was named on the command line.
    pub socket: Option<PathBuf>,
    /// The node that is meant, where it is not the daemon behind the socket.
    pub node: Option<NodeName>,
    /// Both output streams.
    pub out: Output,
    /// The environment, as `main` has read it.
    pub env: Vec<(OsString, OsString)>,
}

/// What a configuration says of where the daemon answers.
#[derive(Deserialize)]
struct Answers {
    admin: AdminSection,
}

impl Context {
    /// Now, for output.
    pub fn now(&self) -> Timestamp {
        SystemClock::machine_time()
    }

    /// A variable of the environment.
    pub fn variable(&self, name: &str) -> Option<String> {
        let (_, value) = self.env.iter().find(|(known, _)| known == name)?;
        value.to_str().map(str::to_owned)
    }

    /// The configuration: main file, drop-ins, environment.
    pub fn load(&self) -> Result<Loaded, Failure> {
        let sources = config::read(self.config_path(), self.program.name)?;
        config::load(self.program.schema, sources, &self.overrides())
    }

    /// A client of the running daemon: at the socket that was named, else at the configured one, else
    /// at the usual one.
    pub fn client(&self) -> Result<Client, Failure> {
        if let Some(node) = &self.node {
            let usual = || PathBuf::from(RELAY_SOCKET);
            let socket = self.socket.clone().unwrap_or_else(usual);
            return Ok(Client::new("qc-relay", socket, self.globals.timeout).of_node(node));
        }
        let configured = || -> Result<PathBuf, Failure> {
            let Answers { admin } = self.load()?.parse()?;
            Ok(admin.socket)
        };
        let socket = match (&self.socket, &self.globals.config) {
            (Some(socket), _) => socket.clone(),
            (None, Some(_)) => configured()?,
            (None, None) => configured().unwrap_or_else(|_| PathBuf::from(self.program.socket)),
        };
        Ok(Client::new(self.program.name, socket, self.globals.timeout))
    }

    /// Runs `config check|show|sample|explain`.
    pub fn config(
        &self,
        verb: &ConfigCommand,
        check: impl FnOnce(&Loaded) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let env = self.overrides();
        let place = ConfigPlace {
            schema: self.program.schema,
            path: self.config_path(),
            env: &env,
        };
        verb.run(&place, &self.out, self.now(), check)
    }

    /// Asks the daemon for `path` and prints its answer: as JSON of `schema`, or as the text that `text`
    /// makes of it.
    pub fn show<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        schema: &str,
        text: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let client = self.client()?;
        let Reply { data, .. } = self.block_on(client.get_json::<Reply<T>>(path))?;
        self.out.result(schema, self.now(), &data, || text(&data))?;
        Ok(data)
    }

    /// Whether tables have their header.
    pub fn headers(&self) -> bool {
        !self.out.no_headers()
    }

    /// Runs an asynchronous verb to its end.
    pub fn block_on<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        crate::service::runtime(1)?.block_on(work)
    }

    fn config_path(&self) -> &Path {
        self.globals
            .config
            .as_deref()
            .unwrap_or_else(|| Path::new(self.program.schema.file))
    }

    fn overrides(&self) -> Vec<(String, String)> {
        config::overrides(self.env.iter().cloned())
    }
}
