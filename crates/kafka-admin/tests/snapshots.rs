//! What the tool prints, word for word: `--help` of every command, and every output format, against the embedded broker.
//! `KAFKA_UPDATE_SNAPSHOTS=1` writes what is printed now to `tests/snapshots`; `git diff` then shows what changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::net::TcpListener;
use std::path::Path;

use common::{LIMIT, commands};
use kafka_testkit::{Program, check_snapshot, run};

const FORMATS: [&str; 7] = ["table", "wide", "json", "jsonl", "yaml", "csv", "name"];

fn check(name: &str, text: &str) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    check_snapshot(&folder.join(name).with_extension("txt"), text)
}

fn expect_all(results: impl IntoIterator<Item = Result<(), String>>) {
    let wrong: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_help_of_every_command_is_as_stored() {
    let help = |arguments: &[&str]| run("kafka-admin", arguments, "", LIMIT).expect_code(0).stdout;
    let names = commands();
    let of_each = names.iter().map(|name| check(&format!("help/{name}"), &help(&[name, "--help"])));
    expect_all(of_each.chain([check("help/kafka-admin", &help(&["--help"]))]));
}

/// The embedded broker with a topic, records and a group, and what differs from run to run replaced.
struct Stage {
    bootstrap: String,
    port: String,
    _broker: Program,
}

impl Stage {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let bootstrap = format!("127.0.0.1:{port}");
        let broker = Program::start("kafka-dev", ["--memory", "--listen", &bootstrap]);
        let stage = Self { bootstrap, port: port.to_string(), _broker: broker };
        let _ = stage.admin("create-topic orders -p 2 -c message.timestamp.after.max.ms=200000d");
        let _ = stage.admin("create-topic empty");
        // Of the year 2100, as the topic allows: their age is always 0.
        let record = |partition: u8| {
            format!("{{\"partition\":{partition},\"timestamp\":4102444800000,\"value\":\"v\"}}\n")
        };
        // One for each partition: how many share a batch is a matter of timing, and shows in the size.
        let records = [record(0), record(1)].concat();
        let flags = ["-b", &stage.bootstrap, "orders", "--input", "jsonl"];
        let _ = run("kafka-produce", flags, records, LIMIT).expect_code(0);
        let _ = stage.admin("reset-offsets readers --topic orders --to 0 --execute");
        stage
    }

    fn admin(&self, line: &str) -> String {
        let flags = ["-b", &self.bootstrap].into_iter().chain(line.split(' '));
        let ended = run("kafka-admin", flags, "", LIMIT);
        assert_eq!(ended.code, Some(0), "{line}: {}{}", ended.stdout, ended.stderr);
        self.settled(&ended.stdout)
    }

    /// Ids and the port, replaced by something of the same length.
    fn settled(&self, text: &str) -> String {
        let text = text.replace(&self.port, &"9".repeat(self.port.len()));
        let topic_id = regex_lite::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
        let text = topic_id.replace_all(&text, "00000000-0000-0000-0000-000000000000");
        let cluster_id = regex_lite::Regex::new("[0-9a-f]{32}").unwrap();
        cluster_id.replace_all(&text, "0".repeat(32)).into_owned()
    }
}

#[test]
fn every_output_format_of_what_is_shown_most_is_as_stored() {
    let stage = Stage::new();
    let mut results = Vec::new();
    for command in [
        "list-topics",
        "list-topics --long",
        "describe-topic orders",
        "describe-topic",
        "list-offsets orders",
        "get-config topic orders",
        "list-groups",
        "describe-group readers",
        "lag readers --age",
        "check-lag readers --max-lag 9",
        "reset-offsets readers --to latest",
        "list-brokers",
        "describe-cluster",
        "check-health",
        "set-config topic orders retention.ms=1h --dry-run",
        "delete-topic orders empty --dry-run",
    ] {
        for format in FORMATS {
            let name = command.replace(" --", " ").replace([' ', '.', '='], "-");
            let text = stage.admin(&format!("{command} -o {format}"));
            results.push(check(&format!("formats/{name}/{format}"), &text));
        }
    }
    expect_all(results);
}
