//! What can happen to nodes and lines, and what of it a seed lets happen.

/// Something that goes wrong, or that an operator does at a bad moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The connection breaks at once; what is on its way arrives in part.
    Cut,
    /// The connection breaks behind a byte that is drawn.
    CutAtByte,
    /// One direction, or both, takes what is sent and delivers nothing.
    HalfOpen,
    /// Nothing arrives for a while.
    Stall,
    /// The line becomes slow and long.
    Slow,
    /// One bit on the line turns.
    Flip,
    /// A node dies: what was not on disk is gone, and of what was being written some is there.
    Crash,
    /// As [`Fault::Crash`], and the peers are not told.
    PowerCut,
    /// A store refuses what comes.
    Full,
    /// A store takes seconds.
    SlowDisk,
    /// A node refuses channels and subscriptions.
    Refuse,
    /// A stream begins a new epoch, with numbers that were used before.
    Epoch,
    /// A link drains and ends.
    Drain,
    /// The owner of a link closes it.
    Close,
    /// A second connection of the same node replaces the first.
    Twice,
    /// A node runs a version that its neighbours do not speak.
    Skew,
    /// A link may take a few bytes a second, or no bulk.
    Shape,
    /// A consumer goes away and comes back.
    Unsubscribe,
    /// The wall clock jumps by years.
    Clock,
    /// A program does not read its call any more.
    DeafProgram,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Cut,
        Self::CutAtByte,
        Self::HalfOpen,
        Self::Stall,
        Self::Slow,
        Self::Flip,
        Self::Crash,
        Self::PowerCut,
        Self::Full,
        Self::SlowDisk,
        Self::Refuse,
        Self::Epoch,
        Self::Drain,
        Self::Close,
        Self::Twice,
        Self::Skew,
        Self::Shape,
        Self::Unsubscribe,
        Self::Clock,
        Self::DeafProgram,
    ];

    /// What a seed lets happen: a few kinds, so that each is also seen with few others around it.
    pub(super) fn draw(rng: &mut fastrand::Rng) -> Vec<Self> {
        let count = rng.usize(1..=6);
        rng.choose_multiple(Self::ALL, count)
    }
}
