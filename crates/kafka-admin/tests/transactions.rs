//! Transactions that are open: listed, described, found at their partition, ended by hand; as Apache's tool sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::panic::catch_unwind;

use bytes::{Bytes, BytesMut};
use common::{LIMIT, admin, admin_with_input, apache, assert_holds, rows, said};
use kafka_cli::time::now_ms;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use kafka_testkit::{Program, RealKafka, Signal, eventually, run, unique};
use serde_json::{Value, json};

#[test]
fn an_open_transaction_is_seen_everywhere_and_can_be_aborted_by_hand() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, id) = (unique("in-transaction"), unique("tx"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    let flags = ["-b", &kafka.bootstrap(), &topic, "--raw", "--transactional-id", &id];
    let mut producer = Program::start("kafka-produce", flags);
    producer.write("never to be seen\n");
    let open = || {
        let listed = said(admin(&kafka, &["list-producers", &topic, "-o", "jsonl"]));
        listed.lines().find(|line| line.contains("\"transaction_start\":0")).map(str::to_owned)
    };
    eventually("the record is written", LIMIT, || open().is_some());

    let listed = said(admin(&kafka, &["list-transactions", "--state", "ongoing", "-o", "csv"]));
    let ours = listed.lines().find(|line| line.starts_with(&id)).expect("it is listed");
    let theirs = apache(&kafka, "transactions", &["list"]);
    let theirs = &rows(&theirs, &id)[0];
    // transactional id, coordinator, producer id, state; ours: id, producer id, state, coordinator.
    assert_eq!(ours, [&*theirs[0], &theirs[2], &theirs[3], &theirs[1]].join(","));
    let described = said(admin(&kafka, &["describe-transaction", &id, "-o", "json"]));
    assert_holds(&described, &["\"state\": \"Ongoing\"", &format!("\"{topic}[0]\"")]);
    let theirs = apache(&kafka, "transactions", &["describe", "--transactional-id", &id]);
    assert_holds(&theirs, &["Ongoing", &format!("{topic}-0")]);
    let theirs =
        apache(&kafka, "transactions", &["describe-producers", "--topic", &topic, "--partition", "0"]);
    let producer_id = ours.split(',').nth(1).unwrap();
    assert_eq!(rows(&theirs, producer_id)[0].last().map(String::as_str), Some("0"), "{theirs}");

    // Its coordinator takes care of it: it does not hang, however old it is.
    let hanging = ["list-producers", &topic, "--hanging", "--older-than", "0s", "-o", "name"];
    assert_eq!(said(admin(&kafka, &hanging)), "");

    let which = ["abort-transaction", &topic, "0", "--start-offset", "0"];
    let refused = admin(&kafka, &which).expect_code(2);
    assert_holds(&refused.stderr, &["--yes"]);
    let dry = said(admin(&kafka, &[&which[..], &["--dry-run"]].concat()));
    assert_holds(&dry, &[&format!("would abort the transaction of producer {producer_id}")]);
    assert!(open().is_some(), "a dry run changes nothing");
    let _ = said(admin(&kafka, &[&which[..], &["--yes"]].concat()));
    assert_eq!(open(), None);
    let theirs =
        apache(&kafka, "transactions", &["describe-producers", "--topic", &topic, "--partition", "0"]);
    assert_eq!(rows(&theirs, producer_id)[0].last().map(String::as_str), Some("None"), "{theirs}");
    let _ = admin(&kafka, &[&which[..], &["--yes"]].concat()).expect_code(4);

    // Readers of committed records get past it.
    let _ =
        run("kafka-produce", ["-b", &kafka.bootstrap(), &topic, "--raw"], "after\n", LIMIT).expect_code(0);
    let committed = [
        "-b",
        &kafka.bootstrap(),
        "-X",
        "isolation.level=read_committed",
        "--no-group",
        &topic,
        "--exit",
        "-f",
        "%v\\n",
    ];
    let read = run("kafka-consume", committed, "", LIMIT).expect_code(0);
    assert_eq!(read.stdout, "after\n");
    producer.signal(Signal::Kill);
    let _ = said(admin(&kafka, &["delete-topic", &topic, "--yes"]));
}

/// A batch of an open transaction, an hour old.
fn batch(producer_id: i64, producer_epoch: i16) -> Vec<u8> {
    let record = Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id,
        producer_epoch,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: 0,
        timestamp: now_ms() - 3_600_000,
        key: None,
        value: Some(Bytes::from_static(b"nobody will end this")),
        headers: Default::default(),
    };
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, [&record], &options).unwrap();
    bytes.to_vec()
}

fn raw(kafka: &RealKafka, arguments: &[&str], request: &Value) -> Option<Value> {
    let ended = admin_with_input(kafka, &[&["raw"], arguments].concat(), &request.to_string());
    (ended.code == Some(0)).then(|| serde_json::from_str(&ended.stdout).unwrap())
}

/// Writes into a transaction without telling its coordinator of the partition, as only an old or broken producer would.
/// Brokers prevent that by default, so they are told not to for the moment.
fn leave_hanging(kafka: &RealKafka, topic: &str, id: &str) -> i64 {
    let asked = json!({"transactional_id": id, "transaction_timeout_ms": 60_000, "producer_id": -1, "producer_epoch": -1});
    let mut producer = None;
    eventually("the coordinator gives a producer id", LIMIT, || {
        producer = raw(kafka, &["InitProducerId", "--transactional-id", id], &asked);
        producer.is_some()
    });
    let producer = producer.unwrap();
    let (producer_id, epoch) =
        (producer["producer_id"].as_i64().unwrap(), producer["producer_epoch"].as_i64().unwrap());
    let records =
        json!({"base64": kafka_cli::base64::encoded(&batch(producer_id, epoch.try_into().unwrap()))});
    let partition = json!({"index": 0, "records": records});
    let written = json!({
        "transactional_id": id, "acks": -1, "timeout_ms": 9_000,
        "topic_data": [{"name": topic, "partition_data": [partition]}],
    });
    let verifies = "transaction.partition.verification.enable";
    let _ = said(admin(kafka, &["set-config", "broker", "1", &format!("{verifies}=false")]));
    let wrote = catch_unwind(|| {
        eventually("it is written", LIMIT, || raw(kafka, &["Produce", "-V", "11"], &written).is_some());
    });
    let _ = said(admin(kafka, &["unset-config", "broker", "1", verifies]));
    wrote.unwrap();
    producer_id
}

#[test]
fn a_transaction_that_hangs_is_found_and_ended_as_apaches_tool_sees_it() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, id) = (unique("hanging"), unique("tx-hanging"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    let producer_id = leave_hanging(&kafka, &topic, &id).to_string();

    let hanging = ["list-producers", "--hanging", "-o", "csv"];
    let ours = said(admin(&kafka, &hanging));
    let ours = ours.lines().find(|line| line.starts_with(&topic)).expect("it is found");
    assert_holds(ours, &[&format!("{topic},0,{producer_id},")]);
    let find = ["find-hanging", "--broker-id", "1"];
    let theirs = apache(&kafka, "transactions", &find);
    assert_holds(&rows(&theirs, &topic)[0].join(" "), &[&format!("{topic} 0 {producer_id} ")]);

    let _ = said(admin(&kafka, &["abort-transaction", &topic, "0", "--start-offset", "0", "--yes"]));
    let left = said(admin(&kafka, &hanging));
    assert!(!left.contains(&topic), "{left}");
    let left = apache(&kafka, "transactions", &find);
    assert!(!left.contains(&topic), "{left}");
    let _ = said(admin(&kafka, &["delete-topic", &topic, "--yes"]));
}
