//! Any bytes as a request to kafka-dev: decoding ends, without a panic and without an allocation they do not pay for.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    kafka_dev::decode_request(bytes);
});
