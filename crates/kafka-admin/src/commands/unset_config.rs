//! `unset-config`: takes settings of a resource back to their default.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_core::admin::{ConfigChange, ConfigKind, ConfigResource};

use crate::config_change;
use crate::context::Context;
use crate::report::Report;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// topic, broker, broker-logger, group, client-metrics
    #[arg(value_name = "KIND")]
    kind: ConfigKind,
    /// Name, or a broker's node id; "" is the default of all brokers
    #[arg(value_name = "NAME")]
    name: String,
    /// Settings
    #[arg(value_name = "SETTING", required = true)]
    settings: Vec<String>,
    /// Let the broker check it without changing anything
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let changes = args.settings.iter().map(|name| (name.clone(), ConfigChange::Unset)).collect();
    let mut report = Report::default();
    let resource = ConfigResource::new(args.kind, &args.name);
    config_change::apply(context, &resource, changes, args.dry_run, &mut report).await?;
    report.finish(context)
}
