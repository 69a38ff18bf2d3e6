//! HMAC-SHA256 over a body, as webhooks sign it; the secret comes from a file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use aws_lc_rs::hmac;
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use qc_core::secret::Secret;

use super::ConnectorError;

/// The longest secret in bytes.
const MAX_SECRET: u64 = 4096;

/// A signing key. Cheap to clone; shows nothing of itself.
#[derive(Clone)]
pub struct Signer {
    key: hmac::Key,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(..)")
    }
}

impl Signer {
    /// A key of these bytes.
    pub fn new(secret: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// Reads the secret from a file; a line break at its end is not part of it.
    pub fn from_file(path: &Path) -> Result<Self, ConnectorError> {
        let fail = |error| ConnectorError::file("cannot read the secret", path, error);
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_SECRET + 1).read_to_end(&mut bytes))
            .map_err(fail)?;
        let secret = Secret::new(bytes);
        let trimmed = secret.expose().trim_ascii_end();
        if trimmed.is_empty() || secret.expose().len() as u64 > MAX_SECRET {
            return Err(fail(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "the secret must have 1 to 4096 bytes",
            )));
        }
        Ok(Self::new(trimmed))
    }

    /// `sha256=HEX` over the body, as GitHub and many others send it.
    pub fn hub_signature(&self, body: &Bytes) -> String {
        let tag = hmac::sign(&self.key, body);
        format!("sha256={}", HEXLOWER.encode(tag.as_ref()))
    }

    /// `v1,BASE64` over id, time and body, as the Standard Webhooks specification has it.
    pub fn standard_signature(&self, id: &str, timestamp: u64, body: &Bytes) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64.encode(context.sign().as_ref()))
    }

    /// Whether `header` (`sha256=HEX`, or the bare hex or base64) signs `body`. The comparison takes
    /// the same time wherever the first difference is.
    pub fn verify(&self, header: &str, body: &Bytes) -> bool {
        let text = header.trim();
        let text = text.strip_prefix("sha256=").unwrap_or(text);
        let tag = HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .or_else(|_| BASE64.decode(text.as_bytes()));
        tag.is_ok_and(|tag| hmac::verify(&self.key, body, &tag).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_github_verifies() {
        // docs.github.com, "Testing the webhook payload validation"
        let signer = Signer::new(b"It's a Secret to Everybody");
        let body = Bytes::from_static(b"Hello, World!");
        let header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signer.hub_signature(&body), header);
        assert!(signer.verify(header, &body));
        assert!(signer.verify(&header.to_uppercase().replace("SHA256=", ""), &body));
        for bad in [
            "",
            "sha256=",
            "sha256=00",
            &header.replace('7', "8"),
            "\u{e9}",
        ] {
            assert!(!signer.verify(bad, &body), "{bad}");
        }
        assert!(!signer.verify(header, &Bytes::from_static(b"Hello, World?")));
    }

    #[test]
    fn the_example_of_standard_webhooks_verifies() {
        let secret = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = Bytes::from_static(b"{\"test\": 2432232314}");
        assert_eq!(
            Signer::new(&secret).standard_signature(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                &body
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        qc_core::durable::write_atomic(&path, b"\n", 0o600).unwrap();
        assert!(Signer::from_file(&path).is_err());
        qc_core::durable::write_atomic(&path, b"s3cret\n", 0o600).unwrap();
        let signer = Signer::from_file(&path).unwrap();
        let body = Bytes::from_static(b"x");
        assert_eq!(
            signer.hub_signature(&body),
            Signer::new(b"s3cret").hub_signature(&body)
        );
        assert_eq!(format!("{signer:?}"), "Signer(..)");
    }
}
