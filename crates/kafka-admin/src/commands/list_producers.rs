//! `list-producers`: the producers that partitions remember, and with `--hanging` only transactions that nobody will end.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_cli::time::{format_time, now_ms, parse_duration};
use kafka_core::TopicPartition;
use kafka_core::admin::ActiveProducer;
use serde::Serialize;

use crate::context::Context;
use crate::partitions::{PartitionChoice, resolve};
use crate::report::Tally;
use crate::show::or_dash;
use crate::topic_state::broker_ids;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin list-producers orders
  kafka-admin list-producers --hanging")]
pub(crate) struct Args {
    /// Topics, or some of their partitions; without any: all topics
    #[arg(value_name = "TOPIC[:PARTITIONS]")]
    topics: Vec<PartitionChoice>,
    /// Only open transactions that no coordinator knows
    #[arg(long)]
    hanging: bool,
    /// With --hanging: open for at least so long
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "15m")]
    older_than: Duration,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    producer_id: i64,
    producer_epoch: i32,
    last_sequence: i32,
    last_timestamp: i64,
    coordinator_epoch: Option<i32>,
    transaction_start: Option<i64>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let keys = if args.topics.is_empty() {
        let topics = context.admin.list_topics(false).await?;
        let keys = topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|p| TopicPartition::new(topic.name.clone(), p.id)));
        keys.collect()
    } else {
        resolve(context, &args.topics).await?
    };
    let mut tally = Tally::default();
    let known = if args.hanging { coordinated(context, &mut tally).await? } else { BTreeSet::new() };
    let oldest = now_ms() - i64::try_from(args.older_than.as_millis())?;
    let mut rows = Vec::new();
    for outcome in context.admin.active_producers(keys).await {
        match outcome.result {
            Ok(producers) => {
                let wanted = producers.into_iter().filter(|one| !args.hanging || hangs(one, oldest, &known));
                rows.extend(wanted.map(|producer| row(&outcome.key, &producer)));
            }
            Err(error) => tally.fail(error),
        }
    }
    context.show(&rows, || view(&rows))?;
    Ok(tally.exit())
}

/// Whether its transaction is open since `oldest` or longer, and no coordinator will end it.
fn hangs(producer: &ActiveProducer, oldest: i64, coordinated: &BTreeSet<i64>) -> bool {
    producer.transaction_start.is_some()
        && producer.last_timestamp <= oldest
        && !coordinated.contains(&producer.producer_id)
}

/// Producer ids whose transaction a coordinator is taking care of.
async fn coordinated(context: &Context, tally: &mut Tally) -> Result<BTreeSet<i64>> {
    let mut known = BTreeSet::new();
    for outcome in context.admin.list_transactions(&broker_ids(context).await?).await {
        match outcome.result {
            Ok(found) => {
                let open = found
                    .iter()
                    .filter(|one| matches!(one.state.as_str(), "Ongoing" | "PrepareCommit" | "PrepareAbort"));
                known.extend(open.map(|one| one.producer_id));
            }
            Err(error) => tally.fail(error),
        }
    }
    Ok(known)
}

fn row(key: &TopicPartition, producer: &ActiveProducer) -> Row {
    Row {
        topic: key.topic.to_string(),
        partition: key.partition,
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        transaction_start: producer.transaction_start,
    }
}

fn view(rows: &[Row]) -> View {
    let columns = [
        Column::new("TOPIC", |row: &Row| row.topic.clone()),
        Column::new("PARTITION", |row: &Row| row.partition.to_string()).right(),
        Column::new("PRODUCER", |row: &Row| row.producer_id.to_string()).right(),
        Column::new("EPOCH", |row: &Row| row.producer_epoch.to_string()).right(),
        Column::new("LAST SEQUENCE", |row: &Row| row.last_sequence.to_string()).right(),
        Column::new("LAST RECORD", |row: &Row| format_time(row.last_timestamp)),
        Column::new("OPEN SINCE OFFSET", |row: &Row| or_dash(row.transaction_start)).right(),
        Column::new("COORDINATOR EPOCH", |row: &Row| or_dash(row.coordinator_epoch)).right().wide(),
    ];
    View::table(Table::of(&columns, rows)).named(rows.iter().map(|row| row.producer_id.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_hangs_when_it_is_open_for_long_and_no_coordinator_knows_it() {
        let producer = ActiveProducer {
            producer_id: 7,
            producer_epoch: 0,
            last_sequence: 3,
            last_timestamp: 1_000,
            coordinator_epoch: None,
            transaction_start: Some(4),
        };
        assert!(hangs(&producer, 1_000, &BTreeSet::new()));
        assert!(!hangs(&producer, 999, &BTreeSet::new()), "too young");
        assert!(!hangs(&producer, 1_000, &BTreeSet::from([7])), "its coordinator takes care of it");
        let ended = ActiveProducer { transaction_start: None, ..producer };
        assert!(!hangs(&ended, 1_000, &BTreeSet::new()));
    }
}
