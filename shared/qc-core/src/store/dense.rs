//! Maps keyed by numbers that this store gave out itself: small, dense and nobody's to choose, so a
//! multiplication spreads them well enough.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map keyed by a stream's or an origin's number.
pub(super) type DenseMap<T> = HashMap<u32, T, BuildHasherDefault<Dense>>;

/// Spreads one number over 64 bits, by the golden ratio (D. Knuth, *The Art of Computer Programming*,
/// volume 3, 6.4).
#[derive(Default)]
pub(super) struct Dense(u64);

impl Hasher for Dense {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0.rotate_left(32) ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
