//! The relay as a process: what is built from what, and in which order it ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use qc_core::admin::api::CertificateStatus;
use qc_core::admin::{self, RemoteAdmin};
use qc_core::cli::{Exit, Failure};
use qc_core::clock::SystemClock;
use qc_core::door;
use qc_core::est::{self, EstService};
use qc_core::link::{LinkOptions, SessionConfig};
use qc_core::node::{Control, ControlParts, KeyOptions, NodeState, certificate_status, key_routes};
use qc_core::secret::Secret;
use qc_core::service::{self, Service};
use qc_core::store::{AppendError, Log, RealDisk, StreamKey};
use qc_core::streams::Embedded;
use qc_core::tls::{self, Credentials};
use qc_core::upkeep::{SpaceWatch, Upkeep};
use qc_core::uplink::{self, Monitor, UplinkSection};
use tokio::sync::{mpsc, watch};

use crate::admin::{Admin, Reloaded};
use crate::config::RelayConfig;
use crate::front::{self, Front};
use crate::hub::{Hub, HubParts, Parent};
use crate::listener::{self, Listener};
use crate::metrics::RelayMetrics;
use crate::presence;

/// How often rates and the disk are sampled.
const SAMPLE: Duration = Duration::from_secs(2);
/// How often acknowledgements of consumers are written.
const FLUSH: Duration = Duration::from_millis(500);
/// How long links may take to end when the relay stops.
const GRACE: Duration = Duration::from_secs(20);

/// Reads the configuration again.
pub(crate) type ReadConfig = Box<dyn Fn() -> Result<RelayConfig, Failure> + Send + Sync>;

