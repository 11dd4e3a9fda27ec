//! `profile`: named sets of connection properties. No cluster is asked but by `check`.

use std::time::Instant;

use anyhow::Result;
use kafka_cli::render::{Column, Table, View};
use kafka_cli::{ConnectionArgs, Exit, Failure, Profiles};
use kafka_core::config::{entries, property};
use serde::Serialize;

use crate::context::{note, show};
use crate::show::count;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:
  kafka-admin profile add prod -b kafka-1:9093 -X security.protocol=SASL_SSL -X sasl.mechanism=SCRAM-SHA-512 \\
      -X sasl.username=alice -X 'sasl.password=${prompt}'
  kafka-admin profile add staging -F client.properties
  kafka-admin profile use prod
  kafka-admin profile check")]
pub(crate) enum Command {
    /// List profiles; the current one has a star
    List,
    /// Make a profile the one that serves where no cluster is named; 'none' for none
    Use {
        /// Its name.
        name: String,
    },
    /// Show the properties of a profile, the current one by default; secrets stay hidden
    Show {
        /// Its name.
        name: Option<String>,
    },
    /// Add a profile of what -b, -X and -F say
    Add {
        /// Its name.
        name: String,
    },
    /// Remove a profile
    Remove {
        /// Its name.
        name: String,
    },
    /// Connect as a profile says, the current one by default
    Check {
        /// Its name.
        name: Option<String>,
    },
}

pub(crate) fn run(command: &Command, cli: &crate::cli::Cli) -> Result<Exit> {
    let mut profiles = Profiles::load()?;
    let done = match command {
        Command::List => return list(&profiles, cli),
        Command::Show { name } => return show_one(&profiles, chosen(name.as_deref(), &profiles)?, cli),
        Command::Check { name } => return check(chosen(name.as_deref(), &profiles)?, &cli.connection),
        Command::Use { name } if name == "none" => {
            profiles.unset_current();
            "no profile serves any more where no cluster is named".to_owned()
        }
        Command::Use { name } => {
            profiles.set_current(name)?;
            format!("profile {name} serves from now on where no cluster is named")
        }
        Command::Add { name } => {
            let properties = given(&cli.connection)?;
            profiles.add(name, &properties)?;
            let count =
                count(i64::try_from(properties.len()).unwrap_or(i64::MAX), "property").replace("ys", "ies");
            format!("profile {name} added to {} with {count}", profiles.path().display())
        }
        Command::Remove { name } => {
            profiles.remove(name)?;
            format!("profile {name} removed")
        }
    };
    profiles.save()?;
    note(&done);
    Ok(Exit::Done)
}

fn chosen<'a>(name: Option<&'a str>, profiles: &'a Profiles) -> Result<&'a str> {
    name.or(profiles.current()).ok_or_else(|| {
        Failure::usage("no profile is current").hint("name one, or kafka-admin profile use NAME").into()
    })
}

/// What the flags say, in the order in which later ones win.
fn given(connection: &ConnectionArgs) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    if let Some(path) = &connection.command_config {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("--command-config: {}: {error}", path.display())))?;
        pairs.extend(entries(&text).into_iter().map(|entry| (entry.name, entry.value)));
    }
    for pair in &connection.property {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage("-X: a value is missing").hint("write -X name=value"))?;
        pairs.push((name.to_owned(), value.to_owned()));
    }
    if let Some(servers) = &connection.bootstrap_server {
        pairs.push(("bootstrap.servers".to_owned(), servers.clone()));
    }
    if pairs.is_empty() {
        return Err(Failure::usage("a profile needs properties")
            .hint("give -b, -X name=value or -F FILE")
            .into());
    }
    Ok(pairs)
}

#[derive(Serialize)]
struct Listed {
    profile: String,
    current: bool,
    bootstrap_servers: Option<String>,
}

fn list(profiles: &Profiles, cli: &crate::cli::Cli) -> Result<Exit> {
    let row = |name: &str| -> Result<Listed> {
        let mut properties = profiles.properties(name)?.into_iter();
        Ok(Listed {
            profile: name.to_owned(),
            current: profiles.current() == Some(name),
            bootstrap_servers: properties
                .find(|(name, _)| name == "bootstrap.servers")
                .map(|(_, value)| value),
        })
    };
    let rows = profiles.names().into_iter().map(row).collect::<Result<Vec<_>>>()?;
    let columns = [
        Column::new("", |row: &Listed| if row.current { "*" } else { "" }.to_owned()),
        Column::new("PROFILE", |row: &Listed| row.profile.clone()),
        Column::new("BOOTSTRAP SERVERS", |row: &Listed| row.bootstrap_servers.clone().unwrap_or_default()),
    ];
    show(cli.output, &rows, || {
        View::table(Table::of(&columns, &rows)).named(rows.iter().map(|row| row.profile.clone()))
    })?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Shown {
    property: String,
    value: String,
}

fn show_one(profiles: &Profiles, name: &str, cli: &crate::cli::Cli) -> Result<Exit> {
    let hidden = |name: &str, value: &str| {
        property::find(name).is_none_or(property::PropertyInfo::is_sensitive) && !value.starts_with("${")
    };
    let row = |(property, value): (String, String)| Shown {
        value: if hidden(&property, &value) { "(hidden)".to_owned() } else { value },
        property,
    };
    let rows: Vec<_> = profiles.properties(name)?.into_iter().map(row).collect();
    let columns = [
        Column::new("PROPERTY", |row: &Shown| row.property.clone()),
        Column::new("VALUE", |row: &Shown| row.value.clone()),
    ];
    show(cli.output, &rows, || {
        View::table(Table::of(&columns, &rows)).named(rows.iter().map(|row| row.property.clone()))
    })?;
    Ok(Exit::Done)
}

fn check(name: &str, connection: &ConnectionArgs) -> Result<Exit> {
    let session = ConnectionArgs { profile: Some(name.to_owned()), ..connection.clone() }.start()?;
    let started = Instant::now();
    let metadata = session.run_within_timeout("connecting", session.client.cluster().refresh())?;
    let brokers = count(i64::try_from(metadata.brokers.len()).unwrap_or(i64::MAX), "broker");
    note(&format!("profile {name} works: {brokers}, {} ms", started.elapsed().as_millis()));
    Ok(Exit::Done)
}
