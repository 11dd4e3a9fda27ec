//! Transactions that are open: listed, described, found at their partition, ended by hand; as Apache's tool sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use common::{LIMIT, admin, apache, assert_holds, rows, said};
use kafka_testkit::{Program, RealKafka, Signal, eventually, run, unique};

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
