//! Input that is not typed: pipes and files, read in large chunks and handed over straight from the buffer they were
//! read into.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use kafka_cli::{Exit, Failure};
use kafka_core::RecordRef;
use kafka_core::producer::ProducerTopic;

use crate::deliveries::Deliveries;
use crate::form::{Form, Line};
use crate::gate::Gate;
use crate::input::{Piece, Pieces};
use crate::job::Recipe;
use crate::pace::Pace;
use crate::progress::Progress;
use crate::sink::{Refusal, Sink};

/// How long a pause may go on before it is looked whether the user wants to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// Why reading ended.
#[derive(Debug)]
pub(crate) enum End {
    /// There is no more, or `--count` is reached, or the user asked to stop.
    Read,
    /// Nothing can be sent any more; the place of the first line that was not taken.
    Broken(String, kafka_core::Error),
}

/// Reads input and hands it over.
pub(crate) struct Stream {
    pub(crate) pieces: Pieces,
    pub(crate) recipe: Recipe,
    pub(crate) sink: Sink,
    pub(crate) topic: ProducerTopic,
    pub(crate) gate: Arc<Gate>,
    pub(crate) deliveries: Deliveries,
    pub(crate) pace: Option<Pace>,
    /// How many records may still be sent.
    pub(crate) left: u64,
    pub(crate) tee: bool,
    /// A transaction ends after so many records.
    pub(crate) commit_after: Option<u64>,
    /// How much was read, for whoever shows progress.
    pub(crate) progress: Arc<Progress>,
}

/// Why a run of records ended before its input did.
enum Halt {
    /// A piece cannot be read.
    Unreadable(String),
    /// Reading ends.
    End(End),
}

impl Stream {
    /// Reads to the end.
    ///
    /// # Errors
    /// Input cannot be read, or what is to be written cannot be.
    pub(crate) fn run(mut self) -> Result<End> {
        loop {
            let more = self.pieces.fill()?;
            self.deliveries.wait_for_listener();
            let gate = Arc::clone(&self.gate);
            let Some(_inside) = gate.enter() else { return Ok(End::Read) };
            self.progress.bytes.store(self.pieces.bytes(), Ordering::Relaxed);
            if let Some(end) = self.hand_over()? {
                return Ok(end);
            }
            if !more {
                return Ok(End::Read);
            }
        }
    }

    /// Hands over what lies in memory; how reading ends, where it does.
    fn hand_over(&mut self) -> Result<Option<End>> {
        loop {
            let is_plain = self.pace.is_none() && !self.tee && self.commit_after.is_none();
            let halt = match &self.recipe.form {
                Form::Line(line) if is_plain => {
                    let line = line.clone();
                    self.hand_over_lines(&line)?
                }
                _ => self.hand_over_singly()?,
            };
            match halt {
                None => return Ok(None),
                Some(Halt::End(end)) => return Ok(Some(end)),
                Some(Halt::Unreadable(why)) => {
                    self.deliveries.note_unreadable(&self.pieces.run().place(), &why);
                }
            }
        }
    }

    /// The bulk path: the producer takes records out of our buffer under one lock.
    fn hand_over_lines(&mut self, line: &Line) -> Result<Option<Halt>> {
        let (mut halt, mut last) = (None, None);
        let left = &mut self.left;
        let before = *left;
        let (recipe, gate) = (&self.recipe, &self.gate);
        let mut run = self.pieces.run();
        let records = std::iter::from_fn(|| {
            if *left == 0 || gate.is_closing() {
                halt = Some(Halt::End(End::Read));
                return None;
            }
            match read_line(run.next()?, line, recipe) {
                Ok(placed) => {
                    *left -= 1;
                    last = Some(placed);
                    Some(placed)
                }
                Err(why) => {
                    halt = Some(Halt::Unreadable(why));
                    None
                }
            }
        });
        let outcome = self.sink.append_all(&self.topic, records);
        self.progress.records.fetch_add(before - *left, Ordering::Relaxed);
        let Err(refusal) = outcome else { return Ok(halt) };
        let Some((partition, record)) = last else { return Ok(halt) };
        let outcome = match refusal {
            None => self.sink.append(&self.topic, partition, record),
            Some(refusal) => Err(refusal),
        };
        // The lines behind it are still in the buffer.
        judge(outcome, &self.deliveries, &self.topic, || run.place(), (partition, &record))
    }

