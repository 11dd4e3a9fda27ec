//! A value of a decoded message: it keeps the order of the wire, and knows how it looks as JSON.

use kafka_cli::base64;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A value of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Bytes that are no text: `{"base64": …}`.
    Binary(Vec<u8>),
    List(Vec<Value>),
    Fields(Vec<(&'static str, Value)>),
}

/// An error code that is not 0, anywhere in an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `topics[0]`; empty for the answer itself.
    pub(crate) path: String,
    pub(crate) code: i16,
    pub(crate) message: Option<String>,
}

impl Value {
    /// Bytes as people want to see them: as text where that says it all.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(is_awkward) => Self::Text(text.to_owned()),
            _ => Self::Binary(bytes.to_vec()),
        }
    }

    /// Every error code in it that is not 0.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let mut found = Vec::new();
        self.find_refusals("", &mut found);
        found
    }

    fn find_refusals(&self, path: &str, found: &mut Vec<Refusal>) {
        match self {
            Self::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    value.find_refusals(&format!("{path}[{index}]"), found);
                }
            }
            Self::Fields(fields) => {
                for (name, value) in fields {
                    match (name.strip_suffix("error_code"), value) {
                        (Some(prefix), Self::Int(code)) if *code != 0 => {
                            let code = i16::try_from(*code).unwrap_or(-1);
                            let message = text_of(fields, &format!("{prefix}error_message"));
                            found.push(Refusal { path: path.to_owned(), code, message });
                        }
                        (None, Self::List(_) | Self::Fields(_)) => {
                            let dot = if path.is_empty() { "" } else { "." };
                            value.find_refusals(&format!("{path}{dot}{name}"), found);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether it is better read as base64.
fn is_awkward(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

fn text_of(fields: &[(&'static str, Value)], wanted: &str) -> Option<String> {
    fields.iter().find_map(|(name, value)| match value {
        Value::Text(text) if *name == wanted => Some(text.clone()),
        _ => None,
    })
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::Int(value) => to.serialize_i64(*value),
            Self::Float(value) if value.is_finite() => to.serialize_f64(*value),
            // JSON has no number for it: `NaN`, `inf`, `-inf`.
            Self::Float(value) => to.collect_str(value),
            Self::Text(value) => to.serialize_str(value),
            Self::Binary(bytes) => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry("base64", &base64::encoded(bytes))?;
                map.end()
            }
            Self::List(values) => to.collect_seq(values),
            Self::Fields(fields) => to.collect_map(fields.iter().map(|(name, value)| (name, value))),
        }
    }
}

/// A UUID as Kafka writes it: base64 for URLs, without padding.
pub(super) fn uuid_text(bytes: &[u8; 16]) -> String {
    base64::encoded(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// The bytes of a UUID that is written so.
pub(super) fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let padded = format!("{}==", text.replace('-', "+").replace('_', "/"));
    base64::decode(&padded)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_bytes_that_are_no_text_are_base64() {
        let fields = vec![
            ("z", Value::of_bytes(b"text")),
            ("a", Value::of_bytes(&[0xff, 0])),
            ("m", Value::of_bytes(b"\x1b[2J")),
            ("f", Value::Float(f64::INFINITY)),
        ];
        let json = serde_json::to_string(&Value::Fields(fields)).unwrap();
        assert_eq!(json, r#"{"z":"text","a":{"base64":"/wA="},"m":{"base64":"G1sySg=="},"f":"inf"}"#);
    }

    #[test]
    fn error_codes_are_found_at_any_depth_with_the_brokers_words() {
        let failed = |code, message: &str| {
            Value::Fields(vec![
                ("error_code", Value::Int(code)),
                ("error_message", Value::Text(message.to_owned())),
            ])
        };
        let topics = Value::List(vec![failed(0, ""), failed(36, "it is there")]);
        let answer = Value::Fields(vec![("error_code", Value::Int(-1)), ("topics", topics)]);
        let refusals = [
            Refusal { path: String::new(), code: -1, message: None },
            Refusal { path: "topics[1]".into(), code: 36, message: Some("it is there".into()) },
        ];
        assert_eq!(answer.refusals(), refusals);
    }

    #[test]
    fn a_uuid_is_written_as_kafka_writes_it() {
        let bytes = [0xfb, 0xff, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        assert_eq!(uuid_text(&bytes), "-_8CAwQFBgcICQoLDA0ODw");
        assert_eq!(uuid_bytes("-_8CAwQFBgcICQoLDA0ODw"), Some(bytes));
        for wrong in ["", "AAAA", "-_8CAwQFBgcICQoLDA0ODw=="] {
            assert_eq!(uuid_bytes(wrong), None, "{wrong}");
        }
    }
}
