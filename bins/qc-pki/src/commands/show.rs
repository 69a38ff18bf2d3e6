//! `qc-pki show`

use std::path::Path;

use qc_core::cli::{Exit, Failure, human_duration};
use qc_core::pki::{CertView, MAX_PEM, PkiDir, certs_from_pem, fingerprint, key_words};
use qc_core::safe_text::safe;
use qc_core::tls::peek;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{Context, read_file, runtime};
use crate::cli::HouseArg;
use crate::failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A node or CA, a serial (or its beginning), a PEM file, or host:port
    what: String,

    #[command(flatten)]
    house: HouseArg,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let chain = find(args, context)?;
    let views = chain
        .iter()
        .map(|cert| CertView::parse(cert).map_err(|e| failure::cert(&e)))
        .collect::<Result<Vec<_>, _>>()?;
    let data: Vec<_> = views.iter().map(to_json).collect();
    context.out.result("qc.pki-show/1", context.now, &data, || {
        let blocks: Vec<String> = views.iter().map(|view| to_text(view, context)).collect();
        blocks.join("\n\n")
    })
}

fn find(args: &Args, context: &Context<'_>) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let path = Path::new(&args.what);
    if path.is_file() {
        let pem = read_file(path, u64::try_from(MAX_PEM).unwrap_or(0))?;
        return certs_from_pem(&pem).map_err(|e| failure::cert(&e));
    }
    if let Some((host, port)) = args.what.rsplit_once(':')
        && let Ok(port) = port.parse::<u16>()
    {
        return look(host, port, context);
    }
    let house = PkiDir::open(&args.house.dir).map_err(failure::dir)?;
    let entries = house.log().read().map_err(failure::log)?;
    let serial = args.what.to_ascii_lowercase().replace(':', "");
    let found = entries.iter().rev().find(|entry| {
        entry.name == args.what || (serial.len() >= 6 && entry.serial.starts_with(&serial))
    });
    let entry = found.ok_or_else(|| {
        let message = format!("nothing named '{}' was issued here", safe(&args.what, 80));
        Failure::new(Exit::NotFound, "QC2156", message).help("qc-pki list")
    })?;
    certs_from_pem(entry.cert.as_bytes()).map_err(|e| failure::cert(&e))
}

fn look(
    host: &str,
    port: u16,
    context: &Context<'_>,
) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let unreachable = |error: &(dyn std::error::Error + 'static)| {
        let message = format!("{}:{port} cannot be reached", safe(host, 80));
        Failure::new(Exit::Unreachable, "QC2141", message).because(error)
    };
    let looked = async {
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|e| unreachable(&e))?;
        peek(stream, host).await.map_err(|e| unreachable(&e))
    };
    runtime()?.block_on(async {
        tokio::time::timeout(context.globals.timeout, looked)
            .await
            .unwrap_or_else(|elapsed| Err(unreachable(&elapsed)))
    })
}

fn to_json(view: &CertView) -> serde_json::Value {
    json!({
        "subject": view.subject, "issuer": view.issuer, "serial": view.serial,
        "not_before": view.not_before.to_string(), "not_after": view.not_after.to_string(),
        "key": fingerprint(&view.spki_sha256), "words": key_words(&view.spki_sha256),
        "dns": view.dns, "other_names": view.other_names, "is_ca": view.is_ca,
        "path_length": view.path_length, "permitted_dns": view.permitted_dns,
        "server_auth": view.server_auth, "client_auth": view.client_auth,
        "roles": view.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
    })
}

fn to_text(view: &CertView, context: &Context<'_>) -> String {
    let roles: Vec<&str> = view.roles.iter().map(|role| role.as_str()).collect();
    let left = if context.now < view.not_after {
        format!("{} left", human_duration(view.not_after.since(context.now)))
    } else {
        "EXPIRED".to_owned()
    };
    let names: Vec<&str> = view
        .dns
        .iter()
        .chain(&view.other_names)
        .map(String::as_str)
        .collect();
    let mut lines = vec![
        format!("subject   {}", view.subject),
        format!("issuer    {}", view.issuer),
        format!("serial    {}", view.serial),
        format!(
            "valid     {} to {}  {left}",
            view.not_before, view.not_after
        ),
        format!("key       {}", fingerprint(&view.spki_sha256)),
        format!("words     {}", key_words(&view.spki_sha256)),
    ];
    if !names.is_empty() {
        lines.push(format!("names     {}", names.join(" ")));
    }
    if !roles.is_empty() {
        lines.push(format!("roles     {}", roles.join(" ")));
    }
    if view.is_ca {
        let below = view
            .path_length
            .map_or_else(|| "unbounded".to_owned(), |n| n.to_string());
        let bounds = view.permitted_dns.join(" ");
        let bounds = if bounds.is_empty() {
            "any name"
        } else {
            &bounds
        };
        lines.push(format!("authority CAs below: {below}, may name: {bounds}"));
    }
    lines.join("\n")
}
