//! `qc-pki list`

use std::collections::BTreeMap;
use std::time::Duration;

use qc_core::cli::{Failure, Table, human_duration, parse_duration};
use qc_core::model::Timestamp;
use qc_core::pki::{Issuance, PkiDir};
use serde_json::json;

use super::Context;
use crate::cli::HouseArg;
use crate::failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the newest of each name, if it ends within this time or has ended
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    expiring: Option<Duration>,

    /// Only this kind
    #[arg(long, value_name = "KIND", value_parser = ["node", "front", "ca"])]
    profile: Option<String>,

    #[command(flatten)]
    house: HouseArg,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let house = PkiDir::open(&args.house.dir).map_err(failure::dir)?;
    let entries = house.log().read().map_err(failure::log)?;
    // an act that crashed before its answer may have logged a serial twice: the last one counts
    let mut by_serial: BTreeMap<String, (usize, Issuance)> = BTreeMap::new();
    for (at, entry) in entries.into_iter().enumerate() {
        by_serial.insert(entry.serial.clone(), (at, entry));
    }
    let mut rows: Vec<(usize, Issuance)> = by_serial.into_values().collect();
    rows.sort_by_key(|(at, _)| *at);
    let mut rows: Vec<Issuance> = rows.into_iter().map(|(_, entry)| entry).collect();
    if let Some(profile) = &args.profile {
        rows.retain(|entry| entry.profile == *profile);
    }
    if let Some(within) = args.expiring {
        rows = newest_of_each(rows);
        rows.retain(|entry| end(entry) <= context.now.plus(within));
    }
    let mut data = Vec::new();
    let mut table = Table::new(&[
        "NAME", "ROLE", "STATE", ">LEFT", "EXPIRES", "CA", "CAUSE", "SERIAL",
    ]);
    for entry in &rows {
        let state = state(entry, &house, context.now)?;
        let left = end(entry).since(context.now);
        table.row([
            entry.name.clone(),
            entry.role.clone().unwrap_or_else(|| entry.profile.clone()),
            state.to_owned(),
            human_duration(left),
            entry.not_after.clone(),
            entry.ca.clone(),
            entry.cause.clone(),
            entry.serial.clone(),
        ]);
        data.push(json!({
            "name": entry.name, "profile": entry.profile, "role": entry.role, "state": state,
            "serial": entry.serial, "issued": entry.at, "not_after": entry.not_after,
            "left_s": left.as_secs(), "ca": entry.ca, "cause": entry.cause, "key": entry.key,
        }));
    }
    context.out.result("qc.pki-list/1", context.now, &data, || {
        table.render(!context.out.no_headers())
    })
}

fn newest_of_each(rows: Vec<Issuance>) -> Vec<Issuance> {
    let mut newest: BTreeMap<(String, String), Issuance> = BTreeMap::new();
    for entry in rows {
        newest.insert((entry.profile.clone(), entry.name.clone()), entry);
    }
    newest.into_values().collect()
}

fn end(entry: &Issuance) -> Timestamp {
    Timestamp::parse_rfc3339(&entry.not_after).unwrap_or_default()
}

fn state(entry: &Issuance, house: &PkiDir, now: Timestamp) -> Result<&'static str, Failure> {
    // a root is logged under itself and stands on no list
    if house
        .is_revoked(&entry.ca, &entry.serial)
        .map_err(failure::dir)?
    {
        Ok("revoked")
    } else if end(entry) < now {
        Ok("expired")
    } else {
        Ok("valid")
    }
}
