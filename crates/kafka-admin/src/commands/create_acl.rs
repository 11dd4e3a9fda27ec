//! `create-acl`: adds rules.

use anyhow::Result;
use kafka_cli::Exit;

use crate::acl_args::{AclDocument, ResourceArgs, RuleArgs, line};
use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin create-acl --allow alice --operation read,describe --topic orders
  kafka-admin create-acl --allow app --producer --topic orders- --prefixed
  kafka-admin create-acl --allow app --consumer --topic orders --group app")]
pub(crate) struct Args {
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    rules: RuleArgs,
    /// Say what would be created
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let acls = args.rules.acls(&args.resources)?;
    let mut report = Report::default();
    let details =
        |acl: &kafka_core::admin::Acl| serde_json::to_value(AclDocument::from(acl)).unwrap_or_default();
    if args.dry_run {
        for acl in &acls {
            let done = Done::new("would_create", format!("would create: {}", line(acl)));
            report.add(line(acl), Ok::<_, anyhow::Error>(done.with(details(acl))));
        }
        return report.finish(context);
    }
    for outcome in context.admin.create_acls(acls).await {
        let done =
            Done::new("created", format!("created: {}", line(&outcome.key))).with(details(&outcome.key));
        report.add(line(&outcome.key), outcome.result.map(|()| done));
    }
    report.finish(context)
}
