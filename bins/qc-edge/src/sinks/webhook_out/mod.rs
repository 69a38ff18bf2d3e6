//! Webhook out: every message is posted, in order, one at a time, until the other side takes it.
//!
//! 2xx is delivered. 408, 425, 429, 5xx, a redirect and every failure to connect are tried again,
//! not before `Retry-After` says so. Any other answer means that the message will never be taken.

mod client;
mod guard;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use qc_core::clock::Clock;
use qc_core::cloudevents::{self, EVENT_JSON};
use qc_core::model::{Envelope, Timestamp};
use serde::Deserialize;

use self::client::{Client, Reply};
use super::{DeliverError, Delivery, Sink};
use crate::sources::ConnectorError;
use crate::sources::settings::Wait;
use crate::sources::signature::Signer;

/// Where Debian, and whoever follows it, keeps the certificates that the system trusts.
const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The longest pause that another side can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// How a message is written into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventFormat {
    /// Attributes in `ce-` headers, the body as it is.
    #[default]
    Binary,
    /// One JSON document.
    Structured,
}

/// `[sink.NAME]` with `kind = "webhook_out"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookOutConfig {
    /// Where to post to.
    pub url: String,
    /// How a message is written.
    #[serde(default)]
    pub format: EventFormat,
    /// File with the secret to sign with; without it nothing is signed.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Time for one attempt, from connecting to the end of the answer.
    #[serde(default = "thirty_seconds")]
    pub timeout: Wait,
    /// Certificates that an https server's must lead to; by default the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Link-local or metadata addresses that are meant.
    #[serde(default)]
    pub allow: Vec<IpAddr>,
}

fn thirty_seconds() -> Wait {
    Wait::seconds(30)
}

impl WebhookOutConfig {
    /// The settings for `url` with every default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            format: EventFormat::default(),
            secret_file: None,
            timeout: thirty_seconds(),
            ca_file: None,
            allow: Vec::new(),
        }
    }
}

/// A webhook of somebody else.
pub struct WebhookOut {
    client: Client,
    format: EventFormat,
    signer: Option<Signer>,
    clock: Arc<dyn Clock>,
}

impl WebhookOut {
    /// Parses the URL and reads the files. Connects to nobody yet.
    pub fn open(config: &WebhookOutConfig, clock: Arc<dyn Clock>) -> Result<Self, ConnectorError> {
        if config.timeout.0.is_zero() {
            return Err(ConnectorError::setting("timeout", "must be more than 0"));
        }
        let system = Path::new(SYSTEM_CA_FILE);
        let ca_file = config.ca_file.as_deref().unwrap_or(system);
        let allow = config.allow.clone();
        let client = Client::new(&config.url, ca_file, allow, config.timeout.0)?;
        let signer = config
            .secret_file
            .as_deref()
            .map(Signer::from_file)
            .transpose()?;
        Ok(Self {
            client,
            format: config.format,
            signer,
            clock,
        })
    }

    fn request(&self, delivery: &Delivery) -> Result<(HeaderMap, Bytes), DeliverError> {
        if !delivery.part.is_whole() {
            let reason = "a message in parts cannot be one request of this sink";
            return Err(DeliverError::poison("QC4212", reason));
        }
        let envelope = &delivery.message.envelope;
        let mut headers = HeaderMap::new();
        let body = match self.format {
            EventFormat::Binary => {
                for (name, value) in cloudevents::encode_headers(envelope) {
                    insert(&mut headers, &name, &value)?;
                }
                delivery.message.body.clone()
            }
            EventFormat::Structured => {
                insert(&mut headers, "content-type", EVENT_JSON)?;
                let mut json = Vec::new();
                cloudevents::encode(&delivery.message, &mut json);
                Bytes::from(json)
            }
        };
        let id = webhook_id(envelope);
        let now = self.clock.now().as_secs();
        insert(&mut headers, "webhook-id", &id)?;
        insert(&mut headers, "webhook-timestamp", &now.to_string())?;
        if let Some(signer) = &self.signer {
            let standard = signer.standard_signature(&id, now, &body);
            insert(&mut headers, "webhook-signature", &standard)?;
            insert(
                &mut headers,
                "x-hub-signature-256",
                &signer.hub_signature(&body),
            )?;
        }
        Ok((headers, body))
    }
}

impl Sink for WebhookOut {
    async fn deliver(&mut self, delivery: &Delivery) -> Result<(), DeliverError> {
        let (headers, body) = self.request(delivery)?;
        let reply = self.client.post(&headers, &body).await;
        verdict(&reply.map_err(DeliverError::retry)?, self.clock.now())
    }
}

/// The same for every delivery of a message, wherever it is delivered from.
fn webhook_id(envelope: &Envelope) -> String {
    let mut context = Context::new(&SHA256);
    context.update(envelope.source.as_bytes());
    context.update(&[0]);
    context.update(envelope.id.as_bytes());
    let digest = context.finish();
    let short = digest.as_ref().get(..16).expect("a digest of 32 bytes");
    format!("msg_{}", HEXLOWER.encode(short))
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), DeliverError> {
    let unfit = || DeliverError::poison("QC4205", format!("'{name}' cannot be sent as a header"));
    let name = HeaderName::try_from(name).map_err(|_| unfit())?;
    let value = HeaderValue::from_str(value).map_err(|_| unfit())?;
    headers.insert(name, value);
    Ok(())
}

fn verdict(reply: &Reply, now: Timestamp) -> Result<(), DeliverError> {
    let status = reply.status;
    if status.is_success() {
        return Ok(());
    }
    let after = reply
        .retry_after
        .as_deref()
        .and_then(|text| parse_retry_after(text, now));
    let passing = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if status.is_client_error() && !passing.contains(&status) {
        return Err(DeliverError::poison(
            "QC4207",
            format!("the webhook answered {}", status.as_u16()),
        ));
    }
    let reason = if status.is_redirection() {
        format!(
            "the webhook answered {}; redirects are not followed",
            status.as_u16()
        )
    } else {
        format!("the webhook answered {}", status.as_u16())
    };
    Err(DeliverError::Retry { after, reason })
}

/// Seconds, or a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(u64::from(seconds)),
        Err(_) => parse_http_date(text)?.since(now),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next()?);
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    if zone != "GMT" || words.next().is_some() {
        return None;
    }
    Timestamp::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z"))
}

#[cfg(test)]
mod tests;
