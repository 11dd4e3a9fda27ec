//! The loop of the main thread: takes events, writes records, says what was written.
//!
//! An offset is marked only after everything before it was written to stdout, so that nothing unseen is ever
//! committed, whatever ends the process.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use kafka_cli::{Session, Troubles};
use kafka_core::TopicPartition;
use kafka_core::consumer::{Consumer, Event, PartitionRecords, RecordView};

use crate::args::Commit;
use crate::filter::Filter;
use crate::output::Output;
use crate::progress::Progress;
use crate::stats::Stats;
use crate::story::Story;
use crate::tail::Tail;

/// How often an idle pipe is checked for a reader that is gone.
const PIPE_CHECK: Duration = Duration::from_millis(200);

/// When reading ends by itself.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// The first offset that is not read, by partition. With a group these are all partitions of the topics.
    pub(crate) until: HashMap<TopicPartition, i64>,
    /// Whether reaching all of them ends the run.
    pub(crate) is_bounded: bool,
    /// How many offsets there are up to there, where that is known.
    pub(crate) total: Option<u64>,
    pub(crate) max_messages: Option<u64>,
    pub(crate) idle: Option<Duration>,
}

/// What woke the loop.
enum Woken {
    Event(Event),
    /// Time to look around.
    Tick,
    /// The user asked to stop, or nothing more comes.
    Over,
}

pub(crate) struct Reader<'a> {
    pub(crate) session: &'a Session,
    /// To be set when the end has begun.
    pub(crate) is_leaving: Arc<AtomicBool>,
    pub(crate) consumer: Consumer,
    pub(crate) output: Output,
    pub(crate) filter: Filter,
    pub(crate) story: Story,
    pub(crate) ends: Ends,
    pub(crate) commit: Commit,
    pub(crate) tail: Option<Tail>,
    pub(crate) stats: Stats,
    pub(crate) progress: Option<Progress>,
    /// Formatted and not yet known to be written: where each partition goes on.
    pub(crate) formatted: HashMap<TopicPartition, i64>,
    /// Assigned and not yet read to its end.
    pub(crate) open: HashSet<TopicPartition>,
    pub(crate) is_member: bool,
    /// Whether anything was assigned yet.
    pub(crate) assigned: bool,
    pub(crate) started: Instant,
    pub(crate) written: u64,
    pub(crate) last_record: Instant,
    pub(crate) troubles: Troubles,
}

