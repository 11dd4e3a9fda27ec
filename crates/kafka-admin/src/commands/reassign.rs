//! `reassign`: moves replicas to other brokers. Shows a plan that moves little; `--execute` applies it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use kafka_cli::render::{Column, Table, View};
use kafka_cli::time::parse_size;
use kafka_cli::{Exit, Failure, confirm};
use kafka_core::TopicPartition;
use kafka_core::admin::all_ok;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::{Context, note};
use crate::names::TopicNames;
use crate::reassign_plan::{Brokers, Placement, moved, plan};
use crate::report::{Done, Report};
use crate::show::ids;
use crate::throttle::{self, Copies};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin reassign orders --brokers 1,2,4
  kafka-admin reassign --balance --throttle 50MiB --execute
  kafka-admin reassign --from-file plan.json --execute
  kafka-admin list-reassignments --watch")]
pub(crate) struct Args {
    /// Without a name: all topics
    #[command(flatten)]
    topics: TopicNames,
    /// Who may hold replicas [default: every broker that runs]
    #[arg(long, alias = "broker-list", value_name = "IDS", value_delimiter = ',')]
    brokers: Vec<i32>,
    /// Replicas of each partition [default: as now]
    #[arg(short, long, value_name = "N")]
    replication_factor: Option<usize>,
    /// Also even out the number of replicas among brokers
    #[arg(long)]
    balance: bool,
    /// A plan as Apache's tool writes it
    #[arg(long, alias = "reassignment-json-file", value_name = "FILE", conflicts_with_all = ["balance", "brokers"])]
    from_file: Option<PathBuf>,
    /// Limit for the copying, in bytes per second and broker; list-reassignments --clear-throttle removes it
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    throttle: Option<u64>,
    /// Apply the plan instead of showing it
    #[arg(long)]
    execute: bool,
    /// Show the plan, which is the default
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Serialize)]
struct Step {
    topic: String,
    partition: i32,
    from: Vec<i32>,
    to: Vec<i32>,
}

impl Step {
    fn copies(&self) -> Copies<'_> {
        Copies { topic: &self.topic, partition: self.partition, from: &self.from, to: &self.to }
    }
}

/// Apache's file format.
#[derive(Deserialize)]
struct PlanFile {
    partitions: Vec<PlannedPartition>,
}

#[derive(Deserialize)]
struct PlannedPartition {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let names = args.topics.given();
    let topics = if names.is_empty() {
        context.admin.list_topics(true).await?
    } else {
        all_ok(context.admin.describe_topics(&names).await)?.into_iter().map(|(_, topic)| topic).collect()
    };
    let place = |topic: &str, p: &kafka_core::cluster::Partition| {
        (TopicPartition::new(topic, p.id), p.replicas.clone())
    };
    let current: Placement =
        topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| place(&topic.name, p))).collect();
    let next = match &args.from_file {
        Some(path) => read_plan(path, &current)?,
        None => {
            let brokers = brokers(context, &args.brokers).await?;
            plan(&current, &brokers, args.replication_factor, args.balance)
        }
    };
    let steps = steps(&current, &next);
    if steps.is_empty() {
        note("nothing to move");
        context.show(&steps, View::default)?;
        return Ok(Exit::Done);
    }
    if !args.execute {
        context.show(&steps, || view(&steps))?;
        let copies: usize = steps.iter().map(|step| moved(&step.from, &step.to)).sum();
        note(&format!("{copies} replicas would be copied; --execute applies this plan"));
        return Ok(Exit::Done);
    }
    confirm("move replicas", steps.len(), args.yes)?;
    if let Some(rate) = args.throttle {
        throttle::limit(context, steps.iter().map(Step::copies), rate).await?;
        let topics: BTreeSet<_> = steps.iter().map(|step| step.topic.as_str()).collect();
        let topics = topics.into_iter().collect::<Vec<_>>().join(" ");
        note(&format!("when all is moved: kafka-admin list-reassignments --clear-throttle {topics}"));
    }
    apply(context, &steps).await
}

/// The brokers that run, or of these the ones that were chosen.
pub(crate) async fn brokers(context: &Context, chosen: &[i32]) -> Result<Brokers> {
    let running: Brokers = context
        .admin
        .snapshot(Some(&[]))
        .await?
        .brokers
        .values()
        .map(|broker| (broker.id, broker.rack.clone()))
        .collect();
    if let Some(missing) = chosen.iter().find(|id| !running.contains_key(id)) {
        return Err(Failure::new(Exit::NotFound, format!("broker {missing} does not run")).into());
    }
    Ok(running.into_iter().filter(|(id, _)| chosen.is_empty() || chosen.contains(id)).collect())
}

fn read_plan(path: &PathBuf, current: &Placement) -> Result<Placement> {
    let text = std::fs::read(path).with_context(|| format!("--from-file {}", path.display()))?;
    let file: PlanFile = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format!("--from-file {}: {error}", path.display())))?;
    let mut next = Placement::new();
    for planned in file.partitions {
        let key = TopicPartition::new(planned.topic, planned.partition);
        if !current.contains_key(&key) {
            return Err(Failure::new(Exit::NotFound, format!("partition {key} does not exist")).into());
        }
        next.insert(key, planned.replicas);
    }
    Ok(next)
}

fn steps(current: &Placement, next: &Placement) -> Vec<Step> {
    let changed = next.iter().filter(|(key, replicas)| current.get(key) != Some(replicas));
    changed
        .map(|(key, to)| Step {
            topic: key.topic.to_string(),
            partition: key.partition,
            from: current.get(key).cloned().unwrap_or_default(),
            to: to.clone(),
        })
        .collect()
}

async fn apply(context: &Context, steps: &[Step]) -> Result<Exit> {
    let key = |step: &Step| TopicPartition::new(step.topic.as_str(), step.partition);
    let by_key: BTreeMap<_, _> = steps.iter().map(|step| (key(step), step)).collect();
    let targets = by_key.iter().map(|(key, step)| (key.clone(), Some(step.to.clone()))).collect();
    let mut report = Report::default();
    for outcome in context.admin.reassign(targets).await {
        let step = by_key[&outcome.key];
        let done = Done::new("moving", format!("{}: {} -> {}", outcome.key, ids(&step.from), ids(&step.to)));
        let done = done.with(json!({"from": step.from, "to": step.to}));
        report.add(outcome.key.to_string(), outcome.result.map(|()| done));
    }
    report.finish(context)
}

fn view(steps: &[Step]) -> View {
    let columns = [
        Column::new("TOPIC", |step: &Step| step.topic.clone()),
        Column::new("PARTITION", |step: &Step| step.partition.to_string()).right(),
        Column::new("FROM", |step: &Step| ids(&step.from)),
        Column::new("TO", |step: &Step| ids(&step.to)),
    ];
    View::table(Table::of(&columns, steps))
        .named(steps.iter().map(|step| format!("{}[{}]", step.topic, step.partition)))
}
