//! Values that must not be shown: wiped when dropped, never printed.
//!
//! They are not locked into memory: `mlock` takes a raw address, so calling it is `unsafe`, and locking all
//! of a process needs a limit that no service has by default. Swap space has to be encrypted, or off.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A secret. `Debug` shows no part of it, there is no `Display`, and its memory is zeroed on drop.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes `value` into custody.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value, for the one call that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The value, for the one call that changes it in place.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?}", Secret::new("hunter2".to_owned())),
            "Secret(..)"
        );
    }
}
