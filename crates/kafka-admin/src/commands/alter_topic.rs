//! `alter-topic`: more partitions, other replication, other settings, with before and after.

use std::sync::Arc;

use anyhow::Result;
use kafka_cli::{Exit, Failure};
use kafka_core::TopicPartition;
use kafka_core::admin::{ConfigKind, ConfigResource, NewPartitions};
use kafka_core::cluster::Topic;
use serde_json::json;

use crate::config_change::{self, ChangeArgs};
use crate::context::Context;
use crate::names::TopicNames;
use crate::reassign_plan::{Placement, plan};
use crate::report::{Done, Report};
use crate::show::ids;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin alter-topic orders --partitions 12
  kafka-admin alter-topic orders --config retention.ms=7d --unset segment.bytes
  kafka-admin alter-topic orders --replication-factor 3")]
pub(crate) struct Args {
    #[command(flatten)]
    topics: TopicNames,
    /// Number of partitions it shall have; keys then go to other partitions than before
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Replicas that each partition shall have; they are copied in the background
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    replication_factor: Option<u16>,
    #[command(flatten)]
    config: ChangeArgs,
    /// Let the broker check it without changing anything
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let changes = args.config.changes()?;
    if changes.is_empty() && args.partitions.is_none() && args.replication_factor.is_none() {
        return Err(Failure::usage(
            "what shall change? --partitions, --replication-factor, --config or --unset",
        )
        .into());
    }
    let mut report = Report::default();
    for outcome in context.admin.describe_topics(&args.topics.required()?).await {
        let topic = match outcome.result {
            Ok(topic) => topic,
            Err(error) => {
                report.add(&outcome.key, Err(context.explain_topic(&outcome.key, error).await));
                continue;
            }
        };
        if let Some(total) = args.partitions {
            add_partitions(&args, context, &topic, total, &mut report).await;
        }
        if let Some(factor) = args.replication_factor {
            replicate(&args, context, &topic, factor.into(), &mut report).await?;
        }
        if !changes.is_empty() {
            let resource = ConfigResource::new(ConfigKind::Topic, &*topic.name);
            config_change::apply(context, &resource, changes.clone(), args.dry_run, &mut report).await?;
        }
    }
    report.finish(context)
}

async fn add_partitions(args: &Args, context: &Context, topic: &Arc<Topic>, total: i32, report: &mut Report) {
    let before = topic.partitions.len();
    let wanted = NewPartitions { topic: topic.name.to_string(), total, assignments: Vec::new() };
    let result = context.admin.create_partitions(vec![wanted], args.dry_run).await.remove(0).result;
    let status = if args.dry_run { "would_change" } else { "changed" };
    let said = format!("topic {}: partitions: {before} -> {total}", topic.name);
    let done =
        Done::new(status, said).with(json!({"setting": "partitions", "before": before, "after": total}));
    report.add(topic.name.to_string(), result.map(|()| done));
}

async fn replicate(
    args: &Args,
    context: &Context,
    topic: &Arc<Topic>,
    factor: usize,
    report: &mut Report,
) -> Result<()> {
    let brokers = super::reassign::brokers(context, &[]).await?;
    if factor > brokers.len() {
        let why =
            format!("topic {}: {factor} replicas need {factor} brokers, {} run", topic.name, brokers.len());
        report.add(topic.name.to_string(), Err(Failure::new(Exit::Failed, why)));
        return Ok(());
    }
    let current: Placement = topic
        .partitions
        .iter()
        .map(|partition| (TopicPartition::new(topic.name.clone(), partition.id), partition.replicas.clone()))
        .collect();
    let mut next = plan(&current, &brokers, Some(factor), false);
    next.retain(|key, replicas| current[key] != *replicas);
    let said =
        |key: &TopicPartition| format!("{key}: replicas: {} -> {}", ids(&current[key]), ids(&next[key]));
    if args.dry_run {
        for key in next.keys() {
            report.add(key.to_string(), Ok::<_, anyhow::Error>(Done::new("would_change", said(key))));
        }
        return Ok(());
    }
    let targets = next.iter().map(|(key, replicas)| (key.clone(), Some(replicas.clone()))).collect();
    for outcome in context.admin.reassign(targets).await {
        let done = Done::new("changing", said(&outcome.key));
        report.add(outcome.key.to_string(), outcome.result.map(|()| done));
    }
    Ok(())
}
