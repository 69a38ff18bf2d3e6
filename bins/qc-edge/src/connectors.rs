//! Builds and starts the configured sources and sinks, and tells how each fares.

use std::sync::Arc;
use std::time::Duration;

use qc_core::admin::api::{ConnectorState, ConnectorStatus, LastError};
use qc_core::backoff::Backoff;
use qc_core::cli::{Exit, Failure};
use qc_core::clock::Clock;
use qc_core::model::Timestamp;
use qc_core::service::{self, Drain};

use crate::buffer::Buffer;
use crate::config::{EdgeConfig, SinkSection, SourceSection};
use crate::feed::StreamFeed;
use crate::netdeps::User;
use crate::sinks::file_out::FileOut;
use crate::sinks::run_sink;
use crate::sinks::webhook_out::WebhookOut;
use crate::sources::file_drop::FileDrop;
use crate::sources::webhook::Webhook;
use crate::sources::{Activity, ConnectorError};

/// All connectors of an edge, for `status`.
#[derive(Clone, Default)]
pub(crate) struct Connectors {
    sources: Arc<Vec<Connector>>,
    sinks: Arc<Vec<Connector>>,
}

struct Connector {
    name: String,
    kind: &'static str,
    stream: String,
    activity: Activity,
}

impl Connectors {
    /// Builds every connector before any of them starts: an edge runs with all or says which cannot.
    pub(crate) async fn start(
        config: &EdgeConfig,
        buffer: &Buffer,
        clock: &Arc<dyn Clock>,
        drain: &Drain,
    ) -> Result<Self, Failure> {
        let mut starts: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        let (mut sources, mut sinks) = (Vec::new(), Vec::new());
        for source in &config.source {
            let (connector, start) = self::source(source, buffer, clock, drain).await?;
            sources.push(connector);
            starts.push(start);
        }
        for sink in &config.sink {
            let (connector, start) = self::sink(sink, buffer, clock, drain)?;
            sinks.push(connector);
            starts.push(start);
        }
        for start in starts {
            start();
        }
        Ok(Self {
            sources: Arc::new(sources),
            sinks: Arc::new(sinks),
        })
    }

    /// When a source or sink last did something.
    pub(crate) fn last_done(&self, user: &User) -> Option<Timestamp> {
        let (connectors, name) = match user {
            User::Source(name) => (&self.sources, name),
            User::Sink(name) => (&self.sinks, name),
            User::Links(_) | User::Nobody => return None,
        };
        let connector = connectors.iter().find(|one| one.name == *name)?;
        connector.activity.snapshot().last_done
    }

    /// How the sources fare.
    pub(crate) fn sources(&self, clock: &dyn Clock) -> Vec<ConnectorStatus> {
        self.sources
            .iter()
            .map(|source| source.status(clock))
            .collect()
    }

    /// How the sinks fare.
    pub(crate) fn sinks(&self, clock: &dyn Clock) -> Vec<ConnectorStatus> {
        self.sinks.iter().map(|sink| sink.status(clock)).collect()
    }
}

type Start = Box<dyn FnOnce() + Send>;

async fn source(
    section: &SourceSection,
    buffer: &Buffer,
    clock: &Arc<dyn Clock>,
    drain: &Drain,
) -> Result<(Connector, Start), Failure> {
    let activity = Activity::default();
    let failed = |error: ConnectorError| {
        let message = format!("source '{}' cannot start", section.name);
        Failure::new(Exit::Config, error.source_code(), message).because(&error)
    };
    let intake = buffer.intake(section.stream.clone(), section.class.clone(), section.lane);
    let (node, clock) = (buffer.node(), Arc::clone(clock));
    let (task, until) = (drain.clone(), drain.clone());
    let stop = async move { until.signaled().await };
    let (kind, start): (_, Start) = if let Some(file) = &section.file {
        let drop =
            FileDrop::open(&section.name, file, node, clock, activity.clone()).map_err(failed)?;
        (
            "file",
            Box::new(move || task.spawn("file source", drop.run(intake, stop))),
        )
    } else if let Some(webhook) = &section.webhook {
        let socket = service::listen(webhook.listen).await?;
        let hook =
            Webhook::new(&section.name, webhook, node, clock, activity.clone()).map_err(failed)?;
        (
            "webhook",
            Box::new(move || task.spawn("webhook source", hook.run(socket, intake, stop))),
        )
    } else {
        return Err(untyped("source", &section.name));
    };
    Ok((
        Connector::new(&section.name, kind, section.stream.as_str(), activity),
        start,
    ))
}

fn sink(
    section: &SinkSection,
    buffer: &Buffer,
    clock: &Arc<dyn Clock>,
    drain: &Drain,
) -> Result<(Connector, Start), Failure> {
    let activity = Activity::default();
    let failed = |error: ConnectorError| {
        let message = format!("sink '{}' cannot start", section.name);
        Failure::new(Exit::Config, error.sink_code(), message).because(&error)
    };
    let feed = StreamFeed::new(buffer.clone(), section, Arc::clone(clock));
    let backoff = Backoff::new(Duration::from_millis(200), Duration::from_mins(1))
        .expect("the constants are in order");
    let (task, until) = (drain.clone(), drain.clone());
    let stop = async move { until.signaled().await };
    let (counts, time) = (activity.clone(), Arc::clone(clock));
    let (kind, start): (_, Start) = if let Some(file) = &section.file {
        let out = FileOut::open(file, Arc::clone(clock)).map_err(failed)?;
        let run = run_sink(out, feed, backoff, time, counts, stop);
        ("file", Box::new(move || task.spawn("file sink", run)))
    } else if let Some(webhook) = &section.webhook {
        let out = WebhookOut::open(webhook, Arc::clone(clock)).map_err(failed)?;
        let run = run_sink(out, feed, backoff, time, counts, stop);
        ("webhook", Box::new(move || task.spawn("webhook sink", run)))
    } else {
        return Err(untyped("sink", &section.name));
    };
    Ok((
        Connector::new(&section.name, kind, section.stream.as_str(), activity),
        start,
    ))
}

fn untyped(what: &str, name: &str) -> Failure {
    Failure::new(
        Exit::Config,
        "QC1020",
        format!("{what} '{name}' has no type"),
    )
    .help(format!("qc-edge config explain {what}"))
}

impl Connector {
    fn new(name: &str, kind: &'static str, stream: &str, activity: Activity) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            stream: stream.to_owned(),
            activity,
        }
    }

    fn status(&self, clock: &dyn Clock) -> ConnectorStatus {
        let now = self.activity.snapshot();
        let state = if now.attempt > 0 {
            ConnectorState::Retrying
        } else {
            ConnectorState::Running
        };
        let last_error = now.last_error.map(|(at, reason)| LastError {
            code: String::new(),
            reason,
            at: Some(at.to_string()),
        });
        ConnectorStatus {
            name: self.name.clone(),
            kind: self.kind.to_owned(),
            stream: self.stream.clone(),
            state,
            processed: now.done,
            retries: now.retries,
            dead_lettered: now.refused,
            last_error,
            next_try_s: now.next_try.map(|at| at.since(clock.now()).as_secs()),
        }
    }
}
