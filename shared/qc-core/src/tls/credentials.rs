//! What a process shows and whom it believes, loaded from its state directory and replaced as a
//! whole: every handshake takes the newest, and who was let in before is judged again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DistinguishedName, RootCertStore, ServerConfig};
use tokio::sync::watch;

use super::ALPN_LINK;
use super::shown::{Rules, Shown};
use super::verifier::{PeerVerifier, Verdict};
use crate::clock::Clock;
use crate::model::NodeName;
use crate::pki::{
    BadList, CertView, Identity, IdentityError, KeyAndChain, PeerRefusal, Role, TrustAnchors,
    TrustError, Usage,
};

/// Who may answer the link of an edge.
pub const RELAYS: &[Role] = &[Role::Relay, Role::RelayParent];
/// Who may answer the link of a relay: what it keeps goes there.
pub const PARENTS: &[Role] = &[Role::RelayParent];
/// Who may dial a link, and who may knock at the front door.
const LINK_CLIENTS: &[Role] = &[Role::Edge, Role::Relay, Role::RelayParent];
const FRONT_CLIENTS: &[Role] = &Role::ALL;

/// Why credentials could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The TLS library does not take the key.
    #[error("the TLS library does not take this key or certificate")]
    Tls(#[from] rustls::Error),
}

impl CredentialsError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Identity(IdentityError::Missing { .. }) => "QC2020",
            Self::Identity(IdentityError::Key(_)) => "QC2021",
            Self::Identity(_) => "QC2022",
            Self::Trust(_) => "QC2023",
            Self::Tls(_) => "QC2024",
        }
    }
}

/// One generation of credentials.
pub struct Loaded {
    /// Whom we believe.
    pub trust: TrustAnchors,
    /// The facts of our own node certificate.
    pub node: CertView,
    /// Rises with every change.
    pub(super) generation: u64,
    node_key: Arc<CertifiedKey>,
    front_key: Arc<CertifiedKey>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Loaded({})", self.node.subject)
    }
}

impl Loaded {
    fn new(identity: &Identity, trust: TrustAnchors) -> Result<Self, CredentialsError> {
        let node_key = certified(&identity.node)?;
        let front_key = identity
            .front
            .as_ref()
            .map_or_else(|| Ok(Arc::clone(&node_key)), certified)?;
        Ok(Self {
            trust,
            node: identity.node.view.clone(),
            generation: 0,
            node_key,
            front_key,
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.node_key.cert == other.node_key.cert
            && self.front_key.cert == other.front_key.cert
            && self.trust.is_same(&other.trust)
    }
}

/// What came of reading the state directory again.
#[derive(Debug, Default)]
pub struct Reload {
    /// Whether something is new.
    pub is_new: bool,
    /// The CAs whose list on disk is gone or older than the one that stays in force.
    pub kept: Vec<String>,
    /// The lists that were left out.
    pub bad: Vec<BadList>,
    /// Whether nothing was taken because a root or CA is gone, which may be half of a change.
    pub waits: bool,
}

/// Whether a node of this role may dial a link.
pub fn may_link(role: Role) -> bool {
    LINK_CLIENTS.contains(&role)
}

/// The names of our roots, as TLS tells them.
fn root_names(trust: &TrustAnchors) -> Vec<DistinguishedName> {
    let mut roots = RootCertStore::empty();
    for root in trust.roots() {
        // it was read before, and is judged elsewhere
        let _left_out = roots.add(root.clone());
    }
    roots.subjects()
}

/// The whole chain is shown, its root too: a node that enrolls knows only the root's key.
fn certified(part: &KeyAndChain) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let key = any_supported_type(&part.key.to_tls())?;
    Ok(Arc::new(CertifiedKey::new(part.chain.clone(), key)))
}

/// Credentials shared by everything in a process that speaks TLS. Cloning gives another handle.
#[derive(Clone)]
pub struct Credentials {
    state_dir: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    current: Arc<watch::Sender<Arc<Loaded>>>,
    /// Held from reading the files to putting in force what they say, so that what was read first is
    /// not in force last.
    turn: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({:?})", self.current.borrow())
    }
}

