//! What `--help` says, held as text: a change of the command line is seen in review.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::time::Duration;

use kafka_testkit::run;

#[test]
fn the_help_is_the_one_in_help_txt() {
    let said = run("kafka-produce", ["--help"], "", Duration::from_secs(30)).expect_code(0).stdout;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help.txt");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &said).unwrap();
    }
    assert!(
        said == std::fs::read_to_string(&path).unwrap_or_default(),
        "tests/help.txt is not what --help says; write it with: UPDATE_DOCS=1 cargo test -p kafka-produce --test help"
    );
}
