//! How keys and values are shown: as text, JSON, hex, base64, numbers in kcat's notation, UUIDs.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::base64;
use crate::printable::is_unsafe;
use crate::record_json::write_bytes;

/// A format of keys or values. `FromStr` reads its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PayloadFormat {
    /// As they are.
    #[default]
    Utf8,
    /// JSON, without the spaces between its parts.
    Json,
    /// JSON over several lines.
    PrettyJson,
    /// Two digits a byte.
    Hex,
    /// Base64.
    Base64,
    /// The 16 bytes of a UUID.
    Uuid,
    /// MessagePack, shown as JSON.
    MessagePack,
    /// Numbers one after the other, in kcat's notation.
    Pack(Vec<PackItem>),
}

/// One number of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackItem {
    kind: PackKind,
    little_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PackKind {
    Signed(usize),
    Unsigned(usize),
    Float(usize),
    Char,
    Rest,
}

impl std::str::FromStr for PayloadFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let big = |kind| Ok(Self::Pack(vec![PackItem { kind, little_endian: false }]));
        match text {
            "utf8" | "text" | "string" | "s" => Ok(Self::Utf8),
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::PrettyJson),
            "hex" => Ok(Self::Hex),
            "base64" => Ok(Self::Base64),
            "uuid" => Ok(Self::Uuid),
            "msgpack" => Ok(Self::MessagePack),
            "int" | "i32" => big(PackKind::Signed(4)),
            "long" | "i64" => big(PackKind::Signed(8)),
            "short" | "i16" => big(PackKind::Signed(2)),
            "float" | "f32" => big(PackKind::Float(4)),
            "double" | "f64" => big(PackKind::Float(8)),
            _ => parse_pack(text),
        }
    }
}

/// kcat's notation: `<` and `>` set the byte order; `b B h H i I q Q` are numbers of 1, 2, 4, 8 bytes, small letters
/// signed; `f d` floating point; `c` a character; `s` the rest as text; `$` the end.
fn parse_pack(text: &str) -> Result<PayloadFormat, String> {
    let (mut items, mut little_endian) = (Vec::new(), false);
    for letter in text.chars() {
        let kind = match letter {
            '<' | '>' => {
                little_endian = letter == '<';
                continue;
            }
            ' ' | '$' => continue,
            'b' => PackKind::Signed(1),
            'B' => PackKind::Unsigned(1),
            'h' => PackKind::Signed(2),
            'H' => PackKind::Unsigned(2),
            'i' => PackKind::Signed(4),
            'I' => PackKind::Unsigned(4),
            'q' => PackKind::Signed(8),
            'Q' => PackKind::Unsigned(8),
            'f' => PackKind::Float(4),
            'd' => PackKind::Float(8),
            'c' => PackKind::Char,
            's' => PackKind::Rest,
            _ => {
                return Err(format!(
                    "{text:?} is no format; write utf8, json, pretty, hex, base64, uuid, msgpack, int, long, float, double or a pack such as >iq"
                ));
            }
        };
        items.push(PackItem { kind, little_endian });
    }
    if items.is_empty() { Err("an empty format".to_owned()) } else { Ok(PayloadFormat::Pack(items)) }
}

impl PayloadFormat {
    /// Appends `bytes` in this format; bytes that do not fit it are written as hex behind `0x`, so nothing is hidden.
    pub fn write(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        let start = out.len();
        if self.try_write(out, bytes).is_none() {
            out.truncate(start);
            out.extend_from_slice(b"0x");
            write_hex(out, bytes);
        }
    }

    /// The bytes that `text` stands for; `None` where it is not in this format, or where the format is only for showing.
    #[must_use]
    pub fn read(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.to_vec()),
            Self::Hex => read_hex(text),
            Self::Base64 => base64::decode(std::str::from_utf8(text).ok()?),
            _ => None,
        }
    }

    /// Appends `bytes` as one JSON value.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>, bytes: Option<&[u8]>) {
        let start = out.len();
        let done = match (self, bytes) {
            (Self::Utf8, _) | (_, None) => None,
            // Both are JSON themselves; over several lines would break the line form.
            (Self::Json | Self::PrettyJson, Some(bytes)) => Self::Json.try_write(out, bytes),
            (Self::MessagePack, Some(bytes)) => self.try_write(out, bytes),
            (_, Some(bytes)) => {
                let mut text = Vec::new();
                self.write(&mut text, bytes);
                write_bytes(out, Some(&text));
                Some(())
            }
        };
        if done.is_none() {
            out.truncate(start);
            write_bytes(out, bytes);
        }
    }

    /// `None` where the bytes do not fit.
    fn try_write(&self, out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
        match self {
            Self::Utf8 => out.extend_from_slice(bytes),
            Self::Hex => write_hex(out, bytes),
            Self::Base64 => base64::encode(out, bytes),
            Self::Json => respace(out, bytes, false)?,
            Self::PrettyJson => respace(out, bytes, true)?,
            Self::MessagePack => crate::msgpack::to_json(out, bytes)?,
            Self::Uuid => {
                let number = u128::from_be_bytes(bytes.try_into().ok()?);
                let digits = format!("{number:032x}");
                let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
                out.extend_from_slice(parts.join("-").as_bytes());
            }
            Self::Pack(items) => write_pack(out, items, bytes)?,
        }
        Some(())
    }
}