impl Credentials {
    /// Loads `id/current` and `trust` below a state directory.
    pub fn load(state_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, CredentialsError> {
        let loaded = Self::read(state_dir)?;
        Ok(Self {
            state_dir: Some(state_dir.to_owned()),
            clock,
            current: Arc::new(watch::Sender::new(Arc::new(loaded))),
            turn: Arc::default(),
        })
    }

    /// Takes credentials that are not on disk.
    pub fn from_parts(
        identity: &Identity,
        trust: TrustAnchors,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CredentialsError> {
        let loaded = Loaded::new(identity, trust)?;
        Ok(Self {
            state_dir: None,
            clock,
            current: Arc::new(watch::Sender::new(Arc::new(loaded))),
            turn: Arc::default(),
        })
    }

    /// Reads the state directory again. On failure the old credentials stay; of two revocation lists
    /// the newer one does.
    pub fn reload(&self) -> Result<Reload, CredentialsError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(dir) = &self.state_dir else {
            return Ok(Reload::default());
        };
        Ok(self.take(Self::read(dir)?))
    }

    /// Reads it again without being asked: without the lists that cannot be used, and without a root
    /// or CA only if that `may_remove`.
    pub(super) fn reload_usable(&self, may_remove: bool) -> Result<Reload, CredentialsError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(dir) = &self.state_dir else {
            return Ok(Reload::default());
        };
        let identity = Identity::load(dir)?;
        let (trust, bad) = TrustAnchors::load_usable(&dir.join("trust"))?;
        let loaded = Loaded::new(&identity, trust)?;
        let waits = !may_remove && loaded.trust.lacks_any_of(&self.current().trust);
        let done = if waits {
            Reload::default()
        } else {
            self.take(loaded)
        };
        Ok(Reload { bad, waits, ..done })
    }

    fn take(&self, mut loaded: Loaded) -> Reload {
        let kept = loaded.trust.keep_lists(&self.current().trust);
        Reload {
            is_new: self.put(loaded),
            kept,
            ..Reload::default()
        }
    }