    /// One record after the other, for whatever happens between them.
    fn hand_over_singly(&mut self) -> Result<Option<Halt>> {
        loop {
            if self.left == 0 || self.gate.is_closing() || !self.wait_for_turn() {
                return Ok(Some(Halt::End(End::Read)));
            }
            let mut run = self.pieces.run();
            let piece = match run.next() {
                None => return Ok(None),
                Some(Piece::TooLong) => return Ok(Some(Halt::Unreadable("too long for a record".into()))),
                Some(Piece::Whole(piece)) => piece,
            };
            let Recipe { form, defaults, placement } = &mut self.recipe;
            let draft = match form.read(piece, defaults) {
                Ok(None) => continue,
                Ok(Some(draft)) => draft,
                Err(why) => return Ok(Some(Halt::Unreadable(why))),
            };
            let partition = match placement.partition(&draft) {
                Ok(partition) => partition,
                Err(why) => return Ok(Some(Halt::Unreadable(why))),
            };
            let outcome = self.sink.append(&self.topic, partition, draft.record);
            self.left -= 1;
            let count = self.progress.records.fetch_add(1, Ordering::Relaxed) + 1;
            if self.tee && outcome.is_ok() {
                tee(piece).map_err(|error| {
                    // Not a normal end as for a reader: what is still to come would go unsent without a word.
                    let message = format!("stopped behind {}: writing to stdout: {error}", run.place());
                    Failure::new(Exit::Failed, message)
                })?;
            }
            let record = (partition, &draft.record);
            let halt = judge(outcome, &self.deliveries, &self.topic, || run.place(), record)?;
            if halt.is_some() {
                return Ok(halt);
            }
            if self.commit_after.is_some_and(|records| count.is_multiple_of(records)) {
                self.sink.commit_and_go_on()?;
            }
        }
    }

    /// Waits as `--rate` wants it; false where the user asked to stop meanwhile.
    fn wait_for_turn(&mut self) -> bool {
        let Some(pace) = &mut self.pace else { return true };
        let due = pace.next(Instant::now());
        while !self.gate.is_closing() {
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return true;
            }
            std::thread::sleep(wait.min(PATIENCE));
        }
        false
    }
}

fn tee(piece: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(piece)?;
    stdout.write_all(b"\n")
}

#[inline]
fn read_line<'a>(
    piece: Piece<'a>,
    line: &Line,
    recipe: &'a Recipe,
) -> Result<(Option<i32>, RecordRef<'a>), String> {
    let Piece::Whole(piece) = piece else { return Err("too long for a record".into()) };
    let draft = line.read(piece, &recipe.defaults)?;
    Ok((recipe.placement.partition(&draft)?, draft.record))
}

/// What comes of a record that was handed over.
fn judge(
    outcome: Result<(), Refusal>,
    deliveries: &Deliveries,
    topic: &ProducerTopic,
    place: impl Fn() -> String,
    (partition, record): (Option<i32>, &RecordRef<'_>),
) -> Result<Option<Halt>> {
    match outcome {
        Ok(()) => Ok(None),
        Err(Refusal::Record(why)) => {
            deliveries.note_refused((&place(), &why), topic.name(), partition, record)?;
            Ok(None)
        }
        Err(Refusal::Stopped) => Ok(Some(Halt::End(End::Read))),
        Err(Refusal::Ended(error)) => Ok(Some(Halt::End(End::Broken(place(), error)))),
    }
}
