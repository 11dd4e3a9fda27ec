//! The story of a rebalance: when it began, what came and went by its end, and which member of how many this one is. It
//! is told once; it may wait for the description of the group, which alone knows the other members.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::event::Rebalance;
use crate::TopicPartition;

/// The rebalance that goes on, and the one that is over and not told yet.
#[derive(Debug)]
pub(super) struct Story {
    /// Since when, and what was owned then.
    begun: Option<(Instant, BTreeSet<TopicPartition>)>,
    /// With the token of the request that asks for the group's members.
    untold: Option<(u64, Rebalance)>,
}

/// How a rebalance ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) protocol: &'static str,
    pub(super) assignor: Option<Arc<str>>,
    pub(super) generation: i32,
    pub(super) member_id: Arc<str>,
    pub(super) position: Option<(usize, usize)>,
    pub(super) is_leader: bool,
    pub(super) target: BTreeSet<TopicPartition>,
}

impl Story {
    /// Of a member that joins and owns nothing.
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: Some((now, BTreeSet::new())), untold: None }
    }

    pub(super) fn is_going_on(&self) -> bool {
        self.begun.is_some()
    }

    /// A rebalance begins, where none goes on.
    pub(super) fn begin(&mut self, owned: &BTreeSet<TopicPartition>, now: Instant) {
        self.begun.get_or_insert_with(|| (now, owned.clone()));
    }

    /// All that was owned is lost, which is told by itself: what comes again did not stay.
    pub(super) fn lose_all(&mut self) {
        if let Some((_, before)) = &mut self.begun {
            before.clear();
        }
    }

    /// A rebalance that has told of its end already goes on, from what it ended with.
    pub(super) fn go_on(&mut self, before: BTreeSet<TopicPartition>, now: Instant) {
        self.begun = Some((now, before));
    }

    /// The rebalance is over: what there is to tell of it.
    pub(super) fn end(&mut self, group: Arc<str>, ending: Ending, now: Instant) -> Option<Rebalance> {
        let (started, before) = self.begun.take()?;
        let target = &ending.target;
        Some(Rebalance {
            group,
            protocol: ending.protocol,
            assignor: ending.assignor,
            generation: ending.generation,
            member_id: ending.member_id,
            position: ending.position,
            is_leader: ending.is_leader,
            came: target.difference(&before).cloned().collect(),
            went: before.difference(target).cloned().collect(),
            stayed: before.intersection(target).cloned().collect(),
            took: now.saturating_duration_since(started),
        })
    }

    pub(super) fn wait_for_description(&mut self, token: u64, rebalance: Rebalance) {
        self.untold = Some((token, rebalance));
    }

    /// What can be told now that the members are known, or will not be. Nothing for another token.
    pub(super) fn described(&mut self, token: u64, members: Option<&[String]>) -> Option<Rebalance> {
        let (_, mut rebalance) = self.untold.take_if(|(waiting, _)| *waiting == token)?;
        if let Some(members) = members {
            rebalance.position = position(&rebalance.member_id, members.iter().map(String::as_str));
        }
        Some(rebalance)
    }

    /// What waits for a description, to be told without it.
    pub(super) fn take_untold(&mut self) -> Option<Rebalance> {
        self.untold.take().map(|(_, rebalance)| rebalance)
    }
}

/// Which member of how many `id` is, in the order of the ids.
pub(super) fn position<'a>(id: &str, ids: impl Iterator<Item = &'a str>) -> Option<(usize, usize)> {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    let at = ids.iter().position(|other| *other == id)?;
    Some((at + 1, ids.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_and_comes_again_has_come_and_not_stayed() {
        let (now, owned) = (Instant::now(), BTreeSet::from([TopicPartition::new("t", 0)]));
        let mut story = Story::new(now);
        story.go_on(owned.clone(), now);
        story.lose_all();
        let ending = Ending {
            protocol: "consumer",
            assignor: None,
            generation: 2,
            member_id: "m".into(),
            position: None,
            is_leader: false,
            target: owned.clone(),
        };
        let told = story.end("g".into(), ending, now).unwrap();
        assert!(told.came.iter().eq(&owned) && told.went.is_empty() && told.stayed.is_empty(), "{told:?}");
    }
}
