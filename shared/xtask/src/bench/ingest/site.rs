//! A certificate authority, a relay's state and one edge a link, made in-process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_core::cli::{Exit, Failure};
use qc_core::clock::{Clock as _, SystemClock};
use qc_core::durable;
use qc_core::model::NodeName;
use qc_core::pki::{
    Authority, CaPlan, CertRequest, Identity, KeyAndChain, LEAF_LIFETIME, PkiDir, PrivateKey,
    Profile, Role,
};
use qc_core::tls::Credentials;

use crate::CHORE;
use crate::demo::free_ports;

/// What the bench runs on.
pub(super) struct Site {
    /// The relay's configuration file.
    pub(super) config: PathBuf,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// The edges, one a link.
    pub(super) edges: Vec<(NodeName, Credentials)>,
}

type Trouble = Box<dyn std::error::Error>;

/// Makes the site below `dir`.
pub(super) fn prepare(dir: &Path, edges: usize, clock: &Arc<SystemClock>) -> Result<Site, Failure> {
    make(dir, edges, clock).map_err(|error| {
        Failure::new(Exit::Other, CHORE, "cannot prepare the bench's site").because(error.as_ref())
    })
}

fn make(dir: &Path, edges: usize, clock: &Arc<SystemClock>) -> Result<Site, Trouble> {
    let pki = PkiDir::init(&dir.join("pki"), "bench", &"qc.internal".parse()?)?;
    let lock = pki.lock()?;
    let root = pki.create_root(&lock, "root", None, clock.now())?;
    let plan = CaPlan {
        name: "issuing".to_owned(),
        tenant: None,
        site: None,
        roles: Vec::new(),
        lifetime: None,
    };
    let ca = pki.create_ca(&lock, &root, &plan, None, clock.now())?;
    drop(lock);

    let state = dir.join("relay");
    enroll(
        &pki,
        &ca,
        "relay.hq.bench".parse()?,
        Role::Relay,
        &state,
        clock,
    )?;
    let mut made = Vec::new();
    for number in 0..edges {
        let name: NodeName = format!("edge-{number}.site.bench").parse()?;
        let home = dir.join(format!("edge-{number}"));
        enroll(&pki, &ca, name.clone(), Role::Edge, &home, clock)?;
        made.push((
            name,
            Credentials::load(&home, Arc::<SystemClock>::clone(clock))?,
        ));
    }
    let [port] = free_ports::<1>()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (state, socket) = (state.display(), dir.join("relay.sock"));
    let config = dir.join("relay.toml");
    let text = format!(
        "schema = 1\n[node]\nstate = \"{state}\"\n[listen]\naddress = \"{address}\"\n\
         [admin]\nsocket = \"{}\"\n\
         [[stream]]\nname = \"bench/ingest\"\nclass = \"bench\"\npublish = [\"*.site.bench\"]\n",
        socket.display()
    );
    durable::write_atomic(&config, text.as_bytes(), 0o600)?;
    Ok(Site {
        config,
        address,
        edges: made,
    })
}

fn enroll(
    pki: &PkiDir,
    ca: &Authority,
    name: NodeName,
    role: Role,
    state: &Path,
    clock: &SystemClock,
) -> Result<(), Trouble> {
    let key = PrivateKey::new_p256()?;
    let request = CertRequest::parse(&CertRequest::create(&key)?)?;
    let profile = Profile::Node { name, role };
    let lock = pki.lock()?;
    let issued = pki.issue(
        &lock,
        ca,
        &profile,
        &request,
        None,
        LEAF_LIFETIME,
        "bench",
        clock.now(),
    )?;
    drop(lock);
    let chain = std::iter::once(issued.cert)
        .chain(ca.chain().cloned())
        .collect();
    let identity = Identity {
        node: KeyAndChain::new(key, chain)?,
        front: None,
    };
    durable::create_dir_all(state, 0o700)?;
    identity.install(state, "bench")?;
    pki.trust()?.save(&state.join("trust"))?;
    Ok(())
}
