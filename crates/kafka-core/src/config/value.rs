//! From the text of a value to its type, and why it cannot be.

use std::time::Duration;

use super::Secret;
use super::property::Kind;
use crate::consumer::reset::ResetPolicy;

/// A value that fits its property.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // public in name only: the module is not
pub enum Value {
    Duration(Duration),
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Secret(Secret),
    List(Vec<String>),
    Choice(&'static str),
}

/// Reads `text` as a value of this kind; the error tells what is allowed, and never repeats a secret.
pub(crate) fn parse(kind: Kind, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    let refuse = || format!("{trimmed:?} is not allowed; allowed: {kind}");
    match kind {
        Kind::Millis(min, max) => {
            let millis = whole(trimmed, min, max).ok_or_else(refuse)?;
            Ok(Value::Duration(Duration::from_millis(millis.unsigned_abs())))
        }
        Kind::Int(min, max) => whole(trimmed, min, max).map(Value::Int).ok_or_else(refuse),
        Kind::Float(min, max) => {
            let number = trimmed.parse().ok().filter(|number| (min..=max).contains(number));
            number.map(Value::Float).ok_or_else(refuse)
        }
        Kind::Bool => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Bool(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Bool(false)),
            _ => Err(refuse()),
        },
        Kind::Text | Kind::Ignored => Ok(Value::Text(trimmed.to_owned())),
        Kind::OffsetReset => match ResetPolicy::parse(trimmed) {
            Some(_) => Ok(Value::Text(trimmed.to_owned())),
            None => Err(refuse()),
        },
        Kind::Secret => Ok(Value::Secret(text.into())),
        Kind::List => {
            let parts = trimmed.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::List(parts.map(str::to_owned).collect()))
        }
        Kind::Choice(words) => {
            let meant =
                words.iter().find(|words| words.split('|').any(|word| word.eq_ignore_ascii_case(trimmed)));
            meant.and_then(|words| words.split('|').next()).map(Value::Choice).ok_or_else(refuse)
        }
    }
}

/// A whole number within the range. Some files write `5.0` where librdkafka takes a decimal number.
fn whole(text: &str, min: i64, max: i64) -> Option<i64> {
    let digits = text.strip_suffix(".0").unwrap_or(text);
    digits.parse().ok().filter(|number| (min..=max).contains(number))
}

/// The Rust types that values are read as.
pub trait FromValue: Default {
    /// Itself, where the value is of this type.
    #[doc(hidden)]
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($type:ty: $variant:ident($inner:ident) => $result:expr;)*) => {
        $(impl FromValue for $type {
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$variant($inner) => $result,
                    _ => None,
                }
            }
        })*
    };
}

from_value! {
    Duration: Duration(it) => Some(it);
    i64: Int(it) => Some(it);
    i32: Int(it) => it.try_into().ok();
    u32: Int(it) => it.try_into().ok();
    usize: Int(it) => it.try_into().ok();
    f64: Float(it) => Some(it);
    bool: Bool(it) => Some(it);
    String: Text(it) => Some(it);
    Secret: Secret(it) => Some(it);
    Vec<String>: List(it) => Some(it);
    &'static str: Choice(it) => Some(it);
}

/// For properties without a default: `None` where nothing is set.
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        T::from_value(value).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_allowed_is_told_together_with_what_is() {
        for (kind, text, expected) in [
            (Kind::Millis(0, 10), "11", "\"11\" is not allowed; allowed: milliseconds, 0 to 10"),
            (Kind::Int(1, 5), "many", "\"many\" is not allowed; allowed: a whole number, 1 to 5"),
            (Kind::Bool, "maybe", "\"maybe\" is not allowed; allowed: true or false"),
            (Kind::Choice(&["all|-1", "0"]), "2", "\"2\" is not allowed; allowed: all, 0"),
        ] {
            assert_eq!(parse(kind, text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn a_choice_is_read_in_any_spelling_and_given_in_the_canonical_one() {
        assert_eq!(parse(Kind::Choice(&["all|-1", "0"]), "-1"), Ok(Value::Choice("all")));
        assert_eq!(parse(Kind::Choice(&["SASL_SSL"]), " sasl_ssl "), Ok(Value::Choice("SASL_SSL")));
    }

    #[test]
    fn blanks_around_a_password_belong_to_it() {
        assert_eq!(parse(Kind::Secret, " x "), Ok(Value::Secret(" x ".into())));
    }
}
