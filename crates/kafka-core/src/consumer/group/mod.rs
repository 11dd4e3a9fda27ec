//! Being a member of a consumer group: who reads what, under whose name offsets are committed, and how one goes.
//!
//! [`Membership`] is the handle of a task of its own, so that heartbeats go on while the application is slow. What
//! happens is decided by two pure machines (`classic`, `next_gen`); only `driver` waits.

mod assignor;
mod classic;
mod driver;
mod event;
mod link;
mod machine;
mod member;
mod membership;
mod next_gen;
mod options;
mod pace;
pub(crate) mod protocol;
#[cfg(test)]
mod simulation;
mod standstill;
mod state;
mod steps;
mod story;

use std::time::Instant;

use tokio::sync::oneshot;

pub use assignor::Assignor;
pub use event::Rebalance;
pub(crate) use membership::Membership;
pub use options::{GroupOptions, GroupProtocol};

use crate::TopicPartition;
use crate::error::Error;

/// What happens to a membership. Events come in order; each is true until a later one says otherwise.
#[derive(Debug)]
pub(crate) enum GroupEvent {
    /// These are this member's from now on, besides those it has. The first one comes when the member is in the group,
    /// also where there is nothing for it.
    Assigned { added: Vec<TopicPartition> },
    /// To be given up: stop reading them, let the application finish, commit, then send on `done` or drop it. The group
    /// waits for `max.poll.interval.ms` at most; heartbeats go on meanwhile.
    Revoke { partitions: Vec<TopicPartition>, done: oneshot::Sender<()> },
    /// Not this member's any more, without warning: another one may be reading them. Commits are refused.
    Lost { partitions: Vec<TopicPartition> },
    /// Until this instant what was fetched may be handed out, and told again in time. Where it passes, this process has
    /// stood still: whether the partitions are this member's is not known until another event comes.
    Awake { until: Instant },
    /// A rebalance is over. Comes after its `Assigned`, perhaps a little later.
    Rebalanced(Rebalance),
    /// Something went wrong and is being tried again.
    Trouble(Error),
    /// The member cannot go on. Nothing follows.
    Failed(Error),
}
