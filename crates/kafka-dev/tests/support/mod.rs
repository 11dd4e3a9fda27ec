//! A Kafka client of a few lines, for tests: one connection, requests out, answers in. It encodes with `kafka-protocol` and
//! shares no code with the broker.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "every test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_secs(10);
pub const PRODUCE_VERSION: i16 = 9;
pub const FETCH_VERSION: i16 = 11;

/// One connection.
pub struct Wire {
    stream: TcpStream,
    next_id: i32,
}

impl Wire {
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, next_id: 1 }
    }

    pub fn set_patience(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
    }

    /// Sends without waiting; the correlation id.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        self.try_send(request, version).expect("the connection is open")
    }

    pub fn try_send<R: Request>(&mut self, request: &R, version: i16) -> io::Result<i32> {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).map_err(io::Error::other)?;
        self.send_raw(R::KEY, version, R::header_version(version), &body)
    }

    pub fn send_raw(&mut self, key: i16, version: i16, header_version: i16, body: &[u8]) -> io::Result<i32> {
        let id = self.next_id;
        self.next_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(id)
            .with_client_id(Some(StrBytes::from_static_str("wire")));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, header_version).unwrap();
        frame.extend_from_slice(body);
        let length = i32::try_from(frame.len()).unwrap();
        self.stream.write_all(&length.to_be_bytes())?;
        self.stream.write_all(&frame)?;
        Ok(id)
    }

    /// The next frame, header included.
    pub fn receive_raw(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// The next answer, which must be to this kind of request.
    pub fn receive<R: Request>(&mut self, version: i16) -> io::Result<(i32, R::Response)> {
        use kafka_protocol::protocol::HeaderVersion;
        let mut frame = self.receive_raw()?;
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))
            .map_err(io::Error::other)?;
        let response = R::Response::decode(&mut frame, version).map_err(io::Error::other)?;
        Ok((header.correlation_id, response))
    }

    pub fn try_call<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        let id = self.try_send(request, version)?;
        let (answered, response) = self.receive::<R>(version)?;
        assert_eq!(answered, id, "answers come in the order of the requests");
        Ok(response)
    }

    pub fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.try_call(request, version).expect("an answer")
    }

    /// Produces one batch to partition 0 and returns what the broker says about it.
    pub fn produce(&mut self, topic: &str, producer: Producer, values: &[&str]) -> PartitionProduceResponse {
        self.try_produce(topic, producer, values).expect("an answer")
    }

    pub fn try_produce(
        &mut self,
        topic: &str,
        producer: Producer,
        values: &[&str],
    ) -> io::Result<PartitionProduceResponse> {
        let response = self.try_call(&produce_request(topic, producer, values), PRODUCE_VERSION)?;
        Ok(response.responses[0].partition_responses[0].clone())
    }

    /// Fetches partition 0.
    pub fn fetch(&mut self, topic: &str, offset: i64, isolation: i8) -> PartitionData {
        let response = self.call(&fetch_request(topic, offset, isolation, 0), FETCH_VERSION);
        response.responses[0].partitions[0].clone()
    }

    /// The offset `ListOffsets` answers for partition 0: -1 latest, -2 earliest.
    pub fn offset(&mut self, topic: &str, timestamp: i64) -> i64 {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        self.call(&request, 7).topics[0].partitions[0].offset
    }

    /// A producer id of its own.
    pub fn init_producer(&mut self, transactional_id: Option<&str>) -> InitProducerIdResponse {
        let id = transactional_id.map(|id| TransactionalId(StrBytes::from_string(id.to_owned())));
        let request =
            InitProducerIdRequest::default().with_transactional_id(id).with_transaction_timeout_ms(60_000);
        self.call(&request, 4)
    }
}

/// Who produces, and where in its sequence it is.
#[derive(Debug, Clone, Copy)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
    pub sequence: i32,
    pub transactional: bool,
}

/// A producer without an id.
pub const ANYONE: Producer = Producer { id: -1, epoch: -1, sequence: -1, transactional: false };

pub fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

pub fn batch(producer: Producer, values: &[&str]) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let timestamp = i64::try_from(now.as_millis()).unwrap();
    let records = values.iter().zip(0i32..).map(|(value, at)| Record {
        transactional: producer.transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(at),
        // Also where there is none: the encoder begins a new batch where numbers do not follow each other.
        sequence: producer.sequence + at,
        timestamp,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Default::default(),
    });
    let records: Vec<Record> = records.collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.freeze()
}

pub fn produce_request(topic: &str, producer: Producer, values: &[&str]) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(batch(producer, values)));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(5000).with_topic_data(vec![topic])
}

pub fn fetch_request(topic: &str, offset: i64, isolation: i8, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_isolation_level(isolation)
        .with_topics(vec![topic])
}

/// The program, started with these arguments; killed when dropped.
pub struct Program {
    child: std::process::Child,
    pub address: String,
}

impl Program {
    /// Starts it on a free port and waits until it listens.
    pub fn start(arguments: &[&str]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_on(port, arguments)
    }

    pub fn start_on(port: u16, arguments: &[&str]) -> Self {
        let address = format!("127.0.0.1:{port}");
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_kafka-dev"))
            .args(["--listen", &address])
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let program = Self { child, address };
        let deadline = std::time::Instant::now() + PATIENCE;
        while TcpStream::connect(&program.address).is_err() {
            assert!(std::time::Instant::now() < deadline, "kafka-dev does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        program
    }

    pub fn port(&self) -> u16 {
        self.address.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing can be written any more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
