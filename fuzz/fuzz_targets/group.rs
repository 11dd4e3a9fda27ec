//! `kafka_core::fuzzing::group` on arbitrary bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_core::fuzzing::group(data));
