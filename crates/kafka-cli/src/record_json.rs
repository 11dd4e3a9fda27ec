//! The JSON form of a record, one object on one line: what `kafka-consume -o json` writes `kafka-produce` reads.
//!
//! `{"topic","partition","offset","timestamp","timestamp_type","leader_epoch","key","value","headers":[[name,value],…]}`.
//! Keys and values are strings where they are UTF-8 and `{"base64": "…"}` where not; null differs from "". Headers are
//! pairs in a list: they have an order, and a name may come twice.

use std::io::Write;

use kafka_core::consumer::{RecordView, TimestampType};
use kafka_core::{Header, Record};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::base64;
use crate::payload::PayloadFormat;
use crate::printable::is_unsafe;

/// Appends the record as one JSON object without a line end.
pub fn write_record(
    out: &mut Vec<u8>,
    topic: &str,
    partition: i32,
    record: &RecordView<'_>,
    key: &PayloadFormat,
    value: &PayloadFormat,
) {
    out.extend_from_slice(b"{\"topic\":");
    write_string(out, topic);
    write_number(out, ",\"partition\":", i64::from(partition));
    write_number(out, ",\"offset\":", record.offset);
    write_number(out, ",\"timestamp\":", record.timestamp);
    out.extend_from_slice(match record.timestamp_type {
        TimestampType::CreateTime => b",\"timestamp_type\":\"create\"",
        TimestampType::LogAppendTime => b",\"timestamp_type\":\"append\"",
    });
    if record.leader_epoch >= 0 {
        write_number(out, ",\"leader_epoch\":", i64::from(record.leader_epoch));
    }
    out.extend_from_slice(b",\"key\":");
    key.write_json(out, record.key);
    out.extend_from_slice(b",\"value\":");
    value.write_json(out, record.value);
    out.extend_from_slice(b",\"headers\":[");
    for (index, (name, value)) in record.headers().enumerate() {
        out.extend_from_slice(if index == 0 { b"[" } else { b",[" });
        write_bytes(out, Some(name));
        out.push(b',');
        write_bytes(out, value);
        out.push(b']');
    }
    out.extend_from_slice(b"]}");
}

