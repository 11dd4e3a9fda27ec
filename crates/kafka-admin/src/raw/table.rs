//! The layouts of Kafka's messages, read from `messages.txt`, which says at its head how. Only what is asked for is read.

use std::fmt;

const TEXT: &str = include_str!("messages.txt");

/// The field of a Metadata request that makes a broker create the topics it is asked about. True by default there.
const CREATES_TOPICS: &str = "allow_auto_topic_creation";

/// A range of versions, perhaps an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) first: i16,
    pub(crate) last: i16,
}

impl Versions {
    const ALL: Self = Self { first: 0, last: i16::MAX };
    const NONE: Self = Self { first: 0, last: -1 };

    /// `3+`, `0-4` or `2`.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => match text.strip_suffix('+') {
                Some(first) => (first.parse().ok()?, i16::MAX),
                None => (text.parse().ok()?, text.parse().ok()?),
            },
        };
        Some(Self { first, last })
    }

    /// Whether `version` is one of them.
    pub(crate) fn contain(self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, i16::MAX) => write!(f, "{first} and later"),
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first} to {last}"),
        }
    }
}

/// An API of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Api {
    pub(crate) key: i16,
    pub(crate) name: &'static str,
    pub(crate) versions: Versions,
    /// Versions with compact lengths and tagged fields.
    pub(crate) flexible: Versions,
    /// A version that brokers offer only when told to.
    unstable: Option<i16>,
    /// The rows of its two messages.
    pub(crate) rows: &'static str,
}

impl Api {
    /// Every API of the table, by key.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        TEXT.split("\napi ").skip(1).filter_map(Self::parse)
    }

    /// The API of this name, in whatever case, or of this key.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let key = name.parse().ok();
        Self::all().find(|api| Some(api.key) == key || api.name.eq_ignore_ascii_case(name))
    }

    fn parse(text: &'static str) -> Option<Self> {
        let (row, rows) = text.split_once('\n')?;
        let mut words = row.split(' ');
        let (key, name) = (words.next()?.parse().ok()?, words.next()?);
        let versions = Versions::parse(words.next()?)?;
        let mut api = Self { key, name, versions, flexible: Versions::NONE, unstable: None, rows };
        while let Some(word) = words.next() {
            match word {
                "flexible" => api.flexible = Versions::parse(words.next()?)?,
                "unstable" => api.unstable = Some(words.next()?.parse().ok()?),
                _ => return None,
            }
        }
        Some(api)
    }

    /// The highest version that brokers offer without being told to, where there is one.
    pub(crate) fn highest_stable(&self) -> i16 {
        let last = self.versions.last;
        if self.unstable == Some(last) && last > self.versions.first { last - 1 } else { last }
    }

    /// The fields of its `request` or `response`; `None` where a row cannot be read.
    pub(super) fn fields(&self, message: &str) -> Option<Vec<Field>> {
        let mut rows: Vec<_> = self.rows.lines().filter(|row| !row.is_empty()).map(Row::new).collect();
        let start = rows.iter().position(|row| row.depth == 1 && row.text == message)?;
        rows.drain(..=start);
        let end = rows.iter().position(|row| row.depth == 1).unwrap_or(rows.len());
        read_fields(&rows[..end])
    }
}

/// A row and how deep it is indented.
struct Row {
    depth: usize,
    text: &'static str,
}

impl Row {
    fn new(line: &'static str) -> Self {
        let text = line.trim_start_matches(' ');
        Self { depth: (line.len() - text.len()) / 2, text }
    }
}

/// One field of a message or structure.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) versions: Versions,
    /// Versions in which it may be null.
    pub(super) nullable: Versions,
    pub(super) tag: Option<u32>,
    default: &'static str,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Kind {
    Bool,
    Int { bytes: usize, signed: bool },
    Float64,
    String,
    Bytes,
    Records,
    Uuid,
    Struct(Vec<Field>),
    Array(Box<Kind>),
}

fn read_fields(rows: &[Row]) -> Option<Vec<Field>> {
    let Some(depth) = rows.first().map(|row| row.depth) else { return Some(Vec::new()) };
    let mut starts: Vec<_> = (0..rows.len()).filter(|at| rows[*at].depth == depth).collect();
    starts.push(rows.len());
    starts.windows(2).map(|of| Field::read(rows[of[0]].text, &rows[of[0] + 1..of[1]])).collect()
}

