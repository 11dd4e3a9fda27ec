//! The format language of `-f`: read once, then written per record straight into one buffer.
//!
//! `%t` topic, `%p` partition, `%o` offset, `%T` timestamp (ms), `%k` key, `%K` its length, `%v` or `%s` value, `%S` its
//! length, `%R` the same as four bytes, `%h` headers, `%{json}` the record in JSON, `%{time}` the timestamp as RFC 3339,
//! `%%` a percent sign; `\n`, `\r`, `\t`, `\0`, `\\`, `\x1f`. The letters are kcat's, but for `%v` and the braces.

use std::io::Write;

use kafka_core::consumer::RecordView;

use crate::payload::{PayloadFormat, write_safe};
use crate::record_json;
use crate::time::format_time;

/// A format that was read, with how keys and values are shown.
#[derive(Debug, Clone)]
pub struct RecordFormat {
    items: Vec<Item>,
    /// How `%k` is written.
    pub key: PayloadFormat,
    /// How `%v` is written.
    pub value: PayloadFormat,
    /// What stands for a null key or value: kcat writes nothing.
    pub null: Vec<u8>,
    /// Whether keys, values and headers are made safe for a terminal.
    pub for_terminal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Time,
    Key,
    KeyLength,
    Value,
    ValueLength,
    ValueLengthBytes,
    Headers,
    Json,
}

impl RecordFormat {
    /// Reads a format.
    ///
    /// # Errors
    /// What is wrong with it, and what may be written instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => items.push(parse_item(&mut chars)?),
                '\\' => push_text(&mut items, &[parse_escape(&mut chars)?]),
                c => push_text(&mut items, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        // `%%` comes as an item of its own.
        items.dedup_by(|next, before| match (before, next) {
            (Item::Text(before), Item::Text(next)) => {
                before.append(next);
                true
            }
            _ => false,
        });
        Ok(Self {
            items,
            key: PayloadFormat::Utf8,
            value: PayloadFormat::Utf8,
            null: Vec::new(),
            for_terminal: false,
        })
    }

    /// Appends one record.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, topic: &str, partition: i32, record: &RecordView<'_>) {
        for item in &self.items {
            match item {
                Item::Text(text) => out.extend_from_slice(text),
                Item::Topic => out.extend_from_slice(topic.as_bytes()),
                Item::Partition => write_number(out, i64::from(partition)),
                Item::Offset => write_number(out, record.offset),
                Item::Timestamp => write_number(out, record.timestamp),
                Item::Time => out.extend_from_slice(format_time(record.timestamp).as_bytes()),
                Item::Key => self.write_payload(out, &self.key, record.key),
                Item::KeyLength => write_number(out, length(record.key)),
                Item::Value => self.write_payload(out, &self.value, record.value),
                Item::ValueLength => write_number(out, length(record.value)),
                Item::ValueLengthBytes => {
                    let length = i32::try_from(length(record.value)).unwrap_or(i32::MAX);
                    out.extend_from_slice(&length.to_be_bytes());
                }
                Item::Headers => self.write_headers(out, record),
                Item::Json => {
                    record_json::write_record(out, topic, partition, record, &self.key, &self.value);
                }
            }
        }
    }

    #[inline]
    fn write_payload(&self, out: &mut Vec<u8>, format: &PayloadFormat, bytes: Option<&[u8]>) {
        match bytes {
            None => out.extend_from_slice(&self.null),
            Some(bytes) if !self.for_terminal => match format {
                PayloadFormat::Utf8 => out.extend_from_slice(bytes),
                format => format.write(out, bytes),
            },
            Some(bytes) => {
                let mut plain = Vec::with_capacity(bytes.len());
                format.write(&mut plain, bytes);
                write_safe(out, &plain);
            }
        }
    }

    /// `name=value` between commas, as kcat does.
    fn write_headers(&self, out: &mut Vec<u8>, record: &RecordView<'_>) {
        for (index, (name, value)) in record.headers().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write_payload(out, &PayloadFormat::Utf8, Some(name));
            out.push(b'=');
            match value {
                None => out.extend_from_slice(b"NULL"),
                value => self.write_payload(out, &PayloadFormat::Utf8, value),
            }
        }
    }
}

