//! What all connections of a cluster hold on to: the state behind its lock, the clock, the faults, the bells.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio_rustls::rustls::ServerConfig;

use crate::auth::Users;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::fault::Faults;

/// Asks the cluster's own thread for what needs sockets.
#[derive(Debug)]
pub(crate) enum Control {
    StopBroker(i32, Option<std::sync::mpsc::SyncSender<()>>),
    StartBroker(i32, Option<std::sync::mpsc::SyncSender<std::io::Result<()>>>),
    Shutdown,
}

/// One per cluster.
#[derive(Debug)]
pub(crate) struct Shared {
    cluster: Mutex<Cluster>,
    pub(crate) clock: Clock,
    pub(crate) users: Arc<Users>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) faults: Faults,
    /// Rung when records were added, leaders moved or topics went: fetches that wait look again.
    pub(crate) changed: Notify,
    /// Rung when a deadline may have come nearer.
    pub(crate) timers: Notify,
    pub(crate) control: mpsc::UnboundedSender<Control>,
}

impl Shared {
    pub(crate) fn new(
        cluster: Cluster,
        users: Users,
        tls: Option<Arc<ServerConfig>>,
        control: mpsc::UnboundedSender<Control>,
    ) -> Self {
        Self {
            cluster: Mutex::new(cluster),
            clock: Clock::default(),
            users: Arc::new(users),
            tls,
            faults: Faults::default(),
            changed: Notify::new(),
            timers: Notify::new(),
            control,
        }
    }

    /// The state. Held only between waits, never across one.
    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lead of a partition to a live replica; false if that cannot be.
    pub(crate) fn move_leader(&self, topic: &str, partition: i32, to: i32) -> bool {
        let moved = self.cluster().move_leader(topic, partition, to);
        self.changed.notify_waiters();
        moved
    }

    /// Ends the sessions of all members of a group.
    pub(crate) fn expire_group(&self, group: &str) {
        let now = self.clock.now();
        let mut cluster = self.cluster();
        if let Some(found) = cluster.groups.get_mut(group) {
            found.expire_all(now);
        }
        cluster.groups.deliver(group);
    }
}
