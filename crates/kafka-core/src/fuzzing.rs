//! Every decoder that reads what others wrote, as functions over arbitrary bytes: for the fuzz targets in `fuzz/`, and
//! for a property test that runs everywhere. None may panic, and none may allocate more than its input justifies.

use bytes::Bytes;

use crate::TopicPartition;
use crate::compression::{Codec, decompress};
use crate::config::{Config, entries};
use crate::consumer::decode::{Answer, decode};
use crate::consumer::group::protocol;
use crate::wire::{APIS, decode_any};

/// The most that a compressed input may grow to.
const MAX_OPENED_BYTES: usize = 1024 * 1024;

/// An answer of any API in any version: the first two bytes choose.
pub fn answer(data: &[u8]) {
    let [api, version, body @ ..] = data else { return };
    let api = &APIS[usize::from(*api) % APIS.len()];
    let version = api.min + i16::from(*version) % (api.max - api.min + 1);
    let _ = decode_any(api.key, version, Bytes::copy_from_slice(body));
}

/// The record batches of a fetch answer, opened and walked to the end.
pub fn records(data: &[u8]) {
    let partition = TopicPartition::new("fuzz", 0);
    let answer = Answer {
        bytes: Bytes::copy_from_slice(data),
        aborted: vec![(1, 0)],
        control_records: true,
        read_committed: data.len().is_multiple_of(2),
        end_offset: 1,
    };
    let Ok(found) = decode(&partition, 0, answer) else { return };
    for batch in found.batches().flatten() {
        for record in batch.records().flatten() {
            let _ = (record.key, record.value, record.headers().count());
        }
    }
}

/// Compressed bytes: the first byte chooses the codec.
pub fn compressed(data: &[u8]) {
    let [codec, packed @ ..] = data else { return };
    let codec = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd][usize::from(*codec) % 4];
    if let Ok(plain) = decompress(codec, packed, MAX_OPENED_BYTES) {
        assert!(plain.len() <= MAX_OPENED_BYTES, "{codec} went beyond its bound");
    }
}

/// What group members pass each other through the coordinator.
pub fn group(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let _ = protocol::decode_assignment(bytes.clone());
    let _ = protocol::decode_sticky_notes(bytes);
}

/// A properties file.
pub fn properties(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Config::new().read_properties(&text, "fuzz");
    let _ = entries(&text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn no_decoder_panics_whatever_it_is_given(data: Vec<u8>) {
            for decoder in [answer, records, compressed, group, properties] {
                decoder(&data);
            }
        }

        #[test]
        fn no_answer_with_plausible_lengths_makes_a_decoder_panic(
            api: u8, version: u8, body in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(2), any::<u8>()], 0..200)
        ) {
            answer(&[&[api, version][..], &body].concat());
        }
    }
}
