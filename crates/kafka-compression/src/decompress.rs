//! Opens compressed records. The output is bounded: a few bytes can claim to be gigabytes.

use std::io::{self, Read};

use super::Codec;

/// What stands before snappy chunks as the Java client frames them: a magic, then two version numbers.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER: usize = 16;

/// Why bytes cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// More than the limit.
    #[error("it grows beyond {0} bytes")]
    TooLarge(usize),
    /// Not what the codec writes.
    #[error("{0}")]
    Malformed(String),
}

fn malformed(error: impl std::fmt::Display) -> DecompressError {
    DecompressError::Malformed(error.to_string())
}

/// The plain bytes behind `packed`.
///
/// # Errors
/// Where they are malformed, or more than `max_bytes`.
pub fn decompress(codec: Codec, packed: &[u8], max_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    match codec {
        Codec::None if packed.len() > max_bytes => Err(DecompressError::TooLarge(max_bytes)),
        Codec::None => Ok(packed.to_vec()),
        Codec::Gzip => read_all(flate2::read::MultiGzDecoder::new(packed), packed.len(), max_bytes),
        Codec::Snappy => snappy(packed, max_bytes),
        Codec::Lz4 => read_all(lz4_flex::frame::FrameDecoder::new(packed), packed.len(), max_bytes),
        Codec::Zstd => zstd(packed, max_bytes),
    }
}

/// Reads to the end, one byte more than allowed at most.
fn read_all(reader: impl Read, packed: usize, max_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    let mut plain = Vec::with_capacity(packed.saturating_mul(3).min(max_bytes));
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(&mut plain).map_err(malformed)?;
    if plain.len() > max_bytes { Err(DecompressError::TooLarge(max_bytes)) } else { Ok(plain) }
}

/// Java frames snappy in chunks, each behind its length; librdkafka and Go write one bare block.
fn snappy(packed: &[u8], max_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    let mut plain = Vec::new();
    if !packed.starts_with(XERIAL_MAGIC) {
        append_snappy_block(packed, &mut plain, max_bytes)?;
        return Ok(plain);
    }
    let mut rest = packed.get(XERIAL_HEADER..).ok_or_else(|| malformed("the frame header is cut off"))?;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(|| malformed("a chunk is cut off"))?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(malformed)?;
        let (chunk, tail) = tail.split_at_checked(length).ok_or_else(|| malformed("a chunk is cut off"))?;
        append_snappy_block(chunk, &mut plain, max_bytes)?;
        rest = tail;
    }
    Ok(plain)
}

fn append_snappy_block(block: &[u8], plain: &mut Vec<u8>, max_bytes: usize) -> Result<(), DecompressError> {
    /// Snappy's densest element, a copy, makes 64 bytes out of three.
    const MAX_RATIO: usize = 22;
    let length = snap::raw::decompress_len(block).map_err(malformed)?;
    if length > max_bytes.saturating_sub(plain.len()) {
        return Err(DecompressError::TooLarge(max_bytes));
    }
    if length > block.len().saturating_mul(MAX_RATIO) {
        return Err(malformed("a block claims more bytes than it can hold"));
    }
    let start = plain.len();
    plain.resize(start + length, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut plain[start..]).map_err(malformed)?;
    plain.truncate(start + written);
    Ok(())
}

fn zstd(packed: &[u8], max_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    let mut decoder = ruzstd::decoding::FrameDecoder::new();
    decoder.set_max_window_size(u64::try_from(max_bytes).unwrap_or(u64::MAX));
    let mut source = packed;
    let mut plain = Vec::new();
    // Frames may follow one another; each ends where the decoder says so.
    while !source.is_empty() {
        let left = max_bytes.saturating_sub(plain.len());
        let stream = ruzstd::decoding::StreamingDecoder::new_with_decoder(&mut source, decoder);
        let mut stream = stream.map_err(malformed)?;
        let limit = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1);
        io::Read::take(&mut stream, limit).read_to_end(&mut plain).map_err(malformed)?;
        if plain.len() > max_bytes {
            return Err(DecompressError::TooLarge(max_bytes));
        }
        decoder = stream.into_frame_decoder();
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4(plain: &[u8], linked: bool) -> Vec<u8> {
        let mut info = lz4_flex::frame::FrameInfo::new().content_checksum(linked);
        if linked {
            info = info.block_mode(lz4_flex::frame::BlockMode::Linked);
        }
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn xerial(chunks: &[&[u8]]) -> Vec<u8> {
        let mut packed = [XERIAL_MAGIC, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for chunk in chunks {
            let block = snap::raw::Encoder::new().compress_vec(chunk).unwrap();
            packed.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
            packed.extend_from_slice(&block);
        }
        packed
    }

    fn every_packing(plain: &[u8]) -> Vec<(Codec, Vec<u8>)> {
        let (left, right) = plain.split_at(plain.len() / 2);
        vec![
            (Codec::None, plain.to_vec()),
            (Codec::Gzip, gzip(plain)),
            (Codec::Snappy, snap::raw::Encoder::new().compress_vec(plain).unwrap()),
            (Codec::Snappy, xerial(&[left, right])),
            (Codec::Lz4, lz4(plain, false)),
            (Codec::Lz4, lz4(plain, true)),
            (
                Codec::Zstd,
                ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest),
            ),
        ]
    }

    #[test]
    fn a_bomb_ends_at_the_limit_in_every_codec() {
        let bomb = vec![b'x'; 4 * LIMIT];
        for (codec, packed) in every_packing(&bomb) {
            let error = decompress(codec, &packed, LIMIT).unwrap_err();
            let is_refused = matches!(error, DecompressError::TooLarge(LIMIT));
            // zstd refuses a window above the limit before it reads any block.
            assert!(is_refused || codec == Codec::Zstd, "{codec}: {error}");
            assert!(decompress(codec, &packed, 4 * LIMIT).is_ok(), "{codec}: exactly the limit is allowed");
        }
    }

    #[test]
    fn a_snappy_block_that_claims_more_than_it_can_hold_is_refused_before_anything_is_reserved() {
        let claim = [0xff, 0xff, 0xff, 0x7f];
        assert!(decompress(Codec::Snappy, &claim, usize::MAX).is_err());
    }

    #[test]
    fn truncated_bytes_are_an_error_or_a_prefix_and_never_a_panic() {
        let plain: Vec<u8> = (0..10_000_u32).flat_map(|n| (n % 97).to_be_bytes()).collect();
        for (codec, packed) in every_packing(&plain) {
            for length in (0..packed.len()).step_by(37) {
                if let Ok(opened) = decompress(codec, &packed[..length], LIMIT) {
                    assert!(plain.starts_with(&opened), "{codec} cut at {length}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_any_codec_packed_comes_out_again(plain: Vec<u8>, times in 1usize..200) {
            let plain = plain.repeat(times);
            for (codec, packed) in every_packing(&plain) {
                prop_assert_eq!(&decompress(codec, &packed, LIMIT.max(plain.len())).unwrap(), &plain);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic_or_pass_the_limit(packed: Vec<u8>) {
            for codec in Codec::ALL {
                if let Ok(plain) = decompress(codec, &packed, LIMIT) {
                    prop_assert!(plain.len() <= LIMIT);
                }
            }
        }
    }
}
