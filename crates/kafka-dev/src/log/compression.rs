//! Decompression of record batches with a bound on the result. Compression codecs are pure Rust.

use std::io::{self, Read};

use bytes::Bytes;

/// Largest decompressed batch that is read. Kafka bounds only the compressed size (`max.message.bytes`, 1 MiB).
const MAX_DECOMPRESSED_BYTES: u64 = 128 << 20;
/// What the Java client puts before its snappy blocks: a magic, two versions.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

/// The records of a batch, as written before compression. `codec` is the number in the attributes.
pub(crate) fn decompress(codec: i16, bytes: &Bytes) -> io::Result<Bytes> {
    match codec {
        0 => Ok(bytes.clone()),
        1 => bounded(flate2::read::MultiGzDecoder::new(&bytes[..])),
        2 => snappy(bytes),
        3 => bounded(lz4_flex::frame::FrameDecoder::new(&bytes[..])),
        4 => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(&bytes[..]);
            bounded(decoder.map_err(|error| invalid(error.to_string()))?)
        }
        unknown => Err(invalid(format!("unknown compression codec {unknown}"))),
    }
}

fn bounded(reader: impl Read) -> io::Result<Bytes> {
    let mut out = Vec::new();
    reader.take(MAX_DECOMPRESSED_BYTES + 1).read_to_end(&mut out)?;
    if out.len() as u64 > MAX_DECOMPRESSED_BYTES {
        return Err(too_large());
    }
    Ok(out.into())
}

/// Snappy comes raw (librdkafka) or as xerial's stream of length-prefixed blocks (Java).
fn snappy(bytes: &Bytes) -> io::Result<Bytes> {
    if !bytes.starts_with(XERIAL_MAGIC) {
        return Ok(snappy_block(bytes)?.into());
    }
    let mut rest = bytes.get(XERIAL_HEADER_BYTES..).ok_or_else(|| invalid("short xerial header"))?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk().ok_or_else(|| invalid("short xerial block"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let block = after.get(..length).ok_or_else(|| invalid("short xerial block"))?;
        out.extend_from_slice(&snappy_block(block)?);
        if out.len() as u64 > MAX_DECOMPRESSED_BYTES {
            return Err(too_large());
        }
        rest = &after[length..];
    }
    Ok(out.into())
}

fn snappy_block(block: &[u8]) -> io::Result<Vec<u8>> {
    let length = snap::raw::decompress_len(block).map_err(|error| invalid(error.to_string()))?;
    if length as u64 > MAX_DECOMPRESSED_BYTES {
        return Err(too_large());
    }
    snap::raw::Decoder::new().decompress_vec(block).map_err(|error| invalid(error.to_string()))
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn too_large() -> io::Error {
    invalid("decompressed batch is too large")
}
