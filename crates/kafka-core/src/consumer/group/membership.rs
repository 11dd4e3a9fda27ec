//! The handle of a membership: what the application asks of it. Offsets are committed and asked for in `offsets`; the
//! rest is passed on to the driver.

mod offsets;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::driver::Driver;
use super::event::Identity;
use super::{GroupEvent, GroupOptions};
use crate::TopicPartition;
use crate::cluster::Cluster;
use crate::consumer::subscription::Subscription;

/// The handle of a membership. Clones share it; when the last one is dropped, the member vanishes without leaving.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cluster: Cluster,
    options: Arc<GroupOptions>,
    commands: mpsc::UnboundedSender<Command>,
    standing: watch::Receiver<Standing>,
    polls: Arc<Polls>,
}

/// When the application last asked for records.
#[derive(Debug)]
pub(super) struct Polls {
    start: Instant,
    last_ms: AtomicU64,
    /// The member left because there were none.
    is_away: AtomicBool,
}

impl Polls {
    /// When the last one was.
    pub(super) fn last(&self) -> std::time::Instant {
        (self.start + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))).into_std()
    }

    /// The next one is to be told of.
    pub(super) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }
}

/// Under what name a member may commit, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) identity: Identity,
    pub(super) owned: Arc<BTreeSet<TopicPartition>>,
}

/// What the handle asks of the driver.
#[derive(Debug)]
pub(super) enum Command {
    Subscribe(Subscription),
    CameBack,
    CommitRefused,
    Leave(oneshot::Sender<()>),
}

impl Membership {
    /// Joins the group in a task of its own. Must be called within a tokio runtime.
    pub(crate) fn start(
        cluster: Cluster,
        options: GroupOptions,
        subscription: Subscription,
    ) -> (Self, mpsc::UnboundedReceiver<GroupEvent>) {
        let (commands, orders) = mpsc::unbounded_channel();
        let (events, happened) = mpsc::unbounded_channel();
        let standing = Standing { identity: Identity::outside(false), owned: Arc::default() };
        let (stand, standing) = watch::channel(standing);
        let (start, last_ms, is_away) = (Instant::now(), AtomicU64::new(0), AtomicBool::new(false));
        let polls = Arc::new(Polls { start, last_ms, is_away });
        let options = Arc::new(options);
        let driver = Driver::new(
            cluster.clone(),
            Arc::clone(&options),
            subscription,
            events,
            stand,
            Arc::clone(&polls),
        );
        tokio::spawn(driver.run(orders));
        (Self { shared: Arc::new(Shared { cluster, options, commands, standing, polls }) }, happened)
    }

    fn order(&self, command: Command) {
        // Where the task is gone, it has said why.
        let _ = self.shared.commands.send(command);
    }

    /// Other topics from now on.
    pub(crate) fn subscribe(&self, subscription: Subscription) {
        self.order(Command::Subscribe(subscription));
    }

    /// The application came for records: `max.poll.interval.ms` starts over.
    pub(crate) fn polled(&self) {
        let polls = &self.shared.polls;
        let elapsed = u64::try_from(polls.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        polls.last_ms.store(elapsed, Ordering::Relaxed);
        if polls.is_away.load(Ordering::Relaxed) {
            self.order(Command::CameBack);
        }
    }

    /// Leaves the group, in a second at most. What is to be committed has been committed before. A static member of a
    /// classic group says nothing: its place is kept for `session.timeout.ms`.
    pub(crate) async fn leave(&self) {
        let (done, left) = oneshot::channel();
        self.order(Command::Leave(done));
        let _ = left.await;
    }
}
