//! `qc-pki install`

use std::path::PathBuf;

use qc_core::cli::{Exit, Failure};
use qc_core::pki::{
    Identity, JoinResponse, KeyAndChain, MAX_PEM, Pending, Role, TrustAnchors, Usage, key_words,
    verify_peer,
};
use serde_json::json;

use super::{Context, read_file, validity_words};
use crate::cli::NodeArg;
use crate::failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The response file (.qcresp)
    file: PathBuf,

    #[command(flatten)]
    node: NodeArg,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let bytes = read_file(&args.file, u64::try_from(MAX_PEM).unwrap_or(0))?;
    let response = JoinResponse::parse(&bytes).map_err(|e| failure::request(&e))?;
    if let Ok(current) = Identity::load(&args.node.dir)
        && current.node.chain.first() == Some(&response.cert)
    {
        let data = json!({ "state": "unchanged", "serial": current.node.view.serial });
        return context
            .out
            .result("qc.pki-install/1", context.now, &data, || {
                "unchanged: this certificate is installed".to_owned()
            });
    }
    let key = Pending::existing(&args.node.dir, "key").map_err(|e| failure::identity(&e))?;
    let key = key.ok_or_else(|| {
        let message = format!("{} holds no key that waits", args.node.dir.display());
        Failure::new(Exit::NotFound, "QC2154", message)
            .help("qc-pki request new NODE.SITE.TENANT --role ROLE --out DIR")
    })?;
    let trust_dir = args.node.dir.join("trust");
    let trust = if trust_dir.join("domain").exists() {
        let mut known = TrustAnchors::load(&trust_dir).map_err(|e| failure::trust(&e))?;
        refuse_new_roots(&known, &response)?;
        known
            .merge(&response.trust)
            .map_err(|e| failure::trust(&e))?;
        known
    } else {
        response.trust
    };
    let mut chain = vec![response.cert];
    chain.extend(response.chain);
    let node = KeyAndChain::new(key, chain).map_err(|e| failure::identity(&e))?;
    let peer = verify_peer(&node.chain, &trust, Usage::Client, &Role::ALL, context.now)
        .map_err(|refusal| failure::peer(&refusal))?;
    let life = node.view.not_after.since(node.view.not_before);
    trust.save(&trust_dir).map_err(|e| failure::trust(&e))?;
    let dir = Identity { node, front: None }
        .install(&args.node.dir, "response")
        .map_err(|e| failure::identity(&e))?;
    let roots: Vec<String> = trust
        .root_views()
        .map(|root| key_words(&root.spki_sha256))
        .collect();
    let data = json!({
        "state": "installed", "node": peer.name.as_str(), "role": peer.role.as_str(),
        "serial": peer.serial, "not_after": peer.not_after.to_string(), "dir": dir,
        "root_words": roots,
    });
    context.out.result("qc.pki-install/1", context.now, &data, || {
        format!(
            "{}  role {}  {}\nroot      {}   (compare with the authority's words)\ninstalled {}",
            peer.name,
            peer.role,
            validity_words(life),
            roots.join(" "),
            dir.display()
        )
    })
}

/// A stick does not bring a new root to a node that has one.
fn refuse_new_roots(known: &TrustAnchors, response: &JoinResponse) -> Result<(), Failure> {
    let is_known = |root: &[u8]| known.roots().any(|known| known.as_ref() == root);
    if response.trust.roots().all(|root| is_known(root)) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Verification,
        "QC2155",
        "the response stands under a root that this node does not trust",
    ))
}
