//! Kafka's messages as JSON and as bytes, by a table of their layouts: for the command `raw`, which speaks every API, also
//! those that this client has no use for.

mod ask;
mod decode;
mod encode;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use ask::ask;
use decode::decode;
use encode::encode;
pub(crate) use table::Api;
pub(crate) use value::Value;

use std::fmt;

use anyhow::{Context as _, Result};
use table::{Field, Kind};

/// What is wrong, and where in the message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// `.topics[0].name`; empty for the message itself.
    path: String,
    what: String,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Self {
        Self { path: String::new(), what: what.into() }
    }

    /// The same, seen from the field around it.
    fn in_field(mut self, name: &str) -> Self {
        self.path.insert_str(0, &format!(".{name}"));
        self
    }

    /// The same, seen from the array around it.
    fn in_element(mut self, index: usize) -> Self {
        self.path.insert_str(0, &format!("[{index}]"));
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.trim_start_matches('.') {
            "" => f.write_str(&self.what),
            path => write!(f, "{path}: {}", self.what),
        }
    }
}

impl std::error::Error for Wrong {}

/// One of an API's two messages in one version.
#[derive(Debug)]
pub(crate) struct Layout {
    fields: Vec<Field>,
    version: i16,
    /// Whether it has compact lengths and tagged fields (KIP-482).
    flexible: bool,
}

impl Layout {
    /// The request of `api`.
    pub(crate) fn of_request(api: &Api, version: i16) -> Result<Self> {
        Self::of(api, "request", version)
    }

    /// The answer of `api`.
    pub(crate) fn of_response(api: &Api, version: i16) -> Result<Self> {
        Self::of(api, "response", version)
    }

    fn of(api: &Api, message: &str, version: i16) -> Result<Self> {
        let fields = api.fields(message).context("the table of messages is damaged")?;
        Ok(Self { fields, version, flexible: api.flexible.contain(version) })
    }

    /// The message with every default, and an element in every array of structures, so that all fields can be seen.
    pub(crate) fn example(&self) -> Result<Value> {
        let bytes = encode(self, &self.skeleton(&self.fields))?;
        Ok(decode(self, &bytes)?)
    }

    fn skeleton(&self, fields: &[Field]) -> serde_json::Value {
        let fields = fields.iter().filter(|field| field.versions.contain(self.version));
        let shown = fields.filter(|field| !field.is_null_by_default(self.version));
        let members = shown.filter_map(|field| match &field.kind {
            Kind::Struct(fields) => Some((field.name.to_owned(), self.skeleton(fields))),
            Kind::Array(element) => match &**element {
                Kind::Struct(fields) => {
                    Some((field.name.to_owned(), [self.skeleton(fields)].into_iter().collect()))
                }
                _ => None,
            },
            _ => None,
        });
        serde_json::Value::Object(members.collect())
    }
}
