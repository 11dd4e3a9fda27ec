//! A plan of offsets: for each partition from where a group stands to where it shall stand. Made and shown first, applied
//! only with `--execute`, and never to a group with members.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use kafka_cli::offset_spec::Place;
use kafka_cli::render::{Column, Table, View};
use kafka_cli::{Exit, Failure};
use kafka_core::admin::{CommittedOffset, GroupDescription, GroupKind, IsolationLevel, OffsetSpec};
use kafka_core::{ErrorKind, TopicPartition};
use serde::Serialize;
use serde_json::json;

use crate::context::{Context, note};
use crate::report::{Done, Report};
use crate::show::or_dash;
use crate::streams_group::with_members;
use crate::topic_state::known;

/// Where a partition shall stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// At a place of the partition.
    Place(Place),
    /// So many records on from where it stands; back where negative.
    Shift(i64),
}

/// What is known of a partition when its target is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) earliest: i64,
    pub(crate) latest: i64,
    pub(crate) committed: Option<i64>,
    /// The first record of the time that was asked for.
    pub(crate) at_time: Option<i64>,
}

impl Target {
    /// The offset, kept within what the partition holds; `None` where it depends on a commit that does not exist.
    fn offset(self, bounds: Bounds) -> Option<i64> {
        let Bounds { earliest, latest, committed, at_time } = bounds;
        let offset = match self {
            Self::Place(Place::Earliest) => earliest,
            Self::Place(Place::Latest) => latest,
            Self::Place(Place::Committed) => committed?,
            Self::Place(Place::Offset(offset)) => offset,
            Self::Place(Place::AfterEarliest(n)) => earliest.saturating_add(n),
            Self::Place(Place::BeforeLatest(n)) => latest.saturating_sub(n),
            // No record is that late: the end.
            Self::Place(Place::Time(_)) => at_time.unwrap_or(latest),
            Self::Shift(by) => committed?.saturating_add(by),
        };
        Some(offset.clamp(earliest, latest.max(earliest)))
    }

    fn time(self) -> Option<i64> {
        match self {
            Self::Place(Place::Time(ms)) => Some(ms),
            _ => None,
        }
    }
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) from: Option<i64>,
    pub(crate) to: i64,
}

impl Step {
    pub(crate) fn key(&self) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), self.partition)
    }
}

/// The group with its members; `None` where it does not exist.
pub(crate) async fn describe(context: &Context, group: &str) -> Result<Option<GroupDescription>> {
    match context.admin.describe_groups(&[group.to_owned()]).await.remove(0).result {
        Ok(description) => Ok(Some(with_members(context, description).await?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the group has committed.
pub(crate) async fn committed(
    context: &Context,
    group: &str,
    kind: GroupKind,
) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
    let groups = [group.to_owned()];
    let mut outcomes = match kind {
        GroupKind::Share => context.admin.share_group_offsets(&groups).await,
        _ => context.admin.group_offsets(&groups).await,
    };
    Ok(outcomes.remove(0).result?)
}

/// The plan for these partitions.
pub(crate) async fn make(
    context: &Context,
    group: &str,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
    targets: &BTreeMap<TopicPartition, Target>,
) -> Result<Vec<Step>> {
    let ask = async |spec: OffsetSpec| {
        let specs = targets.keys().map(|key| (key.clone(), spec)).collect();
        context.admin.list_offsets(specs, IsolationLevel::default()).await
    };
    let timed = targets.iter().filter_map(|(key, t)| Some((key.clone(), OffsetSpec::AtTimestamp(t.time()?))));
    let timed: BTreeMap<_, _> = timed.collect();
    let (earliest, latest, times) = tokio::join!(
        ask(OffsetSpec::Earliest),
        ask(OffsetSpec::Latest),
        context.admin.list_offsets(timed, IsolationLevel::default())
    );
    let [(earliest, failed), (latest, more), (times, rest)] = [known(earliest), known(latest), known(times)];
    if let Some((_, error)) = failed.into_iter().chain(more).chain(rest).next() {
        return Err(error.into());
    }
    let step = |(key, target): (&TopicPartition, &Target)| {
        let from = committed.get(key).map(|committed| committed.offset);
        let bounds = Bounds {
            earliest: *earliest.get(key)?,
            latest: *latest.get(key)?,
            committed: from,
            at_time: times.get(key).copied(),
        };
        let to = target.offset(bounds)?;
        Some(Step {
            group: group.to_owned(),
            topic: key.topic.to_string(),
            partition: key.partition,
            from,
            to,
        })
    };
    Ok(targets.iter().filter_map(step).collect())
}

/// Shows the plan, or with `execute` applies it. Refuses a group with members, and names them.
pub(crate) async fn show_or_apply(
    context: &Context,
    group: &str,
    description: Option<&GroupDescription>,
    steps: &[Step],
    execute: bool,
) -> Result<Exit> {
    if steps.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("group {group}: nothing to set")).into());
    }
    if !execute {
        context.show(steps, || view(steps))?;
        note("nothing was changed; --execute applies this plan");
        return Ok(Exit::Done);
    }
    refuse_active(group, description)?;
    let kind = description.map_or(GroupKind::Consumer, |description| description.kind);
    let outcomes = if kind == GroupKind::Share {
        let offsets = steps.iter().map(|step| (step.key(), step.to)).collect();
        context.admin.alter_share_group_offsets(group, offsets).await
    } else {
        let offset = |to| CommittedOffset { offset: to, leader_epoch: None, metadata: None };
        let offsets = steps.iter().map(|step| (step.key(), offset(step.to))).collect();
        context.admin.alter_group_offsets(group, offsets).await
    };
    let steps: BTreeMap<_, _> = steps.iter().map(|step| (step.key(), step)).collect();
    let mut report = Report::default();
    for outcome in outcomes {
        let step = steps.get(&outcome.key);
        let said =
            step.map(|s| format!("{}: {} -> {}", outcome.key, or_dash(s.from), s.to)).unwrap_or_default();
        let done =
            Done::new("set", said).with(json!({"from": step.and_then(|s| s.from), "to": step.map(|s| s.to)}));
        report.add(outcome.key.to_string(), outcome.result.map(|()| done));
    }
    report.finish(context)
}