/// Writes JSON with other spaces, over several lines where `pretty`; names keep their order and numbers every digit.
/// `None` where it is not JSON.
fn respace(out: &mut Vec<u8>, json: &[u8], pretty: bool) -> Option<()> {
    serde_json::from_slice::<serde::de::IgnoredAny>(json).ok()?;
    let mut depth = 0_usize;
    let new_line = |out: &mut Vec<u8>, depth: usize| {
        if pretty {
            out.push(b'\n');
            out.resize(out.len() + 2 * depth, b' ');
        }
    };
    let (mut in_string, mut is_escaped) = (false, false);
    for &byte in json {
        if in_string {
            out.push(byte);
            in_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        let just_opened = matches!(out.last(), Some(b'{' | b'['));
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !just_opened {
                    new_line(out, depth);
                }
            }
            _ if just_opened && depth > 0 => new_line(out, depth),
            _ => {}
        }
        out.push(byte);
        match byte {
            b'{' | b'[' => depth += 1,
            b',' => new_line(out, depth),
            b':' if pretty => out.push(b' '),
            b'"' => in_string = true,
            _ => {}
        }
    }
    Some(())
}

/// Appends two lower-case digits a byte.
pub(crate) fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

fn read_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?)).collect()
}

fn write_pack(out: &mut Vec<u8>, items: &[PackItem], bytes: &[u8]) -> Option<()> {
    let mut rest = bytes;
    for (index, item) in items.iter().enumerate() {
        let width = match item.kind {
            PackKind::Signed(width) | PackKind::Unsigned(width) | PackKind::Float(width) => width,
            PackKind::Char => 1,
            PackKind::Rest => rest.len(),
        };
        let (field, tail) = rest.split_at_checked(width)?;
        rest = tail;
        if index > 0 {
            out.push(b' ');
        }
        if matches!(item.kind, PackKind::Char | PackKind::Rest) {
            out.extend_from_slice(field);
        } else {
            write_number(out, *item, field);
        }
    }
    rest.is_empty().then_some(())
}

fn write_number(out: &mut Vec<u8>, item: PackItem, field: &[u8]) {
    let mut number = 0_u64;
    for index in 0..field.len() {
        let at = if item.little_endian { field.len() - 1 - index } else { index };
        number = (number << 8) | u64::from(field[at]);
    }
    let unused = 64 - 8 * u32::try_from(field.len()).unwrap_or(8);
    let low = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
    // Writing to a Vec cannot fail.
    let _ = match item.kind {
        PackKind::Signed(_) => write!(out, "{}", (number << unused).cast_signed() >> unused),
        PackKind::Float(4) => write!(out, "{}", f32::from_bits(low(number))),
        PackKind::Float(_) => write!(out, "{}", f64::from_bits(number)),
        _ => write!(out, "{number}"),
    };
}

/// Appends text from others for a terminal: whatever could steer it is spelled out. Line ends and tabs pass.
pub(crate) fn write_safe(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        let mut safe = String::with_capacity(chunk.valid().len());
        for c in chunk.valid().chars() {
            // Writing to a String cannot fail.
            let _ = match c {
                '\n' | '\t' => safe.write_char(c),
                c if is_unsafe(c) && c.is_ascii() => write!(safe, "\\x{:02x}", u32::from(c)),
                c if is_unsafe(c) => write!(safe, "\\u{{{:x}}}", u32::from(c)),
                c => safe.write_char(c),
            };
        }
        out.extend_from_slice(safe.as_bytes());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: &str, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        format.parse::<PayloadFormat>().unwrap().write(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_format_shows_its_bytes() {
        assert_eq!(shown("utf8", b"abc"), "abc");
        assert_eq!(shown("hex", &[0x0f, 0xa0]), "0fa0");
        assert_eq!(shown("base64", b"fo"), "Zm8=");
        assert_eq!(shown("json", br#"{ "b": 1.50, "a }\"": [ ] }"#), r#"{"b":1.50,"a }\"":[]}"#);
        assert_eq!(shown("pretty", br#"{"b":[1,{}]}"#), "{\n  \"b\": [\n    1,\n    {}\n  ]\n}");
        assert_eq!(shown("uuid", &[0x11; 16]), "11111111-1111-1111-1111-111111111111");
        assert_eq!(shown("int", &[0xff, 0xff, 0xff, 0xfe]), "-2");
        assert_eq!(shown("double", &1.5_f64.to_be_bytes()), "1.5");
        assert_eq!(shown("<hB>Hs", &[1, 0, 200, 1, 0, b'x', b'y']), "1 200 256 xy");
    }

    #[test]
    fn what_is_shown_in_digits_can_be_read_back() {
        for format in [PayloadFormat::Hex, PayloadFormat::Base64, PayloadFormat::Utf8] {
            let mut shown = Vec::new();
            format.write(&mut shown, &[0, 15, 255]);
            assert_eq!(format.read(&shown), Some(vec![0, 15, 255]), "{format:?}");
        }
        assert_eq!(PayloadFormat::Hex.read(b"0"), None);
        assert_eq!(PayloadFormat::Hex.read(b"0x"), None);
    }

    #[test]
    fn bytes_that_do_not_fit_a_format_are_shown_as_hex() {
        for format in ["json", "uuid", "long", "pretty"] {
            assert_eq!(shown(format, &[0x7b, 1]), "0x7b01", "{format}");
        }
        assert_eq!(shown("json", b"1 2"), "0x312032");
    }

    #[test]
    fn an_unknown_format_names_the_known_ones() {
        assert!("yaml".parse::<PayloadFormat>().unwrap_err().contains("msgpack"));
        assert!("".parse::<PayloadFormat>().is_err());
    }

    #[test]
    fn a_terminal_gets_lines_and_tabs_and_no_other_control() {
        let mut out = Vec::new();
        write_safe(&mut out, b"a\tb\n\x1b[31m\xff\xc2\x9b \xe2\x80\xae s\xc3\xbc");
        assert_eq!(String::from_utf8(out).unwrap(), "a\tb\n\\x1b[31m\\xff\\u{9b} \\u{202e} sü");
    }
}
