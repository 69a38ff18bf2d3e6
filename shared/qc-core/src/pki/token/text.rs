//! The text of a token, checked for typing errors before anything else happens.

use std::str::FromStr;

use data_encoding::BASE32_NOPAD;

use super::TokenError;
use crate::secret::Secret;

pub(super) const ID_CHARS: usize = 8;
const SECRET_CHARS: usize = 26;
const PIN_CHARS: usize = 52;

/// A token as it is handed over. Its `Debug` shows no part of the secret.
#[derive(Debug, Clone)]
pub struct TokenText {
    /// Names the record; public.
    pub id: String,
    /// The secret.
    pub secret: Secret<String>,
    /// SHA-256 of the root's public key.
    pub pin: [u8; 32],
}

impl TokenText {
    /// The text to hand over.
    pub fn reveal(&self) -> Secret<String> {
        let body = format!(
            "QC1-{}-{}-{}",
            self.id,
            self.secret.expose(),
            BASE32_NOPAD.encode(&self.pin)
        );
        Secret::new(format!("{body}-{}", checksum(&body)))
    }
}

impl FromStr for TokenText {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let typo = |why| TokenError::Typo { why };
        let text = text.trim().to_ascii_uppercase();
        if text.len() > 200 {
            return Err(typo("it is too long"));
        }
        let (body, crc) = text
            .rsplit_once('-')
            .ok_or_else(|| typo("it is not of the form QC1-..."))?;
        let parts: Vec<&str> = body.split('-').collect();
        let ["QC1", id, secret, pin] = parts.as_slice() else {
            return Err(typo("it is not of the form QC1-ID-SECRET-PIN-CHECKSUM"));
        };
        if checksum(body) != crc {
            return Err(typo("its checksum does not match"));
        }
        let base32 = |part: &str, chars: usize| {
            part.len() == chars && part.bytes().all(|c| matches!(c, b'A'..=b'Z' | b'2'..=b'7'))
        };
        if !base32(id, ID_CHARS) || !base32(secret, SECRET_CHARS) || !base32(pin, PIN_CHARS) {
            return Err(typo("a part has the wrong length or alphabet"));
        }
        let pin = BASE32_NOPAD
            .decode(pin.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| typo("its pin is broken"))?;
        Ok(Self {
            id: (*id).to_owned(),
            secret: Secret::new((*secret).to_owned()),
            pin,
        })
    }
}

fn checksum(body: &str) -> String {
    BASE32_NOPAD.encode(&crc32c::crc32c(body.as_bytes()).to_be_bytes())
}
