//! `qc-pki sign`

use std::path::PathBuf;

use qc_core::cli::{Confirm, Exit, Failure, Table};
use qc_core::model::{NodeName, Timestamp};
use qc_core::pki::{
    Authority, CertRequest, JoinRequest, JoinResponse, LEAF_LIFETIME, MAX_CSR, PkiDir, Profile,
    Role, certs_from_pem, fingerprint, key_words,
};
use serde_json::json;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{Context, read_file, validity_words, write_file};
use crate::cli::HouseArg;
use crate::{failure, passphrase};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Request files (.qcreq), or one plain PEM request with --name and --role
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The authority that signs
    #[arg(long, value_name = "CA")]
    ca: String,

    /// Write the responses into this directory
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Sign only the request whose key has these words (can be repeated)
    #[arg(long, value_name = "WORDS")]
    confirm_words: Vec<String>,

    /// Sign without asking
    #[arg(short, long)]
    yes: bool,

    /// The node of a plain PEM request
    #[arg(long, value_name = "NODE.SITE.TENANT", value_parser = |t: &str| t.parse::<NodeName>())]
    name: Option<NodeName>,

    /// The role of a plain PEM request
    #[arg(long, value_parser = |t: &str| t.parse::<Role>())]
    role: Option<Role>,

    #[command(flatten)]
    house: HouseArg,

    #[command(flatten)]
    key: passphrase::OpenArgs,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let house = PkiDir::open(&args.house.dir).map_err(failure::dir)?;
    let requests = args
        .files
        .iter()
        .map(|path| parse(args, path))
        .collect::<Result<Vec<_>, _>>()?;
    let authority = context.unlock(&house, &args.ca, args.key.passphrase_file.as_deref())?;
    for request in &requests {
        let what = profile(request);
        authority.check(&what).map_err(|e| failure::authority(&e))?;
    }
    confirm(args, context, &requests)?;
    let mut signed = Vec::new();
    for request in &requests {
        signed.push(sign(args, context, &house, &authority, request)?);
    }
    context
        .out
        .result("qc.pki-signed/1", context.now, &signed, || {
            let lines: Vec<String> = signed.iter().map(line).collect();
            format!(
                "{}\nnext      on the node: qc-pki install FILE --dir STATE_DIR",
                lines.join("\n")
            )
        })
}

fn line(signed: &serde_json::Value) -> String {
    let text = |key: &str| signed.get(key).and_then(|v| v.as_str()).unwrap_or_default();
    format!(
        "{}  role {}  {}  {}  -> {}",
        text("node"),
        text("role"),
        validity_words(LEAF_LIFETIME),
        text("state"),
        text("file")
    )
}

fn parse(args: &Args, path: &std::path::Path) -> Result<JoinRequest, Failure> {
    let bytes = read_file(path, 4 * u64::try_from(MAX_CSR).unwrap_or(0))?;
    let name = path.display();
    let request = match (&args.name, args.role) {
        (Some(node), Some(role)) => CertRequest::parse_pem(&bytes)
            .map(|request| JoinRequest {
                node: node.clone(),
                role,
                request,
            })
            .map_err(Into::into),
        _ => JoinRequest::parse(&bytes),
    };
    if args.name.is_some() && args.files.len() != 1 {
        let message = "--name fits one request only";
        return Err(Failure::new(Exit::Usage, "QC2150", message));
    }
    request.map_err(|error| {
        let mut failure = failure::request(&error);
        failure.message = format!("{name} is not signed: {}", failure.message);
        failure.help("a plain PEM request needs --name and --role")
    })
}

fn profile(request: &JoinRequest) -> Profile {
    Profile::Node {
        name: request.node.clone(),
        role: request.role,
    }
}

