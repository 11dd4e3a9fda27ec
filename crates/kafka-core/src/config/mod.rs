//! Validated property values, each with its origin. Pure but for reading a file: flags, environment and profiles are
//! the tools' business; they come in here as values with an [`Origin`].

mod nearest;
mod parse;
pub mod property;
mod secret;
pub(crate) mod security;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use nearest::distance;
pub use parse::{Entry, entries};
use property::{Property, PropertyInfo};
pub use secret::Secret;
use value::{FromValue, Value};

use crate::error::{Error, Result};

/// Where a value comes from. A later origin in this list wins over an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A properties file.
    File {
        /// As the user wrote it.
        path: Arc<str>,
        /// Counted from 1.
        line: usize,
    },
    /// A profile of the tools, by name.
    Profile(Arc<str>),
    /// An environment variable, by name.
    Environment(Arc<str>),
    /// `-X name=value`, or set by the program that uses this library.
    Option,
    /// A flag of its own, such as `--bootstrap-server`.
    Flag(Arc<str>),
}

impl Origin {
    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Profile(_) => 2,
            Self::Environment(_) => 3,
            Self::Option => 4,
            Self::Flag(_) => 5,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Option => f.write_str("-X"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

#[derive(Clone)]
struct Setting {
    text: Arc<str>,
    value: Value,
    origin: Origin,
}

/// What a client is told: a value for each property, and where it comes from.
///
/// Every value was checked when it was set, so reading one cannot fail. `Debug` shows no secret.
///
/// ```
/// use kafka_core::config::{Config, property};
///
/// let mut config = Config::new();
/// config.set("linger.ms", "20")?;
/// assert_eq!(config.get(property::LINGER_MS).as_millis(), 20);
/// let error = config.set("linger.mss", "20").unwrap_err();
/// assert_eq!(error.to_string(), "unknown property \"linger.mss\"; did you mean \"linger.ms\"?");
/// # Ok::<(), kafka_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Config {
    settings: BTreeMap<&'static str, Setting>,
}

impl Config {
    /// Every property at its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a property by its name or alias, as a program that uses this library does.
    ///
    /// # Errors
    /// [`Error::Config`]: the name is unknown (with the nearest known one), or the value is not allowed (with what is).
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.set_from(name, value, Origin::Option)
    }

    /// Sets a property unless an origin that wins over this one has set it; among equals the later call wins.
    ///
    /// # Errors
    /// As for [`set`](Self::set), also where the value would not have been used.
    pub fn set_from(&mut self, name: &str, text: &str, origin: Origin) -> Result<()> {
        let info = property::find(name.trim()).ok_or_else(|| unknown(name, &origin))?;
        let value =
            value::parse(info.kind, text).map_err(|why| located(&origin, &format!("{name}: {why}")))?;
        if self.settings.get(info.name).is_some_and(|there| there.origin.rank() > origin.rank()) {
            return Ok(());
        }
        let text = if info.is_sensitive() { text } else { text.trim() };
        self.settings.insert(info.name, Setting { text: text.into(), value, origin });
        Ok(())
    }

