//! `set-config`: changes settings of a resource, one by one, with before and after.

use anyhow::Result;
use kafka_cli::{Exit, Failure};
use kafka_core::admin::{ConfigChange, ConfigKind, ConfigResource};

use crate::config_change::{self, ChangeArgs};
use crate::config_value::parse_pairs;
use crate::context::Context;
use crate::report::Report;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin set-config topic rider-updates retention.ms=7d
  kafka-admin set-config broker 1 log.cleaner.threads=2 --dry-run
  kafka-admin set-config topic orders --append cleanup.policy=compact
  kafka-admin set-config broker-logger 1 kafka.server.KafkaApis=DEBUG")]
pub(crate) struct Args {
    /// topic, broker, broker-logger, group, client-metrics
    #[arg(value_name = "KIND")]
    kind: ConfigKind,
    /// Name, or a broker's node id; "" is the default of all brokers
    #[arg(value_name = "NAME")]
    name: String,
    /// Settings; times and sizes may have units
    #[arg(value_name = "NAME=VALUE")]
    pairs: Vec<String>,
    #[command(flatten)]
    changes: ChangeArgs,
    /// Let the broker check it without changing anything
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let set = |(name, value)| (name, ConfigChange::Set(value));
    let mut changes: Vec<_> = parse_pairs(&args.pairs)?.into_iter().map(set).collect();
    changes.extend(args.changes.changes()?);
    if changes.is_empty() {
        return Err(Failure::usage("what shall change? write NAME=VALUE").into());
    }
    let mut report = Report::default();
    let resource = ConfigResource::new(args.kind, &args.name);
    config_change::apply(context, &resource, changes, args.dry_run, &mut report).await?;
    report.finish(context)
}
