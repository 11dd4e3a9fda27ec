//! `reset-offsets`: sets where a group goes on reading. Shows a plan; `--execute` applies it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kafka_cli::offset_spec::{Place, parse_place};
use kafka_cli::time::{now_ms, parse_duration, parse_time};
use kafka_cli::{Exit, Failure};
use kafka_core::TopicPartition;
use kafka_core::admin::GroupKind;

use crate::context::Context;
use crate::names::GroupNames;
use crate::offset_plan::{self, Target};
use crate::partitions::{PartitionChoice, resolve};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("target").required(true)))]
#[command(after_help = "Examples:
  kafka-admin reset-offsets user-1 --to earliest
  kafka-admin reset-offsets user-1 --topic rider-updates:0 --to @-1h --execute
  kafka-admin reset-offsets user-1 --shift-by -10 --execute
  kafka-admin reset-offsets user-2 --from-group user-1 --execute")]
pub(crate) struct Args {
    #[command(flatten)]
    groups: GroupNames,
    /// Only this topic, or some of its partitions; may be repeated [default: all that the group has committed]
    #[arg(long, value_name = "TOPIC[:PARTITIONS]")]
    topic: Vec<PartitionChoice>,
    /// Every topic the group has committed, which is the default.
    #[arg(long, hide = true)]
    all_topics: bool,
    /// earliest, latest, 42, +10 (after the first), -10 (before the end), @TIME (@-1h, @2026-01-31 10:00)
    #[arg(long, value_name = "OFFSET", group = "target", allow_hyphen_values = true)]
    to: Option<String>,
    /// So many records on from where the group stands; back with a minus
    #[arg(long, value_name = "N", group = "target", allow_hyphen_values = true)]
    shift_by: Option<i64>,
    /// Where that group stands
    #[arg(long, value_name = "GROUP", group = "target")]
    from_group: Option<String>,
    /// As the lines TOPIC,PARTITION,OFFSET of a file say, or lag -o csv, or a plan of this command with -o csv
    #[arg(long, value_name = "FILE", group = "target")]
    from_file: Option<std::path::PathBuf>,
    #[arg(long, group = "target", hide = true)]
    to_earliest: bool,
    #[arg(long, group = "target", hide = true)]
    to_latest: bool,
    #[arg(long, group = "target", hide = true)]
    to_current: bool,
    #[arg(long, group = "target", hide = true)]
    to_offset: Option<i64>,
    #[arg(long, group = "target", hide = true)]
    to_datetime: Option<String>,
    #[arg(long, group = "target", hide = true)]
    by_duration: Option<String>,
    /// Apply the plan instead of showing it
    #[arg(long)]
    execute: bool,
    /// Show the plan, which is the default
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let group = args.groups.one()?;
    let description = offset_plan::describe(context, &group).await?;
    if description.is_none() && args.topic.is_empty() && args.from_group.is_none() && args.from_file.is_none()
    {
        let failure = Failure::new(Exit::NotFound, format!("group {group} does not exist"));
        return Err(failure.hint("--topic names what a new group shall start with").into());
    }
    let kind = description.as_ref().map_or(GroupKind::Consumer, |description| description.kind);
    let committed = offset_plan::committed(context, &group, kind).await?;
    let targets = targets(&args, context, committed.keys()).await?;
    let steps = offset_plan::make(context, &group, &committed, &targets).await?;
    offset_plan::show_or_apply(context, &group, description.as_ref(), &steps, args.execute).await
}

async fn targets(
    args: &Args,
    context: &Context,
    committed: impl Iterator<Item = &TopicPartition>,
) -> Result<BTreeMap<TopicPartition, Target>> {
    if let Some(source) = &args.from_group {
        let Some(description) = offset_plan::describe(context, source).await? else {
            return Err(Failure::new(Exit::NotFound, format!("group {source} does not exist")).into());
        };
        let offsets = offset_plan::committed(context, source, description.kind).await?;
        let wanted =
            |key: &TopicPartition| args.topic.is_empty() || args.topic.iter().any(|t| t.includes(key));
        let target = |offset| Target::Place(Place::Offset(offset));
        return Ok(offsets
            .into_iter()
            .filter(|(key, _)| wanted(key))
            .map(|(k, o)| (k, target(o.offset)))
            .collect());
    }
    if let Some(path) = &args.from_file {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("--from-file {}", path.display()))?;
        return read_file(&text);
    }
    let target = target(args)?;
    let keys = if args.topic.is_empty() {
        committed.cloned().collect()
    } else {
        resolve(context, &args.topic).await?
    };
    Ok(keys.into_iter().map(|key| (key, target)).collect())
}

