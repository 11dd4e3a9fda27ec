//! What a producer is told, with the defaults of Kafka's own clients, and how it is read from a [`Config`].

use std::sync::Arc;
use std::time::Duration;

use super::accumulator::Limits;
use super::output::SenderOptions;
use super::partitioner::Partitioner;
use crate::compression::{self, Compression};
use crate::config::{Config, property};
use crate::error::{Error, Result};

/// Whose word makes a record count as sent (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// All replicas that are in sync: no acknowledged record is lost while one of them lives.
    #[default]
    All,
    /// The leader alone: what it acknowledged is lost with it.
    Leader,
    /// Nobody: what is lost is lost without notice.
    None,
}

/// How a producer sends. The names are Kafka's; see `docs/configuration.md` for each.
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    /// `acks`, default all.
    pub acks: Acks,
    /// `enable.idempotence`, default true: retries neither duplicate nor reorder. Needs `acks=all` and at most five requests in
    /// flight.
    pub idempotent: bool,
    /// `transactional.id`, default none.
    pub transactional_id: Option<Arc<str>>,
    /// `transaction.timeout.ms`, default one minute.
    pub transaction_timeout: Duration,
    /// `batch.size`, default 1,000,000 bytes before compression.
    pub batch_bytes: usize,
    /// `linger.ms`, default 5 ms.
    pub linger: Duration,
    /// `buffer.memory`, default 32 MiB.
    pub buffer_bytes: usize,
    /// `max.block.ms`, default one minute.
    pub max_block: Duration,
    /// `max.request.size`, default 1 MiB.
    pub max_request_bytes: usize,
    /// `max.in.flight.requests.per.connection`, default 5.
    pub max_in_flight: usize,
    /// `delivery.timeout.ms`, default two minutes.
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`, default 30 s.
    pub request_timeout: Duration,
    /// `compression.type` and `compression.level`, default none.
    pub compression: Compression,
    /// `partitioner`, default murmur2.
    pub partitioner: Partitioner,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
            batch_bytes: 1_000_000,
            linger: Duration::from_millis(5),
            buffer_bytes: 32 * 1024 * 1024,
            max_block: Duration::from_secs(60),
            max_request_bytes: 1024 * 1024,
            max_in_flight: 5,
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            compression: Compression::default(),
            partitioner: Partitioner::default(),
        }
    }
}

impl ProducerOptions {
    /// The options that a configuration states.
    ///
    /// # Errors
    /// [`Error::Config`]: values contradict each other.
    pub fn from_config(config: &Config) -> Result<Self> {
        let acks = match config.get(property::ACKS) {
            "0" => Acks::None,
            "1" => Acks::Leader,
            _ => Acks::All,
        };
        // As in the Java client: weaker acks switch idempotence off, unless it was asked for.
        let asked_for = config.is_set(&property::ENABLE_IDEMPOTENCE);
        let idempotent = config.get(property::ENABLE_IDEMPOTENCE) && (asked_for || acks == Acks::All);
        let level = i32::try_from(config.get(property::COMPRESSION_LEVEL)).ok().filter(|level| *level != -1);
        let options = Self {
            acks,
            idempotent,
            transactional_id: config.get(property::TRANSACTIONAL_ID).map(Into::into),
            transaction_timeout: config.get(property::TRANSACTION_TIMEOUT_MS),
            batch_bytes: config.get(property::BATCH_SIZE),
            linger: config.get(property::LINGER_MS),
            buffer_bytes: config.get(property::BUFFER_MEMORY),
            max_block: config.get(property::MAX_BLOCK_MS),
            max_request_bytes: config.get(property::MAX_REQUEST_SIZE),
            max_in_flight: config.get(property::MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION),
            delivery_timeout: config.get(property::DELIVERY_TIMEOUT_MS),
            request_timeout: config.get(property::REQUEST_TIMEOUT_MS),
            compression: Compression { codec: config.get(property::COMPRESSION_TYPE).parse()?, level },
            partitioner: if config.get(property::PARTITIONER_IGNORE_KEYS) {
                Partitioner::Sticky
            } else {
                config.get(property::PARTITIONER).parse()?
            },
        };
        options.check()?;
        Ok(options)
    }

    /// Refuses what cannot work together.
    ///
    /// # Errors
    /// [`Error::Config`], saying which values contradict each other.
    pub fn check(&self) -> Result<()> {
        let refuse = |text: &str| Err(Error::Config(text.into()));
        if self.idempotent && self.acks != Acks::All {
            return refuse("enable.idempotence=true needs acks=all");
        }
        if self.idempotent && self.max_in_flight > 5 {
            return refuse(
                "enable.idempotence=true needs max.in.flight.requests.per.connection of at most 5",
            );
        }
        if self.transactional_id.is_some() && !self.idempotent {
            return refuse("transactional.id needs enable.idempotence=true");
        }
        if self.delivery_timeout < self.linger {
            return refuse("delivery.timeout.ms must not be below linger.ms");
        }
        Ok(self.compression.check()?)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            // A batch above max.request.size could not be sent.
            batch_bytes: self.batch_bytes.min(self.max_request_bytes.saturating_sub(1024)),
            buffer_bytes: self.buffer_bytes,
            record_bytes: self.max_request_bytes,
            linger: self.linger,
        }
    }

    pub(super) fn sender(&self, retry_backoff: (Duration, Duration)) -> SenderOptions {
        SenderOptions {
            idempotent: self.idempotent,
            transactional: self.transactional_id.is_some(),
            wait_for_answers: self.acks != Acks::None,
            compress: self.compression.codec != compression::Codec::None,
            max_in_flight: self.max_in_flight,
            max_request_bytes: self.max_request_bytes,
            delivery_timeout: self.delivery_timeout,
            retry_backoff,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_table_are_the_defaults_here() {
        let (made, default) =
            (ProducerOptions::from_config(&Config::new()).unwrap(), ProducerOptions::default());
        assert_eq!(format!("{made:?}"), format!("{default:?}"));
    }

    #[test]
    fn weaker_acks_switch_idempotence_off_unless_it_was_asked_for() {
        let mut config = Config::new();
        config.set("acks", "1").unwrap();
        assert!(!ProducerOptions::from_config(&config).unwrap().idempotent);
        config.set("enable.idempotence", "true").unwrap();
        assert!(ProducerOptions::from_config(&config).is_err());
    }
}
