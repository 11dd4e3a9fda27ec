//! `--help`, word for word. `KAFKA_UPDATE_SNAPSHOTS=1` writes what is printed now to `tests/snapshots`; `git diff` then
//! shows what changed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use kafka_testkit::{check_snapshot, run};

#[test]
fn the_help_is_as_stored() {
    let now = run("kafka-produce", ["--help"], "", Duration::from_secs(30)).expect_code(0).stdout;
    check_snapshot(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help.txt"), &now).unwrap();
}
