//! The edge as a process: what is built from what, and in which order it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qc_core::admin::{self, RemoteAdmin};
use qc_core::cli::{Exit, Failure};
use qc_core::clock::{Clock, SystemClock};
use qc_core::link::{self, Handed};
use qc_core::node::{Control, ControlParts, KeyOptions, NodeState, control_routes, key_routes};
use qc_core::service::Service;
use qc_core::store::{RealDisk, StreamKey};
use qc_core::streams::{Embedded, Streams};
use qc_core::tls::{self, Credentials};
use qc_core::upkeep::{SpaceWatch, Upkeep};
use qc_core::uplink::{self, Monitor};
use qc_core::wire::Backlog;
use tokio::sync::{mpsc, watch};

use crate::admin::{Admin, Reloaded};
use crate::buffer::Buffer;
use crate::commands::netdeps::dependencies;
use crate::config::EdgeConfig;
use crate::connectors::Connectors;
use crate::metrics::EdgeMetrics;
use crate::uplink::{Uplink, at_start};

/// How often the disk is sampled.
const SAMPLE: Duration = Duration::from_secs(2);
/// How often positions are written and space is given back.
const TIDY: Duration = Duration::from_millis(500);
/// How long tasks may take to end when the edge stops.
const GRACE: Duration = Duration::from_secs(20);

/// Reads the configuration again.
pub(crate) type ReadConfig = Box<dyn Fn() -> Result<EdgeConfig, Failure> + Send + Sync>;

/// Runs an edge until it is told to stop.
pub(crate) async fn run(
    config: EdgeConfig,
    keys: KeyOptions,
    read: ReadConfig,
    service: Service,
) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let dir = config.node.state.clone();
    let node = NodeState::open(
        &dir,
        "qc-edge",
        |log| config.store.log_options(log),
        &keys,
        Arc::clone(&clock),
    )
    .await?;
    let buffer = Buffer::new(node.log.clone(), node.name.clone(), &config);
    let of = buffer.clone();
    let slowest = move |stream: &StreamKey| of.slowest(stream);
    let (disk, disk_used) = watch::channel(0);
    let monitor = Monitor::new(Arc::clone(&clock));
    let (reload, wishes) = mpsc::channel(4);

    let control = Control::open(ControlParts {
        node: node.name.clone(),
        state: dir.clone(),
        credentials: node.credentials.clone(),
        clock: Arc::clone(&clock),
        accept: config.control.accept.clone(),
        carries: false,
    });

    let connectors = Connectors::start(&config, &buffer, &clock, &service.drain).await?;
    let api = Admin {
        buffer: buffer.clone(),
        clock: Arc::clone(&clock),
        started: clock.instant(),
        upkeep: Upkeep::of(&node, &dir, Arc::clone(&clock), slowest),
        credentials: node.credentials.clone(),
        control: control.clone(),
        connectors,
        link: (!config.uplink.relay.is_empty()).then(|| monitor.clone()),
        netdeps: Arc::new(dependencies(&config)?),
        disk_used: disk_used.clone(),
        reload,
        drain: service.drain.clone(),
        metrics: EdgeMetrics::new(),
    };
    node.keys.watch(&service.drain);
    let group = config.admin.group.as_deref();
    let around = uplink::Around {
        node: node.name.clone(),
        credentials: node.credentials.clone(),
        roles: tls::RELAYS,
        state: dir.clone(),
        clock: Arc::clone(&clock),
        monitor: monitor.clone(),
        streams: Arc::new(Embedded::new(node.log.clone(), Arc::clone(&clock))),
        waiting: waiting(&buffer),
        drain: service.drain.clone(),
    };
    let keys = key_routes(
        node.keys.clone(),
        node.name.clone(),
        Arc::clone(&clock),
        service.drain.clone(),
    );
    let steer = around.steer(&config.uplink)?;
    let router = crate::admin::router(api)
        .merge(control_routes(control.clone()))
        .merge(keys)
        .merge(uplink::router(around.prober(), steer.clone()));
    admin::serve(&config.admin.socket, router.clone(), &service.drain, group)?;

    let streams = Arc::clone(&around.streams);
    let now = clock.instant();
    let handed = link::begin_handed(streams.as_ref(), at_start(&node.log), now).await;
    let handed = Arc::new(handed);
    let uplink = Uplink {
        handed: Arc::clone(&handed),
        streams: Arc::clone(&streams),
        drain: service.drain.clone(),
        buffer: buffer.clone(),
        clock: Arc::clone(&clock),
        credentials: node.credentials.clone(),
        disk_used,
        monitor,
        admin: RemoteAdmin {
            remote: config.admin.remote,
            router,
            drain: service.drain.clone(),
        },
        control,
    };
    uplink::start(&config.uplink, uplink, around, steer)?;
    let tidier = Tidier {
        buffer: buffer.clone(),
        clock: Arc::clone(&clock),
        streams,
        handed,
        dir,
        disk,
        service: service.clone(),
    };
    let last = (Arc::clone(&tidier.streams), Arc::clone(&tidier.handed));
    service.drain.spawn("tidier", tidier.run());
    let looks = tls::watch_files(
        node.credentials.clone(),
        Arc::clone(&clock),
        service.drain.clone(),
    );
    service.drain.spawn("credential files", looks);
    let reloader = reload_on_demand(node.credentials.clone(), read, wishes, service.clone());
    service.drain.spawn("reloader", reloader);

    tracing::info!(code = "QC0020", node = %buffer.node(), "Edge ready.");
    service.notify.status(&format!("{} runs", buffer.node()));
    let ended = service.serve_until_drained(GRACE).await;
    let (streams, handed) = last;
    link::keep_unfinished(streams.as_ref(), &handed).await;
    if let Err(error) = buffer.positions().flush().await {
        tracing::warn!(code = "QC3003", %error, "Cursors not written; what they count repeats.");
    }
    link::keep_unfinished(streams.as_ref(), &handed).await;
    let poisoned = node.log.stats().poisoned;
    node.log.close();
    match poisoned {
        Some(reason) => Err(Failure::new(
            Exit::Disk,
            "QC3002",
            format!("the store stopped after a disk error: {reason}"),
        )
        .help("the next start re-reads what is really on disk; look at dmesg first")),
        None => ended,
    }
}

