//! What is said on stderr in the form for programs (`--output json`): one object per line.

use std::time::Duration;

use kafka_core::TopicPartition;
use kafka_core::consumer::Rebalance;
use serde::{Serialize, Serializer};

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
        assigned: Vec<Partition<'a>>,
        revoked: Vec<Partition<'a>>,
        kept: Vec<Partition<'a>>,
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
    },
    /// Partitions that were not there when reading began.
    New {
        partitions: Vec<Partition<'a>>,
    },
    Lost {
        partitions: Vec<Partition<'a>>,
    },
    Commit {
        offsets: Vec<Committed<'a>>,
    },
    Notice {
        #[serde(flatten)]
        place: Partition<'a>,
        notice: &'static str,
        wanted: Option<i64>,
        now_at: Option<i64>,
    },
    Trouble,
    Stats(Figures),
}

#[derive(Debug, Serialize)]
pub(crate) struct Partition<'a> {
    topic: &'a str,
    partition: i32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Committed<'a> {
    #[serde(flatten)]
    place: Partition<'a>,
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
    #[serde(rename = "elapsed_ms", serialize_with = "millis")]
    pub(crate) elapsed: Duration,
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
            assigned: Partition::all(&rebalance.came),
            revoked: Partition::all(&rebalance.went),
            kept: Partition::all(&rebalance.stayed),
            took: rebalance.took,
        }
    }

    pub(crate) fn commit(offsets: &'a [(TopicPartition, i64)]) -> Self {
        let committed = |(partition, offset): &'a (TopicPartition, i64)| Committed {
            place: Partition::of(partition),
            offset: *offset,
        };
        Self::Commit { offsets: offsets.iter().map(committed).collect() }
    }
}

impl<'a> Partition<'a> {
    pub(crate) fn of(partition: &'a TopicPartition) -> Self {
        Self { topic: &partition.topic, partition: partition.partition }
    }

    pub(crate) fn all(partitions: &'a [TopicPartition]) -> Vec<Self> {
        partitions.iter().map(Self::of).collect()
    }
}

fn millis<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
