//! Lines: the value as it is, or the key, a separator and the value.

use kafka_core::RecordRef;

use super::{Defaults, Draft};

/// How lines are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// What stands between key and value, where there is a key.
    pub(crate) separator: Option<Vec<u8>>,
}

impl Line {
    // Part of the loop over lines: as a call it costs a twentieth of all.
    #[inline(always)]
    pub(crate) fn read<'a>(&self, piece: &'a [u8], defaults: &'a Defaults) -> Result<Draft<'a>, String> {
        let (key, value) = match &self.separator {
            Some(separator) => split(piece, separator)
                .map(|(key, value)| (Some(key), value))
                .or_else(|| defaults.key.is_some().then_some((None, piece)))
                .ok_or_else(|| {
                    format!("no {:?} between key and value", String::from_utf8_lossy(separator))
                })?,
            None => (None, piece),
        };
        let key = key.map_or(defaults.key.as_deref(), |key| defaults.nulls.read(key));
        let record = RecordRef {
            key,
            value: defaults.nulls.read(value),
            headers: &defaults.headers,
            timestamp: defaults.timestamp,
        };
        Ok(Draft { record, partition: None, word: key })
    }
}

/// The parts of `bytes` before and behind the first `separator`.
#[inline]
pub(super) fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = match separator {
        [byte] => memchr::memchr(*byte, bytes),
        _ => memchr::memmem::find(bytes, separator),
    }?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Nulls;

    fn read<'a>(
        line: &'a Line,
        piece: &'a str,
        defaults: &'a Defaults,
    ) -> (Option<&'a str>, Option<&'a str>) {
        let draft = line.read(piece.as_bytes(), defaults).unwrap();
        let text = |bytes: Option<&'a [u8]>| bytes.map(|bytes| std::str::from_utf8(bytes).unwrap());
        (text(draft.record.key), text(draft.record.value))
    }

    #[test]
    fn a_line_is_a_value_as_it_is() {
        let defaults = Defaults { key: Some(b"k".to_vec()), ..Defaults::default() };
        assert_eq!(read(&Line::default(), " a:b \r", &defaults), (Some("k"), Some(" a:b \r")));
        assert_eq!(read(&Line::default(), "", &Defaults::default()), (None, Some("")));
    }

    #[test]
    fn the_first_separator_ends_the_key() {
        let line = Line { separator: Some(b"::".to_vec()) };
        let none = Defaults::default();
        assert_eq!(read(&line, "a::b::c", &none), (Some("a"), Some("b::c")));
        assert_eq!(read(&line, "::", &none), (Some(""), Some("")));
        assert!(line.read(b"ab", &none).unwrap_err().contains("\"::\""));
        let with_key = Defaults { key: Some(b"k".to_vec()), ..Defaults::default() };
        assert_eq!(read(&line, "ab", &with_key), (Some("k"), Some("ab")));
    }

    #[test]
    fn empty_values_and_the_marker_become_null_where_asked_for() {
        let line = Line { separator: Some(b":".to_vec()) };
        let nulls = Nulls { empty: true, marker: Some(b"NULL".to_vec()) };
        let defaults = Defaults { nulls, ..Defaults::default() };
        assert_eq!(read(&line, "a:", &defaults), (Some("a"), None));
        assert_eq!(read(&line, "NULL:NULL", &defaults), (None, None));
        assert_eq!(read(&line, "a:NULLs", &defaults), (Some("a"), Some("NULLs")));
    }
}
