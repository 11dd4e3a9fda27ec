//! `describe-group`: state, members with what they read, and how far each partition is behind.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_cli::{Exit, Failure};
use kafka_core::admin::{GroupDescription, GroupMember};
use kafka_core::{ErrorKind, TopicPartition};
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::group_state::{self, PartitionLag};
use crate::names::GroupNames;
use crate::report::Tally;
use crate::show::{one_decimal, or_dash, span};
use crate::streams_group::with_members;
use crate::trend::{Trend, Trends};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin describe-group user-1
  kafka-admin describe-group user-1 -o wide --watch 1s")]
pub(crate) struct Args {
    #[command(flatten)]
    groups: GroupNames,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Serialize)]
struct Document {
    group: String,
    #[serde(rename = "type")]
    kind: &'static str,
    state: String,
    protocol_type: String,
    assignor: String,
    epoch: Option<i32>,
    total_lag: i64,
    members: Vec<MemberDocument>,
    partitions: Vec<Row>,
}

#[derive(Serialize)]
struct MemberDocument {
    member_id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    epoch: Option<i32>,
    assignment: Vec<AssignedDocument>,
    subscribed_topics: Vec<String>,
}

#[derive(Serialize)]
struct AssignedDocument {
    topic: String,
    partition: i32,
}

/// A partition that is committed, assigned, or both.
#[derive(Serialize)]
struct Row {
    #[serde(skip)]
    group: String,
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
    age_ms: Option<i64>,
    #[serde(flatten)]
    trend: Trend,
    metadata: Option<String>,
    member_id: Option<String>,
    client_id: Option<String>,
    host: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let mut trends = Trends::default();
    context.watch(&args.watch, async || show(&args, context, &mut trends).await).await
}

async fn show(args: &Args, context: &Context, trends: &mut Trends) -> Result<Exit> {
    let names = args.groups.required()?;
    let mut tally = Tally::default();
    let mut groups = Vec::new();
    for outcome in context.admin.describe_groups(&names).await {
        match outcome.result {
            Ok(group) => match with_members(context, group).await {
                Ok(group) => groups.push(group),
                Err(error) => tally.fail(error),
            },
            Err(error) => tally.fail(explain(context, &outcome.key, error).await),
        }
    }
    let wanted: Vec<_> = groups.iter().map(|group| (group.id.clone(), group.kind)).collect();
    let mut lags = group_state::lags(context, &wanted, &mut tally).await;
    // Without the permission to read the topics the ages stay open; what is asked for is the group.
    let failed = group_state::add_ages(context, &mut lags).await;
    tally.fail_if(failed.filter(|error| error.kind() != ErrorKind::Denied));
    let now = Instant::now();
    let mut documents = Vec::new();
    for group in groups {
        let partitions = match lags.remove(&group.id) {
            Some(Ok(partitions)) => partitions,
            Some(Err(error)) => {
                tally.fail(error);
                Vec::new()
            }
            None => Vec::new(),
        };
        let look = |lag: &PartitionLag| trends.look(&group.id, lag, now);
        let trends: Vec<_> = partitions.iter().map(look).collect();
        documents.push(document(group, partitions.iter().zip(trends)));
    }
    context.show(&documents, || view(&documents))?;
    Ok(tally.exit())
}

/// The error about a group, with the name that may have been meant where it does not exist.
pub(crate) async fn explain(context: &Context, group: &str, error: kafka_core::Error) -> anyhow::Error {
    if error.kind() != ErrorKind::NotFound {
        return error.into();
    }
    let known = group_state::list(context, &mut Tally::default()).await.unwrap_or_default();
    let failure = Failure::new(Exit::NotFound, format!("group {group} does not exist"));
    match kafka_cli::nearest(group, known.iter().map(|group| group.id.as_str())) {
        Some(near) => failure.hint(format!("did you mean {near}?")).into(),
        None => failure.hint("kafka-admin list-groups shows what is there").into(),
    }
}

