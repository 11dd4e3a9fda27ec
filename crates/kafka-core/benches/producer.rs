//! What one record costs on its way into a batch, and what a batch costs on its way out.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kafka_core::RecordRef;
use kafka_core::compression::{Codec, Compression, compress};
use kafka_core::producer::{Partitioner, encode_batch};

const RECORDS: usize = 9_000;

/// Lines of about 100 bytes, alike as log lines are.
fn lines() -> Vec<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(7);
    let words = ["north", "south", "rider", "update", "street", "corner", "turning", "waiting", "arrived"];
    let line = |number: usize| {
        let mut line = format!("{number:08}");
        while line.len() < 92 {
            line.push(' ');
            line.push_str(words[rng.usize(..words.len())]);
        }
        line.into_bytes()
    };
    (0..RECORDS).map(line).collect()
}

fn record<'a>(key: Option<&'a [u8]>, value: &'a [u8]) -> RecordRef<'a> {
    RecordRef { key, value: Some(value), ..RecordRef::default() }
}

fn encoding(c: &mut Criterion) {
    let lines = lines();
    let mut group = c.benchmark_group("encode and seal, per batch of 9000 records");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, key) in [("value only", None), ("key and value", Some(&b"rider-1234"[..]))] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let records = lines.iter().map(|line| record(key, line));
                black_box(encode_batch(records, 1_750_000_000_000, Compression::default()))
            });
        });
    }
    group.finish();
}

fn checksum(c: &mut Criterion) {
    let bytes = lines().concat();
    let mut group = c.benchmark_group("checksum");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("crc32c", |b| b.iter(|| crc32c::crc32c(black_box(&bytes))));
    group.finish();
}

fn partitioning(c: &mut Criterion) {
    let mut group = c.benchmark_group("partition of a 12-byte key");
    for partitioner in [Partitioner::Murmur2, Partitioner::Crc32, Partitioner::Fnv1a] {
        group.bench_function(partitioner.name(), |b| {
            b.iter(|| partitioner.for_key(black_box(b"rider-123456"), black_box(6)));
        });
    }
    group.finish();
}

fn compressing(c: &mut Criterion) {
    let bytes = lines().concat();
    let mut group = c.benchmark_group("compress");
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(20);
    for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::None) {
        let mut packed = Vec::new();
        if compress(codec.into(), &bytes, &mut packed).is_ok() {
            let percent = 100 * packed.len() / bytes.len();
            group.bench_function(format!("{codec} to {percent} %"), |b| {
                b.iter(|| {
                    packed.clear();
                    compress(codec.into(), black_box(&bytes), &mut packed)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, encoding, checksum, partitioning, compressing);
criterion_main!(benches);
