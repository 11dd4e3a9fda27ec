//! `delete-group`: deletes groups with their offsets.

use anyhow::Result;
use kafka_cli::{Exit, confirm};

use super::describe_group::explain;
use crate::context::Context;
use crate::group_state;
use crate::names::{GroupNames, compile, matching};
use crate::offset_plan;
use crate::report::{Done, Report, Tally};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin delete-group user-1
  kafka-admin delete-group --regex 'test-.*' --dry-run")]
pub(crate) struct Args {
    #[command(flatten)]
    groups: GroupNames,
    /// The names are regular expressions for whole names; lists what they match and asks
    #[arg(long)]
    regex: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let mut groups = args.groups.required()?;
    if args.regex {
        let patterns = compile(&groups)?;
        let known = group_state::list(context, &mut Tally::default()).await?;
        groups = matching(&groups, &patterns, known.into_iter().map(|group| group.id), "group")?;
    }
    let mut report = Report::default();
    if args.dry_run {
        for outcome in context.admin.describe_groups(&groups).await {
            let result = match outcome.result {
                Ok(group) => offset_plan::refuse_active(&outcome.key, Some(&group))
                    .map(|()| Done::new("would_delete", format!("would delete group {}", outcome.key))),
                Err(error) => Err(explain(context, &outcome.key, error).await),
            };
            report.add(outcome.key, result);
        }
        return report.finish(context);
    }
    confirm(&format!("delete {} with all offsets", groups.join(", ")), groups.len(), args.yes)?;
    for outcome in context.admin.delete_groups(&groups).await {
        let result = match outcome.result {
            Ok(()) => Ok(Done::new("deleted", format!("group {} deleted", outcome.key))),
            Err(error) => Err(explain(context, &outcome.key, error).await),
        };
        report.add(outcome.key, result);
    }
    report.finish(context)
}
