//! What we write is read by other people's programs as it was meant, and what they write is read by us: keys, nulls,
//! empty values, duplicate headers, every codec. Apache's console tools and kcat are the other people.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::Duration;

use kafka_testkit::{EitherKafka, kcat, run, skip_without_apache_tools, skip_without_kcat, unique};
use serde_json::{Value, json};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const LIMIT: Duration = Duration::from_secs(30);

/// One record of each kind, the codec in each so that a missing one is named.
fn records(codec: &str) -> Vec<Value> {
    let filler = "abc ".repeat(50);
    vec![
        json!({"key": format!("{codec}-key"), "value": format!("{codec} value {filler}"), "headers": []}),
        json!({"key": null, "value": format!("{codec} without a key"), "headers": []}),
        json!({"key": format!("{codec}-tombstone"), "value": null, "headers": []}),
        json!({"key": format!("{codec}-empty"), "value": "", "headers": []}),
        json!({"key": format!("{codec}-headers"), "value": "h", "headers": [["b", "1"], ["a", "2"], ["b", "3"]]}),
    ]
}

fn produce_ours(kafka: &EitherKafka, topic: &str) {
    for codec in CODECS {
        let lines: String = records(codec).iter().map(|record| format!("{record}\n")).collect();
        let compression = format!("compression.type={codec}");
        let arguments = ["-b", kafka.bootstrap(), topic, "--input", "jsonl", "-X", &compression];
        let _ = run("kafka-produce", arguments, lines, LIMIT).expect_code(0);
    }
}

/// Key, value and headers of every record, in the order of the log, as `kafka-consume --output jsonl` says.
fn consume_ours(kafka: &EitherKafka, topic: &str) -> Vec<Value> {
    let arguments = ["-b", kafka.bootstrap(), "--no-group", topic, "--exit", "--output", "jsonl"];
    let read = run("kafka-consume", arguments, "", LIMIT).expect_code(0);
    let parsed = read.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    parsed.map(|r| json!({"key": r["key"], "value": r["value"], "headers": r["headers"]})).collect()
}

/// A broker, where the tools are here that create its topics.
fn kafka() -> Option<EitherKafka> {
    if skip_without_apache_tools() { None } else { EitherKafka::one_node() }
}

fn topic(kafka: &EitherKafka) -> String {
    let topic = unique("interop");
    kafka.create_topic(&topic, 1);
    topic
}

fn all_records() -> Vec<Value> {
    CODECS.iter().flat_map(|codec| records(codec)).collect()
}

#[test]
fn we_read_what_we_wrote_in_every_codec() {
    let Some(kafka) = kafka() else { return };
    let topic = topic(&kafka);
    produce_ours(&kafka, &topic);
    assert_eq!(consume_ours(&kafka, &topic), all_records());
}

#[test]
fn kcat_reads_what_we_wrote() {
    let Some(kafka) = kafka() else { return };
    if skip_without_kcat() {
        return;
    }
    let topic = topic(&kafka);
    produce_ours(&kafka, &topic);
    // Key and value with their lengths, which are -1 for null.
    let format = ["-f", "%K|%k|%S|%s|%h\n"];
    let flags = ["-C", "-e", "-q", "-b", kafka.bootstrap(), "-t", &topic];
    let read = kcat(&[&flags[..], &format].concat(), "").expect_code(0).stdout;
    let expected: Vec<String> = all_records().iter().map(as_kcat_prints).collect();
    assert_eq!(read.lines().collect::<Vec<_>>(), expected);
}

