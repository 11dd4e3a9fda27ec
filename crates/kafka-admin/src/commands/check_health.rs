//! `check-health`: whether every broker runs and every partition is led and fully replicated, as an exit code.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_core::cluster::Topic;
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::show::ids;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 all well, 7 something is not.")]
pub(crate) struct Args {
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Serialize)]
struct Document {
    ok: bool,
    brokers: usize,
    fenced_brokers: Vec<i32>,
    partitions: usize,
    problems: Vec<Problem>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Problem {
    topic: String,
    partition: i32,
    problem: &'static str,
    replicas: Vec<i32>,
    isr: Vec<i32>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    context.watch(&args.watch, async || show(context).await).await
}

async fn show(context: &Context) -> Result<Exit> {
    let (cluster, topics) = tokio::join!(context.admin.describe_cluster(), context.admin.list_topics(true));
    let (cluster, topics) = (cluster?, topics?);
    let fenced = cluster.brokers.iter().filter(|broker| broker.fenced).map(|broker| broker.broker.id);
    let fenced_brokers: Vec<_> = fenced.collect();
    let problems: Vec<_> = topics.iter().flat_map(|topic| problems(topic)).collect();
    let document = Document {
        ok: problems.is_empty() && fenced_brokers.is_empty(),
        brokers: cluster.brokers.len() - fenced_brokers.len(),
        fenced_brokers,
        partitions: topics.iter().map(|topic| topic.partitions.len()).sum(),
        problems,
    };
    context.show_one(&document, || view(&document))?;
    Ok(if document.ok { Exit::Done } else { Exit::CheckFailed })
}

fn problems(topic: &Topic) -> Vec<Problem> {
    let problem = |partition: &kafka_core::cluster::Partition| {
        let problem = match partition {
            partition if partition.leader.is_none() => "no leader",
            partition if partition.isr.len() < partition.replicas.len() => "under-replicated",
            _ => return None,
        };
        let (topic, partition_id) = (topic.name.to_string(), partition.id);
        let (replicas, isr) = (partition.replicas.clone(), partition.isr.clone());
        Some(Problem { topic, partition: partition_id, problem, replicas, isr })
    };
    topic.partitions.iter().filter_map(problem).collect()
}

fn view(document: &Document) -> View {
    let facts = vec![
        ("Health", if document.ok { "all well" } else { "not well" }.to_owned()),
        ("Brokers running", document.brokers.to_string()),
        ("Brokers fenced", ids(&document.fenced_brokers)),
        ("Partitions", document.partitions.to_string()),
        ("Problems", document.problems.len().to_string()),
    ];
    let columns = [
        Column::new("TOPIC", |problem: &Problem| problem.topic.clone()),
        Column::new("PARTITION", |problem: &Problem| problem.partition.to_string()).right(),
        Column::new("PROBLEM", |problem: &Problem| problem.problem.to_owned()),
        Column::new("REPLICAS", |problem: &Problem| ids(&problem.replicas)),
        Column::new("ISR", |problem: &Problem| ids(&problem.isr)),
    ];
    let view = View::default().and(Block::Facts(facts));
    if document.problems.is_empty() {
        view
    } else {
        view.and(Block::Table(Table::of(&columns, &document.problems)))
    }
}
