//! Sends the lines of a file, the shortest program around the producer's bulk path.
//!
//! ```text
//! produce_lines HOST:PORT TOPIC FILE [PROPERTY=VALUE …]
//! ```
#![allow(clippy::print_stderr, reason = "stderr is its report")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kafka_core::producer::{Delivery, Producer, ProducerOptions};
use kafka_core::{Client, Config, RecordRef};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [servers, topic, file, properties @ ..] = &arguments[..] else {
        return Err("usage: produce_lines HOST:PORT TOPIC FILE [PROPERTY=VALUE ...]".into());
    };
    let mut config = Config::new();
    config.set("bootstrap.servers", servers)?;
    for property in properties {
        let (name, value) = property.split_once('=').ok_or("a property is NAME=VALUE")?;
        config.set(name, value)?;
    }
    // The network lives on a thread of its own; this one reads and encodes.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _inside = runtime.enter();
    let options = ProducerOptions::from_config(&config)?;
    let (sent, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&sent), Arc::clone(&failed));
    let count = move |delivery: &Delivery| {
        let counter = if delivery.outcome.is_ok() { &counts.0 } else { &counts.1 };
        counter.fetch_add(delivery.records, Ordering::Relaxed);
    };
    let producer = Producer::new(&Client::new(config)?, options, Some(Arc::new(count)))?;
    let topic = runtime.block_on(producer.topic(topic))?;
    let lines = std::fs::read(file)?;
    let mut rest = &lines[..];
    while !rest.is_empty() {
        // A run of whole lines: long enough to be cheap, short enough not to hold up the network.
        let most = rest.len().min(256 * 1024);
        let end = rest[..most].iter().rposition(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (run, left) = rest.split_at(end);
        let run = run.strip_suffix(b"\n").unwrap_or(run);
        let record = |value| (None, RecordRef { value: Some(value), ..RecordRef::default() });
        producer.append_all(&topic, run.split(|byte| *byte == b'\n').map(record))?;
        rest = left;
    }
    runtime.block_on(producer.close());
    eprintln!("sent {} failed {}", sent.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    Ok(())
}
