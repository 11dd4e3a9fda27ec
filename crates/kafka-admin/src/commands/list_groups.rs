//! `list-groups`: groups of every type with state and lag.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_core::admin::ListedGroup;
use serde::Serialize;

use crate::context::{Context, WatchArgs};
use crate::group_state::{self, Lags, total};
use crate::report::Tally;
use crate::show::or_dash;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin list-groups
  kafka-admin list-groups --type consumer --state stable -o json")]
pub(crate) struct Args {
    /// Only groups of this type: classic, consumer, share, streams
    #[arg(long = "type", value_name = "TYPE")]
    kind: Vec<String>,
    /// Only groups in this state, such as stable or empty
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// Without the lag, which takes more questions
    #[arg(long)]
    no_lag: bool,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Serialize)]
struct Row {
    group: String,
    #[serde(rename = "type")]
    kind: &'static str,
    state: Option<String>,
    protocol_type: String,
    coordinator: i32,
    topics: Option<usize>,
    lag: Option<i64>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    context.watch(&args.watch, async || show(&args, context).await).await
}

async fn show(args: &Args, context: &Context) -> Result<Exit> {
    let mut tally = Tally::default();
    let mut groups = group_state::list(context, &mut tally).await?;
    groups.retain(|group| {
        let state = group.state.clone().unwrap_or_default();
        (args.kind.is_empty() || args.kind.iter().any(|kind| kind.eq_ignore_ascii_case(group.kind.name())))
            && (args.state.is_empty() || args.state.iter().any(|wanted| wanted.eq_ignore_ascii_case(&state)))
    });
    let mut lags = Lags::new();
    if !args.no_lag {
        let wanted: Vec<_> = groups.iter().map(|group| (group.id.clone(), group.kind)).collect();
        lags = group_state::lags(context, &wanted, &mut tally).await;
    }
    let rows: Vec<_> = groups.into_iter().map(|group| row(group, &mut lags, &mut tally)).collect();
    context.show(&rows, || View::table(table(&rows)).named(rows.iter().map(|row| row.group.clone())))?;
    Ok(tally.exit())
}

fn row(group: ListedGroup, lags: &mut Lags, tally: &mut Tally) -> Row {
    let partitions = match lags.remove(&group.id) {
        Some(Ok(partitions)) => Some(partitions),
        Some(Err(error)) => {
            tally.fail(error);
            None
        }
        None => None,
    };
    let topics = partitions.as_ref().map(|partitions| {
        partitions.iter().map(|partition| &partition.topic).collect::<std::collections::BTreeSet<_>>().len()
    });
    Row {
        group: group.id,
        kind: group.kind.name(),
        state: group.state,
        protocol_type: group.protocol_type,
        coordinator: group.coordinator,
        topics,
        lag: partitions.as_deref().map(total),
    }
}

fn table(rows: &[Row]) -> Table {
    let columns = [
        Column::new("GROUP", |row: &Row| row.group.clone()),
        Column::new("TYPE", |row: &Row| row.kind.to_owned()),
        Column::new("STATE", |row: &Row| or_dash(row.state.as_ref())),
        Column::new("TOPICS", |row: &Row| or_dash(row.topics)).right(),
        Column::new("LAG", |row: &Row| or_dash(row.lag)).right(),
        Column::new("PROTOCOL", |row: &Row| row.protocol_type.clone()).wide(),
        Column::new("COORDINATOR", |row: &Row| row.coordinator.to_string()).right().wide(),
    ];
    Table::of(&columns, rows)
}
