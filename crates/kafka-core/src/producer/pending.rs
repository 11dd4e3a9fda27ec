//! A batch without an outcome: its bytes on their way to the wire, and what is known of its tries. Data; the rules for it
//! stand in `sequence`.

use std::time::Instant;

use bytes::Bytes;

use super::accumulator::{ClosedBatch, Waiter};
use super::batch::{self, Stamp};
use crate::error::Error;

/// The bytes of a batch on their way to the wire.
#[derive(Debug)]
pub(crate) enum Body {
    /// Finished, not compressed.
    Plain(Vec<u8>),
    /// Being compressed elsewhere; as it was before.
    Packing(Bytes),
    /// Compressed, or as it is where there is no compression.
    Packed(Vec<u8>),
    /// Under a stamp, with its checksum.
    Sealed(Bytes),
}

impl Body {
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Sealed(bytes) | Self::Packing(bytes) => bytes,
            Self::Plain(bytes) | Self::Packed(bytes) => Bytes::from(bytes),
        }
    }
}

/// A batch that has no outcome yet.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Its own number, also where it is one part of a batch that was split.
    pub(crate) id: u64,
    /// The number that the accumulator gave it, which flushes go by.
    pub(crate) order: u64,
    pub(crate) body: Body,
    pub(crate) count: i32,
    pub(crate) plain_bytes: usize,
    pub(crate) created: Instant,
    pub(crate) charged: usize,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) stamp: Option<Stamp>,
    /// The request it is in, while that request's answer counts.
    pub(crate) in_flight: Option<u64>,
    pub(crate) attempts: u32,
    /// It was sent and no answer tells what became of it.
    pub(crate) maybe_written: bool,
    /// When it was first refused as out of order while it was not certain that no broker has it.
    pub(super) refused_at: Option<Instant>,
    pub(crate) last_error: Option<Error>,
}

impl Pending {
    pub(crate) fn new(batch: ClosedBatch) -> Self {
        Self {
            id: batch.id,
            order: batch.id,
            plain_bytes: batch.bytes.len(),
            body: Body::Plain(batch.bytes),
            count: batch.count,
            created: batch.created,
            charged: batch.charged,
            waiters: batch.waiters,
            stamp: None,
            in_flight: None,
            attempts: 0,
            maybe_written: false,
            refused_at: None,
            last_error: None,
        }
    }

    /// The bytes for the wire, under this stamp.
    pub(crate) fn seal(&mut self, stamp: Stamp, transactional: bool) -> Bytes {
        let is_new = self.stamp.replace(stamp) != Some(stamp);
        let mut bytes = match std::mem::replace(&mut self.body, Body::Plain(Vec::new())) {
            Body::Sealed(bytes) if !is_new => {
                self.body = Body::Sealed(bytes.clone());
                return bytes;
            }
            Body::Sealed(bytes) | Body::Packing(bytes) => Vec::from(bytes),
            Body::Plain(bytes) | Body::Packed(bytes) => bytes,
        };
        batch::seal(&mut bytes, stamp, transactional);
        let bytes = Bytes::from(bytes);
        self.body = Body::Sealed(bytes.clone());
        bytes
    }

    /// The bytes as they are now.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.body.into_bytes()
    }

    /// Whether it needs nothing more than a stamp.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.body, Body::Packed(_) | Body::Sealed(_))
    }

    /// Bytes that a request with this batch takes.
    pub(crate) fn len(&self) -> usize {
        match &self.body {
            Body::Plain(bytes) | Body::Packed(bytes) => bytes.len(),
            Body::Sealed(bytes) | Body::Packing(bytes) => bytes.len(),
        }
    }
}
