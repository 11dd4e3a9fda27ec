//! `--tail N`: the last N records of all partitions, in the order of their times.

use kafka_core::TopicPartition;
use kafka_core::consumer::RecordView;

use crate::output::Output;

/// Records kept until the end, formatted already.
#[derive(Debug)]
pub(crate) struct Tail {
    count: usize,
    kept: Vec<(i64, TopicPartition, i64, Vec<u8>)>,
}

impl Tail {
    pub(crate) fn new(count: usize) -> Self {
        Self { count, kept: Vec::new() }
    }

    pub(crate) fn add(&mut self, partition: &TopicPartition, record: &RecordView<'_>, formatted: Vec<u8>) {
        self.kept.push((record.timestamp, partition.clone(), record.offset, formatted));
        // Each partition brings at most as many; sorting now and then keeps the memory in bounds.
        if self.kept.len() >= 4 * self.count.max(1024) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.kept.sort();
        let surplus = self.kept.len().saturating_sub(self.count);
        self.kept.drain(..surplus);
    }

    /// Writes them, the oldest first.
    pub(crate) fn write(mut self, output: &mut Output) {
        self.cut();
        for (_, _, _, bytes) in &self.kept {
            output.bytes(bytes);
        }
    }
}
