//! `qc-pki ca create`

use std::path::PathBuf;
use std::time::Duration;

use qc_core::cli::{Exit, Failure};
use qc_core::model::{Site, Tenant};
use qc_core::pki::{CaPlan, CertView, DirError, LEAF_LIFETIME, PkiDir, Role};
use serde_json::json;

use super::{Context, day, validity_words};
use crate::cli::HouseArg;
use crate::{failure, passphrase};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Create an authority below another one
    Create(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name, such as issuing-hq or site-mill7
    name: String,

    /// The authority above it
    #[arg(long, value_name = "CA")]
    parent: String,

    /// Let it name nodes of this tenant only
    #[arg(long, value_parser = |t: &str| t.parse::<Tenant>())]
    tenant: Option<Tenant>,

    /// Let it name nodes of this site only
    #[arg(long, requires = "tenant", value_parser = |t: &str| t.parse::<Site>())]
    site: Option<Site>,

    /// Let it give these roles only
    #[arg(long, value_delimiter = ',', value_name = "ROLE", value_parser = |t: &str| t.parse::<Role>())]
    roles: Vec<Role>,

    /// How many days it is valid
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=7300))]
    days: Option<u64>,

    #[command(flatten)]
    house: HouseArg,

    #[command(flatten)]
    key: passphrase::CreateArgs,

    /// Read the passphrase of the parent's key from this file
    #[arg(long, value_name = "FILE")]
    parent_passphrase_file: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<(), Failure> {
    let house = PkiDir::open(&args.house.dir).map_err(failure::dir)?;
    let plan = CaPlan {
        name: args.name.clone(),
        tenant: args.tenant.clone(),
        site: args.site.clone(),
        roles: args.roles.clone(),
        lifetime: args.days.map(|days| Duration::from_hours(days * 24)),
    };
    let (view, state) = match house.ca(&args.name) {
        Ok(files) => {
            let view = CertView::parse(&files.cert).map_err(|e| failure::cert(&e))?;
            check_same(args, &house, &view)?;
            (view, "unchanged")
        }
        Err(DirError::NoSuchCa { .. }) => (create(args, &house, &plan, context)?, "created"),
        Err(error) => return Err(failure::dir(error)),
    };
    let names = bound(&view, &house);
    let roles: Vec<&str> = view.roles.iter().map(|role| role.as_str()).collect();
    let data = json!({
        "state": state, "name": args.name, "subject": view.subject, "serial": view.serial,
        "permitted": names, "roles": roles, "not_after": view.not_after.to_string(),
        "cas_below": view.path_length,
    });
    context.out.result("qc.pki-ca/1", context.now, &data, || {
        let below = if view.path_length == Some(0) {
            "none"
        } else {
            "site CAs"
        };
        format!(
            "{} may issue: *.{names}  roles {}  leaf {}  CAs: {below}   expires {}  {state}\n\
             next      qc-pki token new NODE.SITE.TENANT --role edge --ca {}{}",
            args.name,
            roles.join(","),
            validity_words(LEAF_LIFETIME),
            day(view.not_after),
            args.name,
            args.house.flag(),
        )
    })
}

fn create(
    args: &Args,
    house: &PkiDir,
    plan: &CaPlan,
    context: &Context<'_>,
) -> Result<CertView, Failure> {
    let parent = context.unlock(house, &args.parent, args.parent_passphrase_file.as_deref())?;
    let secret = passphrase::to_create(&args.name, &args.key, context.globals, context.out)?;
    let lock = house.lock().map_err(failure::dir)?;
    let ca = house
        .create_ca(&lock, &parent, plan, secret.as_ref(), context.now)
        .map_err(failure::dir)?;
    Ok(ca.view().clone())
}

/// The same command again is no error; another plan under the same name is.
fn check_same(args: &Args, house: &PkiDir, view: &CertView) -> Result<(), Failure> {
    let parent = house.ca(&args.parent).map_err(failure::dir)?;
    let parent = CertView::parse(&parent.cert).map_err(|e| failure::cert(&e))?;
    let wanted = match (&args.site, &args.tenant) {
        (Some(site), Some(tenant)) => Some(format!("{site}.{tenant}.{}", house.domain())),
        (_, Some(tenant)) => Some(format!("{tenant}.{}", house.domain())),
        _ => None,
    };
    let same_names = wanted.is_none_or(|wanted| view.permitted_dns == [wanted]);
    let same_roles = args.roles.is_empty()
        || (args.roles.len() == view.roles.len()
            && args.roles.iter().all(|role| view.roles.contains(role)));
    if parent.may_have_issued(view) && same_names && same_roles {
        return Ok(());
    }
    let message = format!("a CA named '{}' exists and is not the same", args.name);
    Err(Failure::new(Exit::Conflict, "QC2103", message).help(format!("qc-pki show {}", args.name)))
}

fn bound(view: &CertView, house: &PkiDir) -> String {
    let bound = view.permitted_dns.first().cloned();
    bound.unwrap_or_else(|| house.domain().to_string())
}