fn target(args: &Args) -> Result<Target> {
    let now = now_ms();
    let usage = |text: String| Failure::usage(text);
    let place = if let Some(text) = &args.to {
        parse_place(text, now).map_err(usage)?
    } else if let Some(by) = args.shift_by {
        return Ok(Target::Shift(by));
    } else if args.to_earliest {
        Place::Earliest
    } else if args.to_latest {
        Place::Latest
    } else if let Some(offset) = args.to_offset {
        Place::Offset(offset)
    } else if let Some(text) = &args.to_datetime {
        Place::Time(parse_time(text, now).map_err(usage)?)
    } else if let Some(text) = &args.by_duration {
        let span = age(text).map_err(usage)?;
        Place::Time(now.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    } else {
        Place::Committed
    };
    Ok(Target::Place(place))
}

/// A duration of ours, or as Apache's tool takes it: ISO 8601 without years and months, which have no one length.
fn age(text: &str) -> Result<Duration, String> {
    let iso = text.strip_prefix('P').and_then(|iso| {
        let (days, time) = iso.split_once('T').unwrap_or((iso, ""));
        (!days.contains(['Y', 'M'])).then(|| [days, time].concat().to_ascii_lowercase())
    });
    parse_duration(iso.as_deref().unwrap_or(text))
}

/// Lines `TOPIC,PARTITION,OFFSET`, as Apache's tool exports them, or any columns below a header line that names these
/// three: what `lag -o csv` (COMMITTED) and this command's own plan (TO) write. Quotes are let pass.
fn read_file(text: &str) -> Result<BTreeMap<TopicPartition, Target>> {
    let mut columns = [0, 1, 2];
    let mut targets = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<_> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        if number == 0
            && let Some(named) = header(&fields)
        {
            columns = named;
            continue;
        }
        let read = || {
            let [topic, partition, offset] = columns.map(|column| fields.get(column).copied());
            let key = TopicPartition::new(topic?, partition?.parse().ok()?);
            Some((key, Place::Offset(offset?.parse().ok()?)))
        };
        let (key, place) = read().ok_or_else(|| {
            Failure::usage(format!("--from-file, line {}: write TOPIC,PARTITION,OFFSET", number + 1))
        })?;
        targets.insert(key, Target::Place(place));
    }
    Ok(targets)
}

/// Where topic, partition and offset stand, if this line names them.
fn header(fields: &[&str]) -> Option<[usize; 3]> {
    let place = |name: &str| fields.iter().position(|field| field.eq_ignore_ascii_case(name));
    let offset = ["offset", "committed", "to"].into_iter().find_map(place)?;
    Some([place("topic")?, place("partition")?, offset])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_ours_or_iso_8601_with_days() {
        for (text, hours) in [("36h", 36), ("P1DT12H", 36), ("P2D", 48), ("PT90M", 1), ("1d12h", 36)] {
            assert_eq!(age(text).unwrap().as_secs() / 3600, hours, "{text}");
        }
        for wrong in ["P1M", "P1Y", "P", "soon"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_names_topic_partition_and_offset() {
        let targets = read_file("topic,partition,offset\n\"a\",0,5\nb,1,7\n\n").unwrap();
        assert_eq!(targets[&TopicPartition::new("a", 0)], Target::Place(Place::Offset(5)));
        assert_eq!(targets.len(), 2);
        let exported = read_file("GROUP,TOPIC,PARTITION,COMMITTED,END,LAG\ng,a,3,5,9,4\n").unwrap();
        assert_eq!(exported[&TopicPartition::new("a", 3)], Target::Place(Place::Offset(5)));
        let plan = read_file("GROUP,TOPIC,PARTITION,FROM,TO\ng,a,3,5,2\n").unwrap();
        assert_eq!(plan[&TopicPartition::new("a", 3)], Target::Place(Place::Offset(2)));
        assert!(read_file("a,0\n").unwrap_err().to_string().contains("line 1"));
    }
}
