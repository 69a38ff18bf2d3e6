//! Keeps up the link that `[uplink]` describes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Monitor, Prober, Steer, UplinkSection, Waiting};
use crate::clock::Clock;
use crate::drain::Drain;
use crate::failure::{Exit, Failure};
use crate::link::{Dialer, DialerOptions, LinkApp, LinkOptions, SessionConfig, Stop};
use crate::model::NodeName;
use crate::pki::Role;
use crate::reach::{Dial, LastGood, Names, Reach, Socket, SystemResolver};
use crate::streams::Streams;
use crate::tls::Credentials;

/// What the dialer waits beyond the deadlines of what it calls, which name the reason.
const MARGIN: Duration = Duration::from_secs(1);

/// The node around its link upward.
pub struct Around {
    /// This node.
    pub node: NodeName,
    /// What it shows, and whom it believes.
    pub credentials: Credentials,
    /// What the other end must be by its certificate.
    pub roles: &'static [Role],
    /// Its state directory, where addresses that worked are remembered.
    pub state: PathBuf,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Where the link is told.
    pub monitor: Monitor,
    /// Its store, for probes.
    pub streams: Arc<dyn Streams>,
    /// What waits for the link.
    pub waiting: Waiting,
    /// Its end: the link drains when it begins.
    pub drain: Drain,
}

impl Around {
    /// What steers the link that `uplink` describes.
    pub fn steer(&self, uplink: &UplinkSection) -> Result<Steer, Failure> {
        let shaping = uplink.shaping().map_err(wrong)?;
        Ok(Steer::new(
            shaping,
            self.monitor.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.waiting),
        ))
    }

    /// What sends probes over the link.
    pub fn prober(&self) -> Prober {
        Prober {
            monitor: self.monitor.clone(),
            streams: Arc::clone(&self.streams),
            clock: Arc::clone(&self.clock),
            node: self.node.clone(),
        }
    }
}

/// Starts the tasks that keep a link up for `app`, which is steered by `steer`. Without a relay in `uplink` nothing is started.
pub fn start<A: LinkApp>(
    uplink: &UplinkSection,
    app: A,
    around: Around,
    steer: Steer,
) -> Result<(), Failure> {
    if uplink.relay.is_empty() {
        return Ok(());
    }
    let dial = dial(uplink, &around)?;
    let prober = around.prober();
    around
        .drain
        .spawn("prober", prober.run(around.drain.clone()));
    let shape = steer.shape();
    around.drain.spawn("steer", steer.run(around.drain.clone()));
    let session = SessionConfig {
        heartbeat: uplink.heartbeat,
        instance: fastrand::u64(1..),
        ..SessionConfig::new(around.node)
    };
    let options = DialerOptions {
        connect_timeout: dial.longest() + MARGIN,
        prefer_after: uplink.prefer_after,
        ..DialerOptions::new(
            uplink.relay.clone(),
            LinkOptions {
                shape,
                ..LinkOptions::new(session)
            },
        )
        .spread(uplink.reconnect_spread)
    };
    let (stop, stopped) = watch::channel(Stop::Run);
    let drain = around.drain.clone();
    around.drain.spawn("link drain", async move {
        drain.signaled().await;
        stop.send_replace(Stop::Drain);
        // held until the dialer has ended, which drops its receiver
        stop.closed().await;
    });
    let (clock, status) = (around.clock, around.monitor.dialer);
    around.drain.spawn("dialer", async move {
        let dialer = Dialer {
            app: Arc::new(app),
            connect: &dial,
            clock: clock.as_ref(),
            options,
            status,
            rng: fastrand::Rng::new(),
        };
        dialer.run(stopped).await;
    });
    Ok(())
}

fn dial(uplink: &UplinkSection, around: &Around) -> Result<Dial, Failure> {
    let way = uplink.way().map_err(wrong)?;
    let resolver = Arc::new(SystemResolver::default());
    let reach = Reach {
        names: Names::new(resolver, Some(LastGood::open(&around.state))),
        proxy: way.proxy,
        proxy_credentials: uplink.proxy_credentials_file.clone(),
        no_proxy: way.no_proxy,
        socket: Socket {
            source: way.source,
            keepalive: (!uplink.keepalive.is_zero()).then_some(uplink.keepalive),
        },
        deadline: uplink.connect_timeout,
    };
    let mut dial = Dial::new(around.credentials.clone(), reach, Arc::clone(&around.clock));
    dial.roles = around.roles;
    dial.expected.clone_from(&uplink.name);
    dial.websocket = uplink.websocket;
    dial.ways = around.monitor.ways.clone();
    Ok(dial)
}

fn wrong((key, why): (&'static str, String)) -> Failure {
    Failure::new(Exit::Config, "QC1020", format!("uplink.{key}: {why}"))
}
