//! A long body on its way into the log, part by part, in bounded memory.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Buf as _, Bytes, BytesMut};

use super::{Sizes, Trailer};
use crate::model::{Envelope, Lane, Part};
use crate::store::{AppendError, Draft, Outcome, part_key};
use crate::streams::Receipt;
use crate::wire::encode_envelope;

/// Hands one draft to the log of a node, queued before it returns.
pub type Submit = Box<dyn FnMut(Draft) -> Receipt + Send>;

/// A message whose body comes bit by bit. In memory is one part on its way to the disk and one that is
/// being filled meanwhile; at the beginning as much as fits into a record, unless the body is known to be
/// longer.
///
/// When it is dropped before its end, the parts so far stay; the same message sent again finds them.
pub struct Upload {
    cutter: Cutter,
    submit: Submit,
    under_way: Option<Receipt>,
}

impl Upload {
    /// The message of `envelope`, which must have passed its check.
    pub fn new(envelope: &Envelope, lane: Lane, sizes: Sizes, submit: Submit) -> Self {
        Self {
            cutter: Cutter::new(envelope, lane, sizes),
            submit,
            under_way: None,
        }
    }

    /// The same, of a body that has so many bytes. It is cut like one whose length nobody knew.
    #[must_use]
    pub fn announced(mut self, bytes: u64) -> Self {
        self.cutter.is_long |= bytes > self.cutter.sizes.record as u64;
        self
    }

    /// Takes more of the body.
    pub async fn push(&mut self, mut data: Bytes) -> Result<(), AppendError> {
        while !data.is_empty() {
            if let Some(draft) = self.cutter.push(&mut data)? {
                self.send(draft).await?;
            }
        }
        Ok(())
    }

    /// The body has ended: what became of the message, once all of it is on disk. Its number is that of the
    /// last part.
    pub async fn finish(mut self) -> Result<Outcome, AppendError> {
        while let Some(draft) = self.cutter.full_part(0) {
            self.send(draft).await?;
        }
        let last = self.cutter.finish();
        if let Some(receipt) = self.under_way.take() {
            receipt.await?;
        }
        let outcomes = (self.submit)(last).await?;
        outcomes.first().copied().ok_or(AppendError::Closed)
    }

    /// A part goes to the log only when the one before it is on disk: one that is refused for now is never
    /// overtaken by the next.
    async fn send(&mut self, draft: Draft) -> Result<(), AppendError> {
        if let Some(receipt) = self.under_way.take() {
            receipt.await?;
        }
        self.under_way = Some((self.submit)(draft));
        Ok(())
    }
}

/// Cuts a body into drafts.
pub(super) struct Cutter {
    head: Bytes,
    source: String,
    id: String,
    lane: Lane,
    sizes: Sizes,
    /// Whether it does not fit into one record.
    is_long: bool,
    next: u32,
    /// Bytes of the parts that were given out.
    cut: u64,
    digest: Context,
    filling: BytesMut,
}

impl Cutter {
    pub(super) fn new(envelope: &Envelope, lane: Lane, sizes: Sizes) -> Self {
        let mut head = Vec::with_capacity(256);
        encode_envelope(envelope, &mut head);
        Self {
            head: head.into(),
            source: envelope.source.clone(),
            id: envelope.id.clone(),
            lane,
            sizes,
            is_long: false,
            next: 0,
            cut: 0,
            digest: Context::new(&SHA256),
            filling: BytesMut::new(),
        }
    }

    /// Takes from the front of `data` what fits, and gives out a part when more is known to follow it.
    pub(super) fn push(&mut self, data: &mut Bytes) -> Result<Option<Draft>, AppendError> {
        let whole = (self.cut + self.filling.len() as u64).saturating_add(data.len() as u64);
        if whole > self.sizes.whole {
            return Err(AppendError::TooLarge {
                bytes: usize::try_from(whole).unwrap_or(usize::MAX),
                max: usize::try_from(self.sizes.whole).unwrap_or(usize::MAX),
            });
        }
        self.is_long |= self.filling.len() + data.len() > self.sizes.record;
        if let Some(full) = self.full_part(data.len()) {
            return Ok(Some(full));
        }
        let room = if self.is_long {
            self.sizes.part - self.filling.len()
        } else {
            data.len()
        };
        let taken = data.split_to(room.min(data.len()));
        self.filling.extend_from_slice(taken.chunk());
        Ok(None)
    }

    /// A part that is not the last: of a long body, when `more` bytes are known to come behind what is at
    /// hand.
    pub(super) fn full_part(&mut self, more: usize) -> Option<Draft> {
        let part = self.sizes.part;
        if !self.is_long || self.filling.len() + more.min(1) <= part {
            return None;
        }
        let full = self.filling.split_to(part).freeze();
        Some(self.part(full, false))
    }

    /// The last part, which is all of a message that fits into one record.
    pub(super) fn finish(&mut self) -> Draft {
        let rest = self.filling.split();
        if self.next == 0 {
            return self.part(rest.freeze(), true);
        }
        self.digest.update(&rest);
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.clone().finish().as_ref());
        let trailer = Trailer {
            total: self.cut + rest.len() as u64,
            sha256,
        };
        let mut body = rest;
        body.extend_from_slice(&trailer.encode());
        self.draft(body.freeze(), true)
    }

    fn part(&mut self, body: Bytes, is_last: bool) -> Draft {
        self.digest.update(&body);
        self.cut += body.len() as u64;
        self.draft(body, is_last)
    }

    fn draft(&mut self, body: Bytes, is_last: bool) -> Draft {
        let part = Part {
            number: self.next,
            is_last,
        };
        self.next += 1;
        Draft {
            lane: self.lane,
            head: self.head.clone(),
            body,
            part,
            dedupe: part_key(&self.source, &self.id, part),
            hop: None,
        }
    }
}
