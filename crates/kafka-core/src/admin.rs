//! The admin handle: everything an operator asks of a cluster or changes in it.
//!
//! Calls about several things (topics, groups, partitions) give one [`Outcome`] for each. A call has one deadline, within
//! which it looks brokers up, sends requests batched per broker, and tries again where the error table says that this
//! may help. Names are literal, and nothing is ever created by looking.

mod acls;
mod cluster;
mod configs;
mod driver;
mod group_description;
mod group_offsets;
mod groups;
mod log_dirs;
mod lookup;
mod names;
mod offsets;
mod outcome;
mod quotas;
mod recipient;
mod record_times;
mod replicas;
mod route;
mod security_names;
mod stage;
mod tokens;
mod topics;
mod transactions;
mod users;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub use acls::{Acl, AclFilter};
pub use cluster::{BrokerVersions, ClusterDescription, FeatureChange, ListedBroker, Quorum, QuorumReplica};
pub use configs::{
    ConfigChange, ConfigEntry, ConfigKind, ConfigQuery, ConfigResource, ConfigSource, ConfigSynonym,
};
pub use group_description::{GroupDescription, GroupMember};
pub use group_offsets::CommittedOffset;
pub use groups::{GroupKind, ListedGroup};
pub use log_dirs::{LogDir, StoredReplica};
pub use offsets::{IsolationLevel, ListedOffset, OffsetSpec};
pub use outcome::{Outcome, all_ok};
pub use quotas::{QuotaEntity, quota_entity_name};
pub use recipient::Recipient;
pub use replicas::{Election, EligibleLeaders, Reassignment};
pub use security_names::{AclOperation, AclPattern, AclPermission, AclResourceKind, ScramMechanism};
pub use tokens::{DelegationToken, Principal};
pub use topics::{CreatedTopic, NewPartitions, NewTopic};
pub use transactions::{ActiveProducer, ListedTransaction, TransactionDescription};
pub use users::{ScramChange, ScramUser};

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::wire::Api;
use driver::Call;
use stage::{Lookup, Stage};

/// Asks and changes a cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admin {
    cluster: Cluster,
    timeout: Duration,
    trouble: Arc<watch::Sender<Option<Error>>>,
}

impl Admin {
    /// A handle on the cluster; each call may take `timeout` (`default.api.timeout.ms`) from start to end.
    #[must_use]
    pub fn new(cluster: Cluster, timeout: Duration) -> Self {
        Self { cluster, timeout, trouble: Arc::default() }
    }

    /// The same handle with another limit for each call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Follows what keeps calls waiting, so that a user need not wait for the deadline to learn of it.
    #[must_use]
    pub fn watch_trouble(&self) -> watch::Receiver<Option<Error>> {
        self.trouble.subscribe()
    }

    /// The cluster it works on.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn call(&self, what: &'static str) -> Call {
        Call {
            cluster: self.cluster.clone(),
            what,
            limit: self.timeout,
            deadline: Instant::now() + self.timeout,
            trouble: Arc::clone(&self.trouble),
        }
    }

    /// A question about the whole cluster that any broker answers.
    async fn ask<R: Api + Clone, V: Send>(
        &self,
        what: &'static str,
        build: impl Fn(i16) -> Result<R> + Send + Sync + 'static,
        read: impl Fn(R::Response) -> Result<V> + Send + Sync + 'static,
    ) -> Result<V> {
        single(self.call(what).run(whole(Lookup::Any, build, read), [()]).await)
    }
}

/// A request without keys.
fn whole<R: Api + Clone, V>(
    lookup: Lookup<()>,
    build: impl Fn(i16) -> Result<R> + Send + Sync + 'static,
    read: impl Fn(R::Response) -> Result<V> + Send + Sync + 'static,
) -> Stage<(), V> {
    Stage::new(lookup, move |_, version| build(version), move |_, answer| vec![((), read(answer))])
}

/// The result of a call with one key.
fn single<K, V>(outcomes: Vec<Outcome<K, V>>) -> Result<V> {
    let first = outcomes.into_iter().next();
    first.map_or_else(|| Err(Error::Config("nothing was asked for".into())), |outcome| outcome.result)
}
