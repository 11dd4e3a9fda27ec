//! `--help`, word for word. `KAFKA_UPDATE_SNAPSHOTS=1` writes what is printed now to `tests/snapshots`; `git diff` then
//! shows what changed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use kafka_testkit::run;

#[test]
fn the_help_is_as_stored() {
    let now = run("kafka-consume", ["--help"], "", Duration::from_secs(30)).expect_code(0).stdout;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help.txt");
    if std::env::var_os("KAFKA_UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(&path, now).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(now, stored, "KAFKA_UPDATE_SNAPSHOTS=1 accepts it");
}
