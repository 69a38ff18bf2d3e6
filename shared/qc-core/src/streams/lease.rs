//! Leases over a registry that can compare and set: one value a lease, never deleted, so that its
//! token only grows.
//!
//! ```text
//! key    lease/NAME
//! value  0 u8 version (1)   1 u64 token   9 u64 until, ms since 1970 (0: given back)   17 holder
//! ```

use std::time::Duration;

use bytes::BufMut as _;

use super::{ReadError, Streams};
use crate::model::{Seq, Timestamp};
use crate::store::{Value, ValueError};
use crate::wire::{Reader, WireError};

const VERSION: u8 = 1;
/// How often somebody else may come first before this gives up.
const TRIES: usize = 8;

/// A lease that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub name: String,
    /// Who has it.
    pub holder: String,
    /// Greater than that of every grant before.
    pub token: u64,
    /// Until when nobody else gets it.
    pub until: Timestamp,
}

/// Why a lease was not granted or prolonged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LeaseError {
    /// Somebody has it.
    #[error("{} holds the lease {} until {}", .0.holder, .0.name, .0.until)]
    Held(Lease),
    /// Somebody has taken it over since it was granted.
    #[error("the lease was taken over with token {token}")]
    Lost {
        /// The newest token.
        token: u64,
    },
    /// Others came first again and again.
    #[error("too many ask for the lease at once")]
    Contended,
    /// The engine cannot say who has it.
    #[error("cannot read the lease")]
    Read(#[from] ReadError),
    /// The engine took nothing.
    #[error("cannot write the lease")]
    Write(#[source] ValueError),
}

/// See [`Streams::acquire`].
pub(super) async fn acquire<S: Streams + ?Sized>(
    streams: &S,
    name: &str,
    holder: &str,
    ttl: Duration,
    now: Timestamp,
) -> Result<Lease, LeaseError> {
    for _ in 0..TRIES {
        let (there, revision) = find(streams, name).await?;
        let token = there.as_ref().map_or(0, |lease| lease.token);
        if let Some(other) = there.filter(|lease| lease.until > now && lease.holder != holder) {
            return Err(LeaseError::Held(other));
        }
        let lease = Lease {
            name: name.to_owned(),
            holder: holder.to_owned(),
            token: token.saturating_add(1),
            until: now.plus(ttl),
        };
        if write(streams, &lease, revision).await? {
            return Ok(lease);
        }
    }
    Err(LeaseError::Contended)
}

/// See [`Streams::renew`].
pub(super) async fn renew<S: Streams + ?Sized>(
    streams: &S,
    lease: &Lease,
    ttl: Duration,
    now: Timestamp,
) -> Result<Lease, LeaseError> {
    let until = now.plus(ttl);
    change(streams, lease, until).await
}

/// See [`Streams::release`].
pub(super) async fn release<S: Streams + ?Sized>(
    streams: &S,
    lease: &Lease,
) -> Result<(), LeaseError> {
    match change(streams, lease, Timestamp::default()).await {
        Ok(_) | Err(LeaseError::Lost { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn change<S: Streams + ?Sized>(
    streams: &S,
    lease: &Lease,
    until: Timestamp,
) -> Result<Lease, LeaseError> {
    for _ in 0..TRIES {
        let (there, revision) = find(streams, &lease.name).await?;
        let token = there.map_or(0, |lease| lease.token);
        if token != lease.token {
            return Err(LeaseError::Lost { token });
        }
        let lease = Lease {
            until,
            ..lease.clone()
        };
        if write(streams, &lease, revision).await? {
            return Ok(lease);
        }
    }
    Err(LeaseError::Contended)
}

async fn find<S: Streams + ?Sized>(
    streams: &S,
    name: &str,
) -> Result<(Option<Lease>, Seq), LeaseError> {
    let Some(value) = streams.value(&key(name)).await? else {
        return Ok((None, Seq::ZERO));
    };
    let lease = decode(name, &value)
        .map_err(|error| ReadError::Damaged(format!("the lease {name}: {error}")))?;
    Ok((Some(lease), value.revision))
}

/// Writes a lease over `revision`; `false` if somebody came first.
async fn write<S: Streams + ?Sized>(
    streams: &S,
    lease: &Lease,
    revision: Seq,
) -> Result<bool, LeaseError> {
    let value = Some((encode(lease), Timestamp::default()));
    match streams.put(&key(&lease.name), Some(revision), value).await {
        Ok(_) => Ok(true),
        Err(ValueError::Conflict { .. }) => Ok(false),
        Err(error) => Err(LeaseError::Write(error)),
    }
}

fn key(name: &str) -> String {
    format!("lease/{name}")
}

fn encode(lease: &Lease) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(17 + lease.holder.len());
    bytes.put_u8(VERSION);
    bytes.put_u64_le(lease.token);
    bytes.put_u64_le(lease.until.as_millis());
    bytes.put_slice(lease.holder.as_bytes());
    bytes
}

fn decode(name: &str, value: &Value) -> Result<Lease, WireError> {
    let mut from = Reader(&value.bytes);
    let version = from.u8()?;
    if version != VERSION {
        return Err(WireError::Unknown {
            what: "version of a lease",
            number: u32::from(version),
        });
    }
    let (token, until) = (from.u64()?, Timestamp::from_millis(from.u64()?));
    let holder = std::str::from_utf8(from.0).map_err(|_| WireError::Malformed("holder"))?;
    Ok(Lease {
        name: name.to_owned(),
        holder: holder.to_owned(),
        token,
        until,
    })
}
