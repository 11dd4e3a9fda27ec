//! The handle that everything else is made from: one configuration, one view of the cluster.

mod second;

use std::sync::Arc;

use crate::Metrics;
use crate::cluster::{Cluster, ClusterOptions};
use crate::config::{Config, property, security};
use crate::error::{Error, Result};
use crate::wire::{Address, ConnectOptions};

/// A client of one cluster. Cheap to clone; clones share connections and metadata.
///
/// Producers, consumers and admin handles are made from it. It connects when it is first asked something.
#[derive(Debug, Clone)]
pub struct Client {
    cluster: Cluster,
    config: Arc<Config>,
}

impl Client {
    /// A client with this configuration. Must be called within a tokio runtime; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Config`]: `bootstrap.servers` names no broker, or values contradict each other.
    pub fn new(config: Config) -> Result<Self> {
        let options = cluster_options(&config)?;
        Ok(Self { cluster: Cluster::new(options), config: Arc::new(config) })
    }

    /// The cluster: metadata, coordinators, connections.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What it has counted so far.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.cluster.options().connect.metrics
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

fn cluster_options(config: &Config) -> Result<ClusterOptions> {
    let addresses = config.get(property::BOOTSTRAP_SERVERS);
    let bootstrap = addresses.iter().map(|text| text.parse()).collect::<Result<Vec<Address>>>()?;
    if bootstrap.is_empty() {
        return Err(Error::Config("bootstrap.servers names no broker; write host:port".into()));
    }
    Ok(ClusterOptions {
        bootstrap,
        connect: connect_options(config)?,
        metadata_max_age: config.get(property::METADATA_MAX_AGE_MS),
        retry_backoff: (config.get(property::RETRY_BACKOFF_MS), config.get(property::RETRY_BACKOFF_MAX_MS)),
    })
}

fn connect_options(config: &Config) -> Result<ConnectOptions> {
    Ok(ConnectOptions {
        client_id: config.get(property::CLIENT_ID).into(),
        connect_timeout: config.get(property::SOCKET_CONNECTION_SETUP_TIMEOUT_MS),
        request_timeout: config.get(property::REQUEST_TIMEOUT_MS),
        max_frame_bytes: config.get(property::RECEIVE_MESSAGE_MAX_BYTES),
        reconnect_backoff: (
            config.get(property::RECONNECT_BACKOFF_MS),
            config.get(property::RECONNECT_BACKOFF_MAX_MS),
        ),
        metrics: Arc::default(),
        security: security::read(config)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_table_are_the_defaults_of_the_parts() {
        let made = connect_options(&Config::new()).unwrap();
        let default = ConnectOptions::default();
        assert_eq!(
            (made.client_id, made.connect_timeout, made.request_timeout),
            (default.client_id, default.connect_timeout, default.request_timeout)
        );
        assert_eq!(
            (made.max_frame_bytes, made.reconnect_backoff),
            (default.max_frame_bytes, default.reconnect_backoff)
        );
    }

    #[tokio::test]
    async fn a_client_without_a_usable_address_is_not_made() {
        for servers in [",", "host:port"] {
            let mut config = Config::new();
            config.set("bootstrap.servers", servers).unwrap();
            assert!(matches!(Client::new(config), Err(Error::Config(_))), "{servers}");
        }
    }
}
