//! One partition of those that are read: where its reading stands, and what metadata and errors mean for that.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Notice, Said, Start, Token};
use crate::backoff::Backoff;
use crate::cluster::Metadata;
use crate::consumer::offsets::OffsetQuery;
use crate::consumer::reset::ResetPolicy;
use crate::error::Error;
use crate::{ErrorCode, TopicPartition};

/// How far the reading of a partition has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    /// To be asked from the group.
    Committed,
    /// To be found by ListOffsets. `wanted` is the offset that was not there, where there was one.
    Listing { query: OffsetQuery, wanted: Option<i64> },
    /// `offset` is to be compared with where the epoch of the record before it ended.
    Validating { offset: i64, epoch: i32 },
    /// Being read. `epoch` is that of the record before `offset` (-1 unknown); `valid_under` is the leader epoch under
    /// which the two are known to be right.
    Ready { offset: i64, epoch: i32, valid_under: i32 },
    /// Given up.
    Stopped,
}

impl From<Start> for State {
    fn from(start: Start) -> Self {
        match start {
            Start::Committed => Self::Committed,
            Start::Offset(offset) => Self::Ready { offset, epoch: -1, valid_under: -1 },
            Start::Query(query) => Self::Listing { query, wanted: None },
        }
    }
}

/// Where a partition is being read, and what it waits for.
#[derive(Debug)]
pub(super) struct Position {
    pub(super) state: State,
    /// The question in flight; the answer must bring the same token.
    pub(super) asked: Option<Token>,
    pub(super) paused: bool,
    /// Nil where it is not known.
    pub(super) topic_id: Uuid,
    /// Nothing is asked before this instant.
    pub(super) not_before: Option<Instant>,
    pub(super) backoff: Backoff,
    /// A follower to read from, and until when.
    pub(super) replica: Option<(i32, Instant)>,
    pub(super) is_gone: bool,
}

impl Position {
    pub(super) fn new(start: Start, (pause, max_pause): (Duration, Duration)) -> Self {
        Self {
            state: start.into(),
            asked: None,
            paused: false,
            topic_id: Uuid::nil(),
            not_before: None,
            backoff: Backoff::new(pause, max_pause),
            replica: None,
            is_gone: false,
        }
    }

    /// Sets it anew. What is in flight for it is ignored when it comes.
    pub(super) fn restart(&mut self, state: State) {
        (self.state, self.asked, self.not_before) = (state, None, None);
        self.backoff.reset();
    }

    /// Notices what metadata says about the topic: gone, back, or another one under the same name.
    pub(super) fn follow(&mut self, partition: &TopicPartition, metadata: &Metadata, said: &mut Vec<Said>) {
        let Some(topic) = metadata.topic(&partition.topic) else { return };
        let is_there = topic.partition(partition.partition).is_some();
        if !is_there && topic.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && !self.is_gone {
            said.push(Said::Notice(partition.clone(), Notice::Gone));
        }
        self.is_gone = !is_there;
        if !is_there || topic.id == self.topic_id {
            return;
        }
        let is_another = !self.topic_id.is_nil() && !topic.id.is_nil();
        self.topic_id = topic.id;
        if is_another && self.state != State::Stopped {
            self.restart(State::Listing { query: OffsetQuery::Earliest, wanted: None });
            said.push(Said::Notice(partition.clone(), Notice::Recreated));
        }
    }

    /// A new leader may have less than the old one had: what was read under an older epoch is compared first.
    pub(super) fn validate_under(&mut self, current: i32) {
        if let State::Ready { offset, epoch, valid_under } = &mut self.state
            && current > *valid_under
        {
            if *epoch >= 0 && *epoch < current {
                self.state = State::Validating { offset: *offset, epoch: *epoch };
            } else {
                *valid_under = current;
            }
        }
    }

    /// Goes on as the policy says, `wanted` being the offset that is not there.
    pub(super) fn reset(
        &mut self,
        partition: &TopicPartition,
        policy: ResetPolicy,
        wanted: Option<i64>,
        now_ms: i64,
    ) -> Option<Said> {
        let Some(query) = policy.query(now_ms) else {
            self.state = State::Stopped;
            let subject = match wanted {
                Some(offset) => format!("{partition} @{offset}"),
                None => format!("{partition} without a committed offset (auto.offset.reset=none)"),
            };
            let error = Error::broker("Fetch", subject, ErrorCode::OFFSET_OUT_OF_RANGE, None);
            return Some(Said::Failed(error));
        };
        self.state = State::Listing { query, wanted };
        None
    }

    pub(super) fn fail_or_wait(
        &mut self,
        error: Error,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Said> {
        /// Bytes can be damaged on the way; the third time they come from the disk.
        const CORRUPT_TRIES: u32 = 3;
        let may_pass = matches!(error, Error::Corrupt { .. }) && self.backoff.failures() < CORRUPT_TRIES - 1;
        // A coordinator or leader that was away for long comes back, or another one does.
        let is_late = matches!(error, Error::Timeout { .. });
        if error.is_retriable() || may_pass || is_late {
            self.not_before = Some(now + self.backoff.next_pause(rng));
            return None;
        }
        self.state = State::Stopped;
        Some(Said::Failed(error))
    }
}