impl Reader<'_> {
    /// Reads until the end, the user's stop or an error; then commits what was written and leaves.
    pub(crate) fn run(mut self) -> Result<()> {
        let outcome = self.read();
        self.is_leaving.store(true, Ordering::SeqCst);
        self.progress = None;
        let closed = self.session.runtime.block_on(self.consumer.closer().close());
        // Records that came meanwhile are not ours any more.
        while let Some(event) = self.consumer.try_next() {
            if let Event::Committed(offsets) = event {
                self.story.committed(&offsets);
            }
        }
        self.stats.finish(self.story, self.written, self.session.client.metrics());
        match outcome {
            Err(error) if is_broken_pipe(&error) => Ok(()),
            outcome => outcome.and(closed.map_err(Into::into)),
        }
    }

    fn read(&mut self) -> Result<()> {
        while !self.is_done() {
            let event = match self.consumer.try_next() {
                Some(event) => event,
                None => {
                    self.settle()?;
                    match self.wait() {
                        Woken::Event(event) => event,
                        Woken::Tick => {
                            self.tick()?;
                            continue;
                        }
                        Woken::Over => break,
                    }
                }
            };
            self.handle(event)?;
            if self.session.stop.is_requested() {
                break;
            }
        }
        if let Some(tail) = self.tail.take() {
            tail.write(&mut self.output);
        }
        self.settle()
    }

    fn is_done(&self) -> bool {
        let is_full = self.ends.max_messages.is_some_and(|most| self.written >= most);
        is_full || (self.ends.is_bounded && self.open.is_empty() && self.was_given_its_part())
    }

    /// A new member may be told at first that there is nothing for it yet; where others have everything, that stays.
    fn was_given_its_part(&self) -> bool {
        const NOTHING_COMES: Duration = Duration::from_secs(3);
        !self.is_member || self.assigned || self.started.elapsed() >= NOTHING_COMES
    }

    fn wait(&mut self) -> Woken {
        let mut due = Instant::now() + PIPE_CHECK;
        if let Some(idle) = self.ends.idle {
            due = due.min(self.last_record + idle);
        }
        let (stop, consumer) = (&self.session.stop, &mut self.consumer);
        self.session.runtime.block_on(async {
            tokio::select! {
                biased;
                event = consumer.next() => event.map_or(Woken::Over, Woken::Event),
                () = stop.requested() => Woken::Over,
                () = tokio::time::sleep_until(due.into()) => Woken::Tick,
            }
        })
    }

    fn tick(&mut self) -> Result<()> {
        if self.output.is_closed() {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        if self.ends.idle.is_some_and(|idle| self.last_record.elapsed() >= idle) {
            self.ends.max_messages = Some(self.written);
        }
        self.stats.tick(self.story, self.written);
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Records(records) => {
                self.records(&records)?;
                self.stats.tick(self.story, self.written);
            }
            Event::EndOfPartition(partition, offset) => self.reached(&partition, offset),
            Event::Assigned(partitions) => {
                if self.assigned && !self.is_member {
                    self.story.appeared(&partitions);
                }
                self.assigned |= !partitions.is_empty();
                // One that was added later has no end that was current at the start.
                let ends = &self.ends;
                self.open.extend(
                    partitions.into_iter().filter(|p| !ends.is_bounded || ends.until.contains_key(p)),
                );
            }
            Event::Revoking(partitions) => {
                self.settle()?;
                self.forget(&partitions);
            }
            Event::Lost(partitions) => {
                self.story.lost(&partitions);
                self.forget(&partitions);
            }
            Event::Rebalanced(rebalance) => self.story.rebalance(&rebalance),
            Event::Committed(offsets) => self.story.committed(&offsets),
            Event::Notice(partition, notice) => self.story.notice(&partition, &notice),
            Event::Trouble(error) => {
                let line = self.troubles.line(&error, Instant::now());
                line.into_iter().for_each(|line| self.story.trouble(&line));
            }
            Event::GaveUp(error) | Event::Failed(error) => return Err(error.into()),
            _ => {}
        }
        Ok(())
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.open.remove(partition);
            self.formatted.remove(partition);
            self.stats.forget(partition);
        }
    }

    fn records(&mut self, records: &PartitionRecords) -> Result<()> {
        let partition = records.partition();
        let until = self.ends.until.get(partition).copied().unwrap_or(i64::MAX);
        let behind = self.format(records, partition, until)?;
        if let Some(progress) = &mut self.progress {
            progress.add(u64::try_from(behind - records.from()).unwrap_or(0));
        }
        self.formatted.insert(partition.clone(), behind);
        self.stats.moved(partition, behind, records.end_offset());
        self.reached(partition, behind);
        if self.output.write_if_full()? {
            self.mark();
        }
        if self.commit == Commit::Each {
            self.settle()?;
        }
        Ok(())
    }

    /// Formats what is wanted of these records; the offset behind the last one that was looked at.
    fn format(&mut self, records: &PartitionRecords, partition: &TopicPartition, until: i64) -> Result<i64> {
        self.last_record = Instant::now();
        let most = self.ends.max_messages.unwrap_or(u64::MAX);
        let is_open = self.filter.is_open();
        for batch in records.batches() {
            let batch = batch?;
            for record in batch.records() {
                let mut record = record?;
                if batch.is_control() {
                    (record.key, record.value) = (Some(control_type(record.key)), None);
                }
                if record.offset >= until {
                    return Ok(until);
                }
                if !is_open && !self.filter.passes(&record) {
                    continue;
                }
                self.record(partition, &record);
                self.written += 1;
                if self.written >= most {
                    return Ok(record.offset + 1);
                }
            }
            // A large answer is written in pieces; it is marked when all of it is written.
            self.output.write_if_full()?;
        }
        Ok(records.next_offset())
    }

    #[inline]
    fn record(&mut self, partition: &TopicPartition, record: &RecordView<'_>) {
        match &mut self.tail {
            None => self.output.record(&partition.topic, partition.partition, record),
            Some(tail) => {
                let bytes = self.output.format(&partition.topic, partition.partition, record);
                tail.add(partition, record, bytes);
            }
        }
    }

    fn reached(&mut self, partition: &TopicPartition, offset: i64) {
        if self.ends.until.get(partition).is_some_and(|until| offset >= *until) {
            self.open.remove(partition);
        }
    }

    /// Writes everything and says so.
    fn settle(&mut self) -> Result<()> {
        self.output.write()?;
        let is_new = !self.formatted.is_empty();
        self.mark();
        if is_new && self.commit == Commit::Each {
            self.session.runtime.block_on(self.consumer.commit())?;
        }
        Ok(())
    }

    /// What was formatted is written.
    fn mark(&mut self) {
        for (partition, offset) in self.formatted.drain() {
            self.consumer.mark(&partition, offset);
        }
    }
}

/// What a control record says, by its key: a version and a type.
fn control_type(key: Option<&[u8]>) -> &'static [u8] {
    match key {
        Some([_, _, 0, 0]) => b"ABORT",
        Some([_, _, 0, 1]) => b"COMMIT",
        _ => b"CONTROL",
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}
