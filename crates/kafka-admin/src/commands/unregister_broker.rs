//! `unregister-broker`: takes the registration of a dead broker out of the cluster.

use anyhow::Result;
use kafka_cli::{Exit, Failure, confirm};

use super::trim_topic::ConfirmArgs;
use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Node id; the broker must not run
    #[arg(value_name = "BROKER")]
    broker: i32,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let cluster = context.admin.describe_cluster().await?;
    let known = cluster.brokers.iter().find(|broker| broker.broker.id == args.broker);
    if known.is_some_and(|broker| !broker.fenced) {
        let failure = Failure::new(Exit::Failed, format!("broker {} runs", args.broker));
        return Err(failure.hint("stop it first; it would register itself again").into());
    }
    let mut report = Report::default();
    let name = args.broker.to_string();
    if args.confirm.dry_run {
        let done = Done::new("would_unregister", format!("would unregister broker {name}"));
        report.add(name, Ok::<_, anyhow::Error>(done));
        return report.finish(context);
    }
    confirm(&format!("unregister broker {name}"), 1, args.confirm.yes)?;
    let result = context.admin.unregister_broker(args.broker).await;
    report.add(&name, result.map(|()| Done::new("unregistered", format!("broker {name} unregistered"))));
    report.finish(context)
}
