//! The bytes of a message to a value. They come from a broker: no length is believed before it is compared with the bytes
//! at hand, and how many values may come of them is limited.

use std::collections::BTreeMap;

use super::encode::encode_default;
use super::table::{Field, Kind};
use super::value::{Value, uuid_text};
use super::{Layout, Wrong};

type Result<T, E = Wrong> = std::result::Result<T, E>;

/// The most values of one message. A byte of the wire can become a value of some fifty in memory.
const MAX_VALUES: usize = 8_000_000;

/// The name under which tagged fields stand that the table does not know.
const UNKNOWN_TAGS: &str = "_tagged_fields";

/// The message in `bytes`, which it must use up.
pub(crate) fn decode(layout: &Layout, bytes: &[u8]) -> Result<Value> {
    let mut values_left = MAX_VALUES;
    let mut decoder = Decoder { layout, bytes, values_left: &mut values_left };
    let value = decoder.fields(&layout.fields)?;
    decoder.expect_end()?;
    Ok(value)
}

struct Decoder<'a> {
    layout: &'a Layout,
    bytes: &'a [u8],
    values_left: &'a mut usize,
}

impl<'a> Decoder<'a> {
    fn fields(&mut self, fields: &[Field]) -> Result<Value> {
        let mut found = Vec::new();
        for field in fields.iter().filter(|field| field.versions.contain(self.layout.version)) {
            if field.tag.is_none() {
                found.push((field.name, self.field(field).map_err(|wrong| wrong.in_field(field.name))?));
            }
        }
        if self.layout.flexible {
            self.tagged(fields, &mut found)?;
        }
        Ok(Value::Fields(found))
    }

    fn field(&mut self, field: &Field) -> Result<Value> {
        let is_null = match &field.kind {
            Kind::Struct(_) if field.nullable.contain(self.layout.version) => {
                self.array::<1>()?[0] & 0x80 != 0
            }
            _ => false,
        };
        if is_null { Ok(Value::Null) } else { self.value(&field.kind) }
    }

    fn value(&mut self, kind: &Kind) -> Result<Value> {
        self.count_one()?;
        Ok(match kind {
            Kind::Bool => Value::Bool(self.array::<1>()?[0] != 0),
            Kind::Int { bytes, signed } => Value::Int(self.int(*bytes, *signed)?),
            Kind::Float64 => Value::Float(f64::from_be_bytes(self.array()?)),
            Kind::Uuid => Value::Text(uuid_text(&self.array()?)),
            Kind::Struct(fields) => self.fields(fields)?,
            Kind::String | Kind::Bytes | Kind::Records => match self.length(kind)? {
                None => Value::Null,
                Some(length) => of_bytes(kind, self.take(length)?),
            },
            Kind::Array(element) => match self.length(kind)? {
                None => Value::Null,
                Some(count) => self.list(element, count)?,
            },
        })
    }

    fn count_one(&mut self) -> Result<()> {
        let left = self.values_left.checked_sub(1);
        *self.values_left =
            left.ok_or_else(|| Wrong::new(format!("it has more than {MAX_VALUES} values")))?;
        Ok(())
    }

    fn list(&mut self, element: &Kind, count: usize) -> Result<Value> {
        // Every element has at least one byte.
        if count > self.bytes.len() {
            return Err(self.too_short(count, "elements"));
        }
        let mut values = Vec::new();
        for index in 0..count {
            values.push(self.value(element).map_err(|wrong| wrong.in_element(index))?);
        }
        Ok(Value::List(values))
    }

    /// The tagged fields at the end of a structure, in the order of the table. Those that are not there have their default.
    fn tagged(&mut self, fields: &[Field], found: &mut Vec<(&'static str, Value)>) -> Result<()> {
        let mut sections = BTreeMap::new();
        for _ in 0..self.varint()? {
            self.count_one()?;
            let (tag, size) = (self.varint()?, self.varint()? as usize);
            if sections.insert(tag, self.take(size)?).is_some() {
                return Err(Wrong::new(format!("the tagged field {tag} is there twice")));
            }
        }
        for field in fields.iter().filter(|field| field.versions.contain(self.layout.version)) {
            let Some(tag) = field.tag else { continue };
            let default;
            let section = match sections.remove(&tag) {
                Some(section) => section,
                None => {
                    default = encode_default(self.layout, field)?;
                    &default
                }
            };
            let mut inner =
                Decoder { layout: self.layout, bytes: section, values_left: &mut *self.values_left };
            let value = inner.field(field).and_then(|value| inner.expect_end().map(|()| value));
            found.push((field.name, value.map_err(|wrong| wrong.in_field(field.name))?));
        }
        let unknown = |(tag, bytes): (u32, &[u8])| {
            Value::Fields(vec![("tag", Value::Int(tag.into())), ("value", Value::Binary(bytes.to_vec()))])
        };
        if !sections.is_empty() {
            found.push((UNKNOWN_TAGS, Value::List(sections.into_iter().map(unknown).collect())));
        }
        Ok(())
    }

    /// The length of a string, of bytes or of an array; `None` is null.
    fn length(&mut self, kind: &Kind) -> Result<Option<usize>> {
        if self.layout.flexible {
            return Ok(self.varint()?.checked_sub(1).map(|length| length as usize));
        }
        let length = self.int(if matches!(kind, Kind::String) { 2 } else { 4 }, true)?;
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Wrong::new(format!("its length is {length}"))),
        }
    }

    fn int(&mut self, bytes: usize, signed: bool) -> Result<i64> {
        let taken = self.take(bytes)?;
        let is_negative = signed && taken.first().is_some_and(|first| *first >= 0x80);
        let start = if is_negative { -1 } else { 0 };
        Ok(taken.iter().fold(start, |value, byte| (value << 8) | i64::from(*byte)))
    }

    fn varint(&mut self) -> Result<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Wrong::new("a number does not end"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, left) = self.bytes.split_first_chunk().ok_or_else(|| self.too_short(N, "bytes"))?;
        self.bytes = left;
        Ok(*taken)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, left) =
            self.bytes.split_at_checked(count).ok_or_else(|| self.too_short(count, "bytes"))?;
        self.bytes = left;
        Ok(taken)
    }

    fn too_short(&self, wanted: usize, what: &str) -> Wrong {
        Wrong::new(format!("it claims {wanted} {what} where {} bytes are left", self.bytes.len()))
    }

    fn expect_end(&self) -> Result<()> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(Wrong::new(format!("{left} bytes are left over behind it"))),
        }
    }
}

/// Record batches are never text, though short ones may look like it.
fn of_bytes(kind: &Kind, bytes: &[u8]) -> Value {
    match (kind, std::str::from_utf8(bytes)) {
        (Kind::String, Ok(text)) => Value::Text(text.to_owned()),
        (Kind::Bytes, _) => Value::of_bytes(bytes),
        _ => Value::Binary(bytes.to_vec()),
    }
}
