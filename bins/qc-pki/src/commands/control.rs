//! `qc-pki control`: signed objects that relays hand on to the nodes.

use std::path::{Path, PathBuf};

use qc_core::cli::{Exit, Failure};
use qc_core::control::{
    Draft, Kind, Label, MAX_OBJECT, Mark, Object, Rejection, SignError, judge, pack_revocations,
    revocation_lists,
};
use qc_core::durable;
use qc_core::model::NodePattern;
use qc_core::pki::{
    CertView, CrlView, Identity, PkiDir, TrustAnchors, fingerprint, list_from_file, sha256,
};
use qc_core::safe_text::safe;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Context, load_trust, read_file, write_file};
use crate::cli::HouseArg;
use crate::failure;

/// The longest list file that is read.
const MAX_LIST: u64 = 8 << 20;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Sign an object for relays to hand on to their nodes
    Sign(Sign),
    /// Judge an object as a node would, and show what it says
    Show(Show),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Sign {
    /// What it is about
    #[arg(long, value_parser = signable, default_value = "revocations")]
    kind: Kind,

    /// A revocation list in DER or PEM (can be repeated); all lists of the authority by default
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,

    /// The state directory of the signer, whose certificate has the role trust-publisher
    #[arg(long, value_name = "DIR")]
    signer: PathBuf,

    /// Only for these nodes, such as '*.mill7.acme' (can be repeated); for all by default
    #[arg(long = "for", value_name = "PATTERN", value_parser = |t: &str| t.parse::<NodePattern>())]
    audience: Vec<NodePattern>,

    /// Its revision; one more than the last one that was signed here by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    revision: Option<u64>,

    /// Write the object to this file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    house: HouseArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The object
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Judge by this trust directory (`trust` of a state directory) instead of the authority's own
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,

    #[command(flatten)]
    house: HouseArg,
}

fn signable(text: &str) -> Result<Kind, String> {
    let kind: Kind = text.parse().map_err(|error| format!("{error}"))?;
    let no_work = || format!("this version has no work for {kind} yet, and signs revocations only");
    kind.has_work().then_some(kind).ok_or_else(no_work)
}

/// What was signed last of a kind, in `objects/KIND.json` of the authority: no revision is given twice.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Last {
    schema: u32,
    revision: u64,
    /// SHA-256 of everything it says but its revision.
    says: String,
}

pub(crate) fn sign(args: &Sign, context: &Context<'_>) -> Result<(), Failure> {
    let house = PkiDir::open(&args.house.dir).map_err(failure::dir)?;
    let identity = Identity::load(&args.signer).map_err(|error| failure::identity(&error))?;
    let trust = house.trust().map_err(failure::dir)?;
    let payload = pack_revocations(&lists(args, &trust)?);
    let mut draft = Draft {
        kind: args.kind,
        label: Label::default(),
        revision: args.revision.unwrap_or(0),
        domain: house.domain().clone(),
        audience: args.audience.clone(),
        payload,
        created: context.now,
    };
    // what no node would take uses up no number
    let trial = Draft {
        revision: 1,
        ..draft.clone()
    };
    let trial = trial
        .sign(&identity.node)
        .map_err(|error| not_signed(&error))?;
    judge(&trial, &trust).map_err(|rejection| rejected(&rejection))?;
    // the number is on disk before an object with it exists, so that none is given twice
    let lock = house.lock().map_err(failure::dir)?;
    let state = count(&house, &mut draft, args.revision.is_some())?;
    drop(lock);
    let object = draft
        .sign(&identity.node)
        .map_err(|error| not_signed(&error))?;
    write_file(&args.out, object.bytes())?;
    let data = data(&object, state, Some(&args.out));
    context
        .out
        .result("qc.pki-control/1", context.now, &data, || {
            format!(
                "{state}    {}, {} bytes\nnext      qc-relay control apply {}",
                object.mark(),
                object.bytes().len(),
                safe(&args.out.display().to_string(), 200)
            )
        })
}

/// The lists named, or those of the whole house.
fn lists(args: &Sign, trust: &TrustAnchors) -> Result<Vec<Vec<u8>>, Failure> {
    let named = args.crl.iter().map(|path| {
        let bytes = read_file(path, MAX_LIST)?;
        list_from_file(bytes).map_err(|error| {
            let mut failure = failure::trust(&error);
            let path = safe(&path.display().to_string(), 200);
            failure.message = format!("{path} is not signed: {}", failure.message);
            failure
        })
    });
    let mut lists = named.collect::<Result<Vec<_>, _>>()?;
    if lists.is_empty() {
        lists = trust.crls().map(<[u8]>::to_vec).collect();
    }
    lists.sort();
    lists.dedup();
    if lists.is_empty() {
        let message = "there is no revocation list to sign";
        return Err(Failure::new(Exit::NotFound, "QC2171", message).help("qc-pki list"));
    }
    Ok(lists)
}

