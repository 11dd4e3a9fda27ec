//! Opening a log that is on disk: its segments in order, the torn tail cut off, what is derived from batches rebuilt.
//!
//! Earlier segments were complete when the next one was begun; only the last one can end in half a batch, so only there
//! checksums are verified. A `.cleaned` file is a compaction that did not finish; it is removed.

use std::io;
use std::path::Path;

use super::batch;
use super::segment::Segment;
use super::storage::Storage;
use super::{CLEANED_SUFFIX, Log, SEGMENT_SUFFIX};

impl Log {
    /// Opens the log in this folder, which is created if need be. `start_offset` is what DeleteRecords has set.
    pub(crate) fn open(dir: &Path, start_offset: i64, sync: bool) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut log = Self::empty(Some(dir.to_owned()), sync);
        let bases = segment_bases(dir)?;
        let last = bases.last().copied();
        for base in bases {
            let segment = log.recover_segment(base, Some(base) == last)?;
            if let Some(previous) = log.segments.last_mut() {
                previous.next_offset = base;
            }
            log.segments.push(segment);
        }
        if log.segments.is_empty() {
            let first = log.new_segment(0)?;
            log.segments.push(first);
        }
        log.start_offset = log.segments[0].base_offset.max(start_offset);
        Ok(log)
    }

    fn recover_segment(&mut self, base: i64, verify: bool) -> io::Result<Segment> {
        let path = self.segment_path(base).ok_or_else(|| io::Error::other("the log has no folder"))?;
        let mut segment = Segment::new(base, Storage::open(&path)?);
        segment.first_append_ms = std::fs::metadata(&path)?.created().ok().and_then(epoch_ms);
        let mut good = 0;
        while let Some(header) = segment.header_at(good)? {
            let end = good + header.size as u64;
            if end > segment.len() || header.base_offset < segment.next_offset {
                break;
            }
            let needs_bytes = verify || header.is_control();
            if needs_bytes {
                let bytes = segment.batch_bytes(good, &header)?;
                if verify && !batch::crc_holds(&bytes) {
                    break;
                }
                self.note(&header, &bytes);
            } else {
                self.note(&header, &[]);
            }
            segment.note(&header, good);
            good = end;
        }
        if good < segment.len() {
            let torn = segment.len() - good;
            tracing::warn!(path = %path.display(), torn, "cut off what is no whole batch");
            segment.storage.truncate(good)?;
        }
        Ok(segment)
    }
}

fn epoch_ms(time: std::time::SystemTime) -> Option<i64> {
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// The base offsets in the file names, ascending.
fn segment_bases(dir: &Path) -> io::Result<Vec<i64>> {
    let mut bases = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.ends_with(CLEANED_SUFFIX) {
            std::fs::remove_file(&path)?;
        } else if let Some(base) = name.strip_suffix(SEGMENT_SUFFIX).and_then(|base| base.parse().ok()) {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::records::Record;
    use crate::log::tests::{append, batch_of, options};
    use std::fs::OpenOptions;
    use std::io::Write;

    fn values(log: &Log) -> Vec<Vec<u8>> {
        let value = |record: Record| record.value.unwrap_or_default().to_vec();
        log.all_records().unwrap().into_iter().map(value).collect()
    }

    #[test]
    fn what_was_appended_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 0, false).unwrap();
        append(&mut log, &[b"a", b"b"]);
        append(&mut log, &[b"c"]);
        drop(log);
        let log = Log::open(dir.path(), 0, false).unwrap();
        assert_eq!((log.end_offset(), values(&log)), (3, vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]));
    }

    #[test]
    fn half_a_batch_at_the_end_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 0, false).unwrap();
        append(&mut log, &[b"whole"]);
        let path = log.segment_path(0).unwrap();
        drop(log);
        let mut torn = batch_of(&[b"torn"], -1, 0);
        batch::assign(&mut torn, 1, 0);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&torn[..torn.len() - 3]).unwrap();
        let mut log = Log::open(dir.path(), 0, false).unwrap();
        assert_eq!(values(&log), [b"whole"]);
        append(&mut log, &[b"next"]);
        assert_eq!(values(&log), [b"whole".to_vec(), b"next".to_vec()]);
    }

    #[test]
    fn a_batch_whose_bytes_changed_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 0, false).unwrap();
        append(&mut log, &[b"good"]);
        append(&mut log, &[b"flipped"]);
        let path = log.segment_path(0).unwrap();
        drop(log);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        *bytes.iter_mut().rev().nth(4).unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(values(&Log::open(dir.path(), 0, false).unwrap()), [b"good"]);
    }

    #[test]
    fn producers_are_remembered_so_that_a_retry_after_the_crash_is_a_duplicate() {
        let dir = tempfile::tempdir().unwrap();
        let batch = batch_of(&[b"once"], 7, 0);
        let mut log = Log::open(dir.path(), 0, false).unwrap();
        log.append(&batch, &options()).unwrap();
        drop(log);
        let mut log = Log::open(dir.path(), 0, false).unwrap();
        let again = log.append(&batch, &options()).unwrap();
        assert_eq!((again.base_offset, again.is_new), (0, false));
    }

    #[test]
    fn segments_follow_each_other_without_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 0, false).unwrap();
        for _ in 0..5 {
            let small = crate::log::AppendOptions { segment_bytes: 100, ..options() };
            log.append(&batch_of(&[b"x"], -1, 0), &small).unwrap();
        }
        assert_eq!(log.segments.len(), 5);
        drop(log);
        let log = Log::open(dir.path(), 0, false).unwrap();
        assert_eq!((log.segments.len(), log.end_offset()), (5, 5));
    }
}
