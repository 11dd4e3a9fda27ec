//! `cancel-reassignment`: stops moving partitions; they go back to where they were.

use anyhow::Result;
use kafka_cli::{Exit, confirm};

use super::trim_topic::ConfirmArgs;
use crate::context::{Context, note};
use crate::partitions::PartitionChoice;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Topics, or some of their partitions; without any: all that are being moved
    #[arg(value_name = "TOPIC[:PARTITIONS]")]
    topics: Vec<PartitionChoice>,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let moving = context.admin.list_reassignments().await?.into_keys();
    let chosen: Vec<_> = moving
        .filter(|key| args.topics.is_empty() || args.topics.iter().any(|choice| choice.includes(key)))
        .collect();
    let mut report = Report::default();
    if chosen.is_empty() {
        note("nothing is being moved");
        return report.finish(context);
    }
    if args.confirm.dry_run {
        for key in chosen {
            let done = Done::new("would_cancel", format!("would cancel moving {key}"));
            report.add(key.to_string(), Ok::<_, anyhow::Error>(done));
        }
        return report.finish(context);
    }
    confirm("cancel moving partitions", chosen.len(), args.confirm.yes)?;
    for outcome in context.admin.reassign(chosen.into_iter().map(|key| (key, None)).collect()).await {
        let done = Done::new("cancelled", format!("{} goes back", outcome.key));
        report.add(outcome.key.to_string(), outcome.result.map(|()| done));
    }
    report.finish(context)
}
