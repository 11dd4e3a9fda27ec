//! Which texts stand for null.

/// `-Z` and `--null-marker`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Nulls {
    /// Whether an empty key or value is null.
    pub(crate) empty: bool,
    /// The text that is null.
    pub(crate) marker: Option<Vec<u8>>,
}

impl Nulls {
    /// `bytes`, or null where they stand for it.
    #[inline]
    pub(crate) fn read<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let is_null = (self.empty && bytes.is_empty()) || self.marker.as_deref() == Some(bytes);
        (!is_null).then_some(bytes)
    }
}