fn document<'a>(group: GroupDescription, lags: impl Iterator<Item = (&'a PartitionLag, Trend)>) -> Document {
    let mut rows: BTreeMap<TopicPartition, Row> = BTreeMap::new();
    let empty = |key: &TopicPartition| Row {
        group: group.id.clone(),
        topic: key.topic.to_string(),
        partition: key.partition,
        committed: None,
        end: None,
        lag: None,
        age_ms: None,
        trend: Trend::default(),
        metadata: None,
        member_id: None,
        client_id: None,
        host: None,
    };
    for (lag, trend) in lags {
        let row = rows.entry(lag.key()).or_insert_with(|| empty(&lag.key()));
        (row.committed, row.end, row.lag) = (Some(lag.committed), lag.end, lag.lag);
        (row.age_ms, row.trend) = (lag.age_ms, trend);
        row.metadata.clone_from(&lag.metadata);
    }
    for member in &group.members {
        for key in &member.assignment {
            let row = rows.entry(key.clone()).or_insert_with(|| empty(key));
            row.member_id = Some(member.id.clone());
            (row.client_id, row.host) = (Some(member.client_id.clone()), Some(member.host.clone()));
        }
    }
    Document {
        group: group.id.clone(),
        kind: group.kind.name(),
        state: group.state.clone(),
        protocol_type: group.protocol_type.clone(),
        assignor: group.assignor.clone(),
        epoch: group.epoch,
        total_lag: rows.values().filter_map(|row| row.lag).sum(),
        partitions: rows.into_values().collect(),
        members: group.members.into_iter().map(member).collect(),
    }
}

fn member(member: GroupMember) -> MemberDocument {
    let assigned =
        |key: &TopicPartition| AssignedDocument { topic: key.topic.to_string(), partition: key.partition };
    MemberDocument {
        assignment: member.assignment.iter().map(assigned).collect(),
        member_id: member.id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        host: member.host,
        epoch: member.epoch,
        subscribed_topics: member.subscribed_topics,
    }
}

fn view(documents: &[Document]) -> View {
    let mut view = View::default();
    for document in documents {
        let mut facts = vec![
            ("Group", document.group.clone()),
            ("Type", document.kind.to_owned()),
            ("State", document.state.clone()),
            ("Assignor", document.assignor.clone()),
            ("Lag", document.total_lag.to_string()),
            ("Members", document.members.len().to_string()),
        ];
        facts.retain(|(_, value)| !value.is_empty());
        view = view.and(Block::Facts(facts)).and(Block::Table(partitions([document].into_iter())));
        if !document.members.is_empty() {
            view = view.and(Block::Table(members(&document.members)));
        }
    }
    let names = documents.iter().map(|document| document.group.clone());
    view.named(names).csv(partitions(documents.iter()))
}

fn partitions<'a>(documents: impl Iterator<Item = &'a Document>) -> Table {
    let rows: Vec<&Row> = documents.flat_map(|document| &document.partitions).collect();
    // Trends need a second look, so only --watch has them.
    let trend = |name: &'static str, value: fn(&Row) -> Option<f64>| {
        let column = Column::new(name, move |row: &&Row| one_decimal(value(row))).right();
        if rows.iter().any(|row| row.trend.rate.is_some()) { column } else { column.wide() }
    };
    let columns = [
        Column::new("GROUP", |row: &&Row| row.group.clone()).wide(),
        Column::new("TOPIC", |row: &&Row| row.topic.clone()),
        Column::new("PARTITION", |row: &&Row| row.partition.to_string()).right(),
        Column::new("COMMITTED", |row: &&Row| or_dash(row.committed)).right(),
        Column::new("END", |row: &&Row| or_dash(row.end)).right(),
        Column::new("LAG", |row: &&Row| or_dash(row.lag)).right(),
        Column::new("AGE", |row: &&Row| or_dash(row.age_ms.map(span))).right(),
        trend("RATE/S", |row| row.trend.rate),
        trend("TO ZERO S", |row| row.trend.seconds_to_zero),
        Column::new("CLIENT", |row: &&Row| or_dash(row.client_id.as_ref())),
        Column::new("HOST", |row: &&Row| or_dash(row.host.as_ref())),
        Column::new("MEMBER", |row: &&Row| or_dash(row.member_id.as_ref())).wide(),
        Column::new("METADATA", |row: &&Row| or_dash(row.metadata.as_ref())).wide(),
    ];
    Table::of(&columns, &rows)
}

fn members(members: &[MemberDocument]) -> Table {
    let columns = [
        Column::new("MEMBER", |member: &MemberDocument| member.member_id.clone()),
        Column::new("INSTANCE", |member: &MemberDocument| or_dash(member.instance_id.as_ref())),
        Column::new("CLIENT", |member: &MemberDocument| member.client_id.clone()),
        Column::new("HOST", |member: &MemberDocument| member.host.clone()),
        Column::new("PARTITIONS", |member: &MemberDocument| member.assignment.len().to_string()).right(),
        Column::new("EPOCH", |member: &MemberDocument| or_dash(member.epoch)).right().wide(),
    ];
    Table::of(&columns, members)
}
