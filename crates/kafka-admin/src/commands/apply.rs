//! `apply`: makes the cluster what a file says. Doing it twice changes nothing the second time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use kafka_cli::{Exit, Failure, confirm};
use kafka_core::TopicPartition;
use kafka_core::admin::{Acl, AclFilter, ConfigChange, ConfigResource, NewPartitions, NewTopic, all_ok};

use crate::commands::{diff::view, reassign};
use crate::context::{Context, note};
use crate::reassign_plan::plan;
use crate::report::{Done, Report};
use crate::state::{TopicState, of_cluster, read};
use crate::state_diff::{Change, diff};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin apply cluster.yaml --dry-run
  kafka-admin apply cluster.yaml --prune --yes")]
pub(crate) struct Args {
    /// YAML or JSON as export writes it; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also take away what is there and not in the file; asks
    #[arg(long)]
    prune: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show the changes
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let wanted = read(&args.file)?;
    let changes = diff(&of_cluster(context).await?, &wanted, args.prune);
    if args.dry_run || changes.is_empty() {
        context.show(&changes, || view(&changes))?;
        if changes.is_empty() {
            note("nothing to change");
        }
        return Ok(Exit::Done);
    }
    let removals = changes.iter().filter(|change| is_removal(change)).count();
    if removals > 0 {
        confirm(&format!("take away: {}", removed(&changes)), removals, args.yes)?;
    }
    let mut report = Report::default();
    for change in &changes {
        let done = Done::new("changed", change.to_string());
        report.add(change.to_string(), apply(context, change).await.map(|()| done));
    }
    report.finish(context)
}

fn is_removal(change: &Change) -> bool {
    matches!(change, Change::DeleteTopic { .. } | Change::DeleteAcl { .. })
}

fn removed(changes: &[Change]) -> String {
    let removals = changes.iter().filter(|change| is_removal(change));
    removals.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

async fn apply(context: &Context, change: &Change) -> Result<()> {
    let admin = &context.admin;
    match change {
        Change::CreateTopic { topic } => {
            all_ok(admin.create_topics(vec![new_topic(topic)], false).await)?;
            admin.wait_until_led(&topic.name).await?;
        }
        Change::DeleteTopic { topic } => {
            drop(all_ok(admin.delete_topics(std::slice::from_ref(topic)).await)?);
        }
        Change::AddPartitions { topic, to, .. } => {
            let more = NewPartitions { topic: topic.clone(), total: *to, assignments: Vec::new() };
            all_ok(admin.create_partitions(vec![more], false).await)?;
        }
        Change::ReplicationFactor { topic, to, .. } => replicate(context, topic, *to).await?,
        Change::Setting { kind, name, setting, to, .. } => {
            let change = to.clone().map_or(ConfigChange::Unset, ConfigChange::Set);
            let resource = ConfigResource::new(kind.parse()?, name);
            all_ok(admin.alter_configs(vec![(resource, vec![(setting.clone(), change)])], false).await)?;
        }
        Change::CreateAcl { acl } => drop(all_ok(admin.create_acls(vec![Acl::try_from(acl)?]).await)?),
        Change::DeleteAcl { acl } => {
            let filter = AclFilter::from(&Acl::try_from(acl)?);
            all_ok(admin.delete_acls(vec![filter]).await)?;
        }
        Change::Quota { entity, quota, to, .. } => {
            let change = BTreeMap::from([(entity.clone(), BTreeMap::from([(quota.clone(), *to)]))]);
            all_ok(admin.alter_quotas(change, false).await)?;
        }
        Change::Impossible { what } => return Err(Failure::new(Exit::Failed, what.clone()).into()),
    }
    Ok(())
}

fn new_topic(topic: &TopicState) -> NewTopic {
    NewTopic {
        name: topic.name.clone(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        assignments: BTreeMap::new(),
        configs: topic.configs.clone().into_iter().collect(),
    }
}

async fn replicate(context: &Context, topic: &str, factor: i16) -> Result<()> {
    let described = context.admin.describe_topics(&[topic.to_owned()]).await.remove(0).result?;
    let place = |p: &kafka_core::cluster::Partition| (TopicPartition::new(topic, p.id), p.replicas.clone());
    let current = described.partitions.iter().map(place).collect();
    let brokers = reassign::brokers(context, &[]).await?;
    let next = plan(&current, &brokers, usize::try_from(factor).ok(), false);
    let targets = next.into_iter().map(|(key, replicas)| (key, Some(replicas))).collect();
    all_ok(context.admin.reassign(targets).await)?;
    Ok(())
}
