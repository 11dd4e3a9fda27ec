//! Deleting old segments: by age, by size, and up to an offset a client asks for (DeleteRecords, KIP-107).

use std::io;

use super::Log;

/// What a topic's settings allow to stay; none for without limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Retention {
    pub(crate) ms: Option<i64>,
    pub(crate) bytes: Option<u64>,
}

impl Log {
    /// Deletes segments from the front. Returns whether the start moved.
    pub(crate) fn enforce_retention(&mut self, retention: Retention, now_ms: i64) -> io::Result<bool> {
        let before = self.start_offset;
        if let Some(ms) = retention.ms {
            let expired = |log: &Self| {
                let first = &log.segments[0];
                !first.is_empty() && first.max_timestamp < now_ms.saturating_sub(ms)
            };
            while expired(self) {
                // The segment that is written to goes too, once all of it is too old.
                if self.segments.len() == 1 {
                    self.roll()?;
                }
                self.delete_first_segment()?;
            }
        }
        if let Some(bytes) = retention.bytes {
            while self.segments.len() > 1 && self.size_bytes() - self.segments[0].len() >= bytes {
                self.delete_first_segment()?;
            }
        }
        Ok(self.start_offset != before)
    }

    /// Hides what is before `offset` and deletes the segments that are wholly before it.
    pub(crate) fn delete_before(&mut self, offset: i64) -> io::Result<()> {
        self.start_offset = self.start_offset.max(offset.min(self.end_offset()));
        while self.segments.len() > 1 && self.segments[0].next_offset <= self.start_offset {
            self.delete_first_segment()?;
        }
        Ok(())
    }

    fn delete_first_segment(&mut self) -> io::Result<()> {
        let first = self.segments.remove(0);
        first.storage.delete()?;
        self.start_offset = self.start_offset.max(self.segments[0].base_offset);
        let start = self.start_offset;
        self.aborted.retain(|aborted| aborted.last_offset >= start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::AppendOptions;
    use crate::log::tests::{NOW_MS, batch_of, options};

    fn three_segments() -> Log {
        let mut log = Log::in_memory();
        for _ in 0..3 {
            let small = AppendOptions { segment_bytes: 100, ..options() };
            log.append(&batch_of(&[b"x"], -1, 0), &small).unwrap();
        }
        log
    }

    #[test]
    fn records_older_than_the_limit_go_even_if_they_are_all_there_is() {
        let mut log = three_segments();
        let retention = Retention { ms: Some(1000), bytes: None };
        assert!(!log.enforce_retention(retention, NOW_MS + 1000).unwrap());
        assert!(log.enforce_retention(retention, NOW_MS + 1001).unwrap());
        assert_eq!((log.start_offset(), log.end_offset()), (3, 3));
    }

    #[test]
    fn size_is_brought_down_to_the_limit_but_the_last_segment_stays() {
        let mut log = three_segments();
        let one = log.segments[0].len();
        log.enforce_retention(Retention { ms: None, bytes: Some(one) }, NOW_MS).unwrap();
        assert_eq!(log.start_offset(), 2);
        log.enforce_retention(Retention { ms: None, bytes: Some(0) }, NOW_MS).unwrap();
        assert_eq!((log.start_offset(), log.end_offset()), (2, 3));
    }

    #[test]
    fn deleted_records_are_not_read_again() {
        let mut log = three_segments();
        log.delete_before(1).unwrap();
        assert_eq!((log.start_offset(), log.all_records().unwrap().len()), (1, 2));
    }
}
