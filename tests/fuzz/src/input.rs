//! The bytes of an input, read as instructions. Where they end, everything is 0.

pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    /// A number, small ones often: one byte, of which the largest stand for what follows or for an edge.
    pub(crate) fn number(&mut self) -> u64 {
        match self.u8() {
            byte @ 0..=0xef => u64::from(byte),
            0xf0..=0xf3 => u64::from(self.u16()),
            0xf4..=0xf7 => u64::from(self.u32()),
            0xf8..=0xfb => u64::from(self.u32()) << 32 | u64::from(self.u32()),
            0xfc => u64::from(u32::MAX),
            0xfd => u64::MAX - 1,
            0xfe => u64::MAX,
            0xff => 1 << 63,
        }
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.u8()) % all.len()]
    }

    pub(crate) fn is_even(&mut self) -> bool {
        self.u8().is_multiple_of(2)
    }

    /// At most so many bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (first, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        first
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
