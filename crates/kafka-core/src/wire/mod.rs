//! Bytes, versions, TLS, SASL: everything between a request message and the network. Knows no topic and no group.

mod address;
mod codec;
mod connection;
mod guarded;
mod opaque;
mod pool;
mod question;
mod sasl;
mod stream;
mod tls;
mod transport;
mod versions;

use std::sync::Arc;
use std::time::Duration;

pub use address::Address;
pub use connection::{Connection, InFlight};
pub(crate) use guarded::GuardedBuf;
pub use opaque::OpaqueRequest;
pub use pool::Lane;
pub(crate) use pool::Pool;
pub(crate) use question::{AnyMessage, Question, answer_of};
pub use sasl::{Credentials, Sasl, ScramHash, TokenEndpoint, TokenSource};
pub(crate) use tls::{AnyCertificate, AnyName, is_issued_by};
pub use tls::{Certificate, Tls};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use versions::decode_any;
pub use versions::{APIS, Api, ApiInfo, ApiRange, api_name};

use crate::Metrics;

/// Encryption and authentication: `security.protocol` and what belongs to it.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// `SSL` and `SASL_SSL`.
    pub tls: Option<Tls>,
    /// `SASL_PLAINTEXT` and `SASL_SSL`.
    pub sasl: Option<Sasl>,
}

/// How connections are made.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// `client.id`: how the broker's logs and quotas name this client.
    pub client_id: Arc<str>,
    /// `socket.connection.setup.timeout.ms`: for name lookup, TCP, TLS, versions and authentication together.
    pub connect_timeout: Duration,
    /// `request.timeout.ms`: for each request, from sending to its answer.
    pub request_timeout: Duration,
    /// `receive.message.max.bytes`: the longest answer that is read.
    pub max_frame_bytes: usize,
    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`: pauses between connection attempts to one broker.
    pub reconnect_backoff: (Duration, Duration),
    /// Where requests and connections are counted.
    pub metrics: Arc<Metrics>,
    /// Encryption and authentication; neither by default.
    pub security: Security,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            client_id: "kafka-core".into(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_frame_bytes: 100 * 1024 * 1024 + 64 * 1024,
            reconnect_backoff: (Duration::from_millis(50), Duration::from_secs(1)),
            metrics: Arc::default(),
            security: Security::default(),
        }
    }
}
