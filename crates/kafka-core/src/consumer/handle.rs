//! The consumer's public handle.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::driver::{Command, Driver};
use super::group::{GroupOptions, Membership};
use super::options::ConsumerOptions;
use super::position::Start;
use super::queue::{Event, Queue};
use super::subscription::Subscription;
use crate::error::{Error, Result};
use crate::{Client, TopicPartition};

/// What a consumer reads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Source {
    /// These partitions, without a group: nothing is committed.
    Partitions(Vec<(TopicPartition, Start)>),
    /// All partitions of these topics, without a group. Those and topics that are created later are read as well, from
    /// their first record.
    Topics {
        /// What to read.
        subscription: Subscription,
        /// Where the partitions that are known already begin.
        known: Vec<(TopicPartition, Start)>,
    },
    /// The share of these topics that a group assigns.
    Group {
        /// How to be a member.
        options: GroupOptions,
        /// What to read.
        subscription: Subscription,
    },
}

/// Reads records, alone or as a member of a group.
///
/// Its work is done by a task on the runtime it was started in; the handle may be used from any thread. Records come
/// in order within a partition. Only what was [marked](Self::mark) is ever committed, so what was not dealt with is
/// read again after a crash: at least once, and exactly once after a clean [`close`](Self::close).
#[derive(Debug)]
pub struct Consumer {
    queue: Arc<Queue>,
    commands: mpsc::UnboundedSender<Command>,
    membership: Option<Membership>,
}

/// Closes a consumer whose handle is busy elsewhere.
#[derive(Debug, Clone)]
pub struct Closer {
    commands: mpsc::UnboundedSender<Command>,
}

impl Closer {
    /// As [`Consumer::close`].
    ///
    /// # Errors
    /// As for [`Consumer::close`].
    pub async fn close(&self) -> Result<()> {
        ask(&self.commands, Command::Close).await
    }
}

/// How often an application that waits for events is taken to be alive.
const ALIVE: Duration = Duration::from_secs(1);

impl Consumer {
    /// Starts reading. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// None today; failures come as events.
    pub fn start(client: &Client, options: ConsumerOptions, source: Source) -> Result<Self> {
        let queue = Arc::new(Queue::default());
        let (commands, received) = mpsc::unbounded_channel();
        let mut driver = Driver::new(client.cluster().clone(), options, Arc::clone(&queue), received);
        let membership = match source {
            Source::Partitions(partitions) => {
                driver.assign(partitions);
                None
            }
            Source::Topics { subscription, known } => {
                driver.assign(known);
                driver.follow(subscription);
                None
            }
            Source::Group { options, subscription } => Some(driver.join(options, subscription)),
        };
        tokio::spawn(driver.run());
        Ok(Self { queue, commands, membership })
    }

    /// The next event, waited for. `None` after the consumer failed or was closed.
    ///
    /// Asking says that the last event was dealt with; a member that does not ask for `max.poll.interval.ms` loses its
    /// partitions to others. Where this process stood still (SIGSTOP), records come again when the coordinator has said that
    /// the partitions are still the member's own.
    pub async fn next(&self) -> Option<Event> {
        loop {
            // Made before looking, so that nothing is missed between looking and waiting.
            let filled = self.queue.filled.notified();
            if let Some(event) = self.try_next() {
                return Some(event);
            }
            if self.queue.is_ended() {
                return None;
            }
            // Who waits here is alive, however long there is nothing to read.
            let _ = tokio::time::timeout(ALIVE, filled).await;
        }
    }

    /// The next event where there is one now.
    pub fn try_next(&self) -> Option<Event> {
        if let Some(membership) = &self.membership {
            membership.polled();
        }
        self.queue.take(tokio::time::Instant::now().into_std())
    }

    /// Says that everything before `next_offset` of the partition was dealt with, so that it may be committed. Does
    /// nothing for a partition that is not assigned (any more).
    pub fn mark(&self, partition: &TopicPartition, next_offset: i64) {
        self.queue.mark(partition, next_offset);
    }

    /// Reads other topics from now on. A member gives up what is not among them, and gets its share of what is new;
    /// without a group, what is read already goes on being read. Does nothing where partitions were named.
    pub fn subscribe(&self, subscription: Subscription) {
        match &self.membership {
            Some(membership) => membership.subscribe(subscription),
            None => self.tell(Command::Subscribe(subscription)),
        }
    }

    /// Commits everything that is marked now.
    ///
    /// # Errors
    /// The group does not take it: the member is not part of it any more, or the coordinator cannot be reached.
    pub async fn commit(&self) -> Result<()> {
        ask(&self.commands, Command::Commit).await
    }

    /// Goes on with a partition from elsewhere; what was fetched and not taken is dropped.
    pub fn seek(&self, partition: TopicPartition, start: Start) {
        self.tell(Command::Seek(partition, start));
    }

    /// Hands out nothing of these partitions until they are resumed. Membership is not touched.
    pub fn pause(&self, partitions: Vec<TopicPartition>) {
        self.tell(Command::Pause(partitions));
    }

    /// Hands out records of these partitions again.
    pub fn resume(&self, partitions: Vec<TopicPartition>) {
        self.tell(Command::Resume(partitions));
    }

    /// The offset behind the last record that was handed out; `None` before the first one.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.queue.handed_out(partition)
    }

    /// The partitions that are being read.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.queue.owned()
    }

    /// Stops reading, commits what is marked where that is asked for, and leaves the group: within milliseconds where
    /// the coordinator answers, in six seconds at most where it does not. To hear of that last commit, close by a
    /// [`Closer`] and take what [`Consumer::try_next`] still has.
    ///
    /// # Errors
    /// What is marked could not be committed.
    pub async fn close(self) -> Result<()> {
        self.closer().close().await
    }

    /// Something that can close this consumer from elsewhere.
    #[must_use]
    pub fn closer(&self) -> Closer {
        Closer { commands: self.commands.clone() }
    }

    fn tell(&self, command: Command) {
        // A driver that is gone has nothing to do any more.
        let _ = self.commands.send(command);
    }
}

async fn ask(
    commands: &mpsc::UnboundedSender<Command>,
    command: impl FnOnce(oneshot::Sender<Result<()>>) -> Command,
) -> Result<()> {
    let (done, answer) = oneshot::channel();
    // A driver that is gone drops the question, and so the answer.
    let _ = commands.send(command(done));
    answer.await.unwrap_or(Err(Error::Closed("the consumer")))
}
