//! KafkaJS, the client of the tutorials, against the broker: see `kafkajs/tutorial.js`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kafka_dev::{Broker, Config};
use kafka_testkit::Program;

const VERSION: &str = "kafkajs@2.2.4";

/// The folder with the package; none where Node.js or the package cannot be had.
fn package() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafkajs");
    if folder.join("node_modules/kafkajs").exists() {
        return Some(folder);
    }
    std::fs::create_dir_all(&folder).ok()?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--silent", VERSION, "--prefix"]).arg(&folder);
    npm.output().ok().filter(|output| output.status.success()).map(|_| folder)
}

#[test]
fn the_tutorials_client_administers_produces_and_consumes_with_three_members() {
    let Some(folder) = package() else {
        println!("skipped: Node.js with {VERSION} is not here");
        return;
    };
    let cluster = Broker::start(Config::in_memory()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafkajs/tutorial.js");
    let mut node = Command::new("node");
    node.arg(script).arg(cluster.bootstrap()).env("NODE_PATH", folder.join("node_modules"));
    node.env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
    let played = Program::start_command(node).finish(Duration::from_secs(90)).expect_code(0);
    let expected = r#"{"sent":9,"seen":9,"members":3,"committed":9,"topics":[]}"#;
    assert_eq!(played.stdout.trim(), expected, "{}", played.stderr);
}
