//! What has to survive besides records: topics, groups, offsets, producer ids, transactions, access rules. A file of
//! checksummed entries, each a key and its newest value; reading it front to back gives the state.
//!
//! Whoever owns a thing writes it here (`cluster`, `group`, `txn`); this knows only bytes. In memory mode it forgets
//! everything at once.

pub(crate) mod fields;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use fields::Fields;

/// Length and checksum before an entry.
const PREFIX_BYTES: usize = 8;
/// The file is written anew when it is larger than this and several times what lives.
const REWRITE_BYTES: u64 = 4 << 20;
const REWRITE_FACTOR: u64 = 4;

/// What an entry is about; the first byte of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Cluster = 1,
    ProducerIds = 2,
    Topic = 3,
    LogStart = 4,
    Group = 5,
    Offset = 6,
    Transaction = 7,
    Acl = 8,
    Credential = 9,
    Quota = 10,
}

/// Shared by all who write to it.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    /// None in memory mode.
    open: Option<Arc<Mutex<Open>>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    len: u64,
    sync: bool,
    live: BTreeMap<Bytes, Bytes>,
    live_bytes: u64,
}

impl Journal {
    /// Forgets what it is given.
    pub(crate) fn in_memory() -> Self {
        Self { open: None }
    }

    /// Reads the file, cuts off a torn end, and goes on writing behind it.
    pub(crate) fn open(path: &Path, sync: bool) -> io::Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Bytes::new(),
            Err(error) => return Err(error),
        };
        let (live, good) = replay(bytes);
        let live_bytes = live.iter().map(|(key, value)| entry_bytes(key, value)).sum();
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        file.set_len(good)?;
        let open = Open { file, path: path.to_owned(), len: good, sync, live, live_bytes };
        Ok(Self { open: Some(Arc::new(Mutex::new(open))) })
    }

    /// Remembers the value of a key. It is with the operating system when this returns, on the disk if so configured.
    pub(crate) fn put(&self, kind: Kind, key: Fields, value: Fields) -> io::Result<()> {
        self.write(kind, key, Some(value.finish()))
    }

    /// Forgets a key.
    pub(crate) fn remove(&self, kind: Kind, key: Fields) -> io::Result<()> {
        self.write(kind, key, None)
    }

    /// All keys of a kind with their values.
    pub(crate) fn entries(&self, kind: Kind) -> Vec<(Bytes, Bytes)> {
        let Some(open) = self.lock() else { return Vec::new() };
        let of_kind = open.live.iter().filter(|(key, _)| key.first() == Some(&(kind as u8)));
        of_kind.map(|(key, value)| (key.slice(1..), value.clone())).collect()
    }

    fn write(&self, kind: Kind, key: Fields, value: Option<Bytes>) -> io::Result<()> {
        let Some(mut open) = self.lock() else { return Ok(()) };
        let mut tagged = BytesMut::new();
        tagged.put_u8(kind as u8);
        tagged.put_slice(&key.finish());
        open.write(tagged.freeze(), value)
    }

    fn lock(&self) -> Option<MutexGuard<'_, Open>> {
        Some(self.open.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Open {
    fn write(&mut self, key: Bytes, value: Option<Bytes>) -> io::Result<()> {
        let entry = encode(&key, value.as_ref());
        if let Err(error) = self.file.write_all(&entry) {
            // Half an entry would hide all that come after it.
            self.file.set_len(self.len)?;
            return Err(error);
        }
        self.len += entry.len() as u64;
        if self.sync {
            self.file.sync_data()?;
        }
        let added = value.as_ref().map_or(0, |value| entry_bytes(&key, value));
        let freed = self.live.get(&key).map_or(0, |value| entry_bytes(&key, value));
        match value {
            Some(value) => self.live.insert(key, value),
            None => self.live.remove(&key),
        };
        self.live_bytes = self.live_bytes + added - freed;
        if self.len > REWRITE_BYTES && self.len > self.live_bytes * REWRITE_FACTOR {
            self.rewrite()?;
        }
        Ok(())
    }

    /// Writes what lives to a new file and puts it in place of the old one.
    fn rewrite(&mut self) -> io::Result<()> {
        let new_path = self.path.with_extension("new");
        let mut bytes = BytesMut::new();
        for (key, value) in &self.live {
            bytes.extend_from_slice(&encode(key, Some(value)));
        }
        let mut file = File::create(&new_path)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        std::fs::rename(&new_path, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.len = bytes.len() as u64;
        Ok(())
    }
}

fn entry_bytes(key: &Bytes, value: &Bytes) -> u64 {
    (PREFIX_BYTES + 4 + key.len() + 1 + value.len()) as u64
}

fn encode(key: &Bytes, value: Option<&Bytes>) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_u32(u32::try_from(key.len()).unwrap_or(u32::MAX));
    body.put_slice(key);
    body.put_u8(u8::from(value.is_some()));
    body.put_slice(value.map_or(&[], |value| &value[..]));
    let mut entry = BytesMut::with_capacity(PREFIX_BYTES + body.len());
    entry.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    entry.put_u32(crc32c::crc32c(&body));
    entry.put_slice(&body);
    entry
}

/// The state the entries lead to, and where the last whole one ends.
fn replay(mut bytes: Bytes) -> (BTreeMap<Bytes, Bytes>, u64) {
    let mut live = BTreeMap::new();
    let mut good = 0;
    while let Some((key, value, size)) = next_entry(&mut bytes) {
        good += size;
        match value {
            Some(value) => live.insert(key, value),
            None => live.remove(&key),
        };
    }
    if !bytes.is_empty() {
        tracing::warn!(torn = bytes.len(), "cut off the end of the journal");
    }
    (live, good)
}

fn next_entry(bytes: &mut Bytes) -> Option<(Bytes, Option<Bytes>, u64)> {
    let mut rest = bytes.clone();
    let length = rest.try_get_u32().ok()? as usize;
    let crc = rest.try_get_u32().ok()?;
    if rest.len() < length {
        return None;
    }
    let mut body = rest.split_to(length);
    if crc32c::crc32c(&body) != crc {
        return None;
    }
    let key_length = body.try_get_u32().ok()? as usize;
    if body.len() <= key_length {
        return None;
    }
    let key = body.split_to(key_length);
    let value = (body.get_u8() == 1).then_some(body);
    *bytes = rest;
    Some((key, value, (PREFIX_BYTES + length) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &tempfile::TempDir) -> Journal {
        Journal::open(&dir.path().join("journal"), false).unwrap()
    }

    fn put(journal: &Journal, key: &str, value: i64) {
        journal.put(Kind::Topic, Fields::new().text(key), Fields::new().long(value)).unwrap();
    }

    fn state(journal: &Journal) -> Vec<(String, i64)> {
        let read = |(mut key, mut value): (Bytes, Bytes)| {
            (fields::text(&mut key).unwrap(), fields::long(&mut value).unwrap())
        };
        journal.entries(Kind::Topic).into_iter().map(read).collect()
    }

    #[test]
    fn the_newest_value_of_each_key_survives() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        put(&journal, "a", 1);
        put(&journal, "b", 2);
        put(&journal, "a", 3);
        journal.remove(Kind::Topic, Fields::new().text("b")).unwrap();
        drop(journal);
        assert_eq!(state(&open(&dir)), [("a".to_owned(), 3)]);
    }

    #[test]
    fn a_torn_entry_hides_nothing_before_or_after_it() {
        let dir = tempfile::tempdir().unwrap();
        put(&open(&dir), "a", 1);
        let path = dir.path().join("journal");
        let mut bytes = std::fs::read(&path).unwrap();
        let torn: Vec<u8> = bytes[..bytes.len() - 1].to_vec();
        bytes.extend(torn);
        std::fs::write(&path, bytes).unwrap();
        put(&open(&dir), "b", 2);
        assert_eq!(state(&open(&dir)), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    }

    #[test]
    fn a_journal_of_old_values_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        let large = "x".repeat(1 << 20);
        for _ in 0..8 {
            journal.put(Kind::Topic, Fields::new().text("a"), Fields::new().text(&large)).unwrap();
        }
        assert!(std::fs::metadata(dir.path().join("journal")).unwrap().len() < 6 << 20);
        drop(journal);
        assert_eq!(open(&dir).entries(Kind::Topic).len(), 1);
    }
}
