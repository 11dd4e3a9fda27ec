//! The table of properties: one row for each name that Kafka's clients know. What a value means is said here once, for
//! the library, for `docs/configuration.md` and for error messages; how values are kept is in [`super`].
//!
//! Each row gives a typed constant: `config.get(property::LINGER_MS)` is a `Duration`.

mod connection;
mod consumer;
mod ignored;
mod producer;
mod security;

use std::fmt;
use std::marker::PhantomData;

pub use connection::*;
pub use consumer::*;
pub use producer::*;
pub use security::*;

/// The client that a property belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every client: connections, time limits, metadata.
    Client,
    /// Every client: encryption and authentication.
    Security,
    /// The producer.
    Producer,
    /// The consumer.
    Consumer,
}

/// What values a property takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A whole number of milliseconds, from the first to the second.
    Millis(i64, i64),
    /// A whole number, from the first to the second.
    Int(i64, i64),
    /// A decimal number, from the first to the second.
    Float(f64, f64),
    /// `true` or `false`.
    Bool,
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// Several texts between commas.
    List,
    /// One of these words; `|` stands between spellings of the same, the canonical one first.
    Choice(&'static [&'static str]),
    /// `auto.offset.reset`: a word, or an age.
    OffsetReset,
    /// Known to other Kafka clients and without effect on this one: any text is let pass.
    Ignored,
}

impl fmt::Display for Kind {
    /// The allowed values, as error messages and the documentation state them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(min, max) => write!(f, "milliseconds, {min} to {max}"),
            Self::Int(min, max) => write!(f, "a whole number, {min} to {max}"),
            Self::Float(min, max) => write!(f, "a number, {min} to {max}"),
            Self::Bool => f.write_str("true or false"),
            Self::Text | Self::Ignored => f.write_str("any text"),
            Self::Secret => f.write_str("any text (never shown)"),
            Self::List => f.write_str("a list with commas"),
            Self::OffsetReset => f.write_str("earliest, latest, none, or an age such as by_duration:P1DT12H"),
            Self::Choice(words) => {
                let canonical = |words: &&'static str| words.split('|').next().unwrap_or_default();
                f.write_str(&words.iter().map(canonical).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// One row of the table.
#[derive(Debug, PartialEq)]
pub struct PropertyInfo {
    /// Kafka's name, as in the Java clients where they have it.
    pub name: &'static str,
    /// Other names of the same, librdkafka's mostly.
    pub aliases: &'static [&'static str],
    /// The client it belongs to.
    pub scope: Scope,
    /// What values it takes.
    pub kind: Kind,
    /// The value where none is given; `None` is "not set".
    pub default: Option<&'static str>,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
}

impl PropertyInfo {
    /// Whether its value is a secret, which is never shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Whether setting it changes anything here.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        !matches!(self.kind, Kind::Ignored)
    }
}

/// A row whose values have the Rust type `T`.
#[derive(Debug)]
pub struct Property<T> {
    info: &'static PropertyInfo,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Property<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Property<T> {}

impl<T> Property<T> {
    const fn new(info: &'static PropertyInfo) -> Self {
        Self { info, value: PhantomData }
    }

    /// Its row.
    #[must_use]
    pub const fn info(&self) -> &'static PropertyInfo {
        self.info
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.info.name
    }
}

/// Rows: `CONSTANT: type = "name", kind, default, "sentence" [, "alias"]*;`
macro_rules! properties {
    ($scope:ident; $($constant:ident: $type:ty = $name:literal, $kind:expr, $default:expr, $doc:literal $(, $alias:literal)*;)*) => {
        $(#[doc = concat!("`", $name, "`: ", $doc)]
        pub const $constant: super::Property<$type> = super::Property::new(&super::PropertyInfo {
            name: $name,
            aliases: &[$($alias),*],
            scope: super::Scope::$scope,
            kind: $kind,
            default: $default,
            doc: $doc,
        });)*

        pub(super) const ROWS: &[&super::PropertyInfo] = &[$($constant.info()),*];

        #[cfg(test)]
        pub(super) fn read_every_default(config: &crate::config::Config) {
            use crate::config::value::FromValue;
            $(if let Some(value) = config.value($constant.info()) {
                assert!(<$type>::from_value(value).is_some(), "{} has not the type of its constant", $name);
            })*
        }
    };
}
use properties;

/// Every property, group by group in a sensible order for reading.
pub fn all() -> impl Iterator<Item = &'static PropertyInfo> {
    [connection::ROWS, security::ROWS, producer::ROWS, consumer::ROWS, ignored::ROWS]
        .into_iter()
        .flatten()
        .copied()
}

/// The property of this name or alias.
#[must_use]
pub fn find(name: &str) -> Option<&'static PropertyInfo> {
    all().find(|info| info.name == name || info.aliases.contains(&name))
}

/// The known name that `unknown` is most likely a slip of, where one is near.
#[must_use]
pub fn nearest(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.to_ascii_lowercase().replace('_', ".");
    let names = all().flat_map(|info| std::iter::once(&info.name).chain(info.aliases));
    let ranked = names.map(|name| (super::nearest::distance(&unknown, name), *name));
    let limit = (unknown.len() / 3).clamp(1, 6);
    ranked
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::config::Config;

    #[test]
    fn no_name_stands_for_two_properties() {
        let mut seen = HashSet::new();
        for info in all() {
            for name in std::iter::once(&info.name).chain(info.aliases) {
                assert!(seen.insert(*name), "{name} stands there twice");
            }
        }
    }

    #[test]
    fn every_default_is_a_value_of_its_property_and_of_its_constant() {
        let config = Config::new();
        connection::read_every_default(&config);
        security::read_every_default(&config);
        producer::read_every_default(&config);
        consumer::read_every_default(&config);
        for info in all() {
            assert_eq!(config.value(info).is_some(), info.default.is_some(), "{}", info.name);
        }
    }

    #[test]
    fn every_sentence_ends_like_one() {
        for info in all() {
            assert!(info.doc.ends_with('.') && info.doc.len() < 300, "{}: {}", info.name, info.doc);
        }
    }

    #[test]
    fn a_slip_of_the_pen_finds_the_name_that_was_meant() {
        assert_eq!(nearest("linger.mss"), Some("linger.ms"));
        assert_eq!(nearest("bootstrap_servers"), Some("bootstrap.servers"));
        assert_eq!(nearest("security.protocl"), Some("security.protocol"));
        assert_eq!(nearest("completely.different.thing"), None);
    }
}
