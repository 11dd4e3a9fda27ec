//! `delete-topic`: deletes topics by literal name.

use std::time::Duration;

use anyhow::Result;
use kafka_cli::{Exit, confirm};
use kafka_core::ErrorKind;

use crate::context::Context;
use crate::names::TopicChoice;
use crate::report::{Done, Report};
use crate::show::count;

/// How long brokers may take to hear of a deletion that the controller has confirmed.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin delete-topic rider-updates
  kafka-admin delete-topic --regex 'test-.*' --dry-run")]
pub(crate) struct Args {
    #[command(flatten)]
    topics: TopicChoice,
    /// A topic that does not exist is no failure
    #[arg(long)]
    if_exists: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let topics = args.topics.resolve(context).await?;
    let mut report = Report::default();
    if args.dry_run {
        for outcome in context.admin.describe_topics(&topics).await {
            let result = match outcome.result {
                Ok(topic) => {
                    let partitions = count(i64::try_from(topic.partitions.len())?, "partition");
                    Ok(Done::new(
                        "would_delete",
                        format!("would delete topic {} ({partitions})", outcome.key),
                    ))
                }
                Err(error) => Err(context.explain_topic(&outcome.key, error).await),
            };
            report.add(outcome.key, result);
        }
        return report.finish(context);
    }
    let action = match topics.as_slice() {
        [one] => format!("delete topic {one} with all its records"),
        many => format!("delete {} topics with all their records: {}", many.len(), many.join(", ")),
    };
    confirm(&action, topics.len(), args.yes)?;
    let outcomes = context.admin.delete_topics(&topics).await;
    let deleted: Vec<_> = outcomes.iter().filter(|o| o.result.is_ok()).map(|o| o.key.clone()).collect();
    // So that a command that follows does not see them any more. A topic that producers create anew under its name at
    // once stays there, and is no failure.
    let _ = tokio::time::timeout(VISIBLE_WITHIN, context.admin.wait_until_gone(&deleted)).await;
    for outcome in outcomes {
        let name = outcome.key;
        let result = match outcome.result {
            Ok(()) => Ok(Done::new("deleted", format!("topic {name} deleted"))),
            Err(error) if args.if_exists && error.kind() == ErrorKind::NotFound => {
                Ok(Done::new("absent", format!("topic {name} does not exist")))
            }
            Err(error) => Err(context.explain_topic(&name, error).await),
        };
        report.add(name, result);
    }
    report.finish(context)
}
