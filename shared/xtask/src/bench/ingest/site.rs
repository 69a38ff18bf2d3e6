//! A certificate authority, a relay's state and one edge a link, made in-process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_core::cli::{Exit, Failure};
use qc_core::clock::SystemClock;
use qc_core::durable;
use qc_core::model::NodeName;
use qc_core::pki::Role;
use qc_core::tls::Credentials;

use crate::CHORE;
use crate::bench::authority::{Authority, Trouble};
use crate::demo::free_ports;

/// What the bench runs on.
pub(super) struct Site {
    /// The relay's configuration file.
    pub(super) config: PathBuf,
    /// Its socket for administration.
    pub(super) socket: PathBuf,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// The edges, one a link.
    pub(super) edges: Vec<(NodeName, Credentials)>,
}

/// Makes the site below `dir`.
pub(super) fn prepare(dir: &Path, edges: usize, clock: &Arc<SystemClock>) -> Result<Site, Failure> {
    make(dir, edges, clock).map_err(|error| {
        Failure::new(Exit::Other, CHORE, "cannot prepare the bench's site").because(error.as_ref())
    })
}

fn make(dir: &Path, edges: usize, clock: &Arc<SystemClock>) -> Result<Site, Trouble> {
    let authority = Authority::create(&dir.join("pki"), clock)?;
    let state = dir.join("relay");
    authority.enroll("relay.hq.bench".parse()?, Role::Relay, &state)?;
    let mut made = Vec::new();
    for number in 0..edges {
        let name: NodeName = format!("edge-{number}.site.bench").parse()?;
        let credentials = authority.edge(name.clone())?;
        made.push((name, credentials));
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
        socket,
        address,
        edges: made,
    })
}