/// A null has the length -1, as kcat writes it.
fn length(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
}

fn write_number(out: &mut Vec<u8>, number: i64) {
    if let Ok(digit @ 0..=9) = u8::try_from(number) {
        out.push(b'0' + digit);
        return;
    }
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

fn push_text(items: &mut Vec<Item>, bytes: &[u8]) {
    match items.last_mut() {
        Some(Item::Text(text)) => text.extend_from_slice(bytes),
        _ => items.push(Item::Text(bytes.to_vec())),
    }
}

fn parse_item(chars: &mut std::str::Chars<'_>) -> Result<Item, String> {
    Ok(match chars.next() {
        Some('t') => Item::Topic,
        Some('p') => Item::Partition,
        Some('o') => Item::Offset,
        Some('T') => Item::Timestamp,
        Some('k') => Item::Key,
        Some('K') => Item::KeyLength,
        Some('v' | 's') => Item::Value,
        Some('S') => Item::ValueLength,
        Some('R') => Item::ValueLengthBytes,
        Some('h') => Item::Headers,
        Some('%') => Item::Text(b"%".to_vec()),
        Some('{') => {
            let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
            match name.as_str() {
                "json" => Item::Json,
                "time" => Item::Time,
                _ => return Err(format!("unknown %{{{name}}}; there are %{{json}} and %{{time}}")),
            }
        }
        Some(c) => {
            return Err(format!(
                "unknown %{c}; there are %t %p %o %T %k %K %v %s %S %R %h %{{json}} %{{time}} and %%"
            ));
        }
        None => return Err("a % at the end; write %% for a percent sign".to_owned()),
    })
}

/// Reads the escapes that formats know in any text: `\\t` is a tab.
///
/// # Errors
/// Which escape is unknown.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let (mut bytes, mut chars) = (Vec::with_capacity(text.len()), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => bytes.push(parse_escape(&mut chars)?),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(bytes)
}

fn parse_escape(chars: &mut std::str::Chars<'_>) -> Result<u8, String> {
    Ok(match chars.next() {
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('0') => 0,
        Some('\\') => b'\\',
        Some('x') => {
            let digits: String = chars.by_ref().take(2).collect();
            let byte = u8::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 2);
            byte.ok_or_else(|| format!("\\x{digits}: two hexadecimal digits are needed"))?
        }
        Some(c) => return Err(format!("unknown \\{c}; there are \\n \\r \\t \\0 \\\\ and \\xHH")),
        None => return Err("a \\ at the end; write \\\\ for a backslash".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_read_once_with_its_escapes() {
        let format = RecordFormat::parse(r"%%%t[%p]@%o\x1f\n%{json}").unwrap();
        let text = |bytes: &[u8]| Item::Text(bytes.to_vec());
        assert_eq!(
            format.items,
            [
                text(b"%"),
                Item::Topic,
                text(b"["),
                Item::Partition,
                text(b"]@"),
                Item::Offset,
                text(b"\x1f\n"),
                Item::Json
            ]
        );
    }

    #[test]
    fn escapes_are_read_outside_of_formats_as_well() {
        assert_eq!(unescape(r"a\tä\x1f").unwrap(), "a\tä\x1f".as_bytes());
        assert!(unescape(r"\q").is_err());
    }

    #[test]
    fn what_is_wrong_with_a_format_is_said_with_what_there_is() {
        for (wrong, hint) in
            [("%q", "%{json}"), ("%", "%%"), ("%{yaml}", "%{time}"), (r"\q", r"\t"), (r"\x1", "two")]
        {
            let error = RecordFormat::parse(wrong).unwrap_err();
            assert!(error.contains(hint), "{wrong}: {error}");
        }
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        for number in [0, 9, 10, -1, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
