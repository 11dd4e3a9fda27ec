//! `lag`: how far groups are behind, per partition, with trends while watching, and as a Prometheus exporter.

use std::time::Instant;

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_core::admin::GroupKind;
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::exporter;
use crate::group_state::{self, PartitionLag};
use crate::names::GroupNames;
use crate::report::Tally;
use crate::show::{one_decimal, or_dash, span};
use crate::trend::{Trend, Trends};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin lag user-1 --watch 1s
  kafka-admin lag -o csv
  kafka-admin lag user-1 --age
  kafka-admin lag --prometheus-listen 127.0.0.1:9308")]
pub(crate) struct Args {
    /// Without a name: all groups
    #[command(flatten)]
    groups: GroupNames,
    /// With the age of the oldest record that was not read, which takes a read of each partition
    #[arg(long)]
    age: bool,
    #[command(flatten)]
    watch: WatchArgs,
    /// Serve /metrics for Prometheus at this address, until Ctrl-C
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "watch")]
    prometheus_listen: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    group: String,
    #[serde(flatten)]
    partition: PartitionLag,
    #[serde(flatten)]
    trend: Trend,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let groups = args.groups.given();
    if let Some(address) = &args.prometheus_listen {
        return exporter::serve(context, address, &groups, args.age).await;
    }
    let mut trends = Trends::default();
    context.watch(&args.watch, async || show(&groups, args.age, context, &mut trends).await).await
}

async fn show(groups: &[String], age: bool, context: &Context, trends: &mut Trends) -> Result<Exit> {
    let mut tally = Tally::default();
    let found = measure(context, groups, age, &mut tally).await?;
    let now = Instant::now();
    let row = |(group, lag): (String, PartitionLag)| {
        let trend = trends.look(&group, &lag, now);
        Row { group, partition: lag, trend }
    };
    let rows: Vec<_> = found.into_iter().map(row).collect();
    context.show(&rows, || View::table(table(&rows, age)).named(rows.iter().map(|row| row.group.clone())))?;
    Ok(tally.exit())
}

/// The lag of these groups, or of all, with the age of the oldest unread record where that is asked for. A named group that
/// does not exist is said and counted.
pub(crate) async fn measure(
    context: &Context,
    names: &[String],
    age: bool,
    tally: &mut Tally,
) -> Result<Vec<(String, PartitionLag)>> {
    let wanted = if names.is_empty() {
        let listed = group_state::list(context, tally).await?;
        listed.into_iter().map(|group| (group.id, group.kind)).collect()
    } else {
        named(context, names, tally).await
    };
    let mut lags = group_state::lags(context, &wanted, tally).await;
    if age {
        tally.fail_if(group_state::add_ages(context, &mut lags).await);
    }
    let mut found = Vec::new();
    for (group, partitions) in lags {
        match partitions {
            Ok(partitions) => found.extend(partitions.into_iter().map(|lag| (group.clone(), lag))),
            Err(error) => tally.fail(error),
        }
    }
    Ok(found)
}

/// The types of these groups. They are asked for by name: a list leaves out what this user may not see.
async fn named(context: &Context, names: &[String], tally: &mut Tally) -> Vec<(String, GroupKind)> {
    let mut found = Vec::new();
    for outcome in context.admin.describe_groups(names).await {
        match outcome.result {
            Ok(group) => found.push((group.id, group.kind)),
            Err(error) => tally.fail(super::describe_group::explain(context, &outcome.key, error).await),
        }
    }
    found
}

fn table(rows: &[Row], age: bool) -> Table {
    let mut columns = vec![
        Column::new("GROUP", |row: &Row| row.group.clone()),
        Column::new("TOPIC", |row: &Row| row.partition.topic.clone()),
        Column::new("PARTITION", |row: &Row| row.partition.partition.to_string()).right(),
        Column::new("COMMITTED", |row: &Row| row.partition.committed.to_string()).right(),
        Column::new("END", |row: &Row| or_dash(row.partition.end)).right(),
        Column::new("LAG", |row: &Row| or_dash(row.partition.lag)).right(),
    ];
    if age {
        columns.push(Column::new("AGE", |row: &Row| or_dash(row.partition.age_ms.map(span))).right());
    }
    if rows.iter().any(|row| row.trend.rate.is_some()) {
        columns.push(Column::new("RATE/S", |row: &Row| one_decimal(row.trend.rate)).right());
        columns.push(Column::new("TO ZERO S", |row: &Row| one_decimal(row.trend.seconds_to_zero)).right());
    }
    Table::of(&columns, rows)
}
