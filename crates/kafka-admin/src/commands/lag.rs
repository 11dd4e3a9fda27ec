//! `lag`: how far groups are behind, per partition, with trends while watching, and as a Prometheus exporter.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::exporter;
use crate::group_state::{self, PartitionLag};
use crate::names::GroupNames;
use crate::report::Tally;
use crate::show::or_dash;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin lag user-1 --watch 1s
  kafka-admin lag -o csv
  kafka-admin lag --prometheus-listen 127.0.0.1:9308")]
pub(crate) struct Args {
    /// Without a name: all groups
    #[command(flatten)]
    groups: GroupNames,
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
    /// Records read per second since the last look.
    rate: Option<f64>,
    /// Seconds until the lag is gone, if both sides go on as they do.
    seconds_to_zero: Option<f64>,
}

/// What was seen at the last look, for trends.
type Seen = BTreeMap<(String, String, i32), (i64, Option<i64>)>;

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    if let Some(address) = &args.prometheus_listen {
        return exporter::serve(context, address, &args.groups.given()).await;
    }
    let mut seen: Option<(Instant, Seen)> = None;
    context.watch(&args.watch, async || show(&args, context, &mut seen).await).await
}

async fn show(args: &Args, context: &Context, seen: &mut Option<(Instant, Seen)>) -> Result<Exit> {
    let mut tally = Tally::default();
    let found = measure(context, &args.groups.given(), &mut tally).await?;
    let now = Instant::now();
    let before = seen.take();
    let rows: Vec<_> = found.into_iter().map(|(group, lag)| row(group, lag, before.as_ref(), now)).collect();
    let key = |row: &Row| (row.group.clone(), row.partition.topic.clone(), row.partition.partition);
    let state = rows.iter().map(|row| (key(row), (row.partition.committed, row.partition.end))).collect();
    *seen = Some((now, state));
    context.show(&rows, || View::table(table(&rows)).named(rows.iter().map(|row| row.group.clone())))?;
    Ok(tally.exit())
}

/// The lag of these groups, or of all. A named group that does not exist is said and counted.
pub(crate) async fn measure(
    context: &Context,
    names: &[String],
    tally: &mut Tally,
) -> Result<Vec<(String, PartitionLag)>> {
    let listed = group_state::list(context, tally).await?;
    let unknown = |name: &&String| !listed.iter().any(|group| group.id == **name);
    for name in names.iter().filter(unknown) {
        let error = kafka_core::Error::NotFound { subject: format!("group {name}"), api: "ListGroups" };
        tally.fail(super::describe_group::explain(context, name, error).await);
    }
    let wanted = listed.into_iter().filter(|group| names.is_empty() || names.contains(&group.id));
    let wanted: Vec<_> = wanted.map(|group| (group.id, group.kind)).collect();
    let mut found = Vec::new();
    for (group, partitions) in group_state::lags(context, &wanted).await {
        match partitions {
            Ok(partitions) => found.extend(partitions.into_iter().map(|lag| (group.clone(), lag))),
            Err(error) => tally.fail(error),
        }
    }
    Ok(found)
}

fn row(group: String, lag: PartitionLag, before: Option<&(Instant, Seen)>, now: Instant) -> Row {
    let trend = before.and_then(|(at, seen)| {
        let (committed, end) = seen.get(&(group.clone(), lag.topic.clone(), lag.partition))?;
        Some(trend(&lag, *committed, *end, (now - *at).as_secs_f64()))
    });
    let (rate, seconds_to_zero) = trend.unwrap_or_default();
    Row { group, partition: lag, rate, seconds_to_zero }
}

/// Records read per second, and the time until the lag is gone: lag over what reading gains on writing.
#[allow(clippy::cast_precision_loss, reason = "rates are shown with one decimal")]
fn trend(lag: &PartitionLag, committed: i64, end: Option<i64>, seconds: f64) -> (Option<f64>, Option<f64>) {
    if seconds <= 0.0 {
        return (None, None);
    }
    let read = (lag.committed - committed) as f64 / seconds;
    let written = end.zip(lag.end).map(|(before, now)| (now - before) as f64 / seconds);
    let gain = written.map(|written| read - written);
    let to_zero = match (lag.lag, gain) {
        (Some(0), _) => Some(0.0),
        (Some(lag), Some(gain)) if gain > 0.0 => Some(lag as f64 / gain),
        _ => None,
    };
    (Some(read), to_zero)
}

fn table(rows: &[Row]) -> Table {
    let mut columns = vec![
        Column::new("GROUP", |row: &Row| row.group.clone()),
        Column::new("TOPIC", |row: &Row| row.partition.topic.clone()),
        Column::new("PARTITION", |row: &Row| row.partition.partition.to_string()).right(),
        Column::new("COMMITTED", |row: &Row| row.partition.committed.to_string()).right(),
        Column::new("END", |row: &Row| or_dash(row.partition.end)).right(),
        Column::new("LAG", |row: &Row| or_dash(row.partition.lag)).right(),
    ];
    if rows.iter().any(|row| row.rate.is_some()) {
        let rate = |rate: Option<f64>| or_dash(rate.map(|rate| format!("{rate:.1}")));
        columns.push(Column::new("RATE/S", move |row: &Row| rate(row.rate)).right());
        columns.push(Column::new("TO ZERO S", move |row: &Row| rate(row.seconds_to_zero)).right());
    }
    Table::of(&columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(committed: i64, end: i64) -> PartitionLag {
        let (topic, lag) = ("t".to_owned(), Some(end - committed));
        PartitionLag { topic, partition: 0, committed, end: Some(end), lag, metadata: None }
    }

    #[test]
    fn the_time_to_zero_is_the_lag_over_what_reading_gains_on_writing() {
        assert_eq!(trend(&lag(100, 200), 50, Some(180), 1.0), (Some(50.0), Some(100.0 / 30.0)));
    }

    #[test]
    fn a_group_that_falls_behind_never_gets_to_zero() {
        assert_eq!(trend(&lag(60, 300), 50, Some(200), 1.0), (Some(10.0), None));
    }
}
