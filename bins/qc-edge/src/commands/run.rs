//! `qc-edge run`

use qc_core::cli::{Context, Failure};
use qc_core::service::{Notify, ServiceOptions, run_service};
use qc_core::telemetry::{self, LogOptions};

use crate::app;
use crate::config::EdgeConfig;

/// Run the edge in the foreground until SIGTERM
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<(), Failure> {
    let config = EdgeConfig::from_loaded(&context.load()?)?;
    let env = |name: &str| context.variable(name);
    let options = LogOptions::from_env_reader("qc-edge", "info", context.globals.verbose, &env)?;
    let log = telemetry::init(options)?;
    let keys = context.key_options(&config.store, &config.tenant_key);
    let again = context.clone();
    let read: app::ReadConfig = Box::new(move || EdgeConfig::from_loaded(&again.load()?));
    let options = ServiceOptions {
        notify: Notify::from_env_reader(&env),
        ..ServiceOptions::default()
    };
    run_service(options, move |service| {
        service.reopen_log_on_signal(log);
        app::run(config, keys, read, service)
    })
}
