//! A certificate authority for benches, and the certificates of the nodes that it makes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_core::clock::{Clock as _, SystemClock};
use qc_core::durable;
use qc_core::model::NodeName;
use qc_core::pki::{
    Authority as Issuer, CaPlan, CertRequest, Identity, KeyAndChain, LEAF_LIFETIME, PkiDir,
    PrivateKey, Profile, Role, TrustAnchors,
};
use qc_core::tls::Credentials;

/// An authority with its directory.
pub(super) struct Authority {
    trust: TrustAnchors,
    ca: Issuer,
    clock: Arc<SystemClock>,
}

pub(super) type Trouble = Box<dyn std::error::Error>;

impl Authority {
    /// A root and an issuing authority below it, in `dir`.
    pub(super) fn create(dir: &Path, clock: &Arc<SystemClock>) -> Result<Self, Trouble> {
        let pki = PkiDir::init(dir, "bench", &"qc.internal".parse()?)?;
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
        Ok(Self {
            trust: pki.trust()?,
            ca,
            clock: Arc::clone(clock),
        })
    }

    /// A node's state directory with its identity and its trust.
    pub(super) fn enroll(
        &self,
        name: NodeName,
        role: Role,
        state: &Path,
    ) -> Result<PathBuf, Trouble> {
        let identity = self.identity(name, role)?;
        durable::create_dir_all(state, 0o700)?;
        identity.install(state, "bench")?;
        self.trust.save(&state.join("trust"))?;
        Ok(state.to_owned())
    }

    /// The credentials of an edge, in memory.
    pub(super) fn edge(&self, name: NodeName) -> Result<Credentials, Trouble> {
        let identity = self.identity(name, Role::Edge)?;
        let mut trust = TrustAnchors::new(self.trust.domain().clone());
        trust.merge(&self.trust)?;
        let clock = Arc::<SystemClock>::clone(&self.clock);
        Ok(Credentials::from_parts(&identity, trust, clock)?)
    }

    fn identity(&self, name: NodeName, role: Role) -> Result<Identity, Trouble> {
        let key = PrivateKey::new_p256()?;
        let request = CertRequest::parse(&CertRequest::create(&key)?)?;
        let (profile, serial) = (Profile::Node { name, role }, PkiDir::new_serial()?);
        let now = self.clock.now();
        let issued = self
            .ca
            .issue(&profile, &request, &serial, LEAF_LIFETIME, now)?;
        let chain = std::iter::once(issued).chain(self.ca.chain().cloned());
        Ok(Identity {
            node: KeyAndChain::new(key, chain.collect())?,
            front: None,
        })
    }
}
