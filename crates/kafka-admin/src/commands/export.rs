//! `export`: writes what the cluster is as one document for `diff` and `apply`.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Format, write_one};

use crate::context::{Context, write};
use crate::state::of_cluster;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  kafka-admin export > cluster.yaml")]
pub(crate) struct Args {}

pub(crate) async fn run(_: Args, context: &Context) -> Result<Exit> {
    let state = of_cluster(context).await?;
    // For people, too, it is a document: YAML unless JSON is asked for.
    let format = match context.format {
        Format::Json | Format::Jsonl => context.format,
        _ => Format::Yaml,
    };
    write(|out| write_one(out, format, &state, Default::default))?;
    Ok(Exit::Done)
}
