//! What the protocol leaves to the broker, asked of whichever broker `KAFKA_TEST_CONFORMANCE` says: the embedded one, or
//! a real Apache Kafka. What is expected here is what Apache Kafka answers; a difference is a failure of `kafka-dev`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod cluster;
mod groups;
mod records;
#[path = "../support/mod.rs"]
mod support;
mod topics;
mod transactions;
mod users;

use std::time::Duration;

use kafka_dev::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use kafka_testkit::{EitherKafka, eventually, unique};
use support::{Wire, name};

const PATIENCE: Duration = Duration::from_secs(20);
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// A broker, a connection to it, and a topic with one partition that no other test uses.
struct Stage {
    wire: Wire,
    topic: String,
    kafka: EitherKafka,
}

fn stage() -> Option<Stage> {
    let kafka = EitherKafka::one_node()?;
    let mut wire = Wire::connect(kafka.bootstrap());
    let topic = unique("conformance");
    assert_eq!(create(&mut wire, &topic, 1), 0);
    let latest = ListOffsetsPartition::default().with_timestamp(-1);
    let asked = ListOffsetsTopic::default().with_name(name(&topic)).with_partitions(vec![latest]);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![asked]);
    eventually("a leader of the new topic", PATIENCE, || {
        wire.call(&request, 7).topics[0].partitions[0].error_code == 0
    });
    Some(Stage { wire, topic, kafka })
}

impl Stage {
    /// Another connection to the same broker.
    fn connect(&self) -> Wire {
        Wire::connect(self.kafka.bootstrap())
    }

    /// A name for a group or a transactional id whose coordinator is ready to answer.
    fn coordinated(&mut self, kind: i8) -> String {
        let id = unique("conformance");
        let request = FindCoordinatorRequest::default().with_key_type(kind).with_key(text(&id));
        let nobody = HeartbeatRequest::default().with_group_id(group_id(&id)).with_member_id(text("nobody"));
        eventually("a coordinator that has loaded what it coordinates", PATIENCE, || {
            let is_found = self.wire.call(&request, 3).error_code == 0;
            let mut is_ready =
                || self.wire.call(&nobody, 4).error_code == code(ResponseError::UnknownMemberId);
            is_found && (kind != GROUP || is_ready())
        });
        id
    }
}

fn text(words: &str) -> StrBytes {
    StrBytes::from_string(words.to_owned())
}

fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

/// The code of an error; 0 for none.
fn code(error: ResponseError) -> i16 {
    error.code()
}

fn create(wire: &mut Wire, topic: &str, partitions: i32) -> i16 {
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    create_as(wire, topic)
}

fn create_as(wire: &mut Wire, topic: CreatableTopic) -> i16 {
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    wire.call(&request, 7).topics[0].error_code
}
