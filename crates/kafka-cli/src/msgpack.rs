//! MessagePack shown as JSON (<https://github.com/msgpack/msgpack/blob/master/spec.md>). Depth and lengths are bounded
//! by the bytes at hand.

use std::io::Write;

use crate::record_json::{write_bytes, write_string};

/// How deep lists and maps may lie in one another.
const MAX_DEPTH: usize = 64;

/// Appends the one value that `bytes` are, as JSON; `None` where they are not.
pub(crate) fn to_json(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    let mut reader = Reader { rest: bytes };
    reader.value(out, MAX_DEPTH)?;
    reader.rest.is_empty().then_some(())
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(length)?;
        self.rest = tail;
        Some(head)
    }

    fn unsigned(&mut self, width: usize) -> Option<u64> {
        Some(self.take(width)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn length(&mut self, width: usize) -> Option<usize> {
        usize::try_from(self.unsigned(width)?).ok()
    }

    fn signed(&mut self, width: usize) -> Option<i64> {
        let unused = 64 - 8 * u32::try_from(width).ok()?;
        Some((self.unsigned(width)? << unused).cast_signed() >> unused)
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let kind = *self.take(1)?.first()?;
        // Writing to a Vec cannot fail.
        let _ = match kind {
            0x00..=0x7f => write!(out, "{kind}"),
            0xe0..=0xff => write!(out, "{}", kind.cast_signed()),
            0xc0 => out.write_all(b"null"),
            0xc2 => out.write_all(b"false"),
            0xc3 => out.write_all(b"true"),
            0xcc..=0xcf => write!(out, "{}", self.unsigned(1 << (kind - 0xcc))?),
            0xd0..=0xd3 => write!(out, "{}", self.signed(1 << (kind - 0xd0))?),
            0xca => float(out, f64::from(f32::from_bits(u32::try_from(self.unsigned(4)?).ok()?))),
            0xcb => float(out, f64::from_bits(self.unsigned(8)?)),
            _ => return self.long_value(out, kind, depth),
        };
        Some(())
    }

    /// The kinds with a length.
    fn long_value(&mut self, out: &mut Vec<u8>, kind: u8, depth: usize) -> Option<()> {
        match kind {
            0x80..=0x8f => self.map(out, usize::from(kind & 0x0f), depth),
            0x90..=0x9f => self.list(out, usize::from(kind & 0x0f), depth),
            0xa0..=0xbf => self.text(out, usize::from(kind & 0x1f)),
            0xc4..=0xc6 => self.length(1 << (kind - 0xc4)).and_then(|length| self.text(out, length)),
            0xc7..=0xc9 => self.length(1 << (kind - 0xc7)).and_then(|length| self.extension(out, length)),
            0xd4..=0xd8 => self.extension(out, 1 << (kind - 0xd4)),
            0xd9..=0xdb => self.length(1 << (kind - 0xd9)).and_then(|length| self.text(out, length)),
            0xdc | 0xdd => self.length(2 << (kind - 0xdc)).and_then(|length| self.list(out, length, depth)),
            0xde | 0xdf => self.length(2 << (kind - 0xde)).and_then(|length| self.map(out, length, depth)),
            _ => None,
        }
    }

    fn text(&mut self, out: &mut Vec<u8>, length: usize) -> Option<()> {
        write_bytes(out, Some(self.take(length)?));
        Some(())
    }

    fn extension(&mut self, out: &mut Vec<u8>, length: usize) -> Option<()> {
        let kind = self.signed(1)?;
        let _ = write!(out, "{{\"extension\":{kind},\"data\":");
        self.text(out, length)?;
        out.push(b'}');
        Some(())
    }

    fn list(&mut self, out: &mut Vec<u8>, length: usize, depth: usize) -> Option<()> {
        out.push(b'[');
        for index in 0..length {
            if index > 0 {
                out.push(b',');
            }
            self.value(out, depth)?;
        }
        out.push(b']');
        Some(())
    }

    fn map(&mut self, out: &mut Vec<u8>, length: usize, depth: usize) -> Option<()> {
        out.push(b'{');
        for index in 0..length {
            if index > 0 {
                out.push(b',');
            }
            // A name in JSON is a string; other kinds are shown as the text of their JSON.
            let start = out.len();
            self.value(out, depth)?;
            if out.get(start) != Some(&b'"') {
                let name = String::from_utf8(out.split_off(start)).ok()?;
                write_string(out, &name);
            }
            out.push(b':');
            self.value(out, depth)?;
        }
        out.push(b'}');
        Some(())
    }
}

/// JSON has no NaN and no infinity.
fn float(out: &mut Vec<u8>, number: f64) -> std::io::Result<()> {
    if number.is_finite() { write!(out, "{number}") } else { write!(out, "\"{number}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        to_json(&mut out, bytes)?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn values_of_every_kind_are_shown() {
        let map = [0x82, 0xa1, b'a', 0x93, 1, 0xff, 0xc0, 2, 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0];
        assert_eq!(json(&map).unwrap(), r#"{"a":[1,-1,null],"2":1.5}"#);
        assert_eq!(json(&[0xd1, 0xff, 0x00]).unwrap(), "-256");
        assert_eq!(json(&[0xcd, 0x01, 0x00]).unwrap(), "256");
        assert_eq!(json(&[0xc4, 1, 0xff]).unwrap(), r#"{"base64":"/w=="}"#);
        assert_eq!(json(&[0xd4, 5, b'x']).unwrap(), r#"{"extension":5,"data":"x"}"#);
        assert_eq!(json(&[0xdc, 0, 1, 0xc3]).unwrap(), "[true]");
    }

    #[test]
    fn what_is_no_message_pack_is_none_however_deep_or_long_it_claims_to_be() {
        for bytes in [&[][..], &[0xc1], &[0xdd, 0xff, 0xff, 0xff, 0xff], &[1, 2], &[0xa5, b'x'], &[0x91; 200]]
        {
            assert_eq!(json(bytes), None, "{bytes:x?}");
        }
    }
}
