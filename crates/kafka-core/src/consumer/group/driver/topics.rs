//! Which topics there are for the member, and when somebody has to look. Under KIP-848 the broker looks; a classic
//! member asks for topics that match its pattern or do not exist yet, and the leader for partitions that were added.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Done, Driver, now};
use crate::cluster::Cluster;
use crate::consumer::group::machine::Machine;
use crate::consumer::group::{GroupEvent, GroupProtocol};
use crate::consumer::lookup;
use crate::consumer::subscription::Subscription;
use crate::error::{Error, Result};

/// How long learning topics may keep the leader from sharing out what it knows.
const LEARN_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait before asking for a topic's name again.
const NAME_PAUSE: Duration = Duration::from_millis(200);

/// Learns what is subscribed to, for a while at most.
pub(super) async fn learn(cluster: &Cluster, subscription: &Subscription) -> Result<()> {
    let late = |_| Error::Timeout { what: "learning topics".into(), after: LEARN_LIMIT, last: None };
    let learning = lookup::learn(cluster, subscription);
    tokio::time::timeout(LEARN_LIMIT, learning).await.map_err(late)?.map(drop)
}

impl Driver {
    /// Topics and pattern, as the machine of this protocol takes them.
    pub(super) fn subscribed_under(&self, protocol: GroupProtocol) -> (BTreeSet<Arc<str>>, Option<String>) {
        match (&self.subscription, protocol) {
            (Subscription::Pattern(pattern), GroupProtocol::Consumer) => {
                (BTreeSet::new(), Some(pattern.as_str().to_owned()))
            }
            (subscription, _) => (subscription.topics(&self.cluster.metadata()), None),
        }
    }

    fn protocol(&self) -> GroupProtocol {
        match self.machine {
            Some(Machine::NextGen(_)) => GroupProtocol::Consumer,
            _ => GroupProtocol::Classic,
        }
    }

    /// The metadata is newer; `asked` where the machine asked for it.
    pub(super) fn handle_metadata(&mut self, asked: bool) {
        let (topics, pattern) = self.subscribed_under(self.protocol());
        let Some(machine) = &mut self.machine else { return };
        machine.handle_subscribe(topics, pattern, now());
        machine.handle_metadata(&self.cluster.metadata(), asked, now());
    }

    /// When to look for topics and partitions again.
    pub(super) fn look_due(&self) -> Option<Instant> {
        let machine = self.machine.as_ref()?;
        let is_for_us = match (&self.subscription, machine) {
            (Subscription::Pattern(_), Machine::Classic(_)) => true,
            (subscription, machine) => machine.leads() || subscription.misses_some(&self.cluster.metadata()),
        };
        let (at, took) = self.looked;
        is_for_us.then(|| at + lookup::pause_after(&self.subscription, took))
    }

    pub(super) fn look_where_due(&mut self) {
        if self.look_due().is_some_and(|due| due <= Instant::now()) {
            self.look();
        }
    }

    pub(super) fn look(&mut self) {
        let started = Instant::now();
        // Not again before this one is over.
        self.looked = (started, LEARN_LIMIT);
        let (cluster, subscription) = (self.cluster.clone(), self.subscription.clone());
        self.lookups.spawn(async move { Done::Looked(learn(&cluster, &subscription).await) });
    }

    pub(super) fn learnt_topics(&mut self, result: Result<()>, asked: bool) {
        if !asked {
            let now = Instant::now();
            self.looked = (now, now - self.looked.0);
        }
        self.handle_metadata(asked);
        if let Err(error) = result {
            self.event(GroupEvent::Trouble(error));
        }
    }

    /// Learns the partitions of these topics for the machine.
    pub(super) fn learn_topics(&mut self, topics: Vec<Arc<str>>) {
        let cluster = self.cluster.clone();
        self.lookups.spawn(async move {
            let learnt = tokio::time::timeout(LEARN_LIMIT, cluster.topics(&topics)).await;
            // What is not known after that long is shared out without.
            Done::Learnt(learnt.map_or(Ok(()), |learnt| learnt.map(drop)))
        });
    }

    /// Learns the names of topics that the coordinator named by their ids.
    pub(super) fn learn_names(&mut self) {
        let (cluster, subscription) = (self.cluster.clone(), self.subscription.clone());
        self.lookups.spawn(async move {
            tokio::time::sleep(NAME_PAUSE).await;
            Done::Learnt(learn(&cluster, &subscription).await)
        });
    }
}