impl Field {
    fn read(row: &'static str, inner: &[Row]) -> Option<Self> {
        let (row, default) = row.split_once(" = ").unwrap_or((row, ""));
        let mut words = row.split(' ').peekable();
        let (name, kind) = (words.next()?, Kind::read(words.next()?, inner)?);
        let mut field =
            Self { name, kind, versions: Versions::ALL, nullable: Versions::NONE, tag: None, default };
        if let Some(versions) = words.peek().and_then(|word| Versions::parse(word)) {
            field.versions = versions;
            words.next();
        }
        while let Some(word) = words.next() {
            match word {
                "null" => field.nullable = Versions::parse(words.next()?)?,
                "tag" => field.tag = Some(words.next()?.parse().ok()?),
                _ => return None,
            }
        }
        Some(field)
    }

    pub(super) fn is_null_by_default(&self, version: i16) -> bool {
        self.default == "null" && self.nullable.contain(version)
    }

    /// What it is where nobody says otherwise: the protocol's default, but looking never creates a topic.
    pub(super) fn default_value(&self, version: i16) -> serde_json::Value {
        use serde_json::Value;
        if self.is_null_by_default(version) {
            return Value::Null;
        }
        match &self.kind {
            Kind::Bool => Value::Bool(self.default == "true" && self.name != CREATES_TOPICS),
            Kind::Int { .. } | Kind::Float64 => self.default.parse().map_or(0_i64, |number| number).into(),
            Kind::String | Kind::Bytes | Kind::Records => Value::String(String::new()),
            Kind::Uuid => Value::String(super::value::uuid_text(&[0; 16])),
            Kind::Struct(_) => Value::Object(serde_json::Map::new()),
            Kind::Array(_) => Value::Array(Vec::new()),
        }
    }
}

impl Kind {
    fn read(text: &str, inner: &[Row]) -> Option<Self> {
        let int = |bytes, signed| Self::Int { bytes, signed };
        if let Some(element) = text.strip_prefix('[') {
            // `[{}]` or `[]int32`
            let element = element.strip_prefix(']').or_else(|| element.strip_suffix(']'))?;
            return Some(Self::Array(Box::new(Self::read(element, inner)?)));
        }
        Some(match text {
            "{}" => Self::Struct(read_fields(inner)?),
            "bool" => Self::Bool,
            "int8" => int(1, true),
            "int16" => int(2, true),
            "uint16" => int(2, false),
            "int32" => int(4, true),
            "uint32" => int(4, false),
            "int64" => int(8, true),
            "float64" => Self::Float64,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_can_be_read() {
        let rows = TEXT.lines().filter(|line| line.starts_with("api ")).count();
        assert_eq!(Api::all().count(), rows);
        for api in Api::all() {
            for message in ["request", "response"] {
                assert!(api.fields(message).is_some(), "{} {message}", api.name);
            }
        }
    }

    #[test]
    fn an_api_is_found_by_its_name_in_any_case_and_by_its_key() {
        for name in ["ApiVersions", "apiversions", "18"] {
            assert_eq!(Api::find(name).unwrap().key, 18, "{name}");
        }
        assert!(Api::find("ApiVersion").is_none());
    }

    #[test]
    fn an_unstable_version_is_not_the_one_that_is_shown_unasked() {
        let api = Api::find("OffsetCommit").unwrap();
        assert_eq!((api.versions.last, api.highest_stable()), (10, 9));
        assert_eq!(Api::find("StreamsGroupHeartbeat").unwrap().highest_stable(), 0, "there is no other");
    }

    /// Where an array's element could have no bytes, its length would not be bounded by the bytes at hand.
    #[test]
    fn every_element_of_an_array_has_at_least_one_byte() {
        fn check(fields: &[Field], version: i16, flexible: bool, path: &str) {
            for field in fields.iter().filter(|field| field.versions.contain(version)) {
                let path = format!("{path}.{} version {version}", field.name);
                let inner = match &field.kind {
                    Kind::Array(element) => match &**element {
                        Kind::Struct(inner) => {
                            let has_some = inner.iter().any(|field| field.versions.contain(version));
                            assert!(flexible || has_some, "{path}");
                            inner
                        }
                        _ => continue,
                    },
                    Kind::Struct(inner) => inner,
                    _ => continue,
                };
                check(inner, version, flexible, &path);
            }
        }
        for api in Api::all() {
            for version in api.versions.first..=api.versions.last {
                for message in ["request", "response"] {
                    check(&api.fields(message).unwrap(), version, api.flexible.contain(version), api.name);
                }
            }
        }
    }
}
