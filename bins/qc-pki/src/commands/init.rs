//! `qc-pki init`

use qc_core::cli::Failure;
use qc_core::model::TrustDomain;
use qc_core::pki::{DirError, PkiDir, fingerprint, key_words};
use serde_json::json;

use super::{Context, day};
use crate::cli::HouseArg;
use crate::{failure, passphrase};

/// The directory name of the root.
pub(crate) const ROOT: &str = "root";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The organisation, as it shall stand in certificates
    #[arg(long, value_name = "NAME")]
    org: String,

    /// The domain under which all nodes are named
    #[arg(long, value_name = "DOMAIN", default_value = "qc.internal", value_parser = parse_domain)]
    trust_domain: TrustDomain,

    #[command(flatten)]
    house: HouseArg,

    #[command(flatten)]
    key: passphrase::CreateArgs,
}

fn parse_domain(text: &str) -> Result<TrustDomain, qc_core::model::NameError> {
    text.parse()
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let house =
        PkiDir::init(&args.house.dir, &args.org, &args.trust_domain).map_err(failure::dir)?;
    let (root, encrypted, state) = match house.ca(ROOT) {
        Ok(files) => (files.cert, files.encrypted, "unchanged"),
        Err(DirError::NoSuchCa { .. }) => {
            let secret = passphrase::to_create(ROOT, &args.key, context.globals, context.out)?;
            let lock = house.lock().map_err(failure::dir)?;
            let root = house
                .create_root(&lock, ROOT, secret.as_ref(), context.now)
                .map_err(failure::dir)?;
            (root.cert().clone(), secret.is_some(), "created")
        }
        Err(error) => return Err(failure::dir(error)),
    };
    let view = qc_core::pki::CertView::parse(&root).map_err(|e| failure::cert(&e))?;
    let data = json!({
        "state": state, "subject": view.subject, "not_after": view.not_after.to_string(),
        "pin": fingerprint(&view.spki_sha256), "words": key_words(&view.spki_sha256),
        "key_encrypted": encrypted, "trust_domain": args.trust_domain.as_str(),
        "dir": args.house.dir,
    });
    context.out.result("qc.pki-root/1", context.now, &data, || {
        let key = if encrypted {
            "encrypted (scrypt)"
        } else {
            "PLAIN"
        };
        format!(
            "root      {}   ECDSA P-384  until {}  key {key}  {state}\n\
             pin       {}\n\
             words     {}   (read these aloud)\n\
             next      qc-pki ca create issuing-hq --parent root{}",
            view.subject,
            day(view.not_after),
            fingerprint(&view.spki_sha256),
            key_words(&view.spki_sha256),
            args.house.flag(),
        )
    })
}