/// What waits in `buffer` for the link.
fn waiting(buffer: &Buffer) -> uplink::Waiting {
    let buffer = buffer.clone();
    Arc::new(move || {
        let waits = buffer.upward();
        Backlog {
            messages: waits.messages,
            bytes: waits.bytes,
            oldest: waits.oldest,
        }
    })
}

/// Writes positions, gives back space, samples the disk, and ends the process when the store stopped.
struct Tidier {
    buffer: Buffer,
    clock: Arc<dyn Clock>,
    streams: Arc<dyn Streams>,
    handed: Arc<Handed>,
    dir: PathBuf,
    disk: watch::Sender<u8>,
    service: Service,
}

impl Tidier {
    async fn run(self) {
        let mut tidy = tokio::time::interval(TIDY);
        let mut sample = tokio::time::interval(SAMPLE);
        let mut watch = SpaceWatch::default();
        loop {
            tokio::select! {
                () = self.service.drain.signaled() => return,
                _ = tidy.tick() => self.tidy().await,
                _ = sample.tick() => self.sample(&mut watch),
            }
        }
    }

    async fn tidy(&self) {
        link::keep_unfinished(self.streams.as_ref(), &self.handed).await;
        let now = self.clock.instant();
        if let Err(error) = self.buffer.tidy(now, &self.handed).await {
            tracing::debug!(code = "QC3003", %error, "Positions wait for the disk.");
        }
    }

    fn sample(&self, watch: &mut SpaceWatch) {
        self.disk
            .send_replace(RealDisk::used_percent(&self.dir).unwrap_or(0));
        watch.look(self.buffer.log());
        self.service.notify.watchdog();
        if let Some(reason) = self.buffer.log().stats().poisoned {
            tracing::error!(
                code = "QC3002",
                reason,
                "The store stopped; ending for a restart."
            );
            self.service.drain.begin();
        }
    }
}

/// Certificates and trust swap live; the rest of the configuration is checked and wants a restart.
async fn reload_on_demand(
    credentials: Credentials,
    read: ReadConfig,
    mut wishes: mpsc::Receiver<Reloaded>,
    service: Service,
) {
    let reload = || {
        service.notify.reloading();
        read()?;
        credentials.reload().map_err(|error| {
            Failure::new(
                Exit::Refused,
                error.code(),
                "the credentials cannot be read",
            )
            .because(&error)
        })?;
        service.notify.ready();
        tracing::info!(code = "QC0021", "Reloaded: certificates, trust.");
        Ok(())
    };
    let mut hangup = service.signals.reload.clone();
    loop {
        tokio::select! {
            () = service.drain.signaled() => return,
            changed = hangup.changed() => {
                if changed.is_err() {
                    return;
                }
                if let Err(failure) = reload() {
                    let failure: Failure = failure;
                    tracing::error!(code = failure.code, "Reload refused, all as before: {failure}");
                }
            }
            wish = wishes.recv() => {
                let Some(done) = wish else { return };
                let _asker_gone = done.send(reload());
            }
        }
    }
}
