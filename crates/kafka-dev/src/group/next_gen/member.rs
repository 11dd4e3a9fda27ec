//! A member of a KIP-848 group and its way to the target assignment.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::assignor::{Assignor, Slot};

/// Where a member stands between its current assignment and the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// Has what it should have, as far as its epoch knows.
    Stable,
    /// Has to give partitions up first.
    Unrevoked,
    /// Waits for partitions that others have to give up.
    Unreleased,
}

/// One member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) rack: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) topics: BTreeSet<String>,
    /// A pattern instead of, or besides, names.
    pub(crate) regex: Option<String>,
    pub(crate) assignor: Option<Assignor>,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) epoch: i32,
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: BTreeSet<Slot>,
    /// Not assigned any more, but not yet known to be given up.
    pub(crate) revoking: BTreeSet<Slot>,
    /// When it is taken for dead unless heard of.
    pub(crate) deadline: Instant,
    /// Until when it has to give up what it is asked to.
    pub(crate) revoke_by: Option<Instant>,
}

/// The epoch of a static member that is away but keeps its place (KIP-848, as KIP-345 before).
pub(crate) const AWAY_EPOCH: i32 = -2;

impl Member {
    pub(crate) fn new(id: &str, now: Instant) -> Self {
        Self {
            id: id.to_owned(),
            instance: None,
            rack: None,
            client_id: String::new(),
            client_host: String::new(),
            topics: BTreeSet::new(),
            regex: None,
            assignor: None,
            rebalance_timeout: Duration::ZERO,
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: BTreeSet::new(),
            revoking: BTreeSet::new(),
            deadline: now,
            revoke_by: None,
        }
    }

    pub(crate) fn is_away(&self) -> bool {
        self.epoch == AWAY_EPOCH
    }

    /// Takes the next step towards the target: first give up, then take what is free. `owned` is what the client
    /// said it has, if it said.
    pub(crate) fn reconcile(
        &mut self,
        target: &BTreeSet<Slot>,
        target_epoch: i32,
        owned: Option<&BTreeSet<Slot>>,
        is_free: impl Fn(&Slot) -> bool,
        now: Instant,
    ) {
        if self.state == MemberState::Unrevoked {
            let given_up = owned.is_some_and(|owned| self.revoking.is_disjoint(owned));
            if !given_up {
                return;
            }
            self.revoking.clear();
        } else if self.state == MemberState::Stable && self.epoch == target_epoch {
            return;
        }
        let lost: BTreeSet<Slot> = self.assigned.difference(target).copied().collect();
        if !lost.is_empty() {
            self.assigned.retain(|slot| target.contains(slot));
            self.revoking = lost;
            self.state = MemberState::Unrevoked;
            self.revoke_by = Some(now + self.rebalance_timeout);
            return;
        }
        self.revoke_by = None;
        let wanted: Vec<Slot> = target.difference(&self.assigned).copied().collect();
        let waits = wanted.iter().any(|slot| !is_free(slot));
        self.assigned.extend(wanted.into_iter().filter(is_free));
        self.state = if waits { MemberState::Unreleased } else { MemberState::Stable };
        if self.epoch != target_epoch {
            self.previous_epoch = self.epoch;
            self.epoch = target_epoch;
        }
    }
}
