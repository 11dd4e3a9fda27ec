//! Packs the records of a batch, in the framings that brokers and every client read.

use std::io::{self, Write};

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use super::{Codec, Compression};

/// What stands before snappy chunks as the Java client frames them: a magic, the version, the oldest compatible one.
const XERIAL_HEADER: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Snappy looks for matches within 64 KiB, so larger chunks would pack no better.
const XERIAL_CHUNK_BYTES: usize = 64 * 1024;
/// The head of an LZ4 frame: its magic, version 1 with independent blocks, blocks of at most 64 KiB, and the checksum of
/// these two bytes. <https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>
const LZ4_HEADER: &[u8] = b"\x04\x22\x4d\x18\x60\x40\x82";
const LZ4_BLOCK_BYTES: usize = 64 * 1024;
/// Set in the length of a block that would have grown.
const LZ4_PLAIN_BLOCK: u32 = 1 << 31;
const LZ4_END_MARK: [u8; 4] = [0; 4];
const GZIP_DEFAULT_LEVEL: i32 = 6;

/// Appends the packed form of `plain` to `out`.
///
/// # Errors
/// Where the codec refuses, which memory excepted it has no reason to.
pub fn compress(compression: Compression, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match compression.codec {
        Codec::None => {
            out.extend_from_slice(plain);
            Ok(())
        }
        Codec::Gzip => gzip(compression.level.unwrap_or(GZIP_DEFAULT_LEVEL), plain, out),
        Codec::Snappy => snappy(plain, out),
        Codec::Lz4 => lz4(plain, out),
        Codec::Zstd => zstd(compression.level, plain, out),
    }
}

fn gzip(level: i32, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let level = flate2::Compression::new(level.clamp(0, 9).unsigned_abs());
    let mut encoder = flate2::write::GzEncoder::new(out, level);
    encoder.write_all(plain)?;
    encoder.finish().map(drop)
}

fn snappy(plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = snap::raw::Encoder::new();
    out.extend_from_slice(XERIAL_HEADER);
    for chunk in plain.chunks(XERIAL_CHUNK_BYTES) {
        let length_at = out.len();
        let start = length_at + 4;
        out.resize(start + snap::raw::max_compress_len(chunk.len()), 0);
        let packed = encoder.compress(chunk, &mut out[start..])?;
        out.truncate(start + packed);
        let length = u32::try_from(packed).map_err(io::Error::other)?;
        out[length_at..start].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Independent blocks of 64 KiB, as the Java client writes them; it reads no others. The encoder of
/// `lz4_flex::frame` would copy every byte once more.
fn lz4(plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(LZ4_HEADER);
    let (mut table, mut room) = (CompressTable::large(), vec![0; get_maximum_output_size(LZ4_BLOCK_BYTES)]);
    for block in plain.chunks(LZ4_BLOCK_BYTES) {
        let packed = compress_into_with_table(block, &mut room, &mut table).map_err(io::Error::other)?;
        let (bytes, mark) =
            if packed < block.len() { (&room[..packed], 0) } else { (block, LZ4_PLAIN_BLOCK) };
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        out.extend_from_slice(&(length | mark).to_le_bytes());
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(&LZ4_END_MARK);
    Ok(())
}

/// The one level that there is in Rust, about the C library's 1.
#[cfg(not(feature = "zstd-c"))]
fn zstd(_: Option<i32>, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    ruzstd::encoding::compress(plain, out, ruzstd::encoding::CompressionLevel::Fastest);
    Ok(())
}

#[cfg(feature = "zstd-c")]
fn zstd(level: Option<i32>, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    // In one piece: where the size is not known, the higher levels ask of readers a window of 128 MiB.
    let packed = zstd::bulk::compress(plain, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL))?;
    out.extend_from_slice(&packed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::decompress;

    fn packed(codec: Codec, plain: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        compress(codec.into(), plain, &mut out).unwrap();
        assert!(out.starts_with(b"before"), "{codec} appends");
        out.split_off(6)
    }

    #[test]
    fn each_codec_begins_as_other_clients_expect() {
        let plain = b"rider-updates ".repeat(20_000);
        assert_eq!(packed(Codec::Gzip, &plain)[..3], [0x1f, 0x8b, 8]);
        assert_eq!(packed(Codec::Snappy, &plain)[..16], *XERIAL_HEADER);
        assert_eq!(packed(Codec::Lz4, &plain)[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
        assert_eq!(packed(Codec::Zstd, &plain)[..4], [0x28, 0xb5, 0x2f, 0xfd]);
        for codec in Codec::ALL {
            let ratio = packed(codec, &plain).len() as f64 / plain.len() as f64;
            assert_eq!(ratio < 0.2, codec != Codec::None, "{codec}: {ratio}");
        }
    }

    #[test]
    fn lz4_leaves_blocks_plain_that_would_grow_and_its_frames_pass_the_decoder_of_its_crate() {
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let mut plain: Vec<u8> = noise.take(LZ4_BLOCK_BYTES + 1).collect();
        plain.extend(b"north ".repeat(30_000));
        let packed = packed(Codec::Lz4, &plain);
        assert_eq!(packed[7..11], (LZ4_BLOCK_BYTES as u32 | LZ4_PLAIN_BLOCK).to_le_bytes());
        assert!(packed.len() < LZ4_BLOCK_BYTES + 3_000, "{}", packed.len());
        let mut opened = Vec::new();
        lz4_flex::frame::FrameDecoder::new(&packed[..]).read_to_end(&mut opened).unwrap();
        assert_eq!(opened, plain);
    }

    #[test]
    fn a_higher_level_packs_tighter() {
        let words = ["north ", "south ", "rider ", "street ", "corner ", "update ", "7", "42"];
        let choices = std::iter::successors(Some(1_u32), |n| {
            Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
        });
        let plain: Vec<u8> = choices.take(100_000).flat_map(|n| words[(n >> 29) as usize].bytes()).collect();
        let at = |codec, level| {
            let mut out = Vec::new();
            compress(Compression { codec, level: Some(level) }, &plain, &mut out).unwrap();
            assert!(decompress(codec, &out, plain.len()).unwrap() == plain, "{codec} {level}");
            out.len()
        };
        assert!(at(Codec::Gzip, 9) < at(Codec::Gzip, 1));
        if cfg!(feature = "zstd-c") {
            assert!(at(Codec::Zstd, 19) < at(Codec::Zstd, 1));
        }
    }
}
