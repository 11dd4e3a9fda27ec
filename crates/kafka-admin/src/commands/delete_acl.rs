//! `delete-acl`: deletes the rules that match.

use anyhow::Result;
use kafka_cli::{Exit, Failure, confirm};
use kafka_core::admin::{Acl, AclFilter};

use crate::acl_args::{ResourceArgs, RuleArgs, line};
use crate::commands::trim_topic::ConfirmArgs;
use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin delete-acl --allow alice --topic orders --dry-run
  kafka-admin delete-acl --allow alice")]
pub(crate) struct Args {
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let filters = args.rules.filters(&args.resources);
    if filters.iter().any(|filter| *filter == AclFilter::default()) {
        return Err(Failure::usage("which ACLs? say --topic, --allow or the like").into());
    }
    let mut found: Vec<Acl> = Vec::new();
    for filter in filters {
        found.extend(context.admin.list_acls(filter).await?);
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no ACL matches").into());
    }
    let mut report = Report::default();
    if args.confirm.dry_run {
        for acl in &found {
            let done = Done::new("would_delete", format!("would delete: {}", line(acl)));
            report.add(line(acl), Ok::<_, anyhow::Error>(done));
        }
        return report.finish(context);
    }
    let list = found.iter().map(line).collect::<Vec<_>>().join("; ");
    confirm(&format!("delete {list}"), found.len(), args.confirm.yes)?;
    // Exactly what was shown, not whatever matches by now.
    for outcome in context.admin.delete_acls(found.iter().map(AclFilter::from).collect()).await {
        let name = outcome.key.name.clone().unwrap_or_default();
        let said = |acls: &Vec<Acl>| {
            acls.iter().map(|acl| format!("deleted: {}", line(acl))).collect::<Vec<_>>().join("; ")
        };
        report.add(
            name,
            outcome.result.as_ref().map(|acls| Done::new("deleted", said(acls))).map_err(Clone::clone),
        );
    }
    report.finish(context)
}
