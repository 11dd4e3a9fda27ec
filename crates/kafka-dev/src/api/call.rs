//! One client connection, one request on it, and what the connection does next. Not here: what requests mean.

use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use bytes::BytesMut;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;

use crate::auth::Users;
use crate::auth::acl::Access;
use crate::auth::sasl::Sasl;
use crate::cluster::Cluster;
use crate::shared::Shared;
use crate::txn::Now;

/// What the connection does next.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Sends this frame.
    Respond(BytesMut),
    /// Sends this frame and closes.
    RespondAndClose(BytesMut),
    /// The client does not want an answer (`acks=0`).
    NoResponse,
    Close(String),
    /// Keeps the connection and never answers again.
    Silence,
}

/// One client connection to one broker.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) broker: i32,
    pub(crate) peer: SocketAddr,
    pub(crate) sasl: Sasl,
    /// `User:name` once the client has authenticated.
    pub(super) principal: Option<String>,
    /// When it has to do so again.
    expires: Option<Instant>,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, broker: i32, peer: SocketAddr) -> Self {
        Self { shared, broker, peer, sasl: Sasl::default(), principal: None, expires: None }
    }

    pub(crate) fn users(&self) -> Arc<Users> {
        Arc::clone(&self.shared.users)
    }

    /// The client has shown who it is.
    pub(crate) fn authenticated(&mut self, user: &str, now: Instant) {
        self.principal = Some(format!("User:{user}"));
        self.expires = self.shared.users.session_lifetime.map(|lifetime| now + lifetime);
    }

    /// Whether requests of this kind may be looked at before, or without, authentication.
    pub(super) fn admits(&self, key: ApiKey) -> bool {
        let is_expired = self.expires.is_some_and(|expires| expires <= self.shared.clock.now());
        let is_known = self.principal.is_some() && !is_expired;
        let opens = matches!(key, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
        is_known || opens || !self.shared.users.is_required()
    }

    /// Whether the access rules let this client do something.
    pub(crate) fn may(&self, cluster: &Cluster, access: &Access) -> bool {
        match &self.principal {
            Some(principal) if !self.shared.users.is_super(principal) => {
                cluster.acls.allows(principal, &self.peer.ip().to_string(), access)
            }
            _ => true,
        }
    }
}

/// One request on its way, as its handler sees it.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    /// Set where the connection is to be closed instead of answering, with the reason.
    pub(crate) disconnect: Option<String>,
    /// Set where it is to be closed after the answer.
    pub(crate) close_after: bool,
}

impl Call<'_> {
    pub(crate) fn broker(&self) -> i32 {
        self.connection.broker
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.connection.shared
    }

    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.connection.shared.cluster()
    }

    /// The broker's time by both clocks.
    pub(crate) fn now(&self) -> Now {
        let clock = &self.connection.shared.clock;
        Now { instant: clock.now(), wall_ms: clock.wall_ms() }
    }

    /// The client's address as Kafka shows it.
    pub(crate) fn client_host(&self) -> String {
        format!("/{}", self.connection.peer.ip())
    }

    /// Whether this broker coordinates the group or transaction.
    pub(crate) fn check_coordinator(&self, key: &str) -> Result<(), ResponseError> {
        match self.cluster().coordinator(key) {
            Some(broker) if broker == self.broker() => Ok(()),
            Some(_) => Err(ResponseError::NotCoordinator),
            None => Err(ResponseError::CoordinatorNotAvailable),
        }
    }
}
