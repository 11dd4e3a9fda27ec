//! One configuration out of flags, environment, profile and file, and warnings about secrets that lie open.

use std::path::Path;

use anyhow::{Context, Result};
use kafka_core::Config;
use kafka_core::config::{Origin, entries, property};

use crate::connection::ConnectionArgs;
use crate::exit::Failure;
use crate::profile::Profiles;
use crate::reference::{is_reference, prompt, resolve};

/// A configuration, and what to say about how it was given.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<String>,
    /// Whether somebody is there who can be asked for a password.
    may_ask: bool,
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Puts the sources together; `load_profiles` reads the profiles where one is wanted.
pub(crate) fn compose(
    args: &ConnectionArgs,
    environment: Environment<'_>,
    load_profiles: impl FnOnce() -> Result<Profiles>,
) -> Result<Composed> {
    let mut composed = Composed { config: Config::new(), warnings: Vec::new(), may_ask: !args.unattended };
    if let Some(path) = &args.command_config {
        composed.add_file(path, environment).context("--command-config")?;
    }
    composed.add_profile(args, environment, load_profiles)?;
    if let Some(servers) = environment("KAFKA_BOOTSTRAP_SERVERS") {
        let origin = Origin::Environment("KAFKA_BOOTSTRAP_SERVERS".into());
        composed.config.set_from("bootstrap.servers", &servers, origin)?;
    }
    for pair in &args.property {
        composed.add_option(pair, environment)?;
    }
    if let Some(servers) = &args.bootstrap_server {
        composed.config.set_from("bootstrap.servers", servers, Origin::Flag("--bootstrap-server".into()))?;
    }
    composed.warn_about_key_files();
    if composed.may_ask {
        composed.ask_for_password()?;
    }
    Ok(composed)
}

impl Composed {
    fn add_file(&mut self, path: &Path, environment: Environment<'_>) -> Result<()> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
        let mut holds_secret = false;
        for entry in entries(&String::from_utf8_lossy(&bytes)) {
            holds_secret |= is_open_secret(&entry.name, &entry.value);
            let value = resolve(&entry.name, &entry.value, environment, self.may_ask)?;
            let origin = Origin::File { path: shown.as_str().into(), line: entry.line };
            self.config.set_from(&entry.name, &value, origin)?;
        }
        if holds_secret {
            self.warn_if_open(path, "holds secrets");
        }
        Ok(())
    }

