//! The floor of the benchmarks: the least that any client can take on this machine against this broker.
//!
//! ```text
//! floor produce HOST:PORT TOPIC PARTITIONS FILE    pre-encoded requests, replayed; answers only counted
//! floor consume HOST:PORT TOPIC PARTITIONS         raw fetches, thrown away; only batch headers are looked at
//! ```
//! One broker, which leads all partitions; one blocking connection; nothing of kafka-core. Prints wall and CPU seconds of
//! the replay alone, as `scripts/bench.sh` reads them.
#![allow(clippy::print_stdout, reason = "stdout is its result")]

use std::collections::HashMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader,
    TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

type Failure = Box<dyn Error>;

const IN_FLIGHT: usize = 5;
const BATCH_BYTES: usize = 1_000_000;
const FETCH_BYTES: i32 = 50 << 20;
const PARTITION_BYTES: i32 = 1 << 20;
/// The last versions that name topics instead of giving ids.
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 12;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["produce", address, topic, partitions, file] => produce(address, topic, partitions.parse()?, file),
        ["consume", address, topic, partitions] => consume(address, topic, partitions.parse()?),
        _ => Err("usage: floor produce HOST:PORT TOPIC PARTITIONS FILE | consume HOST:PORT TOPIC PARTITIONS"
            .into()),
    }
}

fn produce(address: &str, topic: &str, partitions: i32, file: &str) -> Result<(), Failure> {
    let requests = encode_all(&std::fs::read(file)?, topic, partitions)?;
    let mut connection = connect(address)?;
    let watch = Watch::start();
    for (sent, request) in requests.iter().enumerate() {
        connection.write_all(request)?;
        if sent + 1 >= IN_FLIGHT {
            check_produced(&mut connection)?;
        }
    }
    for _ in 0..requests.len().min(IN_FLIGHT - 1) {
        check_produced(&mut connection)?;
    }
    watch.report();
    Ok(())
}

fn encode_all(lines: &[u8], topic: &str, partitions: i32) -> Result<Vec<Bytes>, Failure> {
    let (mut requests, mut records, mut size) = (Vec::new(), Vec::new(), 0);
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        size += line.len() + 12;
        records.push(record(records.len(), line));
        if size >= BATCH_BYTES {
            requests.push(produce_request(&records, topic, requests.len(), partitions)?);
            (records, size) = (Vec::new(), 0);
        }
    }
    if !records.is_empty() {
        requests.push(produce_request(&records, topic, requests.len(), partitions)?);
    }
    Ok(requests)
}

fn record(index: usize, value: &[u8]) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: index as i64,
        // The encoder begins a new batch where offset and sequence do not run in step.
        sequence: index as i32 - 1,
        timestamp: 1_750_000_000_000,
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: Default::default(),
    }
}

fn produce_request(
    records: &[Record],
    topic: &str,
    number: usize,
    partitions: i32,
) -> Result<Bytes, Failure> {
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut batch, records, &options)?;
    let partition = i32::try_from(number)? % partitions;
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.freeze()));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic]);
    frame(ApiKey::Produce, PRODUCE_VERSION, &request)
}

fn check_produced(connection: &mut TcpStream) -> Result<(), Failure> {
    let response: ProduceResponse = read(connection, PRODUCE_VERSION)?;
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.map(|partition| partition.error_code).find(|&code| code != 0) {
        Some(code) => Err(format!("the broker answered error {code}").into()),
        None => Ok(()),
    }
}

fn consume(address: &str, topic: &str, partitions: i32) -> Result<(), Failure> {
    let mut connection = connect(address)?;
    let mut next: HashMap<i32, i64> = (0..partitions).map(|partition| (partition, 0)).collect();
    let (watch, mut bytes) = (Watch::start(), 0);
    while !next.is_empty() {
        connection.write_all(&fetch_request(topic, &next)?)?;
        let response: FetchResponse = read(&mut connection, FETCH_VERSION)?;
        for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            if partition.error_code != 0 {
                return Err(format!("the broker answered error {}", partition.error_code).into());
            }
            let records = partition.records.unwrap_or_default();
            bytes += records.len();
            let position = next.get_mut(&partition.partition_index).ok_or("a partition nobody asked for")?;
            *position = offset_after(records).unwrap_or(*position);
            if *position >= partition.high_watermark {
                next.remove(&partition.partition_index);
            }
        }
    }
    watch.report();
    println!("bytes {bytes}");
    Ok(())
}

/// The offset behind the last whole batch.
fn offset_after(mut records: Bytes) -> Option<i64> {
    let mut after = None;
    while records.len() >= 27 {
        let base = (&records[..8]).get_i64();
        let length = (&records[8..12]).get_i32() as usize;
        if records.len() < 12 + length {
            break;
        }
        after = Some(base + i64::from((&records[23..27]).get_i32()) + 1);
        records.advance(12 + length);
    }
    after
}

fn fetch_request(topic: &str, next: &HashMap<i32, i64>) -> Result<Bytes, Failure> {
    let wanted = next.iter().map(|(&partition, &offset)| {
        FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(PARTITION_BYTES)
    });
    let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(wanted.collect());
    let request = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(FETCH_BYTES)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    frame(ApiKey::Fetch, FETCH_VERSION, &request)
}

fn connect(address: &str) -> Result<TcpStream, Failure> {
    let connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    Ok(connection)
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn frame(api: ApiKey, version: i16, request: &impl Encodable) -> Result<Bytes, Failure> {
    let header = RequestHeader::default()
        .with_request_api_key(api as i16)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("floor")));
    let mut body = BytesMut::new();
    header.encode(&mut body, 2)?;
    request.encode(&mut body, version)?;
    let mut frame = BytesMut::with_capacity(body.len() + 4);
    frame.extend_from_slice(&u32::try_from(body.len())?.to_be_bytes());
    frame.extend_from_slice(&body);
    Ok(frame.freeze())
}

fn read<R: Decodable + HeaderVersion>(connection: &mut TcpStream, version: i16) -> Result<R, Failure> {
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    connection.read_exact(&mut body)?;
    let mut body = Bytes::from(body);
    ResponseHeader::decode(&mut body, R::header_version(version))?;
    Ok(R::decode(&mut body, version)?)
}

/// Wall and CPU time of this one thread since the start.
struct Watch {
    wall: Instant,
    cpu: f64,
}

impl Watch {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_seconds() }
    }

    fn report(&self) {
        println!("wall {:.3} cpu {:.3}", self.wall.elapsed().as_secs_f64(), cpu_seconds() - self.cpu);
    }
}

/// Linux tells the time this thread ran in nanoseconds; elsewhere there is no figure.
fn cpu_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    line.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).map_or(f64::NAN, |nanos| nanos / 1e9)
}
