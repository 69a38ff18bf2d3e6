//! Which part of a message a record is.

/// The place of a record in its message: a message that fits into one record is its only part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// Its number; the first is 0.
    pub number: u32,
    /// Whether no other follows.
    pub is_last: bool,
}

impl Part {
    /// All of a message.
    pub const WHOLE: Self = Self {
        number: 0,
        is_last: true,
    };

    /// Whether it is all of its message.
    pub fn is_whole(self) -> bool {
        self == Self::WHOLE
    }
}

impl Default for Part {
    fn default() -> Self {
        Self::WHOLE
    }
}
