//! `list-offsets`: the offsets of partitions at a place or time.

use std::collections::BTreeMap;

use anyhow::Result;
use kafka_cli::offset_spec::{Place, parse_place};
use kafka_cli::render::{Column, Table, View};
use kafka_cli::time::{format_time, now_ms};
use kafka_cli::{Exit, Failure};
use kafka_core::TopicPartition;
use kafka_core::admin::{IsolationLevel, OffsetSpec};
use serde::Serialize;

use crate::context::Context;
use crate::partitions::{PartitionChoice, resolve};
use crate::report::Tally;
use crate::show::or_dash;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin list-offsets rider-updates
  kafka-admin list-offsets rider-updates:0 --at @-1h
  kafka-admin list-offsets rider-updates --at max-timestamp")]
pub(crate) struct Args {
    /// Topics, or some of their partitions; without any: all topics
    #[arg(value_name = "TOPIC[:PARTITIONS]")]
    topics: Vec<PartitionChoice>,
    /// latest, earliest, @TIME (@-1h, @2026-01-31 10:00), max-timestamp, earliest-local, latest-tiered
    #[arg(long, alias = "time", value_name = "SPEC", default_value = "latest", allow_hyphen_values = true)]
    at: String,
    /// Nothing behind an open transaction
    #[arg(long)]
    committed: bool,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    offset: Option<i64>,
    timestamp: Option<i64>,
    leader_epoch: Option<i32>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let spec = spec(&args.at)?;
    let keys = if args.topics.is_empty() {
        let topics = context.admin.list_topics(false).await?;
        let keys = topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| TopicPartition::new(topic.name.clone(), partition.id))
        });
        keys.collect()
    } else {
        resolve(context, &args.topics).await?
    };
    let isolation =
        if args.committed { IsolationLevel::ReadCommitted } else { IsolationLevel::ReadUncommitted };
    let specs: BTreeMap<_, _> = keys.into_iter().map(|key| (key, spec)).collect();
    let (mut tally, mut rows) = (Tally::default(), Vec::new());
    for outcome in context.admin.list_offsets(specs, isolation).await {
        match outcome.result {
            Ok(listed) => rows.push(Row {
                topic: outcome.key.topic.to_string(),
                partition: outcome.key.partition,
                offset: listed.offset,
                timestamp: listed.timestamp,
                leader_epoch: listed.leader_epoch,
            }),
            Err(error) => tally.fail(error),
        }
    }
    let columns = [
        Column::new("TOPIC", |row: &Row| row.topic.clone()),
        Column::new("PARTITION", |row: &Row| row.partition.to_string()).right(),
        Column::new("OFFSET", |row: &Row| or_dash(row.offset)).right(),
        Column::new("TIME", |row: &Row| or_dash(row.timestamp.map(format_time))),
        Column::new("EPOCH", |row: &Row| or_dash(row.leader_epoch)).right().wide(),
    ];
    let names = rows.iter().map(|row| format!("{}[{}]", row.topic, row.partition));
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(tally.exit())
}

/// Apache's `--time` spells them -1 to -5.
fn spec(text: &str) -> Result<OffsetSpec> {
    Ok(match text {
        "max-timestamp" | "-3" => OffsetSpec::MaxTimestamp,
        "earliest-local" | "-4" => OffsetSpec::EarliestLocal,
        "latest-tiered" | "-5" => OffsetSpec::LatestTiered,
        "-1" => OffsetSpec::Latest,
        "-2" => OffsetSpec::Earliest,
        other => match parse_place(other, now_ms()).map_err(Failure::usage)? {
            Place::Earliest => OffsetSpec::Earliest,
            Place::Latest => OffsetSpec::Latest,
            Place::Time(ms) => OffsetSpec::AtTimestamp(ms),
            _ => return Err(Failure::usage(format!("--at {text}: write latest, earliest or @TIME")).into()),
        },
    })
}
