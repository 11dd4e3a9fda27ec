//! `delete-user`: deletes SCRAM credentials of a user.

use anyhow::Result;
use kafka_cli::{Exit, Failure, confirm};
use kafka_core::admin::{ScramChange, ScramMechanism};

use crate::commands::trim_topic::ConfirmArgs;
use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// User name
    #[arg(value_name = "USER")]
    user: String,
    /// Only this mechanism; may be repeated [default: all that the user has]
    #[arg(long, value_name = "NAME")]
    mechanism: Vec<ScramMechanism>,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let users = context.admin.list_scram_users().await?;
    let user = users.into_iter().find(|user| user.name == args.user);
    let user =
        user.ok_or_else(|| Failure::new(Exit::NotFound, format!("user {} does not exist", args.user)))?;
    let has = user.credentials.iter().map(|(mechanism, _)| *mechanism);
    let chosen: Vec<_> =
        has.filter(|one| args.mechanism.is_empty() || args.mechanism.contains(one)).collect();
    if chosen.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("user {} has no such credential", args.user)).into());
    }
    let names = chosen.iter().map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(", ");
    let mut report = Report::default();
    if args.confirm.dry_run {
        let done = Done::new("would_delete", format!("would delete {names} of user {}", args.user));
        report.add(args.user, Ok::<_, anyhow::Error>(done));
        return report.finish(context);
    }
    confirm(&format!("delete {names} of user {}", args.user), 1, args.confirm.yes)?;
    let changes = chosen.into_iter().map(ScramChange::Delete).collect();
    let result = context.admin.alter_scram_user(&args.user, changes).await;
    report.add(
        &args.user,
        result.map(|()| Done::new("deleted", format!("{names} of user {} deleted", args.user))),
    );
    report.finish(context)
}
