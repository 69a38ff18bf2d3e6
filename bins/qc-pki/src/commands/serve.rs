//! `qc-pki serve`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use qc_core::cli::{Exit, Failure};
use qc_core::clock::{Clock, SystemClock};
use qc_core::est::{EstService, router};
use qc_core::pki::{Identity, KeyAndChain, PkiDir, fingerprint};
use qc_core::tls::Credentials;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Context, runtime};
use crate::cli::HouseArg;
use crate::{failure, passphrase, server};

/// How often revocation lists and the own certificate are looked after.
const UPKEEP: Duration = Duration::from_mins(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The authority that signs
    #[arg(long, value_name = "CA")]
    ca: String,

    /// Listen here
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,

    /// A host name of this server (can be repeated; default: its own and localhost)
    #[arg(long, value_name = "NAME")]
    dns: Vec<String>,

    #[command(flatten)]
    house: HouseArg,

    #[command(flatten)]
    key: passphrase::OpenArgs,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let house = PkiDir::open(&args.house.dir).map_err(failure::dir)?;
    let files = house.ca(&args.ca).map_err(failure::dir)?;
    let file = args.key.passphrase_file.as_deref();
    let secret = passphrase::to_open(
        &args.ca,
        files.encrypted,
        file,
        context.globals,
        context.out,
    )?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let opened = EstService::open(
        &args.house.dir,
        &args.ca,
        secret.as_ref(),
        Arc::clone(&clock),
    );
    let service = opened.map_err(failure::dir)?;
    drop(secret);
    runtime()?.block_on(serve(args, context, service, clock))
}

async fn serve(
    args: &Args,
    context: &Context<'_>,
    service: Arc<EstService>,
    clock: Arc<dyn Clock>,
) -> Result<(), Failure> {
    let names = host_names(&args.dns);
    let upkeep = Upkeep {
        front: own_front(&service, &names)?,
        names,
        service: Arc::clone(&service),
        clock: Arc::clone(&clock),
    };
    let trust = service.trust().map_err(failure::dir)?;
    let credentials = Credentials::from_parts(&upkeep.front, trust, clock).map_err(|error| {
        Failure::new(Exit::Verification, error.code(), "TLS does not start").because(&error)
    })?;
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        let message = format!("cannot listen on {}", args.listen);
        Failure::new(Exit::Conflict, "QC2138", message).because(&error)
    })?;
    let address = listener.local_addr().unwrap_or(args.listen);
    let stop = stop_signal()?;
    let pin = service.authority().root();
    let pin = qc_core::pki::CertView::parse(pin).map_err(|e| failure::cert(&e))?;
    let data = json!({
        "ca": args.ca, "listen": address.to_string(), "pin": fingerprint(&pin.spki_sha256),
        "names": upkeep.names,
    });
    context
        .out
        .result("qc.pki-serve/1", context.now, &data, || {
            format!(
                "serving   {} on https://{address}   names {}\npin       {}\n\
             next      qc-pki token new NODE.SITE.TENANT --role edge --ca {}{}",
                args.ca,
                upkeep.names.join(","),
                fingerprint(&pin.spki_sha256),
                args.ca,
                args.house.flag(),
            )
        })?;
    let served = server::serve(listener, router(service), credentials.clone(), stop.clone());
    tokio::select! {
        () = served => {}
        () = upkeep.run(credentials, stop, context) => {}
    }
    context.out.note("stopped");
    Ok(())
}

struct Upkeep {
    service: Arc<EstService>,
    front: Identity,
    names: Vec<String>,
    clock: Arc<dyn Clock>,
}

impl Upkeep {
    /// Signs revocation lists and the own certificate again in time, and takes new trust.
    async fn run(
        mut self,
        credentials: Credentials,
        mut stop: watch::Receiver<bool>,
        context: &Context<'_>,
    ) {
        loop {
            let again = tokio::time::sleep(UPKEEP);
            tokio::select! {
                () = again => {}
                // the server decides when all is finished
                _ = stop.wait_for(|stop| *stop) => std::future::pending().await,
            }
            if let Err(failure) = self.once(&credentials) {
                context.out.warn(&failure.to_string());
            }
        }
    }

    fn once(&mut self, credentials: &Credentials) -> Result<(), Failure> {
        self.service.refresh_crl().map_err(failure::dir)?;
        let view = &self.front.node.view;
        let life = view.not_after.since(view.not_before);
        if self.clock.now().since(view.not_before) > life / 2 {
            self.front = own_front(&self.service, &self.names)?;
        }
        let trust = self.service.trust().map_err(failure::dir)?;
        credentials.replace(&self.front, trust).map_err(|error| {
            Failure::new(Exit::Verification, error.code(), "TLS credentials").because(&error)
        })
    }
}

fn own_front(service: &EstService, names: &[String]) -> Result<Identity, Failure> {
    let node: KeyAndChain = service.own_front(names.to_vec()).map_err(failure::dir)?;
    Ok(Identity { node, front: None })
}

/// The first signal stops; it is sent on so that open connections finish.
fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Other, "QC2139", "signals cannot be received").because(&error)
    };
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let (sender, receiver) = watch::channel(false);
    let wait = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        sender.send_replace(true);
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "lives as long as the process and ends with the first signal"
    )]
    tokio::spawn(wait);
    Ok(receiver)
}

fn host_names(asked: &[String]) -> Vec<String> {
    if !asked.is_empty() {
        return asked.to_vec();
    }
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let own = own.trim().to_ascii_lowercase();
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let own = (!own.is_empty() && own.len() < 254 && own.chars().all(good)).then_some(own);
    own.into_iter()
        .filter(|name| name != "localhost")
        .chain(["localhost".to_owned()])
        .collect()
}