    /// Takes every line of a properties file, Java's `client.properties` or librdkafka's.
    ///
    /// # Errors
    /// [`Error::Config`]: the file cannot be read, or names or values are wrong, with `FILE:LINE`.
    pub fn read_file(&mut self, path: &Path) -> Result<()> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| Error::Config(format!("{shown}: {error}")))?;
        self.read_properties(&String::from_utf8_lossy(&bytes), &shown)
    }

    /// Takes every line of the text of a properties file; `path` names it in errors and origins.
    ///
    /// # Errors
    /// As for [`read_file`](Self::read_file).
    pub fn read_properties(&mut self, text: &str, path: &str) -> Result<()> {
        let path: Arc<str> = path.into();
        for entry in entries(text) {
            let origin = Origin::File { path: Arc::clone(&path), line: entry.line };
            self.set_from(&entry.name, &entry.value, origin)?;
        }
        Ok(())
    }

    /// The value of a property: what was set, else its default.
    #[must_use]
    pub fn get<T: FromValue>(&self, property: Property<T>) -> T {
        // A value has its property's kind since it was set, and a test holds kinds and constants together.
        self.value(property.info()).and_then(T::from_value).unwrap_or_default()
    }

    pub(crate) fn value(&self, info: &PropertyInfo) -> Option<Value> {
        match self.settings.get(info.name) {
            Some(setting) => Some(setting.value.clone()),
            None => info.default.and_then(|text| value::parse(info.kind, text).ok()),
        }
    }

    /// The text of a property as it was set or as its default is; `(hidden)` for secrets, `None` where it is not set.
    #[must_use]
    pub fn shown(&self, info: &PropertyInfo) -> Option<String> {
        match self.settings.get(info.name) {
            Some(_) if info.is_sensitive() => Some("(hidden)".to_owned()),
            Some(setting) => Some(setting.text.to_string()),
            None => info.default.map(str::to_owned),
        }
    }

    /// Where the value of a property comes from.
    #[must_use]
    pub fn origin(&self, info: &PropertyInfo) -> &Origin {
        self.settings.get(info.name).map_or(&Origin::Default, |setting| &setting.origin)
    }

    /// Whether somebody set it.
    #[must_use]
    pub fn is_set<T>(&self, property: &Property<T>) -> bool {
        self.settings.contains_key(property.name())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = property::all().filter(|info| self.settings.contains_key(info.name));
        f.debug_map().entries(shown.map(|info| (info.name, self.shown(info).unwrap_or_default()))).finish()
    }
}

fn unknown(name: &str, origin: &Origin) -> Error {
    let hint = property::nearest(name).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    located(origin, &format!("unknown property {name:?}{hint}"))
}

/// With the place, where the user has to look for it.
fn located(origin: &Origin, text: &str) -> Error {
    Error::Config(match origin {
        Origin::Default | Origin::Option => text.to_owned(),
        place => format!("{place}: {text}"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn file(line: usize) -> Origin {
        Origin::File { path: "c.properties".into(), line }
    }

    #[test]
    fn a_nearer_origin_wins_whatever_the_order() {
        let mut config = Config::new();
        config.set_from("linger.ms", "1", Origin::Option).unwrap();
        config.set_from("linger.ms", "2", file(1)).unwrap();
        config.set_from("queue.buffering.max.ms", "3", Origin::Environment("E".into())).unwrap();
        assert_eq!(config.get(property::LINGER_MS), Duration::from_millis(1));
        config.set_from("linger.ms", "4", Origin::Flag("--linger".into())).unwrap();
        assert_eq!(config.get(property::LINGER_MS), Duration::from_millis(4));
        assert_eq!(config.origin(property::LINGER_MS.info()).to_string(), "--linger");
    }

    #[test]
    fn a_java_file_and_a_librdkafka_file_say_the_same() {
        let java = "bootstrap.servers=a:1,b:2\nacks=all\nsasl.mechanism=PLAIN\n";
        let librdkafka = "metadata.broker.list=a:1,b:2\nrequest.required.acks=-1\nsasl.mechanisms=PLAIN\n";
        let read = |text| {
            let mut config = Config::new();
            config.read_properties(text, "f").unwrap();
            (
                config.get(property::BOOTSTRAP_SERVERS),
                config.get(property::ACKS),
                config.get(property::SASL_MECHANISM),
            )
        };
        assert_eq!(read(java), read(librdkafka));
        assert_eq!(read(java).1, "all");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named_with_its_line() {
        let mut config = Config::new();
        let error = config.read_properties("# x\n\nlinger.ms=soon\n", "my.conf").unwrap_err();
        assert_eq!(
            error.to_string(),
            "my.conf:3: linger.ms: \"soon\" is not allowed; allowed: milliseconds, 0 to 900000"
        );
    }

    #[test]
    fn no_secret_is_in_debug_output_or_in_what_is_shown() {
        let mut config = Config::new();
        config.set("sasl.password", "hunter2").unwrap();
        config.set("sasl.jaas.config", "x required password=\"hunter2\";").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.shown(property::SASL_PASSWORD.info()).as_deref(), Some("(hidden)"));
        assert_eq!(config.get(property::SASL_PASSWORD).unwrap().expose(), "hunter2");
    }
}
