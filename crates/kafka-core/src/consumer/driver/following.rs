//! Without a group nobody tells of new topics and partitions: they are looked for now and then, and read from their first
//! record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Done, Driver};
use crate::TopicPartition;
use crate::cluster::Metadata;
use crate::consumer::lookup;
use crate::consumer::offsets::OffsetQuery;
use crate::consumer::position::Start;
use crate::consumer::queue::Event;
use crate::consumer::subscription::Subscription;
use crate::error::Result;

/// What is being followed.
pub(super) struct Following {
    subscription: Subscription,
    looked_at: Instant,
    pause: Duration,
    looking: bool,
    /// The metadata that was gone through last.
    seen: u64,
}

impl Following {
    pub(super) fn next_deadline(&self) -> Instant {
        self.looked_at + self.pause
    }
}

impl Driver {
    /// Reads what this subscription will find, besides what is assigned already.
    pub(in crate::consumer) fn follow(&mut self, subscription: Subscription) {
        let pause = lookup::pause_after(&subscription, Duration::ZERO);
        self.follow_after(pause, subscription);
    }

    /// Reads what another subscription finds as well.
    pub(super) fn follow_another(&mut self, subscription: Subscription) {
        if self.following.take().is_some() {
            // Looks at once.
            self.follow_after(Duration::ZERO, subscription);
        }
    }

    fn follow_after(&mut self, pause: Duration, subscription: Subscription) {
        let looked_at = Instant::now();
        self.following = Some(Following { subscription, looked_at, pause, looking: false, seen: 0 });
    }

    /// Takes up partitions that the metadata shows for the first time, and looks for more where it is time to.
    pub(super) fn read_what_is_new(&mut self, metadata: &Metadata, now: Instant) {
        let Some(following) = &mut self.following else { return };
        if following.seen != metadata.version {
            following.seen = metadata.version;
            let found = following.subscription.partitions(metadata);
            let new: Vec<_> =
                found.into_iter().filter(|partition| !self.standing.contains_key(partition)).collect();
            if !new.is_empty() {
                let first =
                    |partition: &TopicPartition| (partition.clone(), Start::Query(OffsetQuery::Earliest));
                self.add(new.iter().map(first).collect(), new);
            }
        }
        self.look(now);
    }

    fn look(&mut self, now: Instant) {
        let Some(following) = self.following.as_mut().filter(|f| !f.looking && f.next_deadline() <= now)
        else {
            return;
        };
        (following.looking, following.looked_at) = (true, now);
        let (cluster, subscription) = (self.cluster.clone(), following.subscription.clone());
        self.tasks.spawn(async move { Done::Looked(lookup::learn(&cluster, &subscription).await) });
    }

    pub(super) fn looked(&mut self, result: Result<Arc<Metadata>>) {
        if let Some(following) = &mut self.following {
            let now = Instant::now();
            following.pause = lookup::pause_after(&following.subscription, now - following.looked_at);
            (following.looking, following.looked_at) = (false, now);
        }
        if let Err(error) = result {
            self.queue.push(Event::Trouble(error));
        }
    }
}
