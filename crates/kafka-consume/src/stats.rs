//! `--stats`: how many records, how fast, how far behind; and the same once at the end with `-v`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kafka_core::{Metric, Metrics, TopicPartition};

use crate::event::{Figures, Run};
use crate::story::Story;

#[derive(Debug)]
pub(crate) struct Stats {
    every: Option<Duration>,
    at_end: bool,
    started: Instant,
    last: (Instant, u64),
    /// Position and end by partition.
    known: HashMap<TopicPartition, (i64, i64)>,
}

impl Stats {
    pub(crate) fn new(every: Option<Duration>, at_end: bool) -> Self {
        let now = Instant::now();
        Self { every, at_end, started: now, last: (now, 0), known: HashMap::new() }
    }

    pub(crate) fn moved(&mut self, partition: &TopicPartition, position: i64, end: i64) {
        if self.every.is_some() || self.at_end {
            self.known.insert(partition.clone(), (position, end));
        }
    }

    pub(crate) fn forget(&mut self, partition: &TopicPartition) {
        self.known.remove(partition);
    }

    fn lag(&self) -> i64 {
        self.known.values().map(|(position, end)| (end - position).max(0)).sum()
    }

    /// Says where things stand, where it is time to.
    pub(crate) fn tick(&mut self, story: Story, records: u64) {
        let Some(every) = self.every else { return };
        let (at, before) = self.last;
        let elapsed = at.elapsed();
        if elapsed < every {
            return;
        }
        self.last = (Instant::now(), records);
        story.stats(Figures {
            records,
            records_per_second: rate(records - before, elapsed),
            lag: self.lag(),
            run: None,
        });
    }

    pub(crate) fn finish(&self, story: Story, records: u64, metrics: &Metrics) {
        if !self.at_end {
            return;
        }
        let elapsed = self.started.elapsed();
        let requests = |api: &str| metrics.get(Metric::Requests, api);
        let run = Run {
            elapsed,
            fetches: requests("Fetch"),
            heartbeats: requests("Heartbeat") + requests("ConsumerGroupHeartbeat"),
            commits: requests("OffsetCommit"),
        };
        let records_per_second = rate(records, elapsed);
        story.stats(Figures { records, records_per_second, lag: self.lag(), run: Some(run) });
    }
}

fn rate(records: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(records) * 1000 / elapsed.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