/// Runs a relay until it is told to stop.
pub(crate) async fn run(
    config: RelayConfig,
    keys: KeyOptions,
    read: ReadConfig,
    service: Service,
) -> Result<(), Failure> {
    let clock = Arc::new(SystemClock::default());
    let dir = config.node.state.clone();
    let node = NodeState::open(
        &dir,
        "qc-relay",
        |log| config.store.log_options(log),
        &keys,
        clock.clone(),
    )
    .await?;
    let credentials = node.credentials.clone();
    config.refuse_foreign(&node.name)?;
    let monitor = Monitor::new(clock.clone());
    let hub = Hub::open(HubParts {
        node: node.name.clone(),
        region: config.node.region.as_ref().map(ToString::to_string),
        streams: Arc::new(Embedded::new(node.log.clone(), clock.clone())),
        clock: clock.clone(),
        access: config.access(),
        http: http_limits(&config),
        drain: service.drain.clone(),
        uplink: (!config.uplink.relay.is_empty()).then(|| monitor.clone()),
        instance: fastrand::u64(1..),
        control: Control::open(ControlParts {
            node: node.name.clone(),
            state: dir.clone(),
            credentials: credentials.clone(),
            clock: clock.clone(),
            accept: config.control.accept.clone(),
            carries: true,
        }),
    })
    .await
    .map_err(|error| not_writable(&error))?;
    let est = est_service(&config, clock.clone())?;

    let socket = service::listen(config.listen.address).await?;
    let address = socket
        .local_addr()
        .unwrap_or(config.listen.address)
        .to_string();
    let of = hub.clone();
    let slowest = move |stream: &StreamKey| of.slowest(stream).map(|(_, seq)| seq);
    let parent = Parent::new(hub.clone(), monitor.clone());
    let (certificate, shown) = watch::channel(None);
    let (reload, wishes) = mpsc::channel(4);
    let metrics = RelayMetrics::new();
    let front = Front::new(front_limits(&config), clock.clone(), metrics.front.clone());
    front.remember(hub.fleet().addresses());
    let api = Admin {
        hub: hub.clone(),
        upkeep: Upkeep::of(&node, &dir, clock.clone(), slowest),
        parent: (!config.uplink.relay.is_empty()).then(|| parent.clone()),
        metrics,
        listeners: vec![address.clone()],
        certificate: shown,
        reload,
        drain: service.drain.clone(),
    };
    node.keys.watch(&service.drain);
    let group = config.admin.group.as_deref();
    let around = uplink::Around {
        node: node.name.clone(),
        credentials: credentials.clone(),
        roles: tls::PARENTS,
        state: dir.clone(),
        clock: clock.clone(),
        monitor,
        streams: hub.shared_streams(),
        waiting: {
            let parent = parent.clone();
            Arc::new(move || parent.waiting())
        },
        drain: service.drain.clone(),
    };
    let keys = key_routes(
        node.keys.clone(),
        node.name.clone(),
        clock.clone(),
        service.drain.clone(),
    );
    let steer = around.steer(&config.uplink)?;
    let router = crate::admin::router(api)
        .merge(crate::nodes::router(hub.clone()))
        .merge(keys)
        .merge(crate::drain_routes::router(hub.clone()))
        .merge(uplink::router(around.prober(), steer.clone()));
    admin::serve(&config.admin.socket, router.clone(), &service.drain, group)?;

    let mut routes = door::router(hub.clone());
    if let Some(est) = est {
        routes = routes.merge(est::router(est));
    }
    let listener = Listener {
        hub: hub.clone(),
        credentials: credentials.clone(),
        routes,
        handshake: config.listen.handshake,
        front: Arc::new(front),
        link: link_options(&hub, &config),
        clock,
    };
    service.drain.spawn(
        "listener",
        listener::serve(socket, listener, service.drain.clone()),
    );
    let parent = parent.answering(RemoteAdmin {
        remote: config.admin.remote,
        router,
        drain: service.drain.clone(),
    });
    service.drain.spawn(
        "uplink letters",
        parent.clone().bury_what_stays(service.drain.clone()),
    );
    service.drain.spawn(
        "presence",
        presence::tell(
            hub.clone(),
            around.monitor.clone(),
            config.link.heartbeat,
            service.drain.clone(),
        ),
    );
    uplink::start(&config.uplink, parent, around, steer)?;
    service
        .drain
        .spawn("registry", hub.clone().keep_registry(service.drain.clone()));
    service.drain.spawn(
        "control push",
        hub.clone().push_control(service.drain.clone()),
    );
    service.drain.spawn(
        "sampler",
        sample(hub.clone(), node.log.clone(), dir, service.clone()),
    );
    let looks = tls::watch_files(
        credentials.clone(),
        hub.shared_clock(),
        service.drain.clone(),
    );
    let reloader = Reloader {
        hub: hub.clone(),
        credentials,
        read,
        uplink: config.uplink,
        certificate,
        service: service.clone(),
    };
    reloader.show_certificate();
    service.drain.spawn("reloader", reloader.run(wishes));
    service.drain.spawn("credential files", looks);

    tracing::info!(code = "QC0020", node = %hub.node(), address, "Relay ready.");
    service
        .notify
        .status(&format!("{} on {address}", hub.node()));
    let ended = service.serve_until_drained(GRACE).await;
    hub.flush_positions().await;
    hub.keep_unfinished().await;
    hub.save_all_nodes().await;
    let stopped = hub.streams().health().stopped;
    hub.streams().close();
    match stopped {
        Some(reason) => Err(stopped_by_disk(&reason)),
        None => ended,
    }
}

fn front_limits(config: &RelayConfig) -> front::Limits {
    let listen = &config.listen;
    let possible = front::possible_connections();
    let connections = listen.connections.unwrap_or(possible).min(possible);
    front::Limits {
        pending: listen.pending,
        per_address: listen.pending_per_address,
        // where the system allows few files, strangers get some all the same
        reserved: listen.reserved(connections).min(connections / 2),
        connections,
        anonymous: listen.anonymous,
    }
}

fn http_limits(config: &RelayConfig) -> door::Limits {
    door::Limits {
        body: usize::try_from(config.http.max_body).unwrap_or(door::Limits::MAX_BODY),
        wait: config.http.max_wait,
        ..door::Limits::default()
    }
}

fn link_options(hub: &Hub, config: &RelayConfig) -> LinkOptions {
    let session = SessionConfig {
        heartbeat: config.link.heartbeat,
        ..SessionConfig::new(hub.node().clone())
    };
    LinkOptions::new(session)
}

