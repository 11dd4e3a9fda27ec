//! Embedded Kafka broker for learning and testing on one machine. Production is Apache Kafka.
//!
//! [`Broker::start`] runs a cluster of one or more brokers on a thread of its own; the [`Handle`] tells its address, stops and
//! starts brokers, moves leaders, and makes it misbehave through [`Faults`]. Dropping the handle stops it.
//!
//! ```
//! use kafka_dev::{ApiKey, Broker, Config, Fault};
//!
//! # fn main() -> Result<(), kafka_dev::StartError> {
//! let cluster = Broker::start(Config::in_memory().brokers(3).topic("rides", 6))?;
//! cluster.faults().on(ApiKey::Produce).nth(3).then(Fault::DropResponse);
//! println!("bootstrap.servers={}", cluster.bootstrap());
//! # Ok(())
//! # }
//! ```

mod api;
mod auth;
mod broker;
mod clock;
mod cluster;
mod config;
mod fault;
mod fetch_session;
mod frame;
mod group;
mod guard;
mod handle;
mod journal;
mod log;
mod server;
mod shared;
mod tls;
mod txn;

pub use broker::{Broker, StartError};
pub use config::Config;
pub use fault::{Fault, Faults, Rule};
pub use handle::{Handle, HandleError};
pub use kafka_protocol::error::ResponseError;
pub use kafka_protocol::messages::ApiKey;
pub use log::records::Record;

/// Decodes a request as a listener would, after the length of its frame; whether it is one. For fuzzing.
pub fn decode_request(frame: &[u8]) -> bool {
    let frame = frame::RequestFrame::read(bytes::Bytes::copy_from_slice(frame));
    frame.is_ok_and(|frame| api::decodes(&frame))
}
