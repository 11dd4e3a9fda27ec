//! The group's side of the driver: partitions come and go as the membership says, and what is marked is committed.
//!
//! A partition that goes is read no more at once; what waits of it is dropped. The application finishes what it has,
//! what it marked is committed, and only then does the membership hear that the partition is free.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::{Done, Driver};
use crate::consumer::group::{GroupEvent, Membership};
use crate::consumer::offsets::OffsetToCommit;
use crate::consumer::position::Start;
use crate::consumer::queue::{Event, Incarnation};
use crate::error::{Error, Result};
use crate::{Metric, TopicPartition};

/// How long the last commit may take when the consumer is closed. It takes milliseconds; a coordinator that is busy or
/// moving is worth a wait, since what is not committed is read twice.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// Being a member, as the driver sees it.
pub(super) struct Group {
    pub(super) membership: Membership,
    pub(super) events: mpsc::UnboundedReceiver<GroupEvent>,
    /// Being given up, by number.
    revocations: HashMap<u64, Revocation>,
    commit_due: Option<Instant>,
    committing: bool,
}

struct Revocation {
    partitions: Vec<TopicPartition>,
    /// The membership waits for this to be sent on or dropped.
    done: oneshot::Sender<()>,
}

/// A commit that is over.
pub(super) struct CommitDone {
    offsets: Vec<(TopicPartition, OffsetToCommit)>,
    result: Result<()>,
    /// Who asked for it.
    asked: Option<oneshot::Sender<Result<()>>>,
    /// The revocation that it belongs to.
    revocation: Option<u64>,
}

impl Group {
    pub(super) fn new(membership: Membership, events: mpsc::UnboundedReceiver<GroupEvent>) -> Self {
        Self { membership, events, revocations: HashMap::new(), commit_due: None, committing: false }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.commit_due.filter(|_| !self.committing)
    }
}

/// The next event of the group; for ever nothing where there is no group.
pub(super) async fn next_event(group: Option<&mut Group>) -> Option<GroupEvent> {
    match group {
        Some(group) => group.events.recv().await,
        None => std::future::pending().await,
    }
}

