//! Compaction: of every key only the last record stays. Segments that are still written to are left alone.
//!
//! Offsets never change, batches that lose records are written anew without compression, tombstones go after
//! `delete.retention.ms`. Control batches stay.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;

use super::records::{Record, read_records, write_batch};
use super::segment::Segment;
use super::storage::Storage;
use super::{Log, batch::BatchHeader};

/// When and how a topic is compacted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compaction {
    /// Share of bytes not yet compacted from which it starts.
    pub(crate) min_dirty_ratio: f64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) now_ms: i64,
}

impl Log {
    /// Compacts all closed segments if enough of them is new. Returns whether it did.
    pub(crate) fn compact(&mut self, options: &Compaction) -> io::Result<bool> {
        let closed = self.segments.len() - 1;
        let (mut dirty, mut total) = (0, 0);
        for segment in &self.segments[..closed] {
            total += segment.len();
            dirty += if segment.base_offset >= self.compacted_to { segment.len() } else { 0 };
        }
        if dirty == 0 || (dirty as f64) < options.min_dirty_ratio * total as f64 {
            return Ok(false);
        }
        let last = self.last_offsets(closed)?;
        for at in 0..closed {
            self.compact_segment(at, &last, options)?;
        }
        self.compacted_to = self.segments[closed].base_offset;
        Ok(true)
    }

    /// The offset at which each key was last written.
    fn last_offsets(&self, closed: usize) -> io::Result<HashMap<Bytes, i64>> {
        let mut last = HashMap::new();
        for segment in &self.segments[..closed] {
            for found in segment.batches(0) {
                let (position, header) = found?;
                if header.is_control() {
                    continue;
                }
                for record in read_records(&segment.batch_bytes(position, &header)?)? {
                    if let Some(key) = record.key {
                        last.insert(Bytes::copy_from_slice(&key), record.offset);
                    }
                }
            }
        }
        Ok(last)
    }

    fn compact_segment(
        &mut self,
        at: usize,
        last: &HashMap<Bytes, i64>,
        options: &Compaction,
    ) -> io::Result<()> {
        let old = &self.segments[at];
        let mut cleaned = Segment::new(old.base_offset, self.cleaned_storage(old.base_offset)?);
        for found in old.batches(0) {
            let (position, header) = found?;
            let bytes = old.batch_bytes(position, &header)?;
            if let Some(kept) = compact_batch(&header, &bytes, last, options)?
                && let Some(header) = BatchHeader::read(&kept)
            {
                cleaned.append(&header, &kept, options.now_ms)?;
            }
        }
        cleaned.next_offset = old.next_offset;
        cleaned.first_append_ms = old.first_append_ms;
        if let Some(path) = self.segment_path(old.base_offset) {
            cleaned.storage.sync()?;
            cleaned.storage.rename(&path)?;
        }
        self.segments[at] = cleaned;
        Ok(())
    }

    fn cleaned_storage(&self, base: i64) -> io::Result<Storage> {
        match self.segment_path(base) {
            Some(path) => {
                let mut storage = Storage::open(&path.with_extension("cleaned"))?;
                storage.truncate(0)?;
                Ok(storage)
            }
            None => Ok(Storage::Memory(Vec::new())),
        }
    }
}

/// The batch without superseded records; none if nothing is left.
fn compact_batch(
    header: &BatchHeader,
    bytes: &Bytes,
    last: &HashMap<Bytes, i64>,
    options: &Compaction,
) -> io::Result<Option<Bytes>> {
    if header.is_control() {
        return Ok(Some(bytes.clone()));
    }
    let tombstones_stay = header.max_timestamp >= options.now_ms.saturating_sub(options.delete_retention_ms);
    let stays = |record: &Record| {
        let key = record.key.as_ref();
        let is_last = key.is_none_or(|key| last.get(key).is_none_or(|offset| *offset <= record.offset));
        is_last && (record.value.is_some() || tombstones_stay)
    };
    let all = read_records(bytes)?;
    let count = all.len();
    let kept: Vec<Record> = all.into_iter().filter(stays).collect();
    Ok(match kept.len() {
        0 => None,
        unchanged if unchanged == count => Some(bytes.clone()),
        _ => Some(write_batch(header, &kept).freeze()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::{NOW_MS, keyed, options};

    const EAGER: Compaction = Compaction { min_dirty_ratio: 0.0, delete_retention_ms: 1000, now_ms: NOW_MS };

    fn log_of(records: &[(&'static str, Option<&'static str>)]) -> Log {
        let mut log = Log::in_memory();
        log.append(&keyed(records), &options()).unwrap();
        log.roll().unwrap();
        log
    }

    fn contents(log: &Log) -> Vec<(i64, String, Option<String>)> {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let all = log.all_records().unwrap().into_iter();
        all.map(|r| (r.offset, text(&r.key.unwrap()), r.value.as_ref().map(text))).collect()
    }

    #[test]
    fn only_the_last_record_of_a_key_stays_and_keeps_its_offset() {
        let mut log = log_of(&[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]);
        assert!(log.compact(&EAGER).unwrap());
        let expected = [(1, "b".to_owned(), Some("1".to_owned())), (2, "a".to_owned(), Some("2".to_owned()))];
        assert_eq!(contents(&log), expected);
        assert_eq!(log.end_offset(), 3);
    }

    #[test]
    fn a_tombstone_goes_after_its_time() {
        let mut log = log_of(&[("a", Some("1")), ("a", None)]);
        log.compact(&EAGER).unwrap();
        assert_eq!(contents(&log), [(1, "a".to_owned(), None)]);
        log.compacted_to = 0;
        log.compact(&Compaction { now_ms: NOW_MS + 1001, ..EAGER }).unwrap();
        assert_eq!(contents(&log), []);
    }

    #[test]
    fn reading_goes_on_behind_a_segment_that_was_emptied() {
        let mut log = log_of(&[("a", Some("1"))]);
        log.append(&keyed(&[("a", Some("2"))]), &options()).unwrap();
        log.roll().unwrap();
        log.compact(&EAGER).unwrap();
        let read = log.read(0, log.end_offset(), 1 << 20, true).unwrap();
        assert_eq!(BatchHeader::read(&read).map(|header| header.base_offset), Some(1));
    }

    #[test]
    fn compaction_on_disk_survives_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 0, false).unwrap();
        log.append(&keyed(&[("a", Some("1")), ("a", Some("2"))]), &options()).unwrap();
        log.roll().unwrap();
        log.compact(&EAGER).unwrap();
        drop(log);
        let log = Log::open(dir.path(), 0, false).unwrap();
        assert_eq!(contents(&log), [(1, "a".to_owned(), Some("2".to_owned()))]);
        assert_eq!(log.end_offset(), 2);
    }
}