/// Shows who asks and wants a yes: by words, by flag, or on the terminal.
fn confirm(args: &Args, context: &Context<'_>, requests: &[JoinRequest]) -> Result<(), Failure> {
    let words = |request: &JoinRequest| key_words(request.request.spki_sha256());
    if !args.confirm_words.is_empty() {
        let unconfirmed = requests
            .iter()
            .find(|request| !args.confirm_words.contains(&words(request)));
        return unconfirmed.map_or(Ok(()), |request| {
            let message = format!(
                "the key of {} has the words {}, which were not confirmed",
                request.node,
                words(request)
            );
            Err(Failure::new(Exit::Refused, "QC2151", message))
        });
    }
    let mut table = Table::new(&["NODE", "ROLE", "WORDS", "KEY"]);
    for request in requests {
        table.row([
            request.node.to_string(),
            request.role.to_string(),
            words(request),
            fingerprint(request.request.spki_sha256()),
        ]);
    }
    context.out.note(table.render(true).trim_end());
    if args.yes {
        return Ok(());
    }
    let confirm = Confirm {
        question: "Sign these?",
        word: None,
        what: "signing",
        flags: "--yes or --confirm-words",
        unasked: "QC2152",
        refused: "QC2153",
    };
    confirm.ask(context.globals, context.out)
}

fn sign(
    args: &Args,
    context: &Context<'_>,
    house: &PkiDir,
    authority: &Authority,
    request: &JoinRequest,
) -> Result<serde_json::Value, Failure> {
    let what = profile(request);
    let lock = house.lock().map_err(failure::dir)?;
    let before = issued_before(context, house, request)?;
    let state = if before.is_some() {
        "unchanged"
    } else {
        "signed"
    };
    let fresh = || -> Result<_, Failure> {
        let (request, now) = (&request.request, context.now);
        let issued = house.issue(
            &lock,
            authority,
            &what,
            request,
            None,
            LEAF_LIFETIME,
            "request",
            now,
        );
        let issued = issued.map_err(failure::dir)?;
        if issued.clipped {
            context.out.warn(&format!(
                "{} ends soon and cut the certificate short: it ends {}",
                args.ca, issued.view.not_after
            ));
        }
        Ok(issued.cert)
    };
    let cert = before.map_or_else(fresh, Ok)?;
    drop(lock);
    let trust = house.trust().map_err(failure::dir)?;
    let chain: Vec<_> = authority.chain().cloned().collect();
    let text = JoinResponse::write(&request.node, &cert, &chain, &trust);
    let path = args.out.join(format!("{}.qcresp", request.node));
    write_file(&path, text.as_bytes())?;
    let view = qc_core::pki::CertView::parse(&cert).map_err(|e| failure::cert(&e))?;
    Ok(json!({
        "node": request.node.as_str(), "role": request.role.as_str(), "serial": view.serial,
        "not_after": view.not_after.to_string(), "state": state,
        "words": key_words(request.request.spki_sha256()), "file": path,
    }))
}

/// The same request again gets the certificate it got, as long as that is valid and not revoked.
fn issued_before(
    context: &Context<'_>,
    house: &PkiDir,
    request: &JoinRequest,
) -> Result<Option<CertificateDer<'static>>, Failure> {
    let key = fingerprint(request.request.spki_sha256());
    let entries = house.log().read().map_err(failure::log)?;
    let same = entries.into_iter().rev().find(|entry| {
        entry.profile == "node"
            && entry.key == key
            && entry.name == request.node.as_str()
            && entry.role.as_deref() == Some(request.role.as_str())
            && Timestamp::parse_rfc3339(&entry.not_after).is_some_and(|end| context.now < end)
    });
    let Some(entry) = same else {
        return Ok(None);
    };
    if house
        .is_revoked(&entry.ca, &entry.serial)
        .map_err(failure::dir)?
    {
        return Ok(None);
    }
    let certs = certs_from_pem(entry.cert.as_bytes()).map_err(|e| failure::cert(&e))?;
    Ok(certs.into_iter().next())
}
