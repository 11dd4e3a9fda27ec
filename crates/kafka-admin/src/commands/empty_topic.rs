//! `empty-topic`: deletes all records that are there now.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::offset_spec::Place;

use super::trim_topic::{ConfirmArgs, trim};
use crate::context::Context;
use crate::offset_plan::Target;
use crate::partitions::PartitionChoice;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Topics, or some of their partitions
    #[arg(value_name = "TOPIC[:PARTITIONS]", required = true)]
    topics: Vec<PartitionChoice>,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    trim(context, &args.topics, Target::Place(Place::Latest), &args.confirm).await
}
