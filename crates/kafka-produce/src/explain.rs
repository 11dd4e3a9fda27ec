//! `--explain`: where each record would go, and why. Nothing is sent.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use kafka_cli::record_json::write_bytes;
use kafka_core::producer::Partitioner;

use crate::deliveries::Deliveries;
use crate::form::Draft;
use crate::gate::Gate;
use crate::input::{Piece, Pieces};
use crate::job::Recipe;
use crate::placement::Placement;

/// Explains input instead of sending it.
pub(crate) struct Explainer {
    pub(crate) pieces: Pieces,
    pub(crate) recipe: Recipe,
    pub(crate) topic: String,
    pub(crate) partitions: u32,
    pub(crate) partitioner: Partitioner,
    pub(crate) gate: Arc<Gate>,
    pub(crate) deliveries: Deliveries,
    pub(crate) left: u64,
}

impl Explainer {
    /// Explains all of it.
    ///
    /// # Errors
    /// Input cannot be read, stdout cannot be written.
    pub(crate) fn run(mut self) -> Result<()> {
        let mut out = BufWriter::new(std::io::stdout());
        loop {
            let more = self.pieces.fill()?;
            let gate = Arc::clone(&self.gate);
            let Some(_inside) = gate.enter() else { return Ok(()) };
            self.explain_pieces(&mut out)?;
            out.flush().context("writing to stdout")?;
            if !more || self.left == 0 {
                return Ok(());
            }
        }
    }

    fn explain_pieces(&mut self, out: &mut impl Write) -> Result<()> {
        let mut run = self.pieces.run();
        let mut line = Vec::new();
        while self.left > 0 && !self.gate.is_closing() {
            let Some(piece) = run.next() else { break };
            let Recipe { form, defaults, placement } = &mut self.recipe;
            let outcome = match piece {
                Piece::TooLong => Err("too long for a record".to_owned()),
                Piece::Whole(piece) => form.read(piece, defaults),
            };
            let placed = outcome.and_then(|draft| {
                let place = |draft| place(placement, self.partitioner, self.partitions, draft);
                draft.map(place).transpose()
            });
            match placed {
                Ok(None) => {}
                Ok(Some((draft, partition, why))) => {
                    self.left -= 1;
                    line.clear();
                    let partition =
                        partition.map_or_else(|| "any".to_owned(), |partition| partition.to_string());
                    write!(line, "{}[{partition}]\t{why}\tkey ", self.topic)?;
                    write_bytes(&mut line, draft.record.key);
                    line.extend_from_slice(b"\tvalue ");
                    write_bytes(&mut line, draft.record.value);
                    line.push(b'\n');
                    out.write_all(&line).context("writing to stdout")?;
                }
                Err(why) => self.deliveries.note_unreadable(&run.place(), &why),
            }
        }
        Ok(())
    }
}

/// The partition, where one is certain, and what decides it.
fn place<'a>(
    placement: &Placement,
    partitioner: Partitioner,
    partitions: u32,
    draft: Draft<'a>,
) -> Result<(Draft<'a>, Option<i32>, String), String> {
    if let Some(partition) = placement.partition(&draft)? {
        let why = match placement {
            Placement::Routes(_) => {
                format!("route of {}", String::from_utf8_lossy(draft.word.unwrap_or_default()))
            }
            Placement::Fixed(_) => "-p".to_owned(),
            Placement::Input | Placement::Partitioner => "named by the input".to_owned(),
        };
        if u32::try_from(partition).map_or(true, |partition| partition >= partitions) {
            return Err(format!("there is no partition {partition}"));
        }
        return Ok((draft, Some(partition), why));
    }
    let by_key = draft.record.key.and_then(|key| partitioner.for_key(key, partitions));
    let why = match (by_key, partitioner) {
        (Some(_), _) => format!("{partitioner} of the key, {partitions} partitions"),
        (None, Partitioner::RoundRobin | Partitioner::Random) => partitioner.to_string(),
        (None, _) => "no key: batch by batch".to_owned(),
    };
    Ok((draft, by_key, why))
}

#[cfg(test)]
mod tests {
    use kafka_core::RecordRef;

    use super::*;

    #[test]
    fn keys_are_explained_with_the_hash_that_places_them() {
        let draft = |key: Option<&'static [u8]>| Draft {
            record: RecordRef { key, ..RecordRef::default() },
            partition: None,
            word: key,
        };
        let explain = |key, partitioner| {
            let (_, partition, why) = place(&Placement::Input, partitioner, 6, draft(key)).unwrap();
            (partition, why)
        };
        assert_eq!(
            explain(Some(b"north"), Partitioner::Murmur2),
            (Some(2), "murmur2 of the key, 6 partitions".into())
        );
        assert_eq!(explain(None, Partitioner::Murmur2), (None, "no key: batch by batch".into()));
        assert_eq!(explain(Some(b"k"), Partitioner::RoundRobin), (None, "roundrobin".into()));
        assert!(place(&Placement::Fixed(6), Partitioner::Murmur2, 6, draft(None)).is_err());
    }
}
