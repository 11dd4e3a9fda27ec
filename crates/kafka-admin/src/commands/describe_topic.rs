//! `describe-topic`: partitions with leaders, replicas and offsets; settings that differ; who reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_core::TopicPartition;
use kafka_core::admin::{ConfigEntry, ConfigKind, ConfigQuery, ConfigResource, EligibleLeaders, OffsetSpec};
use kafka_core::cluster::{Partition, Topic};
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::names::TopicNames;
use crate::report::Tally;
use crate::show::{bytes, ids, or_dash};
use crate::topic_state::{offsets, readers, sizes};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin describe-topic rider-updates
  kafka-admin describe-topic --under-replicated
  kafka-admin describe-topic orders -o json --watch 2s")]
pub(crate) struct Args {
    /// Without a name: all topics
    #[command(flatten)]
    topics: TopicNames,
    /// Only partitions with fewer replicas in sync than replicas
    #[arg(long, alias = "under-replicated-partitions")]
    under_replicated: bool,
    /// Only partitions without a leader
    #[arg(long, alias = "unavailable-partitions")]
    unavailable: bool,
    /// Only partitions with fewer replicas in sync than min.insync.replicas
    #[arg(long, alias = "under-min-isr-partitions")]
    under_min_isr: bool,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Serialize)]
struct Document {
    topic: String,
    topic_id: String,
    internal: bool,
    replication_factor: usize,
    partitions: Vec<PartitionDocument>,
    /// Settings that differ from the broker's default; `None` where this user may not see them.
    configs: Option<Vec<ConfigDocument>>,
    /// Groups that have committed offsets; `None` where this user may not see them.
    readers: Option<Vec<String>>,
}

#[derive(Serialize)]
struct PartitionDocument {
    #[serde(skip)]
    topic: String,
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline: Vec<i32>,
    eligible_leaders: Option<Vec<i32>>,
    earliest: Option<i64>,
    latest: Option<i64>,
    size_bytes: Option<i64>,
}

#[derive(Serialize)]
struct ConfigDocument {
    name: String,
    value: Option<String>,
    source: &'static str,
}

/// Everything that is asked for beside the topics themselves. What cannot be had is left out.
struct Around {
    earliest: BTreeMap<TopicPartition, i64>,
    latest: BTreeMap<TopicPartition, i64>,
    configs: BTreeMap<String, Vec<ConfigEntry>>,
    eligible: Option<BTreeMap<TopicPartition, EligibleLeaders>>,
    sizes: Option<BTreeMap<TopicPartition, i64>>,
    readers: Option<BTreeMap<String, Vec<String>>>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    context.watch(&args.watch, async || show(&args, context).await).await
}

async fn show(args: &Args, context: &Context) -> Result<Exit> {
    let mut tally = Tally::default();
    let topics = chosen(args, context, &mut tally).await?;
    let around = look_around(context, &topics, &mut tally).await;
    let filtered = args.under_replicated || args.unavailable || args.under_min_isr;
    let documents: Vec<_> = topics
        .iter()
        .map(|topic| document(topic, &around, args))
        .filter(|document| !filtered || !document.partitions.is_empty())
        .collect();
    context.show(&documents, || view(&documents, filtered))?;
    Ok(tally.exit())
}

async fn chosen(args: &Args, context: &Context, tally: &mut Tally) -> Result<Vec<Arc<Topic>>> {
    let names = args.topics.given();
    if names.is_empty() {
        return Ok(context.admin.list_topics(false).await?);
    }
    let mut topics = Vec::new();
    for outcome in context.admin.describe_topics(&names).await {
        match outcome.result {
            Ok(topic) => topics.push(topic),
            Err(error) => tally.fail(context.explain_topic(&outcome.key, error).await),
        }
    }
    Ok(topics)
}

async fn look_around(context: &Context, topics: &[Arc<Topic>], tally: &mut Tally) -> Around {
    if topics.is_empty() {
        let (earliest, latest, configs) = Default::default();
        return Around { earliest, latest, configs, eligible: None, sizes: None, readers: None };
    }
    let names: Vec<_> = topics.iter().map(|topic| topic.name.to_string()).collect();
    let ((earliest, early), (latest, late), configs, eligible, sizes, readers) = tokio::join!(
        offsets(context, topics, OffsetSpec::Earliest),
        offsets(context, topics, OffsetSpec::Latest),
        configs(context, &names),
        context.admin.eligible_leaders(&names),
        sizes(context),
        readers(context),
    );
    tally.fail_if(early.or(late));
    let (eligible, sizes, readers) = (eligible.ok(), sizes.ok(), readers.ok());
    Around { earliest, latest, configs, eligible, sizes, readers }
}

async fn configs(context: &Context, names: &[String]) -> BTreeMap<String, Vec<ConfigEntry>> {
    let resources = names.iter().map(|name| ConfigResource::new(ConfigKind::Topic, name)).collect();
    let outcomes = context.admin.describe_configs(resources, ConfigQuery::default()).await;
    outcomes.into_iter().filter_map(|outcome| Some((outcome.key.name, outcome.result.ok()?))).collect()
}

