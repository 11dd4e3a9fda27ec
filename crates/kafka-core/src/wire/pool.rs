//! The connections of one client: at most one for each broker and lane, made when first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::{Address, ConnectOptions, Connection};
use crate::Metric;
use crate::backoff::Backoff;
use crate::error::Result;

/// What a connection is for. Kafka answers the requests of a connection one after the other, so a request that waits
/// on the broker (JoinGroup, Fetch) must not stand before one that should not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Metadata, admin, offsets.
    General,
    /// Produce requests, and the transaction requests between them.
    Produce,
    /// Fetch requests of one consumer, which wait on the broker: another consumer's have a number of their own.
    Fetch(u64),
    /// One group member's requests to its coordinator.
    Group(u64),
}

/// One broker and lane: the open connection, or when the next attempt may be made.
#[derive(Debug)]
struct Slot {
    connection: Option<Arc<Connection>>,
    backoff: Backoff,
    not_before: Option<Instant>,
}

type Slots = HashMap<(Address, Lane), Arc<AsyncMutex<Slot>>>;

/// Hands out connections and makes them anew when they have ended.
#[derive(Debug)]
pub(crate) struct Pool {
    options: ConnectOptions,
    slots: Mutex<Slots>,
}

impl Pool {
    pub(crate) fn new(options: ConnectOptions) -> Self {
        Self { options, slots: Mutex::default() }
    }

    /// The open connection to `address`, or a new one; callers that come at once share the attempt.
    ///
    /// After a failure the next attempt waits for `reconnect.backoff.ms`, growing up to `reconnect.backoff.max.ms`.
    pub(crate) async fn get(
        &self,
        address: &Address,
        name: &Arc<str>,
        lane: Lane,
    ) -> Result<Arc<Connection>> {
        let slot = self.slot(address, lane);
        let mut slot = slot.lock().await;
        if let Some(open) = slot.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(Arc::clone(open));
        }
        slot.connection = None;
        if let Some(instant) = slot.not_before.take() {
            tokio::time::sleep_until(instant).await;
        }
        match Connection::open(address, Arc::clone(name), &self.options).await {
            Ok(connection) => {
                self.options.metrics.add(Metric::Connections, name, 1);
                let connection = Arc::new(connection);
                connection.keep_authenticated(&self.options);
                slot.backoff.reset();
                slot.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(error) => {
                self.options.metrics.add(Metric::ConnectionFailures, name, 1);
                slot.not_before = Some(Instant::now() + slot.backoff.next_pause(&mut fastrand::Rng::new()));
                Err(error)
            }
        }
    }

    /// The connection to `address` where one is open right now.
    pub(crate) fn get_open(&self, address: &Address, lane: Lane) -> Option<Arc<Connection>> {
        let slot = self.slot(address, lane);
        let slot = slot.try_lock().ok()?;
        slot.connection.clone().filter(|connection| !connection.is_closed())
    }

    /// Closes the connections of one lane once their requests are answered or dropped.
    pub(crate) fn close_lane(&self, lane: Lane) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, of), _| *of != lane);
    }

    fn slot(&self, address: &Address, lane: Lane) -> Arc<AsyncMutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (initial, max) = self.options.reconnect_backoff;
        Arc::clone(slots.entry((address.clone(), lane)).or_insert_with(|| {
            Arc::new(AsyncMutex::new(Slot {
                connection: None,
                backoff: Backoff::new(initial, max),
                not_before: None,
            }))
        }))
    }
}
