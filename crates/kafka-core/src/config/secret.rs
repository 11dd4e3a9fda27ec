//! Text that must not be shown: passwords, tokens, private keys.

use std::fmt;
use std::sync::Arc;

/// A secret text. `Debug` hides it and `Display` does not exist, so that it cannot slip into a log or an error.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Arc<str>);

impl Secret {
    /// The text itself: for the wire, never for people.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
