//! JSON to the bytes of a message. What is left out gets the protocol's default; what the message does not have is an error.

use std::collections::BTreeMap;

use kafka_cli::{base64, nearest};
use serde_json::Value;

use super::table::{Field, Kind};
use super::value::uuid_bytes;
use super::{Layout, Wrong};

type Result<T, E = Wrong> = std::result::Result<T, E>;

/// The longest string, by KIP-482 and before it alike.
const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// The bytes of the message that `value` describes.
pub(crate) fn encode(layout: &Layout, value: &Value) -> Result<Vec<u8>> {
    let mut encoder = Encoder { version: layout.version, flexible: layout.flexible, out: Vec::new() };
    encoder.fields(&layout.fields, value)?;
    Ok(encoder.out)
}

/// One field alone, as it stands on the wire where it is not given.
pub(super) fn encode_default(layout: &Layout, field: &Field) -> Result<Vec<u8>> {
    let mut encoder = Encoder { version: layout.version, flexible: layout.flexible, out: Vec::new() };
    encoder.field(field, None)?;
    Ok(encoder.out)
}

struct Encoder {
    version: i16,
    flexible: bool,
    out: Vec<u8>,
}

impl Encoder {
    fn fields(&mut self, fields: &[Field], value: &Value) -> Result<()> {
        let given = self.by_name(fields, value)?;
        let here = fields.iter().filter(|field| field.versions.contain(self.version));
        let (tagged, plain): (Vec<_>, Vec<_>) = here.partition(|field| field.tag.is_some());
        for field in plain {
            self.field(field, given.get(field.name).copied()).map_err(|wrong| wrong.in_field(field.name))?;
        }
        if self.flexible { self.tagged(&tagged, &given) } else { Ok(()) }
    }

