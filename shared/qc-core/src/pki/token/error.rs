//! Why a token is not made or not honoured.

use std::io;
use std::path::PathBuf;

use crate::model::Timestamp;

/// Why a token is not made or not honoured.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The text was copied wrongly.
    #[error("this is not a whole token: {why}")]
    Typo {
        /// What is wrong.
        why: &'static str,
    },
    /// Unknown id or wrong secret.
    #[error("the token is not known or its secret is wrong")]
    Unknown,
    /// It is past its time.
    #[error("the token {id} expired at {at}")]
    Expired {
        /// Its id.
        id: String,
        /// When it ended.
        at: Timestamp,
    },
    /// Another key came with a token that is bound already.
    #[error("the token {id} was redeemed by another key and is frozen now")]
    Replayed {
        /// Its id.
        id: String,
    },
    /// It was frozen before.
    #[error("the token {id} is frozen, because another key came with it")]
    Frozen {
        /// Its id.
        id: String,
    },
    /// It allows no front door.
    #[error("the token {id} has no front names")]
    NoFront {
        /// Its id.
        id: String,
    },
    /// A life that is too long.
    #[error("a token lives 7 days at most")]
    TooLong,
    /// A host name that is none.
    #[error("'{name}' is not a host name")]
    BadHost {
        /// The name, made safe.
        name: String,
    },
    /// The record cannot be used.
    #[error("the token file {path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The crypto library failed.
    #[error("the crypto library failed")]
    Crypto,
}

impl TokenError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Typo { .. } => "QC2120",
            Self::Unknown => "QC2121",
            Self::Expired { .. } => "QC2122",
            Self::Replayed { .. } => "QC2123",
            Self::Frozen { .. } => "QC2124",
            Self::NoFront { .. } => "QC2125",
            Self::TooLong => "QC2126",
            Self::BadHost { .. } => "QC2127",
            Self::File { .. } | Self::Crypto => "QC2128",
        }
    }
}
