//! `list-features`: what each broker supports and what the cluster agreed on.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use serde::Serialize;

use crate::context::Context;
use crate::report::Tally;
use crate::show::or_dash;
use crate::topic_state::broker_ids;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Row {
    feature: String,
    broker: i32,
    supported_min: i16,
    supported_max: i16,
    finalized: Option<i16>,
}

pub(crate) async fn run(_: Args, context: &Context) -> Result<Exit> {
    let (mut tally, mut rows) = (Tally::default(), Vec::new());
    for outcome in context.admin.api_versions(&broker_ids(context).await?).await {
        let versions = match outcome.result {
            Ok(versions) => versions,
            Err(error) => {
                tally.fail(error);
                continue;
            }
        };
        for (feature, (supported_min, supported_max)) in versions.supported_features {
            let finalized = versions.finalized_features.get(&feature).copied();
            rows.push(Row { feature, broker: outcome.key, supported_min, supported_max, finalized });
        }
    }
    rows.sort_by(|a, b| (&a.feature, a.broker).cmp(&(&b.feature, b.broker)));
    let columns = [
        Column::new("FEATURE", |row: &Row| row.feature.clone()),
        Column::new("BROKER", |row: &Row| row.broker.to_string()).right(),
        Column::new("MIN", |row: &Row| row.supported_min.to_string()).right(),
        Column::new("MAX", |row: &Row| row.supported_max.to_string()).right(),
        Column::new("FINALIZED", |row: &Row| or_dash(row.finalized)).right(),
    ];
    let mut names: Vec<_> = rows.iter().map(|row| row.feature.clone()).collect();
    names.dedup();
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(tally.exit())
}