/// Gives the draft its revision: that of the last one if it says the same, else the next.
fn count(house: &PkiDir, draft: &mut Draft, is_given: bool) -> Result<&'static str, Failure> {
    let path = house
        .path()
        .join("objects")
        .join(format!("{}.json", draft.kind));
    let broken = |error: &(dyn std::error::Error + 'static)| {
        let message = format!("{} cannot be used", path.display());
        Failure::new(Exit::Disk, "QC2106", message).because(error)
    };
    let last: Last = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| broken(&error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Last::default(),
        Err(error) => return Err(broken(&error)),
    };
    let says = says(draft);
    let is_same = last.says == says;
    if !is_given {
        draft.revision = last.revision + u64::from(!is_same || last.revision == 0);
    }
    if draft.revision < last.revision {
        let message = format!(
            "revision {} of {} was signed here already",
            last.revision, draft.kind
        );
        return Err(Failure::new(Exit::Conflict, "QC2163", message));
    }
    if draft.revision == last.revision {
        if is_same {
            return Ok("unchanged");
        }
        let message = format!("revision {} says something else already", last.revision);
        return Err(Failure::new(Exit::Conflict, "QC2164", message));
    }
    let next = Last {
        schema: 1,
        revision: draft.revision,
        says,
    };
    let json = serde_json::to_vec(&next).map_err(|error| broken(&error))?;
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    durable::create_dir_all(dir, 0o700)
        .and_then(|()| durable::write_atomic(&path, &json, 0o600))
        .map_err(|error| broken(&error))?;
    Ok("signed")
}

/// SHA-256 over whom it is for and what it says.
fn says(draft: &Draft) -> String {
    let mut audience: Vec<&str> = draft.audience.iter().map(NodePattern::as_str).collect();
    audience.sort_unstable();
    audience.dedup();
    let head = format!("{} {}\n", draft.domain, audience.join(" "));
    let all = [head.as_bytes(), &draft.payload].concat();
    fingerprint(&sha256(&all))
}

pub(crate) fn show(args: &Show, context: &Context<'_>) -> Result<(), Failure> {
    let bytes = read_file(&args.file, MAX_OBJECT as u64)?;
    let object = Object::decode(&bytes).map_err(|error| rejected(&error.into()))?;
    let trust = load_trust(args.trust.as_deref(), &args.house)?;
    let signed = judge(&object, &trust).map_err(|rejection| rejected(&rejection))?;
    let mut data = data(&object, "good", None);
    let signer = json!(signed.by.as_str());
    if let Some(data) = data.as_object_mut() {
        data.insert("signer".to_owned(), signer);
    }
    context
        .out
        .result("qc.pki-control/1", context.now, &data, || {
            text(&object, &signed.by.to_string())
        })
}

fn text(object: &Object, signer: &str) -> String {
    let (says, parts) = (object.says(), object.parts());
    let audience: Vec<&str> = says.audience.iter().map(NodePattern::as_str).collect();
    let audience = if audience.is_empty() {
        "all".to_owned()
    } else {
        audience.join(" ")
    };
    let mut lines = vec![
        format!("good      {}", object.mark()),
        format!("signed    {} by {signer}", says.created),
        format!("domain    {}", says.domain),
        format!("audience  {audience}"),
        format!("prefix    {} bytes are signed", parts.signed.len()),
    ];
    lines.extend(views(object).iter().map(|list| {
        format!(
            "list      {} number {}, {} revoked",
            list.issuer,
            list.number,
            list.revoked.len()
        )
    }));
    lines.join("\n")
}

/// The lists in it, as far as they can be read.
fn views(object: &Object) -> Vec<CrlView> {
    let lists = revocation_lists(&object.says().payload).unwrap_or_default();
    let views = lists.iter().filter_map(|list| CrlView::parse(list).ok());
    views.collect()
}

fn data(object: &Object, state: &str, file: Option<&Path>) -> serde_json::Value {
    let Mark {
        kind,
        label,
        revision,
        digest,
    } = object.mark();
    let says = object.says();
    let signer = object.parts().chain.first();
    let signer = signer.and_then(|leaf| CertView::parse(leaf).ok());
    let lists: Vec<_> = views(object)
        .iter()
        .map(|list| json!({"issuer": list.issuer, "number": list.number, "revoked": list.revoked}))
        .collect();
    json!({
        "kind": kind.as_str(), "label": label.as_str(), "revision": revision, "state": state,
        "digest": fingerprint(&digest), "created": says.created.to_string(),
        "trust_domain": says.domain.as_str(),
        "audience": says.audience.iter().map(NodePattern::as_str).collect::<Vec<_>>(),
        "signer": signer.map(|view| view.subject), "bytes": object.bytes().len(),
        "signed_bytes": object.parts().signed.len(), "lists": lists, "file": file,
    })
}

fn not_signed(error: &SignError) -> Failure {
    match error {
        SignError::TooLong { .. } => Failure::new(Exit::Usage, "QC2171", error.to_string()),
        SignError::Key(error) => failure::key(error),
    }
}

fn rejected(rejection: &Rejection) -> Failure {
    let message = format!("no node would take this: {rejection}");
    let failure = Failure::new(rejection.exit(), rejection.code(), message);
    failure.help(format!("qc-pki explain {}", rejection.code()))
}