impl Driver {
    pub(super) fn handle_group_event(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assigned { added } => {
                let starts = added.iter().map(|partition| (partition.clone(), Start::Committed)).collect();
                self.add(starts, added);
            }
            GroupEvent::Revoke { partitions, done } => {
                self.stop_reading(&partitions);
                let number = self.number();
                self.queue.push_revoking(partitions.clone(), number);
                if let Some(group) = &mut self.group {
                    group.revocations.insert(number, Revocation { partitions, done });
                }
            }
            GroupEvent::Lost { partitions } => {
                self.stop_reading(&partitions);
                for partition in &partitions {
                    self.standing.remove(partition);
                }
                self.queue.push(Event::Lost(partitions));
            }
            GroupEvent::Awake { until } => self.queue.set_awake(until),
            GroupEvent::Rebalanced(rebalance) => {
                self.metrics().add(Metric::Rebalances, &rebalance.group, 1);
                self.queue.push(Event::Rebalanced(rebalance));
            }
            GroupEvent::Trouble(error) => self.queue.push(Event::Trouble(error)),
            GroupEvent::Failed(error) => self.queue.push(Event::Failed(error)),
        }
    }

    fn stop_reading(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.positions.remove(partition);
            self.at_end.remove(partition);
            self.metrics().forget_lag(partition);
        }
        self.queue.purge(&partitions.iter().cloned().collect());
    }

    /// Commits for the revocations that the application is done with, and on the interval.
    pub(super) fn commit_what_is_due(&mut self, now: Instant) {
        for number in self.queue.finished() {
            self.commit_revoked(number);
        }
        let Some(interval) = self.options.auto_commit.interval else { return };
        let Some(group) = &mut self.group else { return };
        let due = *group.commit_due.get_or_insert(now + interval);
        if now < due || group.committing {
            return;
        }
        group.commit_due = Some(now + interval);
        let offsets = self.queue.to_commit(&self.standing);
        if !offsets.is_empty() {
            self.commit(offsets, None, None);
        }
    }

    fn commit_revoked(&mut self, number: u64) {
        let Some(revocation) = self.group.as_ref().and_then(|group| group.revocations.get(&number)) else {
            return;
        };
        let of_these: HashMap<TopicPartition, Incarnation> = revocation
            .partitions
            .iter()
            .filter_map(|partition| Some((partition.clone(), *self.standing.get(partition)?)))
            .collect();
        let offsets =
            if self.options.auto_commit.on_release { self.queue.to_commit(&of_these) } else { Vec::new() };
        if offsets.is_empty() {
            self.release(number);
        } else {
            self.commit(offsets, None, Some(number));
        }
    }

    /// The partitions are the group's again.
    fn release(&mut self, number: u64) {
        let Some(revocation) = self.group.as_mut().and_then(|group| group.revocations.remove(&number)) else {
            return;
        };
        for partition in &revocation.partitions {
            self.standing.remove(partition);
        }
        self.queue.disown(&revocation.partitions);
        // A membership that is gone does not wait.
        let _ = revocation.done.send(());
    }

    /// Commits everything that is marked, because the application asks for it.
    pub(super) fn commit_marked(&mut self, asked: oneshot::Sender<Result<()>>) {
        let offsets = self.queue.to_commit(&self.standing);
        if offsets.is_empty() || self.group.is_none() {
            let _ = asked.send(Ok(()));
        } else {
            self.commit(offsets, Some(asked), None);
        }
    }

    fn commit(
        &mut self,
        offsets: Vec<(TopicPartition, OffsetToCommit)>,
        asked: Option<oneshot::Sender<Result<()>>>,
        revocation: Option<u64>,
    ) {
        let Some(group) = &mut self.group else { return };
        group.committing = true;
        let membership = group.membership.clone();
        self.tasks.spawn(async move {
            let result = membership.commit(offsets.clone()).await;
            Done::Commit(CommitDone { offsets, result, asked, revocation })
        });
    }

    pub(super) fn handle_commit(&mut self, done: CommitDone) {
        if let Some(group) = &mut self.group {
            group.committing = false;
        }
        match &done.result {
            Ok(()) => self.committed(&done.offsets),
            // A member that is put out of the group commits nothing; whoever reads the partitions next begins at the
            // last commit. The membership tells its side of it.
            Err(error) => {
                tracing::debug!(%error, "commit refused");
                if done.asked.is_none() && error.kind() == crate::ErrorKind::Denied {
                    self.queue.push(Event::Trouble(error.clone()));
                }
            }
        }
        if let Some(asked) = done.asked {
            let _ = asked.send(done.result);
        }
        if let Some(number) = done.revocation {
            self.release(number);
        }
    }

    fn committed(&mut self, offsets: &[(TopicPartition, OffsetToCommit)]) {
        self.queue.set_committed(offsets);
        let told = offsets.iter().map(|(partition, offset)| (partition.clone(), offset.offset)).collect();
        self.queue.push(Event::Committed(told));
    }

    /// Commits what is marked and leaves the group.
    pub(super) async fn leave(&mut self) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let membership = group.membership.clone();
        let offsets = self.queue.to_commit(&self.standing);
        let mut outcome = Ok(());
        if self.options.auto_commit.on_release && !offsets.is_empty() {
            let late = |_| Error::Timeout {
                what: "the last commit (what it covers may be read again)".into(),
                after: LAST_COMMIT,
                last: None,
            };
            let commit = tokio::time::timeout(LAST_COMMIT, membership.commit(offsets.clone())).await;
            outcome = commit.map_err(late).and_then(|result| result);
            if outcome.is_ok() {
                self.committed(&offsets);
            }
        }
        membership.leave().await;
        outcome
    }
}
