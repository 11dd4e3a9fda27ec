//! franz-go against the broker: see `franz/main.go`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kafka_dev::{Broker, Config};
use kafka_testkit::Program;

/// The built program; none where Go or its modules cannot be had.
fn program() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("franz");
    let mut go = Command::new("go");
    go.args(["build", "-mod=readonly", "-buildvcs=false", "-o"]).arg(&built).arg(".");
    go.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/franz"));
    go.output().ok().filter(|output| output.status.success()).map(|_| built)
}

#[test]
fn franz_go_shares_by_range_and_cooperatively_comes_back_and_commits() {
    let Some(program) = program() else {
        println!("skipped: Go, or franz-go, is not here");
        return;
    };
    let cluster = Broker::start(Config::in_memory()).unwrap();
    let mut go = Command::new(program);
    go.arg(cluster.bootstrap());
    let played = Program::start_command(go).finish(Duration::from_secs(90)).expect_code(0);
    let expected = r#"{"cooperative":404,"range":404,"static":true,"transactions":["committed"]}"#;
    assert_eq!(played.stdout.trim(), expected, "{}", played.stderr);
}