fn write_number(out: &mut Vec<u8>, name: &str, number: i64) {
    out.extend_from_slice(name.as_bytes());
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

/// Appends bytes as a JSON string where they are UTF-8, as `{"base64": …}` where not, as null where there are none.
pub fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => out.extend_from_slice(b"null"),
        Some((_, Ok(text))) => write_string(out, text),
        Some((bytes, Err(_))) => {
            out.extend_from_slice(b"{\"base64\":\"");
            base64::encode(out, bytes);
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Appends a JSON string. Whatever could steer a terminal is escaped, so JSON is always safe to show.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        // Printable ASCII passes; so do the bytes inside of other characters, which are looked at by their first one.
        let is_plain = matches!(byte, 0x20..=0x7e | 0x80..=0xbf) && byte != b'"' && byte != b'\\';
        if is_plain {
            continue;
        }
        let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else { continue };
        if byte >= 0x80 && !is_unsafe(c) {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        write_escaped(out, c);
        plain_from = at + c.len_utf8();
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
    out.push(b'"');
}

pub(crate) fn write_escaped(out: &mut Vec<u8>, c: char) {
    let _ = match c {
        '"' => out.write(b"\\\""),
        '\\' => out.write(b"\\\\"),
        '\n' => out.write(b"\\n"),
        '\r' => out.write(b"\\r"),
        '\t' => out.write(b"\\t"),
        // All characters that are escaped lie in the basic plane.
        c => write!(out, "\\u{:04x}", u32::from(c)).map(|()| 0),
    };
}

/// A record read from its JSON form, and where it says it belongs. What is not there is `None`; unknown names are
/// ignored, so that what was read can be written back with its offset in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonRecord {
    /// `topic`.
    pub topic: Option<String>,
    /// `partition`.
    pub partition: Option<i32>,
    /// `key`, `value`, `headers`, `timestamp`.
    pub record: Record,
}

#[derive(Deserialize)]
struct Form<'a> {
    topic: Option<String>,
    partition: Option<i32>,
    timestamp: Option<i64>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    headers: Vec<(String, Option<&'a RawValue>)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed<'a> {
    #[serde(borrow)]
    base64: std::borrow::Cow<'a, str>,
}

/// Reads one line. A key or value that is neither a string, null nor `{"base64": …}` is taken as the JSON text it is.
///
/// # Errors
/// What is wrong with the line.
pub fn parse_record(line: &[u8]) -> Result<JsonRecord, String> {
    let form: Form<'_> =
        serde_json::from_slice(line).map_err(|error| format!("no record in JSON: {error}"))?;
    let headers = form.headers.into_iter().map(|(name, value)| Ok(Header::new(name, parse_bytes(value)?)));
    let record = Record {
        key: parse_bytes(form.key)?.map(Into::into),
        value: parse_bytes(form.value)?.map(Into::into),
        headers: headers.collect::<Result<_, String>>()?,
        timestamp: form.timestamp.filter(|ms| *ms >= 0),
    };
    Ok(JsonRecord { topic: form.topic, partition: form.partition, record })
}

fn parse_bytes(raw: Option<&RawValue>) -> Result<Option<Vec<u8>>, String> {
    let Some(raw) = raw.map(|raw| raw.get().trim()) else { return Ok(None) };
    match raw.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => {
            serde_json::from_str::<String>(raw).map(|text| Some(text.into_bytes())).map_err(|e| e.to_string())
        }
        Some(b'{') => match serde_json::from_str::<Packed<'_>>(raw) {
            Ok(packed) => base64::decode(&packed.base64)
                .map(Some)
                .ok_or_else(|| "what stands behind \"base64\" is not base64".to_owned()),
            Err(_) => Ok(Some(raw.as_bytes().to_vec())),
        },
        _ => Ok(Some(raw.as_bytes().to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: Option<&[u8]>) -> String {
        let mut out = Vec::new();
        write_bytes(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn null_empty_text_and_bytes_are_told_apart() {
        assert_eq!(json(None), "null");
        assert_eq!(json(Some(b"")), "\"\"");
        assert_eq!(json(Some("süß".as_bytes())), "\"süß\"");
        assert_eq!(json(Some(&[0xff, 0])), r#"{"base64":"/wA="}"#);
    }

    #[test]
    fn nothing_in_a_string_can_steer_a_terminal() {
        let hostile = "a\u{1b}[2J\"\\\n\u{9b}\u{202e}\u{7f}z";
        assert_eq!(json(Some(hostile.as_bytes())), "\"a\\u001b[2J\\\"\\\\\\n\\u009b\\u202e\\u007fz\"");
        let back: String = serde_json::from_str(&json(Some(hostile.as_bytes()))).unwrap();
        assert_eq!(back, hostile);
    }

    #[test]
    fn a_line_is_read_with_duplicate_headers_nulls_and_bytes() {
        let line = br#"{"topic":"t","partition":3,"offset":9,"key":null,"value":{"base64":"/wA="},
            "headers":[["a","1"],["a",null],["b",{"base64":"/w=="}]]}"#;
        let read = parse_record(line).unwrap();
        assert_eq!((read.topic.as_deref(), read.partition), (Some("t"), Some(3)));
        assert_eq!(read.record.key, None);
        assert_eq!(read.record.value.as_deref(), Some(&[0xff, 0][..]));
        let header = |name: &'static str, value: Option<&'static [u8]>| Header::new(name, value);
        assert_eq!(
            read.record.headers,
            [header("a", Some(b"1")), header("a", None), header("b", Some(&[0xff]))]
        );
    }

    #[test]
    fn a_value_that_is_json_itself_keeps_its_text() {
        let read = parse_record(br#"{"value":{"z":1, "a":[2]}}"#).unwrap();
        assert_eq!(read.record.value.as_deref(), Some(&br#"{"z":1, "a":[2]}"#[..]));
        assert_eq!(parse_record(br#"{"value":12}"#).unwrap().record.value.as_deref(), Some(&b"12"[..]));
    }

    #[test]
    fn what_is_no_record_is_refused_with_a_reason() {
        for line in [&b"hello"[..], b"[1]", br#"{"value":{"base64":"*"}}"#, br#"{"partition":"x"}"#] {
            assert!(parse_record(line).is_err());
        }
    }
}
