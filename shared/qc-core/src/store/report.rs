//! What a start of the store found, what was found to be damaged, in words for whoever runs it, and why
//! a store does not open at all.

use std::io;
use std::path::PathBuf;

use super::StreamKey;
use super::quarantine::Copied;
use crate::model::Seq;

/// What was found when the log was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Messages that are there.
    pub kept: u64,
    /// Bytes after the last commit that were never acknowledged and have been cut.
    pub torn_tail: u64,
    /// Ranges that were on disk and cannot be read any more.
    pub damaged: Vec<Damage>,
    /// Seqs that were acknowledged once and are lost.
    pub lost: Vec<LostRange>,
    /// Files in the log directory that are none of ours; left where they are.
    pub foreign: Vec<String>,
    /// Segments there.
    pub segments: u64,
    /// Of those, segments that had to be read because they had no index.
    pub scanned: u64,
}

impl OpenReport {
    /// What an operator should know of it, a line each; none when all is well.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.torn_tail > 0 {
            let bytes = self.torn_tail;
            lines.push(format!(
                "recovered {}, cut {bytes} bytes that were never acknowledged",
                self.kept
            ));
        }
        for damage in &self.damaged {
            lines.push(damage.line());
        }
        for lost in &self.lost {
            let LostRange {
                stream,
                first,
                last,
            } = lost;
            lines.push(format!(
                "lost: {} {} seq {first} to {last}",
                stream.name,
                stream.role.as_str()
            ));
        }
        for name in &self.foreign {
            let name = crate::safe_text::safe(name, 80);
            lines.push(format!("not ours, left alone: {name}"));
        }
        lines
    }
}

/// One damaged range of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment's number.
    pub segment: u64,
    /// Where the range begins.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// What does not match.
    pub what: &'static str,
    /// Whether an earlier start has already reported it.
    pub known: bool,
    /// Where its bytes are.
    pub aside: Aside,
}

/// What became of the bytes of a damaged range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// They lie in the quarantine.
    Kept,
    /// The disk is full: they stay where they are until there is room for a copy.
    NoRoom,
    /// There are none.
    Nothing,
}

impl Damage {
    /// What was found now, and what became of its copy.
    pub(super) fn of(
        segment: u64,
        offset: u64,
        length: u64,
        what: &'static str,
        copy: Copied,
    ) -> Self {
        Self {
            segment,
            offset,
            length,
            what,
            known: copy == Copied::Known,
            aside: match copy {
                Copied::New | Copied::Known => Aside::Kept,
                Copied::NoRoom => Aside::NoRoom,
            },
        }
    }

    /// What an operator should know of it.
    pub fn line(&self) -> String {
        let Self {
            segment,
            offset,
            length,
            what,
            known,
            aside,
        } = self;
        let aside = match aside {
            Aside::Kept => "; kept aside in quarantine",
            Aside::NoRoom => "; no room for a copy in quarantine, so it stays where it is (QC3310)",
            Aside::Nothing => "",
        };
        let again = if *known { ", known from before" } else { "" };
        format!("damaged: segment {segment} offset {offset}, {length} bytes: {what}{aside}{again}")
    }
}

/// A range of lost seqs, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRange {
    /// The stream.
    pub stream: StreamKey,
    /// The first lost seq.
    pub first: Seq,
    /// The last lost seq.
    pub last: Seq,
}

/// Why a log cannot be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The log was written by a newer version. Not a byte of it was changed.
    #[error("segment {segment} has format {found}; this version reads up to {known}")]
    NewerFormat {
        /// The segment's number.
        segment: u64,
        /// Its format.
        found: u32,
        /// The newest this version reads.
        known: u32,
    },
    /// A segment is of a format that this version no longer reads; nothing was changed.
    #[error("segment {segment} has format {found}, this version reads {known}")]
    OlderFormat {
        /// The segment's number.
        segment: u64,
        /// Its format.
        found: u32,
        /// The one this version reads.
        known: u32,
    },
    /// The segments are sealed with another node key.
    #[error("segment {segment} is sealed with key {needed:08x}, this node has key {present:08x}")]
    WrongKey {
        /// The segment's number.
        segment: u64,
        /// The key it needs.
        needed: u32,
        /// The key that is here.
        present: u32,
    },
}
