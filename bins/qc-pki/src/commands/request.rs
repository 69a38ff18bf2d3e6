//! `qc-pki request new`

use std::path::PathBuf;

use qc_core::cli::Failure;
use qc_core::model::NodeName;
use qc_core::pki::{CertRequest, JoinRequest, Pending, Role, key_words};
use serde_json::json;

use super::{Context, write_file};
use crate::cli::NodeArg;
use crate::failure;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key here and write a request to carry to the authority
    New(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// This node
    #[arg(value_name = "NODE.SITE.TENANT", value_parser = |t: &str| t.parse::<NodeName>())]
    node_name: NodeName,

    /// The role it asks for
    #[arg(long, value_parser = |t: &str| t.parse::<Role>())]
    role: Role,

    /// Write the request into this directory
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    #[command(flatten)]
    node: NodeArg,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let key = Pending::key(&args.node.dir, "key").map_err(|e| failure::identity(&e))?;
    let csr = CertRequest::create(&key).map_err(|e| failure::key(&e))?;
    let path = args.out.join(format!("{}.qcreq", args.node_name));
    let text = JoinRequest::write(&args.node_name, args.role, &csr);
    write_file(&path, text.as_bytes())?;
    let words = key_words(&key.spki_sha256());
    let data = json!({
        "node": args.node_name.as_str(), "role": args.role.as_str(), "words": words, "file": path,
    });
    context
        .out
        .result("qc.pki-request/1", context.now, &data, || {
            format!(
                "{}  role {}  key made in {}\nwords     {words}   (the signer reads them back)\n\
             next      qc-pki sign --ca CA --out DIR {}",
                args.node_name,
                args.role,
                args.node.dir.display(),
                path.display()
            )
        })
}