/// An error that names the members, where there are some.
pub(crate) fn refuse_active(group: &str, description: Option<&GroupDescription>) -> Result<()> {
    let members = description.map(|description| description.members.as_slice()).unwrap_or_default();
    if members.is_empty() {
        return Ok(());
    }
    let names: BTreeSet<_> =
        members.iter().map(|member| format!("{} at {}", member.client_id, member.host)).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let message =
        format!("group {group} has {}: {names}", crate::show::count(members.len() as i64, "member"));
    Err(Failure::new(Exit::Failed, message)
        .hint("stop them first, or take them out with kafka-admin remove-member")
        .into())
}

fn view(steps: &[Step]) -> View {
    let columns = [
        Column::new("GROUP", |step: &Step| step.group.clone()),
        Column::new("TOPIC", |step: &Step| step.topic.clone()),
        Column::new("PARTITION", |step: &Step| step.partition.to_string()).right(),
        Column::new("FROM", |step: &Step| or_dash(step.from)).right(),
        Column::new("TO", |step: &Step| step.to.to_string()).right(),
    ];
    View::table(Table::of(&columns, steps)).named(steps.iter().map(|step| step.key().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { earliest: 10, latest: 100, committed: Some(50), at_time: Some(70) };

    #[test]
    fn every_target_becomes_an_offset_within_what_the_partition_holds() {
        for (target, offset) in [
            (Target::Place(Place::Earliest), 10),
            (Target::Place(Place::Latest), 100),
            (Target::Place(Place::Committed), 50),
            (Target::Place(Place::Offset(5)), 10),
            (Target::Place(Place::Offset(500)), 100),
            (Target::Place(Place::AfterEarliest(5)), 15),
            (Target::Place(Place::BeforeLatest(5)), 95),
            (Target::Place(Place::Time(0)), 70),
            (Target::Shift(-10), 40),
            (Target::Shift(-100), 10),
            (Target::Shift(i64::MAX), 100),
        ] {
            assert_eq!(target.offset(BOUNDS), Some(offset), "{target:?}");
        }
    }

    #[test]
    fn a_time_after_the_last_record_is_the_end_and_a_shift_needs_a_commit() {
        let bounds = Bounds { at_time: None, committed: None, ..BOUNDS };
        assert_eq!(Target::Place(Place::Time(0)).offset(bounds), Some(100));
        assert_eq!(Target::Shift(1).offset(bounds), None);
    }
}
