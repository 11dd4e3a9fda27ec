//! `check-health`: whether every broker answers and every partition is led and fully replicated, as an exit code.

use std::time::Duration;

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_core::cluster::Topic;
use serde::Serialize;

use crate::context::{Context, WatchArgs, note};
use crate::show::ids;

/// How long a broker may take to answer: a frozen one is listed as running for a while.
const PATIENCE: Duration = Duration::from_secs(3);

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
    silent_brokers: Vec<i32>,
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
    let of = |fenced: bool| {
        let chosen = cluster.brokers.iter().filter(move |broker| broker.fenced == fenced);
        chosen.map(|broker| broker.broker.id).collect::<Vec<_>>()
    };
    let (running, fenced_brokers) = (of(false), of(true));
    let silent_brokers = silent(context, &running).await;
    let problems: Vec<_> = topics.iter().flat_map(|topic| problems(topic)).collect();
    let document = Document {
        ok: problems.is_empty() && fenced_brokers.is_empty() && silent_brokers.is_empty(),
        brokers: running.len() - silent_brokers.len(),
        fenced_brokers,
        silent_brokers,
        partitions: topics.iter().map(|topic| topic.partitions.len()).sum(),
        problems,
    };
    context.show_one(&document, || view(&document))?;
    Ok(if document.ok { Exit::Done } else { Exit::CheckFailed })
}

/// The brokers that do not answer a question of their own; why is said on stderr.
async fn silent(context: &Context, running: &[i32]) -> Vec<i32> {
    let patient = context.admin.with_timeout(PATIENCE.min(context.session.timeout));
    let mut silent = Vec::new();
    for outcome in patient.api_versions(running).await {
        if let Err(error) = outcome.result {
            note(&format!("broker {}: {error}", outcome.key));
            silent.push(outcome.key);
        }
    }
    silent
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
        ("Brokers answering", document.brokers.to_string()),
        ("Brokers fenced", ids(&document.fenced_brokers)),
        ("Brokers silent", ids(&document.silent_brokers)),
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
