//! Every form of input, and what happens to records that cannot be sent, on the embedded broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::time::Duration;

use kafka_dev::{ApiKey, Broker, Config, Fault, Handle, Record, ResponseError};
use kafka_testkit::{Finished, Terminal, run};

const LIMIT: Duration = Duration::from_secs(60);

fn broker() -> Handle {
    Broker::start(Config::in_memory().topic("t", 1).topic("six", 6)).unwrap()
}

fn produce(broker: &Handle, arguments: &[&str], input: &[u8]) -> Finished {
    let bootstrap = broker.bootstrap();
    run("kafka-produce", [arguments, &["-b", &bootstrap]].concat(), input, LIMIT)
}

fn stored(broker: &Handle, topic: &str, partition: i32) -> Vec<Record> {
    broker.records(topic, partition).unwrap()
}

fn texts(records: &[Record]) -> Vec<(Option<&str>, Option<&str>)> {
    records.iter().map(|record| (as_text(&record.key), as_text(&record.value))).collect()
}

fn as_text<B: AsRef<[u8]>>(bytes: &Option<B>) -> Option<&str> {
    bytes.as_ref().map(|bytes| std::str::from_utf8(bytes.as_ref()).unwrap())
}

#[test]
fn what_the_consumer_writes_as_json_comes_back_as_it_was() {
    let broker = broker();
    let lines = br#"{"topic":"old","partition":3,"offset":77,"timestamp":1700000000123,"timestamp_type":"create","key":null,"value":{"base64":"/wA="},"headers":[["a","1"],["a",null],["b",{"base64":"/w=="}]]}
{"topic":"old","partition":3,"offset":78,"timestamp":1700000000124,"timestamp_type":"create","key":"","value":null,"headers":[]}
"#;
    for form in ["jsonl", "json"] {
        let _ = produce(&broker, &["six", "--input", form], lines).expect_code(0);
    }
    let records = stored(&broker, "six", 3);
    assert_eq!(records.len(), 4);
    for pair in records.chunks(2) {
        assert_eq!((&pair[0].key, pair[0].value.as_deref()), (&None, Some(&[0xff, 0][..])));
        assert_eq!((pair[1].key.as_deref(), &pair[1].value), (Some(&b""[..]), &None));
        assert_eq!([pair[0].timestamp, pair[1].timestamp], [1_700_000_000_123, 1_700_000_000_124]);
        let headers: Vec<_> =
            pair[0].headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        assert_eq!(headers, [(&b"a"[..], Some(&b"1"[..])), (b"a", None), (b"b", Some(&[0xff]))]);
    }
}

#[test]
fn keys_headers_nulls_and_times_are_what_the_flags_say() {
    let broker = broker();
    let flags = ["t", "-K", ":", "-Z", "-H", "a=1", "-H", "a=2", "--timestamp", "1700000000000"];
    let _ = produce(&broker, &flags, b"k:v:w\nk:\n").expect_code(0);
    let records = stored(&broker, "t", 0);
    assert_eq!(texts(&records), [(Some("k"), Some("v:w")), (Some("k"), None)]);
    assert!(records.iter().all(|record| record.timestamp == 1_700_000_000_000 && record.headers.len() == 2));
}

#[test]
fn csv_hex_base64_patterns_and_delimiters_are_read() {
    let broker = broker();
    let send = |flags: &[&str], input: &[u8]| {
        let _ = produce(&broker, &[&["t"], flags].concat(), input).expect_code(0);
    };
    send(&["--input", "csv"], b"key,value\nk1,\"a,\nb\"\n");
    send(&["--input", "hex", "-K", ":"], b"6b32:61\n");
    send(&["--input", "base64"], b"Zm9v\n");
    send(&["--format", r"%k=%v\n"], b"k3=v=w\n");
    send(&["--raw", "-D", r"\0"], b"one\0two");
    send(&["--raw", "--property", "parse.key=true", "--property", "key.separator=;"], b"k4;x");
    assert_eq!(
        texts(&stored(&broker, "t", 0)),
        [
            (Some("k1"), Some("a,\nb")),
            (Some("k2"), Some("a")),
            (None, Some("foo")),
            (Some("k3"), Some("v=w")),
            (None, Some("one")),
            (None, Some("two")),
            (Some("k4"), Some("x"))
        ]
    );
}