    /// Puts those revocation lists of `with` in force that are not older than what is, without a look at the disk.
    /// Keys, roots and CAs stay: what else has changed in the files is for whoever watches them, with more care.
    /// A list of a CA that is not in force yet waits for that, too.
    pub fn take_lists(&self, with: &TrustAnchors) -> Result<(), TrustError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        let mut trust = TrustAnchors::new(current.trust.domain().clone());
        trust.merge(&current.trust)?;
        for list in with.crls() {
            // an older one takes nothing back, and that of a CA that is not in force waits
            let _left_out = trust.add_crl(list.to_vec());
        }
        self.put(Loaded {
            trust,
            node: current.node.clone(),
            generation: 0,
            node_key: Arc::clone(&current.node_key),
            front_key: Arc::clone(&current.front_key),
        });
        Ok(())
    }

    /// Puts a generation in force, if it is another one.
    fn put(&self, mut loaded: Loaded) -> bool {
        self.current.send_if_modified(|current| {
            if loaded.is_same(current) {
                return false;
            }
            loaded.generation = current.generation + 1;
            *current = Arc::new(loaded);
            true
        })
    }

    /// Where they come from, if they are on disk.
    pub fn state_dir(&self) -> Option<&Path> {
        self.state_dir.as_deref()
    }

    fn read(state_dir: &Path) -> Result<Loaded, CredentialsError> {
        let identity = Identity::load(state_dir)?;
        let trust = TrustAnchors::load(&state_dir.join("trust"))?;
        Loaded::new(&identity, trust)
    }

    /// Replaces credentials that are not on disk.
    pub fn replace(
        &self,
        identity: &Identity,
        trust: TrustAnchors,
    ) -> Result<(), CredentialsError> {
        self.put(Loaded::new(identity, trust)?);
        Ok(())
    }

    /// Judges whom `shown` admitted by the newest credentials, which may have come since.
    pub fn judge_again(&self, shown: &Shown) -> Result<(), PeerRefusal> {
        let newest = self.current();
        if shown.generation() == newest.generation {
            return Ok(());
        }
        shown.judge(&newest.trust).map(drop)
    }

    /// Resolves with the reason when newer credentials no longer admit whom `shown` admitted; never
    /// otherwise. A peer without a certificate has none to lose.
    pub fn distrusted(
        &self,
        shown: Option<Shown>,
    ) -> impl Future<Output = PeerRefusal> + Send + 'static + use<> {
        let (credentials, mut newest) = (self.clone(), self.current.subscribe());
        async move {
            let _keeps_the_sender = credentials;
            if let Some(shown) = shown {
                let mut judged_by = shown.generation();
                while let Ok(loaded) = newest.wait_for(|new| new.generation != judged_by).await {
                    let loaded = Arc::clone(&loaded);
                    judged_by = loaded.generation;
                    if let Err(refusal) = shown.judge(&loaded.trust) {
                        return refusal;
                    }
                }
            }
            std::future::pending().await
        }
    }

    /// The newest generation.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.borrow())
    }

    /// Tells when a new generation has come.
    pub fn changed(&self) -> watch::Receiver<Arc<Loaded>> {
        self.current.subscribe()
    }

    /// Our own name, if our certificate is a node's.
    pub fn own_name(&self) -> Option<NodeName> {
        let loaded = self.current();
        let [dns] = loaded.node.dns.as_slice() else {
            return None;
        };
        NodeName::from_dns_name(dns, loaded.trust.domain()).ok()
    }

    /// Serves links: a client certificate is demanded. The verdict tells who came, or why not.
    pub fn link_server_config(&self) -> Result<(Arc<ServerConfig>, Verdict), rustls::Error> {
        let loaded = self.current();
        let key = Arc::clone(&loaded.node_key);
        let alpn = vec![ALPN_LINK.to_vec()];
        self.server_config(loaded, key, LINK_CLIENTS, false, alpn)
    }

    /// Serves ordinary clients: a client certificate is judged if one is sent. `hints` are the roots
    /// that the client says it trusts. A node that wants a link over HTTP names ours, and gets the
    /// node's certificate; a browser names none, and gets that of the front.
    pub fn front_server_config(
        &self,
        hints: Option<&[DistinguishedName]>,
    ) -> Result<(Arc<ServerConfig>, Verdict), rustls::Error> {
        let loaded = self.current();
        let ours = root_names(&loaded.trust);
        let is_ours =
            |hint: &DistinguishedName| ours.iter().any(|root| root.as_ref() == hint.as_ref());
        let is_node = hints.is_some_and(|hints| hints.iter().any(is_ours));
        let key = Arc::clone(if is_node {
            &loaded.node_key
        } else {
            &loaded.front_key
        });
        let alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        self.server_config(loaded, key, FRONT_CLIENTS, true, alpn)
    }

    fn server_config(
        &self,
        loaded: Arc<Loaded>,
        key: Arc<CertifiedKey>,
        roles: &'static [Role],
        optional: bool,
        alpn: Vec<Vec<u8>>,
    ) -> Result<(Arc<ServerConfig>, Verdict), rustls::Error> {
        let verdict = Verdict::default();
        let verifier = PeerVerifier {
            loaded,
            clock: Arc::clone(&self.clock),
            rules: Rules {
                usage: Usage::Client,
                roles,
                expected: None,
            },
            optional,
            hints: None,
            verdict: verdict.clone(),
        };
        let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(key));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(resolver);
        config.alpn_protocols = alpn;
        // a session that could be resumed would skip the verifier
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok((Arc::new(config), verdict))
    }

    /// Dials links to nodes of these roles; with `expected` only that node is accepted.
    pub fn link_client_config(
        &self,
        roles: &'static [Role],
        expected: Option<NodeName>,
    ) -> Result<(Arc<ClientConfig>, Verdict), rustls::Error> {
        self.client_config(roles, expected, ALPN_LINK, None)
    }

    /// Dials such a node for HTTP as a node: it is asked for its node certificate, and shown our own.
    pub fn http_client_config(
        &self,
        roles: &'static [Role],
        expected: Option<NodeName>,
    ) -> Result<(Arc<ClientConfig>, Verdict), rustls::Error> {
        let hints = root_names(&self.current().trust);
        self.client_config(roles, expected, b"http/1.1", Some(hints))
    }

    fn client_config(
        &self,
        roles: &'static [Role],
        expected: Option<NodeName>,
        alpn: &[u8],
        hints: Option<Vec<DistinguishedName>>,
    ) -> Result<(Arc<ClientConfig>, Verdict), rustls::Error> {
        let loaded = self.current();
        let key = Arc::clone(&loaded.node_key);
        let verdict = Verdict::default();
        let verifier = PeerVerifier {
            loaded,
            clock: Arc::clone(&self.clock),
            rules: Rules {
                usage: Usage::Server,
                roles,
                expected,
            },
            optional: false,
            hints,
            verdict: verdict.clone(),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_early_data = false;
        Ok((Arc::new(config), verdict))
    }
}
