//! `qc-relay run`

use qc_core::cli::Failure;
use qc_core::config;
use qc_core::service::{Notify, ServiceOptions, run_service};
use qc_core::telemetry;

use super::{Context, overrides};
use crate::app;
use crate::config::{RelayConfig, SCHEMA};

/// Run the relay in the foreground until SIGTERM
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<(), Failure> {
    let env = |name: &str| std::env::var(name).ok();
    let (_, parsed) = context.load()?;
    let verbose = context.globals.verbose;
    telemetry::init(telemetry::LogOptions::from_env_reader(
        "qc-relay", "info", verbose, &env,
    )?)?;
    let path = context.config_path();
    let read: app::ReadConfig = Box::new(move || {
        let loaded = config::load(&SCHEMA, config::read(&path, "qc-relay")?, &overrides())?;
        RelayConfig::from_loaded(&loaded)
    });
    let options = ServiceOptions {
        notify: Notify::from_env_reader(&env),
        ..ServiceOptions::default()
    };
    run_service(options, move |service| app::run(parsed, read, service))
}
