//! How these tests run `kafka-admin`, and how they read what Apache's tools say.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use kafka_testkit::{Finished, RealKafka, run};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Runs the tool against the plain listeners, with nothing on its stdin. There everybody may do everything.
pub(crate) fn admin(kafka: &RealKafka, arguments: &[&str]) -> Finished {
    admin_with_input(kafka, arguments, "")
}

/// Runs the tool against the plain listeners with `input` on its stdin.
pub(crate) fn admin_with_input(kafka: &RealKafka, arguments: &[&str], input: &str) -> Finished {
    let bootstrap = kafka.bootstrap();
    let all = ["-b", &bootstrap].into_iter().chain(arguments.iter().copied());
    run("kafka-admin", all, input, LIMIT)
}

/// Runs the tool as a user of the secure cluster.
pub(crate) fn admin_as(kafka: &RealKafka, user: &str, arguments: &[&str]) -> Finished {
    let address = kafka.listener("SASL_PLAINTEXT");
    let file = kafka.file(&format!("sasl-plaintext-scram-sha-256-{user}.properties"));
    let file = file.to_str().expect("the path is UTF-8");
    let all = ["-b", &address, "-F", file].into_iter().chain(arguments.iter().copied());
    run("kafka-admin", all, "", LIMIT)
}

/// What went well, as text.
pub(crate) fn said(finished: Finished) -> String {
    finished.expect_code(0).stdout
}

/// What one of Apache's tools says on the same cluster.
pub(crate) fn apache(kafka: &RealKafka, tool: &str, arguments: &[&str]) -> String {
    kafka.tool(tool, arguments, "").expect_code(0).stdout
}

/// The words of every line that holds `word`.
pub(crate) fn rows(text: &str, word: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.contains(word));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Asserts that `text` holds each of `parts`.
#[track_caller]
pub(crate) fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// The names of all commands, as `--help` lists them.
pub(crate) fn commands() -> Vec<String> {
    let help = said(run("kafka-admin", ["--help"], "", LIMIT));
    let (_, listed) = help.split_once("Topics:").expect("the first heading of the list");
    let (listed, _) = listed.split_once("\nOptions:").expect("what follows the list");
    let names = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Judges each of these, several at a time, and fails with all that is wrong.
#[track_caller]
pub(crate) fn assert_all_right<T: Sync>(items: &[T], judge: impl Fn(&T) -> Vec<String> + Sync) {
    let (next, wrong) = (Mutex::new(items.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(item) = { next.lock().expect("nobody panics with it").next() } {
                    let found = judge(item);
                    wrong.lock().expect("nobody panics with it").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panicked with it");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
