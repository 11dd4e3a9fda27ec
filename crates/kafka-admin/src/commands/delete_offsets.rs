//! `delete-offsets`: makes a group forget what it committed of topics.

use anyhow::Result;
use kafka_cli::{Exit, Failure, confirm};
use kafka_core::TopicPartition;

use crate::context::Context;
use crate::names::GroupNames;
use crate::offset_plan;
use crate::partitions::PartitionChoice;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  kafka-admin delete-offsets user-1 --topic rider-updates")]
pub(crate) struct Args {
    #[command(flatten)]
    groups: GroupNames,
    /// Topic, or some of its partitions; may be repeated
    #[arg(long, value_name = "TOPIC[:PARTITIONS]", required = true)]
    topic: Vec<PartitionChoice>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let group = args.groups.one()?;
    let Some(description) = offset_plan::describe(context, &group).await? else {
        return Err(Failure::new(Exit::NotFound, format!("group {group} does not exist")).into());
    };
    let committed = offset_plan::committed(context, &group, description.kind).await?;
    let wanted = |key: &TopicPartition| args.topic.iter().any(|choice| choice.includes(key));
    let partitions: Vec<_> = committed.into_keys().filter(wanted).collect();
    if partitions.is_empty() {
        let message = format!("group {group} has committed nothing of that");
        return Err(Failure::new(Exit::NotFound, message).into());
    }
    let mut report = Report::default();
    if args.dry_run {
        for key in partitions {
            let done = Done::new("would_delete", format!("would delete the offset of {key}"));
            report.add(key.to_string(), Ok::<_, anyhow::Error>(done));
        }
        return report.finish(context);
    }
    confirm(&format!("delete offsets of group {group}"), partitions.len(), args.yes)?;
    for outcome in context.admin.delete_group_offsets(&group, partitions).await {
        let done = Done::new("deleted", format!("offset of {} deleted", outcome.key));
        report.add(outcome.key.to_string(), outcome.result.map(|()| done));
    }
    report.finish(context)
}
