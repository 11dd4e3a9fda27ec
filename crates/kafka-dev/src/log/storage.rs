//! Where the bytes of a segment are: a file, or memory for `--memory` and tests. Knows no batches.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// An append-only run of bytes.
#[derive(Debug)]
pub(crate) enum Storage {
    Memory(Vec<u8>),
    File { file: File, path: PathBuf, len: u64 },
}

impl Storage {
    /// Opens or creates the file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let len = file.metadata()?.len();
        Ok(Self::File { file, path: path.to_owned(), len })
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Adds at the end. A write that failed half-way leaves the length as it was, so the next one overwrites it.
    pub(crate) fn append(&mut self, more: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => bytes.extend_from_slice(more),
            Self::File { file, len, .. } => {
                file.write_all_at(more, *len)?;
                *len += more.len() as u64;
            }
        }
        Ok(())
    }

    /// Up to `max` bytes from `position`.
    pub(crate) fn read(&self, position: u64, max: usize) -> io::Result<Bytes> {
        let left = usize::try_from(self.len().saturating_sub(position)).unwrap_or(usize::MAX);
        let size = left.min(max);
        match self {
            Self::Memory(bytes) => {
                let from = usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Bytes::copy_from_slice(&bytes[from..from + size]))
            }
            Self::File { file, .. } => {
                let mut buffer = vec![0; size];
                file.read_exact_at(&mut buffer, position)?;
                Ok(buffer.into())
            }
        }
    }

    /// Forgets what is after `len`.
    pub(crate) fn truncate(&mut self, new_len: u64) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => bytes.truncate(usize::try_from(new_len).unwrap_or(usize::MAX)),
            Self::File { file, len, .. } => {
                file.set_len(new_len)?;
                *len = new_len;
            }
        }
        Ok(())
    }

    /// Waits until the bytes are on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::File { file, .. } => file.sync_data(),
        }
    }

    /// Moves the file over another one.
    pub(crate) fn rename(&mut self, to: &Path) -> io::Result<()> {
        if let Self::File { path, .. } = self {
            std::fs::rename(&*path, to)?;
            to.clone_into(path);
        }
        Ok(())
    }

    /// Removes the file.
    pub(crate) fn delete(self) -> io::Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::File { path, .. } => std::fs::remove_file(path),
        }
    }
}