fn document(topic: &Arc<Topic>, around: &Around, args: &Args) -> Document {
    let entries = around.configs.get(&*topic.name);
    let setting = |name: &str| entries?.iter().find(|entry| entry.name == name)?.value.as_deref();
    let min_isr = setting("min.insync.replicas").and_then(|value| value.parse().ok()).unwrap_or(1);
    let wanted = |partition: &&Partition| {
        (!args.under_replicated || partition.isr.len() < partition.replicas.len())
            && (!args.unavailable || partition.leader.is_none())
            && (!args.under_min_isr || partition.isr.len() < min_isr)
    };
    let own = |entry: &&ConfigEntry| entry.source.is_own(ConfigKind::Topic);
    Document {
        topic: topic.name.to_string(),
        topic_id: topic.id.to_string(),
        internal: topic.internal,
        replication_factor: topic.partitions.iter().map(|p| p.replicas.len()).max().unwrap_or(0),
        partitions: topic.partitions.iter().filter(wanted).map(|p| partition(topic, p, around)).collect(),
        configs: entries.map(|entries| entries.iter().filter(own).map(config).collect()),
        readers: around.readers.as_ref().map(|all| all.get(&*topic.name).cloned().unwrap_or_default()),
    }
}

fn config(entry: &ConfigEntry) -> ConfigDocument {
    ConfigDocument { name: entry.name.clone(), value: entry.value.clone(), source: entry.source.name() }
}

fn partition(topic: &Topic, partition: &Partition, around: &Around) -> PartitionDocument {
    let key = TopicPartition::new(topic.name.clone(), partition.id);
    let eligible = around.eligible.as_ref().and_then(|all| all.get(&key));
    PartitionDocument {
        topic: topic.name.to_string(),
        partition: partition.id,
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        replicas: partition.replicas.clone(),
        isr: partition.isr.clone(),
        offline: partition.offline.clone(),
        eligible_leaders: eligible.map(|leaders| leaders.eligible.clone()),
        earliest: around.earliest.get(&key).copied(),
        latest: around.latest.get(&key).copied(),
        size_bytes: around.sizes.as_ref().and_then(|sizes| sizes.get(&key).copied()),
    }
}

fn view(documents: &[Document], filtered: bool) -> View {
    let columns = |with_topic: bool| {
        let topic = Column::new("TOPIC", |row: &PartitionDocument| row.topic.clone());
        let mut columns = vec![if with_topic { topic } else { topic.wide() }];
        columns.extend([
            Column::new("PARTITION", |row: &PartitionDocument| row.partition.to_string()).right(),
            Column::new("LEADER", |row: &PartitionDocument| {
                row.leader.map_or("none".to_owned(), |id| id.to_string())
            })
            .right(),
            Column::new("REPLICAS", |row: &PartitionDocument| ids(&row.replicas)),
            Column::new("ISR", |row: &PartitionDocument| ids(&row.isr)),
            Column::new("EARLIEST", |row: &PartitionDocument| or_dash(row.earliest)).right(),
            Column::new("LATEST", |row: &PartitionDocument| or_dash(row.latest)).right(),
            Column::new("EPOCH", |row: &PartitionDocument| row.leader_epoch.to_string()).right().wide(),
            Column::new("ELR", |row: &PartitionDocument| {
                row.eligible_leaders.as_deref().map_or("-".to_owned(), ids)
            })
            .wide(),
            Column::new("OFFLINE", |row: &PartitionDocument| ids(&row.offline)).wide(),
            Column::new("SIZE", |row: &PartitionDocument| or_dash(row.size_bytes.map(bytes))).right().wide(),
        ]);
        columns
    };
    let names = documents.iter().map(|document| document.topic.clone());
    let one_table = |with_topic, documents: &[Document]| {
        let rows = documents.iter().flat_map(|document| &document.partitions);
        Table::of(&columns(with_topic), rows)
    };
    let view = match documents {
        many if filtered || many.len() > 3 => View::table(one_table(true, many)),
        few => few.iter().fold(View::default(), |view, document| {
            let table = one_table(false, std::slice::from_ref(document));
            view.and(Block::Facts(facts(document))).and(Block::Table(table))
        }),
    };
    view.named(names).csv(one_table(true, documents))
}

fn facts(document: &Document) -> Vec<(&'static str, String)> {
    let config = |config: &ConfigDocument| format!("{}={}", config.name, or_dash(config.value.as_ref()));
    let configs = match &document.configs {
        None => "not permitted".to_owned(),
        Some(configs) if configs.is_empty() => "as the broker's".to_owned(),
        Some(configs) => configs.iter().map(config).collect::<Vec<_>>().join(", "),
    };
    let messages = document.partitions.iter().map(|p| Some(p.latest? - p.earliest?)).sum::<Option<i64>>();
    let size = document.partitions.iter().map(|p| p.size_bytes).sum::<Option<i64>>();
    let mut facts = vec![
        ("Topic", document.topic.clone()),
        ("Id", document.topic_id.clone()),
        ("Replication factor", document.replication_factor.to_string()),
        ("Messages", or_dash(messages)),
        ("Size", or_dash(size.map(bytes))),
        ("Configuration", configs),
    ];
    if let Some(readers) = document.readers.as_ref().filter(|readers| !readers.is_empty()) {
        facts.push(("Read by", readers.join(", ")));
    }
    facts
}
