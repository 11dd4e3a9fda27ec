//! `list-topics`: one row per topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_core::TopicPartition;
use kafka_core::admin::OffsetSpec;
use kafka_core::cluster::Topic;
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::report::Tally;
use crate::show::{bytes, or_dash};
use crate::topic_state::{offsets, sizes};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin list-topics
  kafka-admin list-topics --long -o json")]
pub(crate) struct Args {
    /// With Kafka's own topics, such as __consumer_offsets
    #[arg(long)]
    internal: bool,
    /// With the number of messages and the size on disk, which takes more questions
    #[arg(short, long)]
    long: bool,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partitions: usize,
    replication_factor: usize,
    internal: bool,
    topic_id: String,
    /// Offsets from the first to the last; fewer may be there after compaction.
    messages: Option<i64>,
    /// On all replicas together.
    size_bytes: Option<i64>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    context.watch(&args.watch, async || show(&args, context).await).await
}

async fn show(args: &Args, context: &Context) -> Result<Exit> {
    let topics = context.admin.list_topics(args.internal).await?;
    let mut rows: Vec<Row> = topics.iter().map(row).collect();
    let mut tally = Tally::default();
    if args.long {
        add_details(&topics, &mut rows, context, &mut tally).await;
    }
    context.show(&rows, || {
        View::table(table(&rows, args.long)).named(rows.iter().map(|row| row.topic.clone()))
    })?;
    Ok(tally.exit())
}

fn row(topic: &Arc<Topic>) -> Row {
    Row {
        topic: topic.name.to_string(),
        partitions: topic.partitions.len(),
        replication_factor: topic.partitions.iter().map(|p| p.replicas.len()).max().unwrap_or(0),
        internal: topic.internal,
        topic_id: topic.id.to_string(),
        messages: None,
        size_bytes: None,
    }
}

async fn add_details(topics: &[Arc<Topic>], rows: &mut [Row], context: &Context, tally: &mut Tally) {
    let ((earliest, early), (latest, late), sizes) = tokio::join!(
        offsets(context, topics, OffsetSpec::Earliest),
        offsets(context, topics, OffsetSpec::Latest),
        sizes(context),
    );
    tally.fail_if(early.or(late));
    let sizes = sizes.unwrap_or_else(|error| {
        tally.fail(error);
        BTreeMap::new()
    });
    for (row, topic) in rows.iter_mut().zip(topics) {
        let keys = || topic.partitions.iter().map(|p| TopicPartition::new(topic.name.clone(), p.id));
        row.messages = keys().map(|key| Some(latest.get(&key)? - earliest.get(&key)?)).sum();
        row.size_bytes = keys().map(|key| sizes.get(&key).copied()).sum();
    }
}

fn table(rows: &[Row], long: bool) -> Table {
    let mut columns = vec![
        Column::new("TOPIC", |row: &Row| row.topic.clone()),
        Column::new("PARTITIONS", |row: &Row| row.partitions.to_string()).right(),
        Column::new("REPLICAS", |row: &Row| row.replication_factor.to_string()).right(),
    ];
    if long {
        columns.push(Column::new("MESSAGES", |row: &Row| or_dash(row.messages)).right());
        columns.push(Column::new("SIZE", |row: &Row| or_dash(row.size_bytes.map(bytes))).right());
    }
    columns.push(Column::new("ID", |row: &Row| row.topic_id.clone()).wide());
    Table::of(&columns, rows)
}
