//! The sender's view of each broker: connected or not, how much is in flight, whether it has to be left alone for a while.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::output::Output;
use crate::error::Error;

/// How long a broker with requests in flight may stay silent before the client asks whether its partitions have moved.
pub(super) const SILENCE: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Down,
    Connecting,
    Up,
}

#[derive(Debug)]
pub(super) struct Broker {
    pub(super) link: Link,
    pub(super) in_flight: usize,
    /// Throttled by the broker (KIP-219), or just failed to connect.
    pub(super) not_before: Option<Instant>,
    /// When it was heard of last, or the first of the requests in flight left.
    pub(super) heard_at: Instant,
    pub(super) last_error: Option<Error>,
}

impl Broker {
    pub(super) fn can_take(&self, now: Instant, max_in_flight: usize) -> bool {
        let is_muted = self.not_before.is_some_and(|instant| now < instant);
        self.link == Link::Up && !is_muted && self.in_flight < max_in_flight
    }
}

/// The broker `id`, which is not connected where nothing is known of it.
pub(super) fn broker(brokers: &mut BTreeMap<i32, Broker>, id: i32, now: Instant) -> &mut Broker {
    brokers.entry(id).or_insert_with(|| Broker {
        link: Link::Down,
        in_flight: 0,
        not_before: None,
        heard_at: now,
        last_error: None,
    })
}

/// Has a connection made, where there is none and it is time.
pub(super) fn connect(broker: &mut Broker, id: i32, now: Instant, outputs: &mut VecDeque<Output>) {
    let is_pausing = broker.not_before.is_some_and(|instant| now < instant);
    if broker.link == Link::Down && !is_pausing {
        broker.link = Link::Connecting;
        outputs.push_back(Output::Connect(id));
    }
}