fn est_service(
    config: &RelayConfig,
    clock: Arc<SystemClock>,
) -> Result<Option<Arc<EstService>>, Failure> {
    let (Some(pki), Some(ca)) = (&config.est.pki, &config.est.ca) else {
        return Ok(None);
    };
    let passphrase = config.est.passphrase_file.as_deref();
    let passphrase = passphrase.map(read_passphrase).transpose()?;
    let est = EstService::open(pki, ca, passphrase.as_ref(), clock).map_err(|error| {
        let message = format!("the CA '{ca}' in {} cannot be used", pki.display());
        Failure::new(Exit::Config, "QC1021", message)
            .because(&error)
            .help(format!("qc-pki list --dir {}", pki.display()))
    })?;
    Ok(Some(est))
}

fn read_passphrase(path: &Path) -> Result<Secret<String>, Failure> {
    let read = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read the passphrase file {}", path.display());
        Failure::new(Exit::Config, "QC1022", message).because(&error)
    })?;
    let text = zeroize::Zeroizing::new(read);
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Samples rates and the disk, writes positions, and ends the process when the store has stopped.
async fn sample(hub: Hub, log: Log, dir: PathBuf, service: Service) {
    let mut flush = tokio::time::interval(FLUSH);
    let mut sample = tokio::time::interval(SAMPLE);
    let mut watch = SpaceWatch::default();
    loop {
        tokio::select! {
            _ = flush.tick() => hub.flush_positions().await,
            _ = sample.tick() => {
                hub.sample(RealDisk::used_percent(&dir).unwrap_or(0));
                watch.look(&log);
                service.notify.watchdog();
                if let Some(reason) = hub.streams().health().stopped {
                    tracing::error!(code = "QC3002", reason, "The store stopped; ending for a restart.");
                    service.drain.begin();
                }
            }
            () = service.drain.signaled() => return,
        }
    }
}

/// Applies what can change while the relay runs.
struct Reloader {
    hub: Hub,
    credentials: Credentials,
    read: ReadConfig,
    /// What the running link was started with.
    uplink: UplinkSection,
    certificate: watch::Sender<Option<CertificateStatus>>,
    service: Service,
}

impl Reloader {
    async fn run(self, mut wishes: mpsc::Receiver<Reloaded>) {
        let mut hangup = self.service.signals.reload.clone();
        let mut newer = self.credentials.changed();
        loop {
            tokio::select! {
                () = self.service.drain.signaled() => return,
                changed = hangup.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if let Err(failure) = self.reload().await {
                        tracing::error!(code = failure.code, "Reload refused, all as before: {failure}");
                    }
                }
                _newer = newer.changed() => self.show_certificate(),
                wish = wishes.recv() => {
                    let Some(done) = wish else { return };
                    let _asker_gone = done.send(self.reload().await);
                }
            }
        }
    }

    /// All of it or nothing: configuration and credentials are read before either is applied.
    async fn reload(&self) -> Result<(), Failure> {
        self.service.notify.reloading();
        let config = (self.read)()?;
        config.refuse_foreign(self.hub.node())?;
        if config.uplink != self.uplink {
            // streams that the new parent may have must not go to the old one
            let message = "[uplink] has changed, which needs a restart; nothing was taken over";
            return Err(
                Failure::new(Exit::Config, "QC1023", message).help("systemctl restart qc-relay")
            );
        }
        self.credentials.reload().map_err(|error| {
            Failure::new(
                Exit::Refused,
                error.code(),
                "the credentials cannot be read",
            )
            .because(&error)
        })?;
        self.hub
            .reconfigure(config.access())
            .await
            .map_err(|error| not_writable(&error))?;
        self.show_certificate();
        self.service.notify.ready();
        tracing::info!(code = "QC0021", "Reloaded: streams, certificates, trust.");
        Ok(())
    }

    fn show_certificate(&self) {
        let status = certificate_status(&self.credentials, self.hub.clock().now());
        self.hub
            .set_certificate_end(self.credentials.current().node.not_after);
        self.certificate.send_replace(Some(status));
    }
}

fn not_writable(error: &AppendError) -> Failure {
    Failure::new(Exit::Disk, error.code(), "the store takes nothing")
        .because(error)
        .help("df -h    then free space on the disk of the state directory")
}

fn stopped_by_disk(reason: &str) -> Failure {
    Failure::new(
        Exit::Disk,
        "QC3002",
        format!("the store stopped after a disk error: {reason}"),
    )
    .help("the next start re-reads what is really on disk; look at dmesg first")
}
