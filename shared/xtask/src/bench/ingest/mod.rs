//! `cargo xtask bench ingest`: messages a second that a relay acknowledges after fdatasync, over real
//! mTLS links, producers on the same two cores.
//!
//! Each connection is an edge with a certificate of its own and keeps so many messages unacknowledged.
//! The relay is the shipped binary as a process of its own; its CPU time comes from the kernel. The raw
//! limit (one writer, a batch, one fdatasync) is measured in the same rounds.

pub(super) mod producer;
mod site;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qc_core::admin::Client;
use qc_core::admin::api::{Reply, StreamRow};
use qc_core::cli::{Exit, Failure, Output, parse_duration};
use qc_core::clock::{Clock as _, SystemClock};

use super::figure::commit;
use super::raw::{self, Kind, Pattern};
use super::{Common, Environment, Figure, Run, directory, disk, run_optimized};
use crate::CHORE;
use crate::demo::{self, Lifetime, Proc, Ready};
use crate::workspace::Workspace;

/// Measure durable ingest over mTLS links into a relay
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) common: Common,

    /// Links at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    connections: usize,

    /// Messages that each link keeps unacknowledged
    #[arg(long, value_name = "N", default_value_t = 512)]
    in_flight: u64,

    /// Measure this long in each round
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "4s")]
    time: Duration,
}

/// The batch whose raw limit stands beside the figure.
const BESIDE: u32 = 256;
const WARM_UP: Duration = Duration::from_secs(1);
const GOAL: f64 = 20_000.0;

/// Builds what is measured, measures it, and fails below the goal of this cut.
pub fn run(args: &Args, workspace: &Workspace, output: &Output) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        // the producers share the cores with the relay
        return run_optimized(workspace, output);
    }
    qc_core::tls::install_crypto_provider();
    let clock = Arc::new(SystemClock::default());
    let dir = directory(&args.common, workspace)?.join("ingest");
    let _left_from_before = std::fs::remove_dir_all(&dir);
    qc_core::durable::create_dir_all(&dir, 0o700).map_err(|error| disk(&dir, &error))?;
    let binaries = demo::binaries(workspace, demo::Profile::Quick)?;
    let mut environment = Environment::measure(&dir, clock.as_ref())?;
    let site = site::prepare(&dir, args.connections, &clock)?;
    let config = [
        format!("--config={}", site.config.display()),
        "run".to_owned(),
    ];
    let mut relay = Proc::start(
        "relay",
        &binaries.join("qc-relay"),
        &config,
        &dir,
        Lifetime::WithUs,
    )?;
    relay.wait_ready(&Ready::Port(site.address), Duration::from_secs(20))?;

    let mut rounds = Rounds::default();
    for number in 1..=args.common.rounds {
        output.note(&format!("round {number} of {}", args.common.rounds));
        let beside = Pattern {
            kind: Kind::Recycled,
            batch: BESIDE,
        };
        let limit = raw::limit(beside, &dir, 1, Duration::from_secs(1), clock.as_ref())
            .map_err(|error| disk(&dir, &error))?;
        rounds.raw.push(limit.value);
        let before = cpu_seconds(relay.pid());
        let round = producer::round(
            site.address,
            &site.edges,
            args.in_flight,
            WARM_UP,
            args.time,
            &clock,
        )?;
        let cpu = cpu_seconds(relay.pid()) - before;
        rounds.sent += round.all_messages;
        rounds.rates.push(round.rate);
        rounds.cpu_us.push(cpu * 1e6 / round.all_messages);
        rounds.times.extend(round.times);
        environment.probe(&dir, clock.as_ref())?;
    }
    stored_all(&site.socket, rounds.sent)?;
    relay.stop(Duration::from_secs(20))?;
    let _space_back = std::fs::remove_dir_all(&dir);
    let run = rounds.run(args, workspace, environment);
    output.result("qc.bench/1", clock.now(), &run, || run.text())?;
    if let Some(path) = run.record(&args.common, workspace)? {
        output.note(&format!("recorded in {}", path.display()));
    }
    let reached = run.figures.first().map_or(0.0, |figure| figure.value);
    if reached < GOAL {
        let message = format!("{reached:.0} messages a second; this cut wants {GOAL:.0}");
        return Err(Failure::new(Exit::Problems, CHORE, message));
    }
    Ok(())
}

#[derive(Default)]
struct Rounds {
    sent: f64,
    rates: Vec<f64>,
    raw: Vec<f64>,
    cpu_us: Vec<f64>,
    times: Vec<Duration>,
}

impl Rounds {
    fn run(mut self, args: &Args, workspace: &Workspace, environment: Environment) -> Run {
        let Args {
            connections,
            in_flight,
            ..
        } = args;
        let name =
            format!("durable ingest over mTLS, {connections} links x {in_flight} in flight, 1 KiB");
        let beside = format!("raw append, recycled file, batch {BESIDE}");
        let ingest = Figure::of_rounds(name, "msg/s", &self.rates)
            .with_times(&mut self.times)
            .against(beside.clone(), &self.rates, &self.raw);
        let cpu = Figure::of_rounds("relay CPU a message of that ingest", "us", &self.cpu_us);
        let raw = Figure::of_rounds(beside, "msg/s", &self.raw);
        Run {
            schema: Run::SCHEMA.to_owned(),
            bench: "ingest".to_owned(),
            command: format!(
                "cargo xtask bench ingest --connections {connections} --in-flight {in_flight} --time {}s --rounds {}",
                args.time.as_secs(),
                args.common.rounds
            ),
            commit: commit(workspace),
            date: args.common.date.clone(),
            environment,
            figures: vec![ingest, cpu, raw],
            skipped: Vec::new(),
        }
    }
}

/// Fails unless the relay behind `socket` has at least so many messages in its stream: what it has put
/// among the dead letters was acknowledged, too, and is no figure.
pub(super) fn stored_all(socket: &Path, sent: f64) -> Result<(), Failure> {
    let runtime = qc_core::service::runtime(0)?;
    let client = Client::new("qc-relay", socket, Duration::from_secs(20));
    let reply: Reply<Vec<StreamRow>> = runtime.block_on(client.get_json("/v1/streams"))?;
    let rows = reply.data.iter();
    let rows = rows.map(|row| f64::from(u32::try_from(row.last_seq).unwrap_or(u32::MAX)));
    let stored: f64 = rows.sum();
    if stored >= sent {
        return Ok(());
    }
    let message =
        format!("{sent} messages were acknowledged, the relay has {stored} in its stream");
    Err(Failure::new(Exit::Problems, CHORE, message))
}

/// User and system time of a process so far.
pub(super) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    let stat = stat.unwrap_or_default();
    // the name in parentheses may hold spaces; after it utime and stime are fields 12 and 13
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    let per_second = rustix::param::clock_ticks_per_second();
    f64::from(ticks) / f64::from(u32::try_from(per_second).unwrap_or(100))
}
