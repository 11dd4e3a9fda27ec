//! `abort-transaction`: ends a hanging transaction in one partition, so that readers of committed records get past it.

use anyhow::Result;
use kafka_cli::{Exit, Failure, confirm};
use kafka_core::TopicPartition;

use crate::commands::trim_topic::ConfirmArgs;
use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  kafka-admin list-producers orders --hanging
  kafka-admin abort-transaction orders 3 --start-offset 4711")]
pub(crate) struct Args {
    /// Topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Partition
    #[arg(value_name = "PARTITION")]
    partition: i32,
    /// First offset of the transaction, as list-producers shows it
    #[arg(long, value_name = "OFFSET")]
    start_offset: i64,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let key = TopicPartition::new(args.topic.as_str(), args.partition);
    let producers = context.admin.active_producers(vec![key.clone()]).await.remove(0).result?;
    let producer =
        producers.into_iter().find(|producer| producer.transaction_start == Some(args.start_offset));
    let producer = producer.ok_or_else(|| {
        let message = format!("{key} has no open transaction that begins at {}", args.start_offset);
        Failure::new(Exit::NotFound, message)
    })?;
    let what = format!("the transaction of producer {} in {key}", producer.producer_id);
    let mut report = Report::default();
    if args.confirm.dry_run {
        let done = Done::new("would_abort", format!("would abort {what}"));
        report.add(key.to_string(), Ok::<_, anyhow::Error>(done));
        return report.finish(context);
    }
    confirm(
        &format!("abort {what}; its records are lost to readers of committed records"),
        1,
        args.confirm.yes,
    )?;
    let result = context.admin.abort_transaction(key.clone(), &producer).await;
    report.add(key.to_string(), result.map(|()| Done::new("aborted", format!("aborted {what}"))));
    report.finish(context)
}
