//! kafka-consume as a person sees it on a terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::Duration;

use kafka_dev::{ApiKey, Broker, Config, Fault};
use kafka_testkit::{Terminal, binary, run};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_bar_shows_how_much_of_a_long_run_is_done_and_is_gone_at_the_end() {
    let broker = Broker::start(Config::in_memory().topic("t", 1)).unwrap();
    let servers = broker.bootstrap();
    let lines: String = (0..1000).map(|number| format!("{number:0>99}\n")).collect();
    let _ =
        run("kafka-produce", ["-b", &servers, "t", "--raw", "-X", "batch.size=10000"], lines.clone(), LIMIT)
            .expect_code(0);
    // The second of several answers comes when a bar is due, and the third gives it time to be seen.
    for nth in [2, 3] {
        broker.faults().on(ApiKey::Fetch).nth(nth).then(Fault::Delay(Duration::from_secs(1)));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    let program = binary("kafka-consume");
    let limit = "-X max.partition.fetch.bytes=10000 -X fetch.max.bytes=10000";
    let script =
        format!("{} -b {servers} --no-group t --exit {limit} > {}", program.display(), file.display());
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    let mut terminal = Terminal::start_command(&command);
    terminal.expect("% of 1,000 offsets", LIMIT);
    assert_eq!(terminal.finish(LIMIT), Some(0));
    assert_eq!(terminal.screen(), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), lines);
}
