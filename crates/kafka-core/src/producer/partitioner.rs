//! Which partition a record goes to: the hashes that the client families use for keys, rules by name, and one batch
//! after the other for records without a key. Pure: the caller brings the randomness.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How records are spread over the partitions of their topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Partitioner {
    /// Keys by murmur2, as the Java client and most others place them; records without a key fill one batch of a
    /// random partition before they move on (KIP-480).
    #[default]
    Murmur2,
    /// Keys by CRC-32, as librdkafka (and kcat) place them; records without a key as for murmur2.
    Crc32,
    /// Keys by FNV-1a, as Sarama places them; records without a key as for murmur2.
    Fnv1a,
    /// Every record goes to the next partition, whatever its key.
    RoundRobin,
    /// Every record goes to a random partition, whatever its key.
    Random,
    /// Every record as one without a key, whatever its key.
    Sticky,
}

impl Partitioner {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Murmur2, Self::Crc32, Self::Fnv1a, Self::RoundRobin, Self::Random, Self::Sticky];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Murmur2 => "murmur2",
            Self::Crc32 => "crc32",
            Self::Fnv1a => "fnv1a",
            Self::RoundRobin => "roundrobin",
            Self::Random => "random",
            Self::Sticky => "sticky",
        }
    }

    /// The partition of a record with this key, of `partitions` in all; `None` where the key does not decide.
    #[must_use]
    pub fn for_key(self, key: &[u8], partitions: u32) -> Option<i32> {
        let partition = match self {
            // Java clears the sign bit rather than taking the absolute value.
            Self::Murmur2 => (murmur2(key) & 0x7fff_ffff) % partitions.max(1),
            Self::Crc32 => crc32(key) % partitions.max(1),
            // Sarama reads the hash as a signed number and drops the sign of the remainder.
            Self::Fnv1a => {
                let count = i64::from(partitions.max(1));
                u32::try_from((i64::from(fnv1a(key).cast_signed()) % count).unsigned_abs()).unwrap_or(0)
            }
            Self::RoundRobin | Self::Random | Self::Sticky => return None,
        };
        i32::try_from(partition).ok()
    }
}

impl fmt::Display for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Partitioner {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = text.replace(['_', '-'], "");
        let found = Self::ALL.into_iter().find(|partitioner| partitioner.name().eq_ignore_ascii_case(&plain));
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Config(format!("no such partitioner: {text} ({names}, or rules such as north=0,*=1)"))
        })
    }
}

/// Rules such as `north=0,*=1`: the first whose name equals the text, letter case ignored, decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    rules: Vec<(String, i32)>,
    otherwise: Option<i32>,
}

impl Routes {
    /// The partition for `text`, `None` where no rule is about it.
    #[must_use]
    pub fn partition(&self, text: &[u8]) -> Option<i32> {
        let matching = self.rules.iter().find(|(name, _)| is_same_word(name, text));
        matching.map(|(_, partition)| *partition).or(self.otherwise)
    }

    /// The names that have a rule, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|(name, _)| name.as_str())
    }

    /// The highest partition that a rule names.
    #[must_use]
    pub fn highest(&self) -> Option<i32> {
        self.rules.iter().map(|(_, partition)| *partition).chain(self.otherwise).max()
    }
}

fn is_same_word(name: &str, text: &[u8]) -> bool {
    name.as_bytes().eq_ignore_ascii_case(text)
        || std::str::from_utf8(text).is_ok_and(|text| name.to_lowercase() == text.to_lowercase())
}

impl FromStr for Routes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut routes = Self { rules: Vec::new(), otherwise: None };
        for rule in text.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
            let parsed = rule.rsplit_once('=').and_then(|(name, partition)| {
                let partition = partition.trim().parse::<i32>().ok().filter(|partition| *partition >= 0)?;
                Some((name.trim(), partition))
            });
            match parsed {
                Some(("*", partition)) => routes.otherwise = Some(partition),
                Some((name, partition)) if !name.is_empty() => routes.rules.push((name.into(), partition)),
                _ => {
                    return Err(Error::Config(format!(
                        "not a route: {rule:?}; write name=partition, as in north=0,*=1"
                    )));
                }
            }
        }
        if routes.rules.is_empty() && routes.otherwise.is_none() {
            return Err(Error::Config("no route given; write name=partition, as in north=0,*=1".into()));
        }
        Ok(routes)
    }
}

/// Where the next record goes that has no key: one partition until its batch is closed, then another.
#[derive(Debug, Clone, Default)]
pub(super) struct Spread {
    current: Option<i32>,
    next: usize,
}

