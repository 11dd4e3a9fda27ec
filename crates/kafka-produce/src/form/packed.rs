//! Bytes written as hexadecimal digits or base64, with or without a key before them.

use kafka_cli::PayloadFormat;
use kafka_core::RecordRef;

use super::line::split;
use super::{Defaults, Draft};

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Two digits a byte.
    Hex,
    /// Base64.
    Base64,
}

impl Packing {
    fn unpack(self, text: &[u8]) -> Result<Vec<u8>, String> {
        let text = text.trim_ascii();
        let (bytes, name) = match self {
            Self::Hex => (PayloadFormat::Hex.read(text), "hexadecimal digits"),
            Self::Base64 => (PayloadFormat::Base64.read(text), "base64"),
        };
        bytes.ok_or_else(|| format!("not {name}"))
    }
}

/// Reads them, one line at a time.
#[derive(Debug)]
pub(crate) struct Packed {
    packing: Packing,
    separator: Option<Vec<u8>>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Packed {
    pub(crate) fn new(packing: Packing, separator: Option<Vec<u8>>) -> Self {
        Self { packing, separator, key: Vec::new(), value: Vec::new() }
    }

    pub(crate) fn read<'a>(
        &'a mut self,
        piece: &'a [u8],
        defaults: &'a Defaults,
    ) -> Result<Draft<'a>, String> {
        let parts = self.separator.as_ref().and_then(|separator| split(piece, separator));
        let (key, value) = parts.map_or((None, piece), |(key, value)| (Some(key), value));
        // What stands for null is not packed.
        let value = match defaults.nulls.read(value) {
            None => None,
            Some(text) => {
                self.value = self.packing.unpack(text)?;
                Some(&self.value[..])
            }
        };
        let key = match key.map(|key| defaults.nulls.read(key)) {
            None => defaults.key.as_deref(),
            Some(None) => None,
            Some(Some(text)) => {
                self.key = self.packing.unpack(text).map_err(|why| format!("key: {why}"))?;
                Some(&self.key[..])
            }
        };
        let record = RecordRef { key, value, headers: &defaults.headers, timestamp: defaults.timestamp };
        Ok(Draft { record, partition: None, word: key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_unpacked() {
        let defaults = Defaults::default();
        let mut hex = Packed::new(Packing::Hex, Some(b":".to_vec()));
        let draft = hex.read(b"0a:00fF\r", &defaults).unwrap();
        assert_eq!((draft.record.key, draft.record.value), (Some(&[10][..]), Some(&[0, 255][..])));
        let mut base64 = Packed::new(Packing::Base64, None);
        assert_eq!(base64.read(b"Zm9v", &defaults).unwrap().record.value, Some(&b"foo"[..]));
        assert_eq!(base64.read(b"", &defaults).unwrap().record.value, Some(&b""[..]));
    }

    #[test]
    fn what_is_not_packed_so_is_refused() {
        let defaults = Defaults::default();
        for line in ["0", "0g", "x:00"] {
            assert!(Packed::new(Packing::Hex, Some(b":".to_vec())).read(line.as_bytes(), &defaults).is_err());
        }
        assert!(Packed::new(Packing::Base64, None).read(b"Zm9", &defaults).is_err());
    }
}
