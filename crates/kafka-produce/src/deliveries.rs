//! What the producer says of its batches: counted at once, and told on by a thread of its own, so that a slow terminal
//! or disk never holds up the network.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};

use anyhow::{Context, Result};
use kafka_core::RecordRef;
use kafka_core::producer::{Delivery, DeliveryHandler, RecordPlace};

use crate::failed::Failed;
use crate::tally::Tally;
use crate::voice::Voice;

/// So many batches may wait to be told on before reading input pauses.
const BACKLOG: usize = 32;

/// How the user hears of records that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acks {
    /// Not at all.
    Silent,
    /// A remark for each.
    Said,
    /// A remark for each, with how long it took.
    Timed,
    /// An object for each on stdout.
    Json,
}

#[derive(Debug)]
struct Shared {
    tally: Mutex<Tally>,
    failed: Mutex<Failed>,
    /// Batches that wait to be told on.
    waiting: Mutex<usize>,
    fewer: Condvar,
    /// Why nothing more is told.
    trouble: Mutex<Option<anyhow::Error>>,
    acks: Acks,
    voice: Voice,
}

/// Counts and tells on. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Deliveries {
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deliveries {
    pub(crate) fn new(acks: Acks, failed: Failed, voice: Voice) -> Self {
        let (waiting, fewer) = (Mutex::new(0), Condvar::new());
        let (tally, failed) = (Mutex::default(), Mutex::new(failed));
        let trouble = Mutex::default();
        Self { shared: Arc::new(Shared { tally, failed, waiting, fewer, trouble, acks, voice }) }
    }

    /// What the producer calls. The thread behind it ends when the producer is gone.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn handler(&self) -> Result<DeliveryHandler> {
        let (send, batches) = mpsc::channel::<Delivery>();
        let teller = self.clone();
        let thread = std::thread::Builder::new().name("report".into());
        thread.spawn(move || teller.tell_all(&batches)).context("starting a thread")?;
        let shared = Arc::clone(&self.shared);
        Ok(Arc::new(move |delivery: &Delivery| {
            count(&mut lock(&shared.tally), delivery);
            if shared.acks != Acks::Silent || delivery.outcome.is_err() {
                *lock(&shared.waiting) += 1;
                // The thread is there until this is gone.
                let _ = send.send(delivery.clone());
            }
        }))
    }

    /// Waits while there is much to tell.
    pub(crate) fn wait_for_listener(&self) {
        self.wait_below(BACKLOG);
    }

    /// Waits until all is told.
    ///
    /// # Errors
    /// stdout or the failed file cannot be written.
    pub(crate) fn finish(&self) -> Result<()> {
        self.wait_below(1);
        lock(&self.shared.failed).flush()?;
        lock(&self.shared.trouble).take().map_or(Ok(()), Err)
    }

    fn wait_below(&self, limit: usize) {
        let mut waiting = lock(&self.shared.waiting);
        while *waiting >= limit {
            waiting = self.shared.fewer.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The counts, to be read or added to.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.shared.tally)
    }

    /// A piece of input that could not be read.
    pub(crate) fn note_unreadable(&self, place: &str, why: &str) {
        self.tally().unreadable();
        self.shared.voice.say(&format!("{place}: {why}"));
    }

    /// A record that was not taken.
    ///
    /// # Errors
    /// The failed file cannot be written.
    pub(crate) fn note_refused(
        &self,
        (place, why): (&str, &str),
        topic: &str,
        partition: Option<i32>,
        record: &RecordRef<'_>,
    ) -> Result<()> {
        self.tally().refused();
        self.shared.voice.say(&format!("{place}: {why}"));
        lock(&self.shared.failed).write_record(topic, partition, record)
    }

    fn tell_all(&self, batches: &mpsc::Receiver<Delivery>) {
        let mut out = Vec::new();
        for delivery in batches {
            // After an error the rest is only counted.
            if lock(&self.shared.trouble).is_none()
                && let Err(error) = self.tell(&delivery, &mut out)
            {
                *lock(&self.shared.trouble) = Some(error);
            }
            *lock(&self.shared.waiting) -= 1;
            self.shared.fewer.notify_all();
        }
    }

    fn tell(&self, delivery: &Delivery, out: &mut Vec<u8>) -> Result<()> {
        match (&delivery.outcome, self.shared.acks) {
            (Err(_), _) => {
                let records = delivery.records()?;
                let mut failed = lock(&self.shared.failed);
                for batch in records.batches() {
                    for record in batch?.records() {
                        failed.write_view(delivery.partition(), &record?)?;
                    }
                }
                failed.flush()
            }
            (Ok(place), Acks::Json) => {
                write_json(out, delivery, place)?;
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(out).and_then(|()| stdout.flush()).context("writing to stdout")
            }
            (Ok(place), acks) => {
                for index in 0..delivery.records {
                    let mut place = place.clone();
                    place.offset = place.offset.map(|first| first + i64::try_from(index).unwrap_or(0));
                    let time = format!("  {:.1} ms", delivery.latency.as_secs_f64() * 1000.0);
                    let time = if acks == Acks::Timed { &time } else { "" };
                    self.shared.voice.say(&format!("{place}{time}"));
                }
                Ok(())
            }
        }
    }
}

fn count(tally: &mut Tally, delivery: &Delivery) {
    let (partition, records) = (delivery.partition(), delivery.records as u64);
    match &delivery.outcome {
        Ok(_) => tally.sent(&partition.topic, partition.partition, records),
        Err(failure) => tally.failed(
            (&partition.topic, partition.partition),
            records,
            failure.error.to_string(),
            failure.error.kind(),
            failure.possibly_written,
        ),
    }
}

/// `{"topic","partition","offset","timestamp","key"}` on a line for each record.
fn write_json(out: &mut Vec<u8>, delivery: &Delivery, place: &RecordPlace) -> Result<()> {
    use kafka_cli::record_json::{write_bytes, write_string};
    out.clear();
    let records = delivery.records()?;
    for batch in records.batches() {
        for record in batch?.records() {
            let record = record?;
            out.extend_from_slice(b"{\"topic\":");
            write_string(out, &place.partition.topic);
            write!(out, ",\"partition\":{},\"offset\":", place.partition.partition)?;
            match place.offset {
                Some(first) => write!(out, "{}", first + record.offset)?,
                None => out.extend_from_slice(b"null"),
            }
            write!(out, ",\"timestamp\":{},\"key\":", place.append_time.unwrap_or(record.timestamp))?;
            write_bytes(out, record.key);
            out.extend_from_slice(b"}\n");
        }
    }
    Ok(())
}