impl Spread {
    /// The partition to stay with, one of `available` (the partitions that have a leader).
    pub(super) fn sticky(&mut self, available: &[i32], rng: &mut fastrand::Rng) -> Option<i32> {
        if self.current.is_none() {
            self.move_on(available, rng);
        }
        self.current
    }

    /// Called when the batch of the current partition was closed, or when the partition cannot be used.
    pub(super) fn move_on(&mut self, available: &[i32], rng: &mut fastrand::Rng) {
        let at = available.iter().position(|partition| Some(*partition) == self.current);
        self.current = match (at, available.len()) {
            (_, 0) => None,
            (_, 1) => available.first().copied(),
            (None, count) => available.get(rng.usize(..count)).copied(),
            // Any but the one it was.
            (Some(at), count) => available.get((at + 1 + rng.usize(..count - 1)) % count).copied(),
        };
    }

    /// Whether records without a key go to none of these at the moment.
    pub(super) fn is_elsewhere(&self, available: &[i32]) -> bool {
        self.current.is_some_and(|current| !available.contains(&current))
    }

    /// Whether records without a key go there at the moment.
    pub(super) fn is_at(&self, partition: i32) -> bool {
        self.current == Some(partition)
    }

    /// The partition after the last one.
    pub(super) fn round_robin(&mut self, available: &[i32]) -> Option<i32> {
        let partition = available.get(self.next % available.len().max(1)).copied();
        self.next = self.next.wrapping_add(1);
        partition
    }
}

/// Java's variant of MurmurHash2 (`org.apache.kafka.common.utils.Utils.murmur2`).
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The CRC-32 of zlib, which librdkafka's `consistent` uses.
fn crc32(data: &[u8]) -> u32 {
    let mut hasher = flate2::Crc::new();
    hasher.update(data);
    hasher.sum()
}

/// 32-bit FNV-1a.
fn fnv1a(data: &[u8]) -> u32 {
    data.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(partitioner: Partitioner, key: &str, partitions: u32) -> i32 {
        partitioner.for_key(key.as_bytes(), partitions).unwrap()
    }

    #[test]
    fn murmur2_places_keys_where_the_java_client_does() {
        for (key, partition) in [("north", 2), ("south", 5), ("tony", 0), ("alice", 3)] {
            assert_eq!(placed(Partitioner::Murmur2, key, 6), partition, "{key} of six");
        }
        assert_eq!(placed(Partitioner::Murmur2, "north", 2), 0);
        assert_eq!(placed(Partitioner::Murmur2, "south", 2), 1);
    }

    #[test]
    fn murmur2_equals_the_hashes_that_kafkas_own_test_states() {
        // UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn crc32_and_fnv1a_are_the_published_hashes() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn fnv1a_drops_the_sign_of_the_remainder_as_sarama_does() {
        // 0xbf9cf968 is -1080231576 as a signed number.
        assert_eq!(placed(Partitioner::Fnv1a, "foobar", 7), 1_080_231_576 % 7);
    }

    #[test]
    fn routes_ignore_letter_case_and_fall_back_to_the_star() {
        let routes: Routes = "north=0, Süd=2,*=1".parse().unwrap();
        assert_eq!(routes.partition(b"NORTH"), Some(0));
        assert_eq!(routes.partition("SÜD".as_bytes()), Some(2));
        assert_eq!(routes.partition(b"west"), Some(1));
        assert_eq!(routes.highest(), Some(2));
        let strict: Routes = "north=0".parse().unwrap();
        assert_eq!(strict.partition(b"west"), None);
    }

    #[test]
    fn a_route_that_cannot_be_read_is_named() {
        for wrong in ["north", "north=-1", "=1", ""] {
            assert!(wrong.parse::<Routes>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sticky_stays_until_it_is_told_to_move_and_then_goes_elsewhere() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut spread, available) = (Spread::default(), [0, 1, 2]);
        let mut seen = [0; 3];
        for _ in 0..300 {
            let here = spread.sticky(&available, &mut rng).unwrap();
            assert_eq!(spread.sticky(&available, &mut rng), Some(here));
            seen[usize::try_from(here).unwrap()] += 1;
            spread.move_on(&available, &mut rng);
            assert_ne!(spread.sticky(&available, &mut rng), Some(here));
        }
        assert!(seen.iter().all(|times| *times > 70), "{seen:?}");
        assert_eq!(Spread::default().sticky(&[], &mut rng), None);
    }
}