    /// What is given, by the table's names. Kafka's own spelling in camel case is understood as well.
    fn by_name<'a>(&self, fields: &[Field], value: &'a Value) -> Result<BTreeMap<String, &'a Value>> {
        let object = value.as_object().ok_or_else(|| unfit(value, "an object"))?;
        let mut given = BTreeMap::new();
        for (name, value) in object {
            let name = snake_case(name);
            let in_version = |field: &&Field| field.versions.contain(self.version);
            match fields.iter().find(|field| field.name == name) {
                Some(field) if in_version(&field) => {}
                Some(field) => {
                    let what = format!(
                        "version {} has no such field, only versions {} have it",
                        self.version, field.versions
                    );
                    return Err(Wrong::new(what).in_field(&name));
                }
                None => {
                    let names = fields.iter().filter(in_version).map(|field| field.name);
                    let near = nearest(&name, names).map(|near| format!("; did you mean {near}?"));
                    let what = format!("there is no such field{}", near.unwrap_or_default());
                    return Err(Wrong::new(what).in_field(&name));
                }
            }
            if given.insert(name.clone(), value).is_some() {
                return Err(Wrong::new("it is given twice").in_field(&name));
            }
        }
        Ok(given)
    }

    fn field(&mut self, field: &Field, given: Option<&Value>) -> Result<()> {
        let default = given.is_none().then(|| field.default_value(self.version));
        let value = given.or(default.as_ref()).unwrap_or(&Value::Null);
        let nullable = field.nullable.contain(self.version);
        match value {
            Value::Null if nullable => self.null(&field.kind),
            Value::Null => return Err(Wrong::new(format!("version {} does not allow null", self.version))),
            _ => {
                if nullable && matches!(field.kind, Kind::Struct(_)) {
                    self.out.push(1);
                }
                self.value(&field.kind, value)?;
            }
        }
        Ok(())
    }

    fn null(&mut self, kind: &Kind) {
        match kind {
            Kind::Struct(_) => self.out.push(0xff),
            _ if self.flexible => self.out.push(0),
            Kind::String => self.out.extend((-1_i16).to_be_bytes()),
            _ => self.out.extend((-1_i32).to_be_bytes()),
        }
    }

    fn value(&mut self, kind: &Kind, value: &Value) -> Result<()> {
        match kind {
            Kind::Bool => self.out.push(value.as_bool().ok_or_else(|| unfit(value, "true or false"))?.into()),
            Kind::Int { bytes, signed } => self.int(*bytes, *signed, value)?,
            Kind::Float64 => self.out.extend(float(value)?.to_be_bytes()),
            Kind::String => {
                let bytes = bytes_of(value)?;
                if bytes.len() > MAX_STRING_BYTES {
                    return Err(Wrong::new(format!("{} bytes are too long for a string", bytes.len())));
                }
                match i16::try_from(bytes.len()) {
                    Ok(length) if !self.flexible => self.out.extend(length.to_be_bytes()),
                    _ => self.length(bytes.len())?,
                }
                self.out.extend(bytes);
            }
            Kind::Bytes | Kind::Records => {
                let bytes = bytes_of(value)?;
                self.length(bytes.len())?;
                self.out.extend(bytes);
            }
            Kind::Uuid => {
                let uuid = value.as_str().and_then(uuid_bytes);
                self.out.extend(
                    uuid.ok_or_else(|| unfit(value, "a UUID as Kafka writes it, 22 letters of base64"))?,
                );
            }
            Kind::Struct(fields) => self.fields(fields, value)?,
            Kind::Array(element) => {
                let values = value.as_array().ok_or_else(|| unfit(value, "an array"))?;
                self.length(values.len())?;
                for (index, value) in values.iter().enumerate() {
                    self.value(element, value).map_err(|wrong| wrong.in_element(index))?;
                }
            }
        }
        Ok(())
    }

    fn int(&mut self, bytes: usize, signed: bool, value: &Value) -> Result<()> {
        let number = value.as_i64();
        let bits = bytes * 8 - usize::from(signed);
        let (low, high) = (if signed { -1_i128 << bits } else { 0 }, (1_i128 << bits) - 1);
        let fits = number.filter(|number| (low..=high).contains(&i128::from(*number)));
        let number = fits.ok_or_else(|| unfit(value, &format!("a whole number from {low} to {high}")))?;
        self.out.extend(&number.to_be_bytes()[8 - bytes..]);
        Ok(())
    }

    /// The length of an array or of bytes.
    fn length(&mut self, length: usize) -> Result<()> {
        let length = i32::try_from(length).ok().filter(|length| *length < i32::MAX);
        let length = length.ok_or_else(|| Wrong::new("it is too long for a message"))?;
        if self.flexible {
            self.varint(length.unsigned_abs() + 1);
        } else {
            self.out.extend(length.to_be_bytes());
        }
        Ok(())
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// The tagged fields at the end of a structure: only those that differ from their default.
    fn tagged(&mut self, fields: &[&Field], given: &BTreeMap<String, &Value>) -> Result<()> {
        let mut written = BTreeMap::new();
        for field in fields {
            let Some(value) = given.get(field.name) else { continue };
            let (bytes, default) = (self.alone(field, Some(value)), self.alone(field, None)?);
            let bytes = bytes.map_err(|wrong| wrong.in_field(field.name))?;
            if let Some(tag) = field.tag.filter(|_| bytes != default) {
                written.insert(tag, bytes);
            }
        }
        self.varint(u32::try_from(written.len()).unwrap_or(u32::MAX));
        for (tag, bytes) in written {
            self.varint(tag);
            let size = u32::try_from(bytes.len()).map_err(|_| Wrong::new("it is too long for a message"))?;
            self.varint(size);
            self.out.extend(bytes);
        }
        Ok(())
    }

    fn alone(&self, field: &Field, given: Option<&Value>) -> Result<Vec<u8>> {
        let mut encoder = Self { out: Vec::new(), ..*self };
        encoder.field(field, given)?;
        Ok(encoder.out)
    }
}

/// Text is its UTF-8 bytes, `{"base64": …}` any others.
fn bytes_of(value: &Value) -> Result<Vec<u8>> {
    let packed = |value: &Value| {
        let object = value.as_object().filter(|object| object.len() == 1)?;
        base64::decode(object.get("base64")?.as_str()?)
    };
    let text = value.as_str().map(|text| text.as_bytes().to_vec());
    text.or_else(|| packed(value)).ok_or_else(|| unfit(value, "a string or {\"base64\": …}"))
}

fn float(value: &Value) -> Result<f64> {
    let named = |text: &str| text.parse().ok().filter(|number: &f64| !number.is_finite());
    let number = value.as_f64().or_else(|| value.as_str().and_then(named));
    number.ok_or_else(|| unfit(value, "a number"))
}

fn unfit(value: &Value, wanted: &str) -> Wrong {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    };
    Wrong::new(format!("{found} stands where {wanted} is wanted"))
}

/// `isKRaftController` becomes `is_kraft_controller`, as in the table.
fn snake_case(name: &str) -> String {
    let (mut snake, mut may_part) = (String::new(), false);
    for c in name.chars() {
        if c.is_ascii_uppercase() && may_part {
            snake.push('_');
        }
        may_part = c.is_ascii_lowercase() || c.is_ascii_digit();
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
