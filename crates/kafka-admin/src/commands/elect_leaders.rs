//! `elect-leaders`: makes preferred replicas the leaders, or any replica where there is none.

use anyhow::Result;
use kafka_cli::{Exit, confirm};
use kafka_core::admin::Election;
use kafka_core::{ErrorCode, TopicPartition};

use super::trim_topic::ConfirmArgs;
use crate::context::Context;
use crate::partitions::{PartitionChoice, resolve};
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin elect-leaders
  kafka-admin elect-leaders orders:3 --unclean")]
pub(crate) struct Args {
    /// Topics, or some of their partitions; without any: every partition whose leader is not the preferred one
    #[arg(value_name = "TOPIC[:PARTITIONS]")]
    topics: Vec<PartitionChoice>,
    /// Any replica may become the leader where there is none; records that only lost replicas had are gone
    #[arg(long)]
    unclean: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let chosen = if args.topics.is_empty() {
        candidates(context, args.unclean).await?
    } else {
        resolve(context, &args.topics).await?
    };
    let mut report = Report::default();
    if args.confirm.dry_run {
        for key in chosen {
            let done = Done::new("would_elect", format!("would elect a leader for {key}"));
            report.add(key.to_string(), Ok::<_, anyhow::Error>(done));
        }
        return report.finish(context);
    }
    if args.unclean {
        confirm("elect leaders that may lack records", chosen.len(), args.confirm.yes)?;
    }
    let election = if args.unclean { Election::Unclean } else { Election::Preferred };
    for outcome in context.admin.elect_leaders(chosen, election).await {
        let result = match outcome.result {
            Ok(()) => Ok(Done::new("elected", format!("{}: leader elected", outcome.key))),
            Err(error) if error.code() == Some(ErrorCode::ELECTION_NOT_NEEDED) => {
                Ok(Done::new("not_needed", format!("{}: has the wanted leader already", outcome.key)))
            }
            Err(error) => Err(error),
        };
        report.add(outcome.key.to_string(), result);
    }
    report.finish(context)
}

async fn candidates(context: &Context, unclean: bool) -> Result<Vec<TopicPartition>> {
    let topics = context.admin.list_topics(true).await?;
    let wants = |p: &kafka_core::cluster::Partition| match p.leader {
        None => true,
        Some(leader) => !unclean && p.replicas.first() != Some(&leader),
    };
    let of = |topic: &std::sync::Arc<kafka_core::cluster::Topic>| {
        let wanted = topic.partitions.iter().filter(|p| wants(p));
        wanted.map(|p| TopicPartition::new(topic.name.clone(), p.id)).collect::<Vec<_>>()
    };
    Ok(topics.iter().flat_map(of).collect())
}
