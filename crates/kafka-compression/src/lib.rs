//! The compressions of Kafka's record batches, all in Rust: which there are, and bytes in and out. Nothing of batches.
//!
//! A crate of its own, so that the codecs, which are generic, are compiled for speed while the client library is compiled
//! for size.

mod compress;
mod decompress;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

pub use compress::compress;
pub use decompress::{DecompressError, decompress};

/// A compression that there is not, or a level that it does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unknown {
    /// No codec has this name.
    #[error("no such compression: {0} (none, gzip, snappy, lz4, zstd)")]
    Codec(String),
    /// The codec has other levels.
    #[error("compression.level: {codec} has the levels {} to {}, not {level}", levels.start(), levels.end())]
    Level {
        /// Which.
        codec: Codec,
        /// Those that it has.
        levels: RangeInclusive<i32>,
        /// The one that was asked for.
        level: i32,
    },
    /// The codec has one level only here.
    #[error("compression.level: {0} has one level here, so {1} would mean nothing; leave it out")]
    OneLevel(Codec, i32),
}

/// A compression of record batches (`compression.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// Records as they are.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Snappy, in the chunked framing of the Java client.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

impl Codec {
    /// All of them, by their number in a batch's attributes.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in the lowest three bits of a batch's attributes.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec of a batch with these attributes, where it is a known one.
    #[must_use]
    pub fn from_attributes(attributes: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(attributes & 0x07).ok()?).copied()
    }

    /// Kafka's name, as in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let found = Self::ALL.into_iter().find(|codec| codec.name() == text);
        found.ok_or_else(|| Unknown::Codec(text.into()))
    }
}

/// How batches are compressed: the codec, and how hard it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Compression {
    /// Which.
    pub codec: Codec,
    /// 1 to 9 for gzip (default 6), -7 to 22 for zstd with the feature `zstd-c` (default 3); the other codecs have one level
    /// only here. `None` is the codec's default.
    pub level: Option<i32>,
}

impl Compression {
    /// Refuses a level that would mean nothing.
    ///
    /// # Errors
    /// [`Unknown`], naming the levels that there are.
    pub fn check(&self) -> Result<(), Unknown> {
        let (codec, Some(level)) = (self.codec, self.level) else { return Ok(()) };
        let levels = match codec {
            Codec::None => return Ok(()),
            Codec::Gzip => 1..=9,
            Codec::Zstd if cfg!(feature = "zstd-c") => -7..=22,
            Codec::Snappy | Codec::Lz4 | Codec::Zstd => return Err(Unknown::OneLevel(codec, level)),
        };
        if levels.contains(&level) { Ok(()) } else { Err(Unknown::Level { codec, levels, level }) }
    }
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        Self { codec, level: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_found_by_its_name_and_by_its_number() {
        for codec in Codec::ALL {
            assert_eq!(codec.name().parse::<Codec>().unwrap(), codec);
            assert_eq!(Codec::from_attributes(codec.id() | 0x10), Some(codec));
        }
        assert_eq!(Codec::from_attributes(5), None);
        assert!("brotli".parse::<Codec>().is_err());
    }

    #[test]
    fn a_level_means_something_or_is_refused() {
        let check = |codec, level| Compression { codec, level }.check();
        assert!(Codec::ALL.into_iter().all(|codec| check(codec, None).is_ok()));
        assert!(check(Codec::Gzip, Some(1)).is_ok() && check(Codec::Gzip, Some(9)).is_ok());
        let zstd_level = if cfg!(feature = "zstd-c") { 23 } else { 3 };
        for (codec, level) in
            [(Codec::Gzip, 10), (Codec::Zstd, zstd_level), (Codec::Lz4, 1), (Codec::Snappy, 1)]
        {
            let refusal = check(codec, Some(level)).unwrap_err().to_string();
            assert!(refusal.contains(codec.name()) && refusal.contains(&level.to_string()), "{refusal}");
        }
    }
}
