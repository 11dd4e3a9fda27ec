//! `set-feature`: changes the finalized level of cluster features.

use anyhow::Result;
use kafka_cli::{Exit, Failure, confirm};
use kafka_core::admin::FeatureChange;

use super::trim_topic::ConfirmArgs;
use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin set-feature transaction.version=2 --dry-run
  kafka-admin set-feature group.version=0 --downgrade")]
pub(crate) struct Args {
    /// Features and levels; level 0 takes a feature away
    #[arg(value_name = "FEATURE=LEVEL", required = true)]
    features: Vec<String>,
    /// Downwards, where nothing is lost
    #[arg(long)]
    downgrade: bool,
    /// Downwards, even where metadata is lost
    #[arg(long)]
    r#unsafe: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let parse = |text: &String| {
        let (name, level) = text.split_once('=')?;
        Some((name.to_owned(), level.parse::<i16>().ok()?))
    };
    let levels = args.features.iter().map(parse).collect::<Option<Vec<_>>>();
    let levels = levels.ok_or_else(|| Failure::usage("write FEATURE=LEVEL, e.g. transaction.version=2"))?;
    let how = match (args.downgrade, args.r#unsafe) {
        (_, true) => FeatureChange::UnsafeDowngrade,
        (true, false) => FeatureChange::SafeDowngrade,
        (false, false) => FeatureChange::Upgrade,
    };
    let dry_run = args.confirm.dry_run;
    if !dry_run {
        confirm(&format!("set {}", args.features.join(", ")), 1, args.confirm.yes)?;
    }
    context.admin.update_features(levels.clone(), how, dry_run).await?;
    let mut report = Report::default();
    for (name, level) in levels {
        let (status, verb) = if dry_run { ("would_change", "could be") } else { ("changed", "is now") };
        let done = Done::new(status, format!("feature {name} {verb} {level}"));
        report.add(name, Ok::<_, anyhow::Error>(done));
    }
    report.finish(context)
}
