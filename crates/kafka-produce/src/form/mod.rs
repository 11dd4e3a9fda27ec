//! How a piece of input becomes a record: words, lines, JSON, CSV, hexadecimal digits. Pure; records borrow from the
//! piece where they can.

mod csv;
mod fields;
mod json;
mod line;
mod nulls;
mod packed;
mod pattern;

use kafka_core::{Header, RecordRef};

pub(crate) use csv::Csv;
pub(crate) use fields::Fields;
pub(crate) use json::Json;
pub(crate) use line::Line;
pub(crate) use nulls::Nulls;
pub(crate) use packed::{Packed, Packing};
pub(crate) use pattern::Pattern;

/// What a record gets where its input does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// Its key.
    pub(crate) key: Option<Vec<u8>>,
    /// Headers behind its own.
    pub(crate) headers: Vec<Header>,
    /// Its timestamp.
    pub(crate) timestamp: Option<i64>,
    /// What stands for null.
    pub(crate) nulls: Nulls,
}

/// A record as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Draft<'a> {
    /// The record.
    pub(crate) record: RecordRef<'a>,
    /// The partition that the input names.
    pub(crate) partition: Option<i32>,
    /// The word that routes look at.
    pub(crate) word: Option<&'a [u8]>,
}

/// A form of input.
#[derive(Debug)]
pub(crate) enum Form {
    /// Words with names.
    Fields(Fields),
    /// Lines, as they are or with a key in front.
    Line(Line),
    /// Lines made up as `--format` says.
    Pattern(Pattern),
    /// What `kafka-consume -o json` writes.
    Json(Json),
    /// Rows under a header.
    Csv(Csv),
    /// Hexadecimal digits or base64.
    Packed(Packed),
}

impl Form {
    /// The record of a piece of input; `None` where there is nothing in it to be sent, such as a blank line between
    /// words.
    ///
    /// # Errors
    /// Why it cannot be read, for the user.
    #[inline]
    pub(crate) fn read<'a>(
        &'a mut self,
        piece: &'a [u8],
        defaults: &'a Defaults,
    ) -> Result<Option<Draft<'a>>, String> {
        match self {
            Self::Line(line) => line.read(piece, defaults).map(Some),
            Self::Fields(fields) => fields.read(piece, defaults),
            Self::Pattern(pattern) => pattern.read(piece, defaults).map(Some),
            Self::Json(json) => json.read(piece, defaults),
            Self::Csv(csv) => csv.read(piece, defaults),
            Self::Packed(packed) => packed.read(piece, defaults).map(Some),
        }
    }
}

/// `NAME=VALUE`; without `=` the value is null.
pub(crate) fn parse_header(text: &str) -> Result<Header, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.as_bytes().to_vec())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err(format!("{text:?} is no header; write NAME=VALUE"));
    }
    Ok(Header::new(name.as_bytes().to_vec(), value))
}
