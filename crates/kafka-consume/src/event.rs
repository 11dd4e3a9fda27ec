//! What is said on stderr in the form for programs (`--output json`): one object per line.

use std::time::Duration;

use kafka_core::TopicPartition;
use kafka_core::consumer::{Notice, Rebalance};
use serde::Serialize;

/// An event with the line that a person would read.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    #[serde(flatten)]
    pub(crate) event: &'a Event<'a>,
    pub(crate) text: &'a str,
}

/// What happened. docs/formats.md lists the fields.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    Rebalance {
        group: &'a str,
        protocol: &'a str,
        generation: i32,
        assignor: Option<&'a str>,
        member_id: &'a str,
        /// Counted from 1.
        member: Option<usize>,
        members: Option<usize>,
        assigned: Vec<Place<'a>>,
        revoked: Vec<Place<'a>>,
        kept: Vec<Place<'a>>,
        took_ms: u64,
    },
    /// Partitions that were not there when reading began.
    New {
        partitions: Vec<Place<'a>>,
    },
    Lost {
        partitions: Vec<Place<'a>>,
    },
    Commit {
        offsets: Vec<Committed<'a>>,
    },
    Notice {
        #[serde(flatten)]
        place: Place<'a>,
        notice: &'static str,
        wanted: Option<i64>,
        now_at: Option<i64>,
    },
    Trouble {},
    Stats(Figures),
}

#[derive(Debug, Serialize)]
pub(crate) struct Place<'a> {
    topic: &'a str,
    partition: i32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Committed<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    offset: i64,
}

/// Where things stand; of the whole run at its end.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) records: u64,
    pub(crate) records_per_second: u64,
    pub(crate) lag: i64,
    #[serde(flatten)]
    pub(crate) run: Option<Run>,
}

/// What the whole run took.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) elapsed_ms: u64,
    pub(crate) fetches: u64,
    pub(crate) heartbeats: u64,
    pub(crate) commits: u64,
}

impl<'a> Event<'a> {
    pub(crate) fn rebalance(rebalance: &'a Rebalance) -> Self {
        Self::Rebalance {
            group: &rebalance.group,
            protocol: rebalance.protocol,
            generation: rebalance.generation,
            assignor: rebalance.assignor.as_deref(),
            member_id: &rebalance.member_id,
            member: rebalance.position.map(|(number, _)| number),
            members: rebalance.position.map(|(_, of)| of),
            assigned: places(&rebalance.came),
            revoked: places(&rebalance.went),
            kept: places(&rebalance.stayed),
            took_ms: millis(rebalance.took),
        }
    }

    pub(crate) fn commit(offsets: &'a [(TopicPartition, i64)]) -> Self {
        let committed = |(partition, offset): &'a (TopicPartition, i64)| Committed {
            place: place(partition),
            offset: *offset,
        };
        Self::Commit { offsets: offsets.iter().map(committed).collect() }
    }

    /// None for a notice that this version of the tool does not know.
    pub(crate) fn notice(partition: &'a TopicPartition, notice: &Notice) -> Option<Self> {
        let (name, wanted, now_at) = match notice {
            Notice::OutOfRange { wanted, now_at } => ("out_of_range", Some(*wanted), Some(*now_at)),
            Notice::Truncated { wanted, now_at } => ("truncated", Some(*wanted), Some(*now_at)),
            Notice::Recreated => ("recreated", None, None),
            Notice::Gone => ("gone", None, None),
            _ => return None,
        };
        Some(Self::Notice { place: place(partition), notice: name, wanted, now_at })
    }
}

pub(crate) fn places(partitions: &[TopicPartition]) -> Vec<Place<'_>> {
    partitions.iter().map(place).collect()
}

fn place(partition: &TopicPartition) -> Place<'_> {
    Place { topic: &partition.topic, partition: partition.partition }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
