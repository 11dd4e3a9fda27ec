//! `create-topic`: creates topics and waits until their leaders answer.

use std::collections::BTreeMap;

use anyhow::Result;
use kafka_cli::{Exit, Failure};
use kafka_core::ErrorKind;
use kafka_core::admin::{ConfigKind, ConfigQuery, ConfigResource, CreatedTopic, NewTopic, all_ok};
use serde_json::json;

use crate::config_value::parse_pairs;
use crate::context::Context;
use crate::names::TopicNames;
use crate::report::{Done, Report};
use crate::show::{count, or_dash};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin create-topic rider-updates --partitions 2
  kafka-admin create-topic orders -p 12 -r 3 -c retention.ms=7d -c cleanup.policy=compact
  kafka-admin create-topic orders-2 --like orders")]
pub(crate) struct Args {
    #[command(flatten)]
    topics: TopicNames,
    /// Number of partitions [default: the broker's num.partitions]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Replicas of each partition [default: the broker's default.replication.factor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A setting; times and sizes may have units (retention.ms=7d, segment.bytes=64MiB); may be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    config: Vec<String>,
    /// Partitions, replicas and settings as this topic has them, where not given here
    #[arg(long, value_name = "TOPIC")]
    like: Option<String>,
    /// Replicas by node id, partition by partition: 1:2,2:3 makes two partitions
    #[arg(long, value_name = "IDS", conflicts_with_all = ["partitions", "replication_factor"])]
    replica_assignment: Option<String>,
    /// A topic that exists already is no failure
    #[arg(long)]
    if_not_exists: bool,
    /// Do not wait until the leaders answer
    #[arg(long)]
    no_wait: bool,
    /// Let the broker check it without creating anything
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let names = args.topics.required()?;
    let model = model(&args, context).await?;
    let topics = names.iter().map(|name| NewTopic { name: name.clone(), ..model.clone() }).collect();
    let mut report = Report::default();
    for outcome in context.admin.create_topics(topics, args.dry_run).await {
        let (name, result) = (outcome.key, outcome.result);
        let result = match result {
            Ok(created) if args.dry_run => Ok(done("would_create", "could be created", &name, &created)),
            Ok(created) => {
                wait(&args, context, &name).await.map(|()| done("created", "created", &name, &created))
            }
            Err(error) if args.if_not_exists && error.kind() == ErrorKind::AlreadyExists => {
                Ok(Done::new("exists", format!("topic {name} exists already")))
            }
            Err(error) => Err(error.into()),
        };
        report.add(name, result);
    }
    report.finish(context)
}

async fn wait(args: &Args, context: &Context, topic: &str) -> Result<()> {
    if args.no_wait {
        return Ok(());
    }
    match context.admin.wait_until_led(topic).await {
        // It exists, only this user may not look at it.
        Err(error) if error.kind() == ErrorKind::Denied => Ok(()),
        waited => {
            Ok(waited
                .map_err(|error| anyhow::anyhow!(error).context(format!("topic {topic} was created")))?)
        }
    }
}

fn done(status: &'static str, verb: &str, name: &str, created: &CreatedTopic) -> Done {
    let partitions = created.partitions.map(|n| count(n, "partition"));
    let replicas = created.replication_factor.map(|n| format!("replication factor {n}"));
    let facts = [partitions, replicas].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let facts = if facts.is_empty() { facts } else { format!(" ({facts})") };
    Done::new(status, format!("topic {name} {verb}{facts}")).with(json!({
        "topic_id": created.id.map(|id| or_dash(Some(id))),
        "partitions": created.partitions,
        "replication_factor": created.replication_factor,
    }))
}

/// What all topics of the command have in common.
async fn model(args: &Args, context: &Context) -> Result<NewTopic> {
    let mut model = match &args.like {
        Some(name) => like(name, context).await?,
        None => NewTopic::default(),
    };
    model.partitions = args.partitions.or(model.partitions);
    model.replication_factor = args.replication_factor.or(model.replication_factor);
    if let Some(text) = &args.replica_assignment {
        model.assignments = parse_assignment(text)?;
    }
    for (name, value) in parse_pairs(&args.config)? {
        model.configs.retain(|(known, _)| *known != name);
        model.configs.push((name, value));
    }
    Ok(model)
}

/// The definition of a topic that exists.
pub(crate) async fn like(name: &str, context: &Context) -> Result<NewTopic> {
    let names = [name.to_owned()];
    let topic = match context.admin.describe_topics(&names).await.remove(0).result {
        Ok(topic) => topic,
        Err(error) => return Err(context.explain_topic(name, error).await),
    };
    let resource = ConfigResource::new(ConfigKind::Topic, name);
    let configs = all_ok(context.admin.describe_configs(vec![resource], ConfigQuery::default()).await)?;
    let own =
        configs.into_iter().flat_map(|(_, entries)| entries).filter(|e| e.source.is_own(ConfigKind::Topic));
    Ok(NewTopic {
        name: name.to_owned(),
        partitions: i32::try_from(topic.partitions.len()).ok(),
        replication_factor: topic.partitions.first().and_then(|p| i16::try_from(p.replicas.len()).ok()),
        configs: own.filter_map(|entry| Some((entry.name, entry.value?))).collect(),
        assignments: BTreeMap::new(),
    })
}

/// `1:2,2:3`: partitions by commas, their replicas by colons.
fn parse_assignment(text: &str) -> Result<BTreeMap<i32, Vec<i32>>> {
    let wrong = || Failure::usage(format!("--replica-assignment {text}: write node ids as 1:2,2:3"));
    let replicas = |(index, part): (usize, &str)| {
        let ids = part.split(':').map(|id| id.trim().parse()).collect::<Result<Vec<i32>, _>>();
        Some((i32::try_from(index).ok()?, ids.ok()?))
    };
    let parts = text.split(',').enumerate().map(replicas);
    Ok(parts.collect::<Option<_>>().ok_or_else(wrong)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_has_partitions_by_commas_and_replicas_by_colons() {
        assert_eq!(parse_assignment("1:2,2:3").unwrap(), BTreeMap::from([(0, vec![1, 2]), (1, vec![2, 3])]));
        assert!(parse_assignment("1:a").is_err());
        assert!(parse_assignment("").is_err());
    }
}
