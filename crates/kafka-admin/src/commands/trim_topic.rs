//! `trim-topic` and `empty-topic`: deletes records up to an offset or time; the topic stays.

use std::collections::BTreeMap;

use anyhow::Result;
use kafka_cli::offset_spec::parse_place;
use kafka_cli::time::now_ms;
use kafka_cli::{Exit, Failure, confirm};
use kafka_core::TopicPartition;
use serde_json::json;

use crate::context::Context;
use crate::offset_plan::{self, Target};
use crate::partitions::{PartitionChoice, resolve};
use crate::report::{Done, Report};
use crate::show::or_dash;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin trim-topic rider-updates --before @-7d
  kafka-admin trim-topic rider-updates:0 --before 1000 --dry-run")]
pub(crate) struct Args {
    /// Topics, or some of their partitions
    #[arg(value_name = "TOPIC[:PARTITIONS]", required = true)]
    topics: Vec<PartitionChoice>,
    /// Records before this are deleted: an offset, -10 (before the end), @TIME, latest (all)
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    before: String,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

/// Asking and trying.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfirmArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let place = parse_place(&args.before, now_ms()).map_err(Failure::usage)?;
    trim(context, &args.topics, Target::Place(place), &args.confirm).await
}

/// Deletes the records before `target` in every partition that is meant.
pub(crate) async fn trim(
    context: &Context,
    topics: &[PartitionChoice],
    target: Target,
    args: &ConfirmArgs,
) -> Result<Exit> {
    let targets: BTreeMap<_, _> =
        resolve(context, topics).await?.into_iter().map(|key| (key, target)).collect();
    let plan = offset_plan::make(context, "", &BTreeMap::new(), &targets).await?;
    let before: BTreeMap<TopicPartition, i64> = plan.iter().map(|step| (step.key(), step.to)).collect();
    let mut report = Report::default();
    if args.dry_run {
        for (key, offset) in before {
            let done = Done::new("would_trim", format!("{key}: would delete all records before {offset}"));
            report.add(key.to_string(), Ok::<_, anyhow::Error>(done.with(json!({"before": offset}))));
        }
        return report.finish(context);
    }
    let names = topics.iter().map(|choice| choice.topic.clone()).collect::<Vec<_>>().join(", ");
    confirm(&format!("delete records of {names}"), before.len(), args.yes)?;
    for outcome in context.admin.delete_records(before).await {
        let earliest = outcome.result.as_ref().ok().copied();
        let said = format!("{}: earliest record is now {}", outcome.key, or_dash(earliest));
        let done = Done::new("trimmed", said).with(json!({"earliest": earliest}));
        report.add(outcome.key.to_string(), outcome.result.map(|_| done));
    }
    report.finish(context)
}
