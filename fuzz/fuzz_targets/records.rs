//! `kafka_core::fuzzing::records` on arbitrary bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_core::fuzzing::records(data));
