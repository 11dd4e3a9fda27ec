//! `list-acls`: rules that match.

use anyhow::Result;
use kafka_cli::Exit;

use crate::acl_args::{AclDocument, ResourceArgs, RuleArgs, view};
use crate::context::Context;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin list-acls
  kafka-admin list-acls --topic orders --pattern match
  kafka-admin list-acls --allow alice")]
pub(crate) struct Args {
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    rules: RuleArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let mut rows = Vec::new();
    for filter in args.rules.filters(&args.resources) {
        rows.extend(context.admin.list_acls(filter).await?.iter().map(AclDocument::from));
    }
    rows.sort();
    rows.dedup();
    context.show(&rows, || view(&rows))?;
    Ok(Exit::Done)
}
