//! Certificates for the peer: it cannot read ours, whose roles are object identifiers below a UUID that its
//! library does not take. Same kind of key, same TLS version, mutual as well.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_core::durable;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What servers and clients of the peer show, in files and for us.
pub(in crate::bench::link) struct Certs {
    /// `ca.pem`, and `server` and `client` as `.pem` and `.key`.
    pub(in crate::bench::link) dir: PathBuf,
    /// What our clients use.
    pub(in crate::bench::link) client: Arc<ClientConfig>,
}

impl Certs {
    /// An authority, a server and a client in `dir`.
    pub(in crate::bench::link) fn create(dir: &Path) -> io::Result<Self> {
        durable::create_dir_all(dir, 0o700)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = CertifiedIssuer::self_signed(params, new_key()?).map_err(io::Error::other)?;
        save(dir, "ca.pem", &ca.pem())?;
        let mut client = None;
        for (name, usage) in [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
            let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
            params.extended_key_usages = vec![usage];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            let key = new_key()?;
            let cert = params.signed_by(&key, &ca).map_err(io::Error::other)?;
            save(dir, &format!("{name}.pem"), &cert.pem())?;
            save(dir, &format!("{name}.key"), &key.serialize_pem())?;
            client = Some((cert.der().clone(), key.serialize_der()));
        }
        let (cert, key) = client.ok_or_else(|| io::Error::other("no client"))?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![cert],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
            )
            .map_err(io::Error::other)?;
        Ok(Self {
            dir: dir.to_owned(),
            client: Arc::new(config),
        })
    }
}

fn new_key() -> io::Result<KeyPair> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)
}

fn save(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    durable::write_atomic(&dir.join(name), text.as_bytes(), 0o600)
}
