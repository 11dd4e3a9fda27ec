//! Named sets of properties in a TOML file, `$XDG_CONFIG_HOME/kafka-tools/profiles.toml`: the file, what is in it, and
//! changing it. Comments and order survive changes.
//!
//! ```toml
//! current = "prod"
//!
//! [profiles.prod]
//! "bootstrap.servers" = "kafka-1:9093,kafka-2:9093"
//! "security.protocol" = "SASL_SSL"
//! "sasl.password" = "${file:/run/secrets/kafka}"
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kafka_core::config::property;
use toml_edit::{DocumentMut, Item, Table, Value};

use crate::exit::{Exit, Failure};
use crate::suggest::nearest;

/// The profiles of one file.
#[derive(Debug)]
pub struct Profiles {
    path: PathBuf,
    document: DocumentMut,
}

/// Where the profiles are: below `XDG_CONFIG_HOME`, else below `HOME/.config`.
fn default_path() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(base.join("kafka-tools").join("profiles.toml"))
}

impl Profiles {
    /// The user's profiles; none where there is no file yet.
    ///
    /// # Errors
    /// The file cannot be read or is not TOML; there is no home folder.
    pub fn load() -> Result<Self> {
        let path = default_path().ok_or_else(|| Failure::usage("neither XDG_CONFIG_HOME nor HOME is set"))?;
        Self::load_from(path)
    }

    /// The profiles of a file; none where it does not exist.
    ///
    /// # Errors
    /// The file cannot be read or is not TOML.
    pub fn load_from(path: PathBuf) -> Result<Self> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let document = text.parse::<DocumentMut>().map_err(|error| {
            // Its Display repeats the line, which may hold a password.
            let line =
                error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            Failure::usage(format!("{}:{line}: {}", path.display(), error.message()))
        })?;
        Ok(Self { path, document })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Their names, in the order of the file.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.tables().map(|tables| tables.iter().map(|(name, _)| name).collect()).unwrap_or_default()
    }

    /// The one that is used where none is named.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.document.get("current").and_then(Item::as_str)
    }

    /// The properties of a profile, as they stand in the file (references are not followed).
    ///
    /// # Errors
    /// There is none of this name, with the nearest one that is there; a value is neither text, number nor boolean.
    pub fn properties(&self, name: &str) -> Result<Vec<(String, String)>> {
        let table = self.tables().and_then(|tables| tables.get(name)).and_then(Item::as_table_like);
        let table = table.ok_or_else(|| self.unknown(name))?;
        let mut found = Vec::new();
        flatten("", table, &mut found).map_err(|key| {
            Failure::usage(format!(
                "{}: profile {name}: {key} is no text, number or boolean",
                self.path.display()
            ))
        })?;
        Ok(found)
    }

    /// Makes a profile the one that is used where none is named.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn set_current(&mut self, name: &str) -> Result<()> {
        self.properties(name)?;
        self.document.insert("current", toml_edit::value(name));
        Ok(())
    }

    /// Lets no profile serve where none is named.
    pub fn unset_current(&mut self) {
        self.document.remove("current");
    }

    /// Adds a profile.
    ///
    /// # Errors
    /// There is one of this name; a property is unknown or its value not allowed.
    pub fn add(&mut self, name: &str, properties: &[(String, String)]) -> Result<()> {
        if self.names().contains(&name) {
            return Err(Failure::new(Exit::AlreadyExists, format!("profile {name} exists already")).into());
        }
        if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Failure::usage(format!("{name:?} cannot be the name of a profile")).into());
        }
        let mut table = Table::new();
        for (property, value) in properties {
            if !value.contains("${") {
                kafka_core::Config::new().set(property, value)?;
            }
            table
                .insert(property::find(property).map_or(property, |info| info.name), toml_edit::value(value));
        }
        let profiles = self.document.entry("profiles").or_insert_with(|| {
            let mut profiles = Table::new();
            profiles.set_implicit(true);
            Item::Table(profiles)
        });
        let profiles = profiles
            .as_table_like_mut()
            .ok_or_else(|| Failure::usage(format!("{}: profiles is no table", self.path.display())))?;
        profiles.insert(name, Item::Table(table));
        Ok(())
    }

    /// Takes a profile out.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.properties(name)?;
        if let Some(tables) = self.document.get_mut("profiles").and_then(Item::as_table_like_mut) {
            tables.remove(name);
        }
        if self.current() == Some(name) {
            self.document.remove("current");
        }
        Ok(())
    }

    /// Writes the file: whole or not at all, readable by its owner only.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let written = create_folder(folder).and_then(|()| {
            // The temporary file is made readable by its owner only.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(self.document.to_string().as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        });
        written.with_context(|| format!("writing {}", self.path.display()))
    }

    fn tables(&self) -> Option<&dyn toml_edit::TableLike> {
        self.document.get("profiles").and_then(Item::as_table_like)
    }

    fn unknown(&self, name: &str) -> anyhow::Error {
        let failure =
            Failure::new(Exit::NotFound, format!("there is no profile {name} in {}", self.path.display()));
        match nearest(name, self.names()) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure.hint("kafka-admin profile list shows what is there"),
        }
        .into()
    }
}

fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// `bootstrap.servers = "x"` is a table in a table to TOML, `"bootstrap.servers" = "x"` is not: both are meant alike.
/// The error is the key whose value has a type that no property has.
fn flatten(
    prefix: &str,
    table: &dyn toml_edit::TableLike,
    into: &mut Vec<(String, String)>,
) -> Result<(), String> {
    for (key, item) in table.iter() {
        let name = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        if let Some(inner) = item.as_table_like() {
            flatten(&name, inner, into)?;
            continue;
        }
        let value = match item.as_value() {
            Some(Value::String(text)) => text.value().clone(),
            Some(Value::Integer(number)) => number.value().to_string(),
            Some(Value::Float(number)) => number.value().to_string(),
            Some(Value::Boolean(truth)) => truth.value().to_string(),
            _ => return Err(name),
        };
        into.push((name, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(text: &str) -> Profiles {
        Profiles { path: "p.toml".into(), document: text.parse().unwrap() }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn quoted_and_dotted_names_and_plain_types_are_read_alike() {
        let profiles = profiles(
            "[profiles.a]\n\"linger.ms\" = 5\nsasl.mechanism = \"PLAIN\"\nenable.idempotence = true\n",
        );
        let expected =
            [pair("linger.ms", "5"), pair("sasl.mechanism", "PLAIN"), pair("enable.idempotence", "true")];
        assert_eq!(profiles.properties("a").unwrap(), expected);
    }

    #[test]
    fn a_profile_is_added_used_and_removed_and_comments_stay() {
        let mut profiles = profiles("# mine\n[profiles.a]\nacks = \"all\" # safe\n");
        profiles.add("b", &[pair("metadata.broker.list", "x:1"), pair("sasl.password", "${env:P}")]).unwrap();
        profiles.set_current("b").unwrap();
        assert_eq!((profiles.names(), profiles.current()), (vec!["a", "b"], Some("b")));
        assert_eq!(
            profiles.properties("b").unwrap(),
            [pair("bootstrap.servers", "x:1"), pair("sasl.password", "${env:P}")]
        );
        profiles.remove("b").unwrap();
        assert_eq!((profiles.names(), profiles.current()), (vec!["a"], None));
        let text = profiles.document.to_string();
        assert!(text.contains("# mine") && text.contains("# safe"), "{text}");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_exit_code() {
        let mut profiles = profiles("[profiles.prod]\nacks = \"all\"\n");
        let exit = |error: anyhow::Error| crate::exit::exit_of(&error);
        assert_eq!(exit(profiles.add("prod", &[]).unwrap_err()), Exit::AlreadyExists);
        assert_eq!(exit(profiles.add("x", &[pair("acks", "some")]).unwrap_err()), Exit::Usage);
        assert_eq!(exit(profiles.set_current("staging").unwrap_err()), Exit::NotFound);
        assert_eq!(crate::exit::hint_of(&profiles.remove("prd").unwrap_err()).unwrap(), "did you mean prod?");
    }

    #[cfg(unix)]
    #[test]
    fn a_saved_file_can_be_read_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kafka-tools/profiles.toml");
        let mut profiles = Profiles::load_from(path.clone()).unwrap();
        profiles.add("a", &[pair("acks", "all")]).unwrap();
        profiles.save().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Profiles::load_from(path).unwrap().names(), ["a"]);
    }

    #[test]
    fn a_file_that_is_not_toml_is_refused_without_showing_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        std::fs::write(&path, "[profiles.a]\nsasl.password = hunter2\n").unwrap();
        let error = format!("{:#}", Profiles::load_from(path).unwrap_err());
        assert!(error.contains("p.toml:2:") && !error.contains("hunter2"), "{error}");
    }
}
