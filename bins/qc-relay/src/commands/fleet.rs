//! `qc-relay fleet`

use qc_core::admin::api::{FLEET_SCHEMA, Fleet};
use qc_core::cli::{Context, Failure, Table, human_duration};
use qc_core::safe_text::safe;
use std::time::Duration;

/// List the nodes this relay knows, with state and backlog
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<(), Failure> {
    let text = |fleet: &Fleet| table(fleet).render(context.headers());
    let shown = context.show("/v1/fleet", FLEET_SCHEMA, text);
    shown.map(drop)
}

fn table(fleet: &Fleet) -> Table {
    let mut table = Table::new(&[
        "NODE", "ROLE", "STATE", ">BACKLOG", ">OLDEST", ">IN/S", ">OUT/S", ">DISK", ">CERT", "WHY",
    ]);
    for node in &fleet.nodes {
        let age = |ms: u64| human_duration(Duration::from_millis(ms));
        table.row([
            safe(&node.name, 200),
            node.role.clone(),
            node.state.as_str().to_uppercase(),
            node.backlog_messages.to_string(),
            node.oldest_ms.map_or_else(|| "-".to_owned(), age),
            format!("{:.0}", node.in_per_s),
            format!("{:.0}", node.out_per_s),
            node.disk_used_percent
                .map_or_else(|| "-".to_owned(), |used| format!("{used}%")),
            node.cert_left_s
                .map_or_else(|| "-".to_owned(), |s| format!("{}d", s.div_euclid(86_400))),
            match (&node.code, &node.reason) {
                (Some(code), Some(reason)) => format!("{code} {}", safe(reason, 200)),
                _ => String::new(),
            },
        ]);
    }
    table
}
