//! `check-lag`: whether a group keeps up, as an exit code.

use anyhow::Result;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_cli::{Exit, Failure};
use serde::Serialize;

use super::lag::measure;
use crate::context::Context;
use crate::group_state::PartitionLag;
use crate::names::GroupNames;
use crate::report::Tally;
use crate::show::or_dash;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin check-lag user-1 --max-lag 1000
  kafka-admin check-lag user-1 --max-lag 1000 --nagios

Exit codes: 0 keeps up, 7 behind. With --nagios: 0 OK, 2 CRITICAL, 3 UNKNOWN, and one line as plugins print it.")]
pub(crate) struct Args {
    #[command(flatten)]
    groups: GroupNames,
    /// The most records that a partition may be behind
    #[arg(long, value_name = "N")]
    max_lag: i64,
    /// Exit codes and output of a monitoring plugin
    #[arg(long)]
    nagios: bool,
}

#[derive(Serialize)]
struct Document {
    group: String,
    ok: bool,
    max_lag: i64,
    total_lag: i64,
    worst: Vec<PartitionLag>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let group = args.groups.one()?;
    let mut tally = Tally::default();
    let measured = measure(context, std::slice::from_ref(&group), &mut tally).await;
    let exit = tally.exit();
    let found = match measured {
        Ok(found) if exit == Exit::Done => found.into_iter().map(|(_, lag)| lag).collect::<Vec<_>>(),
        failed if args.nagios => {
            let why = failed.err().map_or("see stderr".to_owned(), |error| kafka_cli::exit::one_line(&error));
            return nagios(context, 3, &format!("LAG UNKNOWN - group {group}: {why}"));
        }
        Ok(_) => return Ok(exit),
        Err(error) => return Err(error),
    };
    if found.is_empty() && !args.nagios {
        let message = format!("group {group} has committed nothing, so nothing can be said");
        return Err(Failure::new(Exit::CheckFailed, message).into());
    }
    let document = judge(group, found, args.max_lag);
    if args.nagios {
        let (code, word) = if document.ok { (0, "OK") } else { (2, "CRITICAL") };
        let (group, total, limit) = (&document.group, document.total_lag, document.max_lag);
        return nagios(
            context,
            code,
            &format!("LAG {word} - group {group}: {total} behind | lag={total};;{limit}"),
        );
    }
    context.show_one(&document, || view(&document))?;
    Ok(if document.ok { Exit::Done } else { Exit::CheckFailed })
}

/// The partitions that are too far behind. A partition whose lag is not known does not pass.
fn judge(group: String, found: Vec<PartitionLag>, max_lag: i64) -> Document {
    let total_lag = crate::group_state::total(&found);
    let worst: Vec<_> = found.into_iter().filter(|lag| lag.lag.is_none_or(|lag| lag > max_lag)).collect();
    Document { group, ok: worst.is_empty(), max_lag, total_lag, worst }
}

/// Plugin codes are other codes than ours: 2 is critical there.
fn nagios(context: &Context, code: u8, line: &str) -> Result<Exit> {
    context.show_one(&line, || View::default().and(Block::Line(line.to_owned())))?;
    Ok(match code {
        0 => Exit::Done,
        2 => Exit::Usage,
        _ => Exit::Unreachable,
    })
}

fn view(document: &Document) -> View {
    let (group, limit) = (&document.group, document.max_lag);
    let line = if document.ok {
        format!("group {group} keeps up: {} behind in all", document.total_lag)
    } else {
        format!("group {group} is more than {limit} behind")
    };
    let columns = [
        Column::new("TOPIC", |lag: &PartitionLag| lag.topic.clone()),
        Column::new("PARTITION", |lag: &PartitionLag| lag.partition.to_string()).right(),
        Column::new("LAG", |lag: &PartitionLag| or_dash(lag.lag)).right(),
    ];
    let view = View::default().and(Block::Line(line));
    if document.ok { view } else { view.and(Block::Table(Table::of(&columns, &document.worst))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(lag: Option<i64>) -> PartitionLag {
        PartitionLag { topic: "t".into(), partition: 0, committed: 0, end: lag, lag, metadata: None }
    }

    #[test]
    fn a_group_passes_up_to_the_limit_and_not_beyond_or_unknown() {
        assert!(judge("g".into(), vec![lag(Some(10))], 10).ok);
        assert!(!judge("g".into(), vec![lag(Some(11))], 10).ok);
        assert!(!judge("g".into(), vec![lag(None)], 10).ok);
    }
}