#[test]
fn twenty_thousand_lines_of_several_files_arrive_once_and_in_order() {
    let (broker, folder) = (broker(), tempfile::tempdir().unwrap());
    let lines = |range: std::ops::Range<u32>| range.map(|n| format!("line {n}\n")).collect::<String>();
    let first = folder.path().join("first");
    std::fs::write(&first, lines(0..10_000)).unwrap();
    let flags = ["t", "--raw", "--file", first.to_str().unwrap(), "-", "-z", "lz4", "-X", "batch.size=20000"];
    let done = produce(&broker, &flags, lines(10_000..20_000).as_bytes()).expect_code(0);
    assert_eq!(done.stderr, "sent 20000 records to t: [0] 20000\n");
    let records = stored(&broker, "t", 0);
    let values: Vec<_> = records.iter().map(|record| as_text(&record.value).unwrap().to_owned()).collect();
    assert_eq!(values, (0..20_000).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

#[test]
fn metadata_on_request_is_the_only_thing_on_stdout_but_for_tee() {
    let broker = broker();
    let done = produce(&broker, &["t", "--raw", "-k", "k", "-o", "json"], b"a\nb\n").expect_code(0);
    let offsets: Vec<_> = done.stdout.lines().map(|line| line.split("\"offset\":").nth(1).unwrap()).collect();
    assert!(offsets[0].starts_with("0,") && offsets[1].starts_with("1,"), "{}", done.stdout);
    let teed = produce(&broker, &["t", "--raw", "--tee", "-c", "1", "-q"], b"x\ny\n").expect_code(0);
    assert_eq!((teed.stdout.as_str(), teed.stderr.as_str()), ("x\n", ""));
    assert_eq!(stored(&broker, "t", 0).len(), 3);
}

#[test]
fn explaining_sends_nothing() {
    let broker = broker();
    let done = produce(&broker, &["six", "-K", ":", "--explain"], b"north:x\nsouth:y\n").expect_code(0);
    assert!(done.stdout.starts_with("six[2]\tmurmur2 of the key, 6 partitions\t"), "{}", done.stdout);
    assert!(done.stdout.contains("six[5]"));
    assert!((0..6).all(|partition| stored(&broker, "six", partition).is_empty()));
}

#[test]
fn what_is_not_acknowledged_is_in_the_failed_file_and_can_be_sent_again() {
    let (broker, folder) = (broker(), tempfile::tempdir().unwrap());
    let failed = folder.path().join("failed.jsonl");
    broker.faults().on(ApiKey::Produce).always().then(Fault::CloseConnection);
    let timeouts = ["-X", "delivery.timeout.ms=1500", "-X", "request.timeout.ms=500"];
    let flags = [&["t", "--raw", "--failed-file", failed.to_str().unwrap()][..], &timeouts].concat();
    let done = produce(&broker, &flags, b"a\nb\n").expect_code(1);
    assert!(done.stderr.contains("not acknowledged: 2 records of t[0]"), "{}", done.stderr);
    broker.faults().clear();
    let _ =
        produce(&broker, &["t", "--input", "jsonl", "--file", failed.to_str().unwrap()], b"").expect_code(0);
    assert_eq!(texts(&stored(&broker, "t", 0)), [(None, Some("a")), (None, Some("b"))]);
    broker.faults().on(ApiKey::Produce).always().then(Fault::CloseConnection);
    let named = produce(&broker, &[&["t", "--raw"][..], &timeouts].concat(), b"c\n").expect_code(1);
    assert!(named.stderr.contains("\"value\":\"c\""), "{}", named.stderr);
}

#[test]
fn a_topic_that_the_broker_has_not_heard_of_yet_is_asked_for_again() {
    let broker = broker();
    let unknown = Fault::Error(ResponseError::UnknownTopicOrPartition);
    broker.faults().on(ApiKey::Metadata).topic("t").then(unknown);
    let _ = produce(&broker, &["t", "--raw"], b"a\n").expect_code(0);
    assert_eq!(texts(&stored(&broker, "t", 0)), [(None, Some("a"))]);
    assert_eq!(broker.faults().hits(), 1);
}

#[test]
fn a_record_that_is_too_large_is_named_and_the_others_are_sent() {
    let broker = broker();
    let input = format!("a\n{}\nb\n", "x".repeat(5000));
    let done =
        produce(&broker, &["t", "--raw", "-X", "max.request.size=3000"], input.as_bytes()).expect_code(1);
    assert!(done.stderr.contains("line 2: the record takes"), "{}", done.stderr);
    assert!(done.stderr.contains("sent 2 records"), "{}", done.stderr);
    assert_eq!(stored(&broker, "t", 0).len(), 2);
}

#[test]
fn a_route_to_a_partition_that_is_not_there_is_refused_before_anything_is_read() {
    let broker = broker();
    let done = produce(&broker, &["t"], b"tony north\n").expect_code(2);
    assert!(done.stderr.contains("t has 1 partition, so there is no partition 1"), "{}", done.stderr);
}

#[test]
fn a_bar_shows_how_much_of_a_long_file_is_sent_and_is_gone_at_the_end() {
    let broker = broker();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "line\n".repeat(40)).unwrap();
    let (servers, path) = (broker.bootstrap(), file.path().to_str().unwrap());
    let flags = ["-b", &servers, "t", "--raw", "--rate", "20/s", "--file", path];
    let mut terminal = Terminal::start("kafka-produce", flags, &[]);
    terminal.expect(" on its way", LIMIT);
    assert_eq!(terminal.finish(LIMIT), Some(0));
    let screen = terminal.screen();
    assert!(screen.contains("40 records") && !screen.contains("on its way"), "{screen}");
}