    /// The profile that was named; else the current one, but only where nothing else says which cluster is meant, so
    /// that one cluster's password is never sent to another.
    fn add_profile(
        &mut self,
        args: &ConnectionArgs,
        environment: Environment<'_>,
        load: impl FnOnce() -> Result<Profiles>,
    ) -> Result<()> {
        let named = args.profile.clone().or_else(|| environment("KAFKA_PROFILE"));
        let names_cluster = args.bootstrap_server.is_some()
            || args.command_config.is_some()
            || environment("KAFKA_BOOTSTRAP_SERVERS").is_some()
            || args.property.iter().any(|pair| sets_servers(pair));
        if named.is_none() && names_cluster {
            return Ok(());
        }
        let profiles = match load() {
            Ok(profiles) => profiles,
            // Without a home folder there are no profiles, and none was asked for.
            Err(_) if named.is_none() && environment("HOME").is_none() => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(name) = named.as_deref().or(profiles.current()) else { return Ok(()) };
        let mut holds_secret = false;
        for (property, value) in profiles.properties(name)? {
            holds_secret |= is_open_secret(&property, &value);
            let value = resolve(&property, &value, environment, self.may_ask)?;
            self.config.set_from(&property, &value, Origin::Profile(name.into()))?;
        }
        if holds_secret {
            self.warn_if_open(profiles.path(), "holds secrets");
        }
        Ok(())
    }

    fn add_option(&mut self, pair: &str, environment: Environment<'_>) -> Result<()> {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            let name: String = pair.chars().take(60).collect();
            Failure::usage(format!("-X {name}: a value is missing")).hint("write -X name=value")
        })?;
        if is_open_secret(name, value) {
            self.warnings.push(format!(
                "-X {name}: others can see it (ps, shell history); write it into a file (-F) or a profile, or -X '{name}=${{env:NAME}}', ${{file:PATH}} or ${{prompt}}"
            ));
        }
        let value = resolve(name, value, environment, self.may_ask)?;
        self.config.set_from(name, &value, Origin::Option)?;
        Ok(())
    }

    /// A user without a password is asked for it, where there is a terminal to ask on.
    fn ask_for_password(&mut self) -> Result<()> {
        let config = &mut self.config;
        let wants =
            matches!(config.get(property::SASL_MECHANISM), "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512")
                && config.get(property::SECURITY_PROTOCOL).starts_with("SASL");
        let has = config.is_set(&property::SASL_PASSWORD) || config.is_set(&property::SASL_JAAS_CONFIG);
        match config.get(property::SASL_USERNAME) {
            // Without a terminal the library says what is missing.
            Some(user) if wants && !has => match prompt(&format!("Password of {user}")) {
                Ok(password) => {
                    Ok(config.set_from("sasl.password", &password, Origin::Flag("prompt".into()))?)
                }
                Err(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn warn_about_key_files(&mut self) {
        for property in [
            property::SSL_KEY_LOCATION,
            property::SSL_KEYSTORE_LOCATION,
            property::SASL_OAUTHBEARER_TOKEN_FILE,
        ] {
            if let Some(path) = self.config.get(property) {
                self.warn_if_open(Path::new(&path), &format!("({}) holds a secret", property.name()));
            }
        }
    }

    #[cfg(unix)]
    fn warn_if_open(&mut self, path: &Path, what: &str) {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode());
        if mode & 0o044 != 0 {
            let path = path.display();
            self.warnings.push(format!("{path} {what} and others can read it; try: chmod 600 {path}"));
        }
    }

    #[cfg(not(unix))]
    fn warn_if_open(&mut self, _: &Path, _: &str) {}
}

fn sets_servers(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    property::find(name.trim()).is_some_and(|info| info.name == property::BOOTSTRAP_SERVERS.name())
}

/// A secret that stands there itself.
fn is_open_secret(name: &str, value: &str) -> bool {
    property::find(name.trim()).is_some_and(property::PropertyInfo::is_sensitive)
        && !value.is_empty()
        && !is_reference(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Tool {
        #[command(flatten)]
        connection: ConnectionArgs,
    }

    const PROFILES: &str = "current = \"home\"\n[profiles.home]\nbootstrap.servers = \"home:1\"\n\"sasl.password\" = \"hunter2\"\n[profiles.work]\nbootstrap.servers = \"work:1\"\nlinger.ms = 9\n";

    /// What the sources make together, with two profiles and these environment variables.
    fn composed(words: &[&str], environment: &[(&str, &str)]) -> Composed {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        std::fs::write(&path, PROFILES).unwrap();
        let args = Tool::parse_from(["tool"].iter().chain(words)).connection;
        let environment = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        compose(&args, &environment, || Profiles::load_from(path)).unwrap()
    }

    fn servers(words: &[&str], environment: &[(&str, &str)]) -> String {
        composed(words, environment).config.get(property::BOOTSTRAP_SERVERS).join(",")
    }

    #[test]
    fn flag_wins_over_x_and_x_over_environment_profile_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.properties");
        std::fs::write(&file, "bootstrap.servers=file:1\nlinger.ms=7\nacks=1\n").unwrap();
        let file = file.to_str().unwrap();
        let env = [("KAFKA_BOOTSTRAP_SERVERS", "env:1")];
        assert_eq!(servers(&["-F", file], &[]), "file:1");
        assert_eq!(servers(&["-F", file, "-P", "work"], &[]), "work:1");
        assert_eq!(servers(&["-F", file, "-P", "work"], &env), "env:1");
        assert_eq!(servers(&["-X", "bootstrap.servers=x:1", "-P", "work"], &env), "x:1");
        assert_eq!(servers(&["-b", "flag:1", "-X", "bootstrap.servers=x:1"], &env), "flag:1");
        let both = composed(&["-F", file, "-P", "work"], &[]).config;
        assert_eq!(both.get(property::LINGER_MS), Duration::from_millis(9));
        assert_eq!(both.get(property::ACKS), "1");
        assert_eq!(both.origin(property::LINGER_MS.info()).to_string(), "profile work");
    }

    #[test]
    fn the_current_profile_serves_only_where_nothing_else_names_a_cluster() {
        assert_eq!(servers(&[], &[]), "home:1");
        assert_eq!(servers(&[], &[("KAFKA_PROFILE", "work")]), "work:1");
        for words in [&["-b", "other:1"][..], &["-X", "metadata.broker.list=other:1"]] {
            let config = composed(words, &[]).config;
            assert_eq!(config.get(property::BOOTSTRAP_SERVERS), ["other:1"]);
            assert_eq!(config.get(property::SASL_PASSWORD), None, "home's password must not go elsewhere");
        }
    }

    #[test]
    fn a_password_on_the_command_line_is_taken_with_a_warning_that_does_not_repeat_it() {
        let open = composed(&["-X", "sasl.password=hunter2"], &[]);
        let warning = open.warnings.iter().find(|text| text.contains("-X sasl.password")).unwrap();
        assert!(!warning.contains("hunter2"));
        let referenced = composed(&["-b", "x:1", "-X", "sasl.password=${env:P}"], &[("P", "hunter2")]);
        assert!(referenced.warnings.is_empty(), "{:?}", referenced.warnings);
        assert_eq!(referenced.config.get(property::SASL_PASSWORD).unwrap().expose(), "hunter2");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_secrets_that_others_can_read_gets_a_warning() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, text, expected) in
            [(0o644, "sasl.password=x", 1), (0o600, "sasl.password=x", 0), (0o644, "acks=all", 0)]
        {
            std::fs::write(file.path(), text).unwrap();
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let composed = composed(&["-F", file.path().to_str().unwrap()], &[]);
            assert_eq!(composed.warnings.len(), expected, "{mode:o} {text}");
        }
    }
}
