//! `qc-pki enroll`

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use qc_core::cli::{Exit, Failure};
use qc_core::clock::SystemClock;
use qc_core::est::{EnrollOutcome, EnrollPlan, enroll};
use qc_core::pki::{Identity, TokenText};
use qc_core::secret::Secret;
use serde_json::json;

use super::{Context, read_file, runtime, validity_words};
use crate::cli::NodeArg;
use crate::failure;

const MAX_TOKEN: u64 = 4096;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The relay or authority, such as <https://hq.example:8443>
    #[arg(long, value_name = "URL")]
    url: String,

    /// Read the token from this file, or from stdin with -
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,

    #[command(flatten)]
    node: NodeArg,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let text = read_token(args)?;
    let token: TokenText = text
        .expose()
        .parse()
        .map_err(|e| failure::token(&e).help("copy the whole line again; nothing was sent"))?;
    let plan = EnrollPlan {
        url: args.url.clone(),
        token,
        state_dir: args.node.dir.clone(),
        deadline: context.globals.timeout,
    };
    let clock = Arc::new(SystemClock::default());
    let outcome = runtime()?.block_on(enroll(&plan, clock));
    match outcome.map_err(failure::enroll)? {
        EnrollOutcome::Unchanged => {
            let identity = Identity::load(&args.node.dir).map_err(|e| failure::identity(&e))?;
            let data = json!({ "state": "unchanged", "serial": identity.node.view.serial });
            context
                .out
                .result("qc.pki-enroll/1", context.now, &data, || {
                    "unchanged: this token was redeemed here before".to_owned()
                })
        }
        EnrollOutcome::Enrolled {
            identity,
            not_before,
            front_dns,
            dir,
        } => {
            let data = json!({
                "state": "enrolled", "node": identity.name.as_str(),
                "role": identity.role.as_str(), "serial": identity.serial,
                "not_after": identity.not_after.to_string(), "front_dns": front_dns, "dir": dir,
            });
            context
                .out
                .result("qc.pki-enroll/1", context.now, &data, || {
                    let front = if front_dns.is_empty() {
                        String::new()
                    } else {
                        format!("front     {}\n", front_dns.join(","))
                    };
                    format!(
                        "{}  role {}  {}\n{front}installed {}",
                        identity.name,
                        identity.role,
                        validity_words(identity.not_after.since(not_before)),
                        dir.display()
                    )
                })
        }
    }
}

fn read_token(args: &Args) -> Result<Secret<String>, Failure> {
    let bytes = if args.token_file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let stdin = std::io::stdin().lock();
        stdin
            .take(MAX_TOKEN)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                Failure::new(Exit::Other, "QC2136", "stdin cannot be read").because(&error)
            })?;
        bytes
    } else {
        read_file(&args.token_file, MAX_TOKEN)?
    };
    Ok(Secret::new(String::from_utf8_lossy(&bytes).into_owned()))
}