fn as_kcat_prints(record: &Value) -> String {
    let sized = |value: &Value| {
        value.as_str().map_or_else(|| "-1|".to_owned(), |text| format!("{}|{text}", text.len()))
    };
    let headers = record["headers"].as_array().expect("pairs").iter();
    let headers: Vec<String> =
        headers.map(|pair| format!("{}={}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
    format!("{}|{}|{}", sized(&record["key"]), sized(&record["value"]), headers.join(","))
}

#[test]
fn apaches_console_consumer_reads_what_we_wrote() {
    let Some(kafka) = kafka() else { return };
    let topic = topic(&kafka);
    produce_ours(&kafka, &topic);
    let expected = all_records();
    let count = expected.len().to_string();
    let flags = ["--topic", &topic, "--from-beginning", "--max-messages", &count, "--timeout-ms", "20000"];
    let properties = ["print.key=true", "print.headers=true", "null.literal=NULL"];
    let properties = properties.iter().flat_map(|property| ["--property", property]);
    let arguments: Vec<&str> = flags.into_iter().chain(properties).collect();
    let read = kafka.tool("console-consumer", &arguments, "").expect_code(0).stdout;
    let expected: Vec<String> = expected.iter().map(as_apache_prints).collect();
    assert_eq!(read.lines().collect::<Vec<_>>(), expected);
}

fn as_apache_prints(record: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("NULL").to_owned();
    let pairs = record["headers"].as_array().expect("pairs");
    let headers: Vec<String> =
        pairs.iter().map(|pair| format!("{}:{}", text(&pair[0]), text(&pair[1]))).collect();
    let headers = if headers.is_empty() { "NO_HEADERS".to_owned() } else { headers.join(",") };
    format!("{headers}\t{}\t{}", text(&record["key"]), text(&record["value"]))
}

/// What others write with a codec: a long value with headers, then a tombstone. The value, and both records as we read
/// them.
fn foreign(codec: &str) -> (String, [Value; 2]) {
    let value = format!("{codec} {}", "xyz ".repeat(60));
    let long = json!({"key": "key", "value": value, "headers": [["b", "1"], ["a", "2"], ["b", "3"]]});
    (value, [long, json!({"key": codec, "value": null, "headers": []})])
}

#[test]
fn we_read_what_kcat_wrote() {
    let Some(kafka) = kafka() else { return };
    if skip_without_kcat() {
        return;
    }
    let topic = topic(&kafka);
    let mut expected = Vec::new();
    for codec in CODECS {
        let flags = ["-P", "-b", kafka.bootstrap(), "-t", &topic, "-z", codec];
        let send = |more: &[&str], input: String| kcat(&[&flags[..], more].concat(), input).expect_code(0);
        let (value, read) = foreign(codec);
        let _ = send(&["-k", "key", "-H", "b=1", "-H", "a=2", "-H", "b=3"], format!("{value}\n"));
        let _ = send(&["-Z", "-K", ":"], format!("{codec}:\n"));
        expected.extend(read);
    }
    assert_eq!(consume_ours(&kafka, &topic), expected);
}

#[test]
fn we_read_what_apaches_console_producer_wrote() {
    let Some(kafka) = kafka() else { return };
    let topic = topic(&kafka);
    let mut expected = Vec::new();
    for codec in CODECS {
        let properties = ["parse.key=true", "parse.headers=true", "null.marker=NULL"];
        let properties = properties.iter().flat_map(|property| ["--property", property]);
        let flags = ["--topic", &topic, "--compression-codec", codec];
        let arguments: Vec<&str> = flags.into_iter().chain(properties).collect();
        let (value, read) = foreign(codec);
        let input = format!("b:1,a:2,b:3\tkey\t{value}\nNULL\t{codec}\tNULL\n");
        let _ = kafka.tool("console-producer", &arguments, input).expect_code(0);
        expected.extend(read);
    }
    assert_eq!(consume_ours(&kafka, &topic), expected);
}

#[test]
fn a_topic_that_is_copied_as_json_is_the_same_in_every_field() {
    let Some(kafka) = kafka() else { return };
    let (from, to) = (unique("original"), unique("copy"));
    let lines = concat!(
        r#"{"partition":1,"timestamp":1700000000123,"key":{"base64":"/wA="},"value":"\u0000 \r\n é","headers":[["a","1"],["a",null],["",{"base64":"gA=="}]]}"#,
        "\n",
        r#"{"partition":0,"timestamp":1700000000001,"key":null,"value":null,"headers":[]}"#,
        "\n",
        r#"{"partition":1,"timestamp":1600000000000,"key":"","value":"","headers":[["h",""]]}"#,
        "\n",
    );
    let bootstrap = kafka.bootstrap();
    let copy = |topic: &str, lines: &str| {
        kafka.create_topic(topic, 2);
        let _ =
            run("kafka-produce", ["-b", bootstrap, topic, "--input", "json"], lines, LIMIT).expect_code(0);
        let flags = ["-b", bootstrap, "--no-group", topic, "--exit", "--output", "json"];
        run("kafka-consume", flags, "", LIMIT).expect_code(0).stdout
    };
    let sorted = |text: &str, topic: &str| {
        let mut lines: Vec<_> = text.lines().map(|line| line.replace(topic, "T")).collect();
        lines.sort_unstable();
        lines
    };
    let original = copy(&from, lines);
    assert_eq!(original.lines().count(), 3);
    assert_eq!(sorted(&copy(&to, &original), &to), sorted(&original, &from));
}
