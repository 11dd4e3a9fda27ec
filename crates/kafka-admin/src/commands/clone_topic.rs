//! `clone-topic`: creates a topic with another one's partitions, replicas and settings. Records are not copied.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_core::admin::NewTopic;

use super::create_topic::like;
use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic to take the definition from
    #[arg(value_name = "FROM")]
    from: String,
    /// The topic to create
    #[arg(value_name = "TO")]
    to: String,
    /// Let the broker check it without creating anything
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let model = NewTopic { name: args.to.clone(), ..like(&args.from, context).await? };
    let mut report = Report::default();
    let result = context.admin.create_topics(vec![model], args.dry_run).await.remove(0).result;
    if result.is_ok() && !args.dry_run {
        context.admin.wait_until_led(&args.to).await?;
    }
    let (status, verb) =
        if args.dry_run { ("would_create", "could be created") } else { ("created", "created") };
    report.add(
        args.to.clone(),
        result.map(|_| Done::new(status, format!("topic {} {verb} as {}", args.to, args.from))),
    );
    report.finish(context)
}
