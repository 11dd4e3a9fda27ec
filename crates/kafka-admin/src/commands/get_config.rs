//! `get-config`: settings of a resource with their origin.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_core::admin::{ConfigEntry, ConfigKind, ConfigQuery, ConfigResource, ConfigSource};
use serde::Serialize;

use crate::context::Context;
use crate::report::Tally;
use crate::show::or_dash;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin get-config topic rider-updates
  kafka-admin get-config topic rider-updates retention.ms --all -o wide
  kafka-admin get-config broker 1
  kafka-admin get-config broker-logger 1")]
pub(crate) struct Args {
    /// topic, broker, broker-logger, group, client-metrics
    #[arg(value_name = "KIND")]
    kind: ConfigKind,
    /// Name, or a broker's node id; without one for brokers: the default of all brokers
    #[arg(value_name = "NAME", default_value = "")]
    name: String,
    /// Only these settings
    #[arg(value_name = "SETTING")]
    settings: Vec<String>,
    /// With the settings that are left at their default
    #[arg(short, long)]
    all: bool,
}

#[derive(Serialize)]
struct Row {
    name: String,
    value: Option<String>,
    source: &'static str,
    read_only: bool,
    sensitive: bool,
    synonyms: Vec<Synonym>,
    documentation: Option<String>,
}

#[derive(Serialize)]
struct Synonym {
    name: String,
    value: Option<String>,
    source: &'static str,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let resource = ConfigResource::new(args.kind, &args.name);
    let names = Some(args.settings.clone()).filter(|names| !names.is_empty());
    let query = ConfigQuery { names, synonyms: true, documentation: context.format.is_for_programs() };
    let entries = match context.admin.describe_configs(vec![resource], query).await.remove(0).result {
        Ok(entries) => entries,
        Err(error) if args.kind == ConfigKind::Topic => {
            return Err(context.explain_topic(&args.name, error).await);
        }
        Err(error) => return Err(error.into()),
    };
    let mut tally = Tally::default();
    for missing in args.settings.iter().filter(|name| !entries.iter().any(|entry| entry.name == **name)) {
        let message = format!("{} has no setting {missing}", ConfigResource::new(args.kind, &args.name));
        tally.fail(kafka_cli::Failure::new(Exit::NotFound, message));
    }
    let is_set = |entry: &ConfigEntry| {
        !matches!(entry.source, ConfigSource::Default | ConfigSource::Static)
            || entry.source.is_own(args.kind)
    };
    let shown = |entry: &ConfigEntry| args.all || !args.settings.is_empty() || is_set(entry);
    let rows: Vec<_> = entries.into_iter().filter(shown).map(row).collect();
    context.show(&rows, || view(&rows))?;
    Ok(tally.exit())
}

fn row(entry: ConfigEntry) -> Row {
    let synonym = |s: kafka_core::admin::ConfigSynonym| Synonym {
        name: s.name,
        value: s.value,
        source: s.source.name(),
    };
    Row {
        name: entry.name,
        value: entry.value,
        source: entry.source.name(),
        read_only: entry.read_only,
        sensitive: entry.sensitive,
        synonyms: entry.synonyms.into_iter().map(synonym).collect(),
        documentation: entry.documentation,
    }
}

fn view(rows: &[Row]) -> View {
    let synonym = |s: &Synonym| format!("{}:{}={}", s.source, s.name, or_dash(s.value.as_ref()));
    let columns =
        [
            Column::new("SETTING", |row: &Row| row.name.clone()),
            Column::new("VALUE", |row: &Row| {
                if row.sensitive { "(hidden)".to_owned() } else { or_dash(row.value.as_ref()) }
            }),
            Column::new("ORIGIN", |row: &Row| row.source.to_owned()),
            Column::new("READ-ONLY", |row: &Row| row.read_only.to_string()).wide(),
            Column::new("SYNONYMS", move |row: &Row| {
                row.synonyms.iter().map(synonym).collect::<Vec<_>>().join(", ")
            })
            .wide(),
        ];
    View::table(Table::of(&columns, rows)).named(rows.iter().map(|row| row.name.clone()))
}
