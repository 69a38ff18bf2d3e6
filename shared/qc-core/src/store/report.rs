//! What a start of the store found, and what was found to be damaged: in words for whoever runs it.

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
