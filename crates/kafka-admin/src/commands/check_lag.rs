//! `check-lag`: whether a group keeps up, as an exit code.

use std::time::Duration;

use anyhow::Result;
use kafka_cli::render::{Block, Column, Table, View};
use kafka_cli::time::parse_duration;
use kafka_cli::{Exit, Failure};
use serde::Serialize;

use super::lag::measure;
use crate::context::Context;
use crate::group_state::PartitionLag;
use crate::names::GroupNames;
use crate::report::Tally;
use crate::show::{or_dash, span};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("limit").required(true).multiple(true)))]
#[command(after_help = "Examples:
  kafka-admin check-lag user-1 --max-lag 1000
  kafka-admin check-lag user-1 --max-age 5m
  kafka-admin check-lag user-1 --max-lag 1000 --nagios

Exit codes: 0 keeps up, 7 behind. With --nagios: 0 OK, 2 CRITICAL, 3 UNKNOWN, and one line as plugins print it.")]
pub(crate) struct Args {
    #[command(flatten)]
    groups: GroupNames,
    /// The most records that a partition may be behind
    #[arg(long, value_name = "N", group = "limit")]
    max_lag: Option<i64>,
    /// How long ago the oldest record that was not read may have been written; needs the permission to read the topics
    #[arg(long, value_name = "DURATION", group = "limit", value_parser = parse_duration)]
    max_age: Option<Duration>,
    /// Exit codes and output of a monitoring plugin
    #[arg(long)]
    nagios: bool,
}

/// What a partition may be behind.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    lag: Option<i64>,
    age_ms: Option<i64>,
}

#[derive(Serialize)]
struct Document {
    group: String,
    ok: bool,
    max_lag: Option<i64>,
    max_age_ms: Option<i64>,
    total_lag: i64,
    oldest_age_ms: Option<i64>,
    worst: Vec<PartitionLag>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let group = args.groups.one()?;
    let age_ms = args.max_age.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let limits = Limits { lag: args.max_lag, age_ms };
    let mut tally = Tally::default();
    let measured = measure(context, std::slice::from_ref(&group), age_ms.is_some(), &mut tally).await;
    let exit = tally.exit();
    // A partition whose lag could not be found out does not pass, and that is an answer.
    let is_answer = |found: &[(String, PartitionLag)]| {
        exit == Exit::Done || found.iter().any(|(_, lag)| lag.lag.is_none())
    };
    let found = match measured {
        Ok(found) if is_answer(&found) => found.into_iter().map(|(_, lag)| lag).collect::<Vec<_>>(),
        failed if args.nagios => {
            let why = failed.err().map_or("see stderr".to_owned(), |error| kafka_cli::exit::one_line(&error));
            return nagios(context, 3, &format!("LAG UNKNOWN - group {group}: {why}"));
        }
        Ok(_) => return Ok(exit),
        Err(error) => return Err(error),
    };
    if found.is_empty() {
        let message = format!("group {group} has committed nothing, so nothing can be said");
        if args.nagios {
            return nagios(context, 3, &format!("LAG UNKNOWN - {message}"));
        }
        return Err(Failure::new(Exit::CheckFailed, message).into());
    }
    let document = judge(group, found, limits);
    if args.nagios {
        return nagios(context, if document.ok { 0 } else { 2 }, &plugin_line(&document));
    }
    context.show_one(&document, || view(&document))?;
    Ok(if document.ok { Exit::Done } else { Exit::CheckFailed })
}

/// The partitions that are too far behind. A partition whose lag is not known does not pass.
fn judge(group: String, found: Vec<PartitionLag>, limits: Limits) -> Document {
    let total_lag = crate::group_state::total(&found);
    let oldest_age_ms = found.iter().filter_map(|lag| lag.age_ms).max();
    let is_over =
        |value: Option<i64>, limit: Option<i64>| value.zip(limit).is_some_and(|(v, limit)| v > limit);
    let is_behind = |lag: &PartitionLag| {
        lag.lag.is_none() || is_over(lag.lag, limits.lag) || is_over(lag.age_ms, limits.age_ms)
    };
    let worst: Vec<_> = found.into_iter().filter(is_behind).collect();
    let (max_lag, max_age_ms) = (limits.lag, limits.age_ms);
    Document { group, ok: worst.is_empty(), max_lag, max_age_ms, total_lag, oldest_age_ms, worst }
}

/// `LAG OK - text | figures`, as monitoring plugins print it.
fn plugin_line(document: &Document) -> String {
    let word = if document.ok { "OK" } else { "CRITICAL" };
    let (group, total) = (&document.group, document.total_lag);
    let mut line = format!("LAG {word} - group {group}: {total} behind");
    if let Some(age) = document.oldest_age_ms {
        line += &format!(", for {}", span(age));
    }
    line += &format!(" | lag={total};;{}", document.max_lag.map_or(String::new(), |limit| limit.to_string()));
    if let Some(limit) = document.max_age_ms {
        line += &format!(" age={}ms;;{limit}", document.oldest_age_ms.unwrap_or(0));
    }
    line
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
    let group = &document.group;
    let age = document.oldest_age_ms.map_or(String::new(), |age| format!(", for {}", span(age)));
    let line = if document.ok {
        format!("group {group} keeps up: {} behind in all{age}", document.total_lag)
    } else {
        let limits = [document.max_lag.map(|n| n.to_string()), document.max_age_ms.map(span)];
        let limits = limits.into_iter().flatten().collect::<Vec<_>>().join(" or ");
        format!("group {group} is more than {limits} behind")
    };
    let columns = [
        Column::new("TOPIC", |lag: &PartitionLag| lag.topic.clone()),
        Column::new("PARTITION", |lag: &PartitionLag| lag.partition.to_string()).right(),
        Column::new("LAG", |lag: &PartitionLag| or_dash(lag.lag)).right(),
        Column::new("AGE", |lag: &PartitionLag| or_dash(lag.age_ms.map(span))).right(),
    ];
    let view = View::default().and(Block::Line(line));
    if document.ok { view } else { view.and(Block::Table(Table::of(&columns, &document.worst))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(lag: Option<i64>, age_ms: Option<i64>) -> PartitionLag {
        PartitionLag { topic: "t".into(), partition: 0, committed: 0, end: lag, lag, age_ms, metadata: None }
    }

    #[test]
    fn a_group_passes_up_to_the_limit_and_not_beyond_or_unknown() {
        let limits = Limits { lag: Some(10), age_ms: None };
        assert!(judge("g".into(), vec![lag(Some(10), None)], limits).ok);
        assert!(!judge("g".into(), vec![lag(Some(11), None)], limits).ok);
        assert!(!judge("g".into(), vec![lag(None, None)], limits).ok);
    }

    #[test]
    fn a_record_that_waits_too_long_fails_however_few_there_are() {
        let limits = Limits { lag: Some(10), age_ms: Some(60_000) };
        assert!(judge("g".into(), vec![lag(Some(1), Some(60_000)), lag(Some(0), None)], limits).ok);
        let late = judge("g".into(), vec![lag(Some(1), Some(61_000))], limits);
        assert_eq!(
            plugin_line(&late),
            "LAG CRITICAL - group g: 1 behind, for 1m1s | lag=1;;10 age=61000ms;;60000"
        );
    }
}
