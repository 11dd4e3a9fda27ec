//! `config`: this client's own properties, not the cluster's. No cluster is asked.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_core::config::{Origin, property};
use serde::Serialize;

use crate::context::show;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:
  kafka-admin config show --origin -F client.properties
  kafka-admin config show --all -o json")]
pub(crate) enum Command {
    /// Show what this client is told by flags, environment, profile and file together; secrets stay hidden
    Show {
        /// With where each value comes from
        #[arg(long)]
        origin: bool,
        /// With the properties that nobody set
        #[arg(long)]
        all: bool,
    },
}

#[derive(Serialize)]
struct Row {
    property: &'static str,
    value: Option<String>,
    origin: String,
}

pub(crate) fn run(command: &Command, cli: &crate::cli::Cli) -> Result<Exit> {
    let Command::Show { origin, all } = command;
    let config = cli.connection.config()?;
    let is_shown = |info: &&property::PropertyInfo| {
        let is_set = *config.origin(info) != Origin::Default;
        is_set || *all && info.has_effect()
    };
    let row = |info: &'static property::PropertyInfo| Row {
        property: info.name,
        value: config.shown(info),
        origin: config.origin(info).to_string(),
    };
    let rows: Vec<_> = property::all().filter(is_shown).map(row).collect();
    let origin_column = Column::new("ORIGIN", |row: &Row| row.origin.clone());
    let columns = [
        Column::new("PROPERTY", |row: &Row| row.property.to_owned()),
        Column::new("VALUE", |row: &Row| row.value.clone().unwrap_or_else(|| "-".to_owned())),
        if *origin { origin_column } else { origin_column.wide() },
    ];
    show(cli.output, &rows, || {
        View::table(Table::of(&columns, &rows)).named(rows.iter().map(|row| row.property.to_owned()))
    })?;
    Ok(Exit::Done)
}
