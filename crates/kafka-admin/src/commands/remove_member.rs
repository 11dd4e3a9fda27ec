//! `remove-member`: takes members out of a group; they join again if they still run.

use anyhow::Result;
use kafka_cli::{Exit, Failure, confirm};

use crate::context::Context;
use crate::offset_plan;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin remove-member user-1 consumer-4711-a0b1
  kafka-admin remove-member user-1 --all --reason 'moving house'")]
pub(crate) struct Args {
    /// Group
    #[arg(value_name = "GROUP")]
    group: String,
    /// Members by member id, instance id or client id
    #[arg(value_name = "MEMBER", required_unless_present = "all")]
    members: Vec<String>,
    /// All members
    #[arg(long, conflicts_with = "members")]
    all: bool,
    /// Shown in the broker's log
    #[arg(long, value_name = "TEXT", default_value = "removed by kafka-admin")]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Say who would be removed
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let Some(description) = offset_plan::describe(context, &args.group).await? else {
        return Err(Failure::new(Exit::NotFound, format!("group {} does not exist", args.group)).into());
    };
    let mut report = Report::default();
    let mut chosen = Vec::new();
    for wanted in &args.members {
        let found = description.members.iter().filter(|member| {
            member.id == *wanted || member.instance_id.as_ref() == Some(wanted) || member.client_id == *wanted
        });
        let before = chosen.len();
        chosen.extend(found.map(|member| member.id.clone()));
        if chosen.len() == before {
            let message = format!("member {wanted} is not in group {}", args.group);
            report.add(wanted, Err(Failure::new(Exit::NotFound, message)));
        }
    }
    if args.all {
        chosen = description.members.iter().map(|member| member.id.clone()).collect();
    }
    if args.dry_run {
        for member in chosen {
            let done = Done::new("would_remove", format!("would remove member {member}"));
            report.add(member, Ok::<_, anyhow::Error>(done));
        }
        return report.finish(context);
    }
    if !chosen.is_empty() {
        confirm(&format!("remove members of group {}", args.group), chosen.len(), args.yes)?;
        for outcome in context.admin.remove_members(&args.group, chosen, &args.reason).await? {
            let done = Done::new("removed", format!("member {} removed", outcome.key));
            report.add(outcome.key, outcome.result.map(|()| done));
        }
    }
    report.finish(context)
}
