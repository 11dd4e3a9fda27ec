//! `api-versions`: which APIs brokers speak, and which version this client uses.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_core::wire::{APIS, api_name};
use serde::Serialize;

use crate::context::Context;
use crate::raw::Api;
use crate::report::Tally;
use crate::show::or_dash;
use crate::topic_state::broker_ids;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Brokers by node id; without any: all
    #[arg(value_name = "BROKER")]
    brokers: Vec<i32>,
}

#[derive(Serialize)]
struct Row {
    broker: i32,
    key: i16,
    api: String,
    min: i16,
    max: i16,
    /// What this client would use; `None` where the two share no version, or this client does not know the API.
    used: Option<i16>,
}

/// Kafka's name of the API, also of those that only `raw` speaks.
fn name(key: i16) -> String {
    let name = api_name(key).or_else(|| Api::find(&key.to_string()).map(|api| api.name));
    name.map_or_else(|| format!("API {key}"), str::to_owned)
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let brokers = if args.brokers.is_empty() { broker_ids(context).await? } else { args.brokers };
    let (mut tally, mut rows) = (Tally::default(), Vec::new());
    for outcome in context.admin.api_versions(&brokers).await {
        match outcome.result {
            Ok(versions) => rows.extend(versions.apis.into_iter().map(|(key, range)| Row {
                broker: outcome.key,
                key,
                api: name(key),
                min: range.min,
                max: range.max,
                used: APIS.iter().find(|api| api.key == key).and_then(|api| range.common(api.min, api.max)),
            })),
            Err(error) => tally.fail(error),
        }
    }
    let columns = [
        Column::new("BROKER", |row: &Row| row.broker.to_string()).right(),
        Column::new("KEY", |row: &Row| row.key.to_string()).right(),
        Column::new("API", |row: &Row| row.api.clone()),
        Column::new("MIN", |row: &Row| row.min.to_string()).right(),
        Column::new("MAX", |row: &Row| row.max.to_string()).right(),
        Column::new("USED", |row: &Row| or_dash(row.used)).right(),
    ];
    let names = rows.iter().map(|row| row.api.clone());
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(tally.exit())
}
