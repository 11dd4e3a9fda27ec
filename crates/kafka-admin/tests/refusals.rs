//! Every command against a broker that is not there, names that do not exist, and a user who may do nothing: each ends with
//! the exit code that docs/commands.md gives, and says why.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::collections::BTreeSet;

use common::{LIMIT, admin, admin_as, assert_all_right, assert_holds, commands, said};
use kafka_testkit::{Finished, RealKafka, run, unique};

/// Commands that ask no cluster.
const LOCAL: [&str; 4] = ["profile", "config", "completions", "man"];

/// A command line of every other command. `T`, `G` and `F` stand for a topic, a group and a file,
/// `S` and `J` for a declared state and a request.
const COMMANDS: [&str; 56] = [
    "create-topic T",
    "delete-topic T --yes",
    "list-topics",
    "describe-topic T",
    "alter-topic T -p 5",
    "clone-topic T other",
    "trim-topic T --before latest --yes",
    "empty-topic T --yes",
    "list-offsets T",
    "partition-for T key",
    "get-config topic T",
    "set-config topic T retention.ms=1d",
    "unset-config topic T retention.ms",
    "list-config-resources topic",
    "list-groups",
    "describe-group G",
    "lag G",
    "check-lag G --max-lag 1",
    "reset-offsets G --topic T --to earliest --execute",
    "delete-offsets G --topic T --yes",
    "delete-group G --yes",
    "remove-member G --all --yes",
    "describe-cluster",
    "check-health",
    "list-brokers",
    "describe-quorum",
    "list-log-dirs",
    "api-versions",
    "list-features",
    "set-feature share.version=1 --yes",
    "unregister-broker 9 --yes",
    "reassign T --balance",
    "list-reassignments",
    "cancel-reassignment --yes",
    "elect-leaders T",
    "list-acls",
    "create-acl --allow nobody --operation read --topic T",
    "delete-acl --allow nobody --yes",
    "list-users",
    "set-user nobody --password-file F",
    "delete-user nobody --yes",
    "list-quotas",
    "set-quota --user nobody request_percentage=200",
    "list-tokens",
    "create-token --owner alice",
    "renew-token --hmac-file F",
    "expire-token --hmac-file F",
    "list-transactions",
    "describe-transaction G",
    "list-producers T",
    "abort-transaction T 0 --start-offset 0 --yes",
    "export",
    "diff S",
    "apply S",
    "raw ListPartitionReassignments --file J",
    "doctor --topic T",
];

/// What the placeholders of a command line stand for.
struct Names<'a> {
    topic: &'a str,
    group: &'a str,
    secret: &'a str,
    state: &'a str,
    request: &'a str,
}

impl Names<'_> {
    fn line<'a>(&'a self, command: &'a str) -> Vec<&'a str> {
        let word = |word: &'a str| match word {
            "T" => self.topic,
            "G" => self.group,
            "F" => self.secret,
            "S" => self.state,
            "J" => self.request,
            other => other,
        };
        command.split(' ').map(word).collect()
    }
}

/// A file that is a password and a token, one that declares a topic, and a request with every default.
fn files(folder: &std::path::Path, topic: &str) -> [String; 3] {
    let [secret, state, request] = ["secret", "state.yaml", "request.json"].map(|name| folder.join(name));
    std::fs::write(&secret, "aGVsbG8=\n").unwrap();
    std::fs::write(&state, format!("topics:\n- name: {topic}\n  partitions: 1\n")).unwrap();
    std::fs::write(&request, "{}").unwrap();
    [secret, state, request].map(|path| path.to_str().unwrap().to_owned())
}

/// Runs every command and fails with all that `judge` finds wrong.
fn for_each_command(
    names: &Names<'_>,
    run: impl Fn(&[&str]) -> Finished + Sync,
    judge: impl Fn(&str, &Finished) -> Option<String> + Sync,
) {
    assert_all_right(&COMMANDS, |command| {
        let ended = run(&names.line(command));
        let why = judge(command, &ended);
        let (code, out, err) = (ended.code, ended.stdout, ended.stderr);
        why.map(|why| format!("{command}: {why}: {code:?}\n{out}{err}")).into_iter().collect()
    });
}

/// The exit code expected of a command: that of its first word, or `other`.
fn expected(command: &str, special: &[(&str, i32)], other: i32) -> i32 {
    let name = command.split(' ').next().unwrap();
    special.iter().find(|(known, _)| *known == name).map_or(other, |(_, code)| *code)
}

fn judge_code(command: &str, ended: &Finished, code: i32) -> Option<String> {
    let error = ended.stderr.contains("error: ") || command.starts_with("doctor");
    if ended.code != Some(code) {
        Some(format!("should end with {code}"))
    } else if code != 0 && !error {
        Some("should say why".to_owned())
    } else {
        None
    }
}

#[test]
fn the_table_above_has_every_command() {
    let known = COMMANDS.iter().map(|line| line.split(' ').next().unwrap());
    let known: BTreeSet<_> = known.chain(LOCAL).map(str::to_owned).collect();
    assert_eq!(commands().into_iter().collect::<BTreeSet<_>>(), known);
}

#[test]
fn a_broker_that_is_not_there_ends_every_command_with_3_and_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let [secret, state, request] = files(folder.path(), "topic");
    let names = Names { topic: "topic", group: "group", secret: &secret, state: &state, request: &request };
    let at_nothing = |line: &[&str]| {
        let flags = [&["-b", "127.0.0.1:1", "--timeout", "400ms"][..], line].concat();
        run("kafka-admin", flags, "", LIMIT)
    };
    for_each_command(&names, at_nothing, |command, ended| {
        // A check's own code: it ran, and found that.
        judge_code(command, ended, expected(command, &[("doctor", 7)], 3)).or_else(|| {
            let said = format!("{}{}", ended.stdout, ended.stderr);
            let names_it = said.contains("127.0.0.1:1") && said.to_lowercase().contains("connection refused");
            (!names_it).then(|| "should name the address and the cause".to_owned())
        })
    });
}

#[test]
fn what_does_not_exist_is_named_and_ends_with_4() {
    let Some(kafka) = RealKafka::one_node() else { return };
    let (topic, group) = (unique("never-made"), unique("nobody"));
    for line in [
        vec!["describe-topic", &topic],
        vec!["alter-topic", &topic, "-p", "3"],
        vec!["clone-topic", &topic, "other"],
        vec!["delete-topic", &topic, "--yes"],
        vec!["trim-topic", &topic, "--before", "latest", "--yes"],
        vec!["empty-topic", &topic, "--yes"],
        vec!["list-offsets", &topic],
        vec!["partition-for", &topic, "key"],
        vec!["get-config", "topic", &topic],
        vec!["set-config", "topic", &topic, "retention.ms=1d"],
        vec!["unset-config", "topic", &topic, "retention.ms"],
        vec!["reassign", &topic, "--balance"],
        vec!["elect-leaders", &topic],
        vec!["list-producers", &topic],
        vec!["abort-transaction", &topic, "0", "--start-offset", "0", "--yes"],
        vec!["list-reassignments", "--clear-throttle", &topic],
        vec!["describe-group", &group],
        vec!["lag", &group],
        vec!["check-lag", &group, "--max-lag", "1"],
        vec!["check-lag", &group, "--max-age", "1h"],
        vec!["reset-offsets", &group, "--to", "earliest"],
        vec!["reset-offsets", "new", "--from-group", &group],
        vec!["delete-offsets", &group, "--topic", &topic, "--yes"],
        vec!["delete-group", &group, "--yes"],
        vec!["remove-member", &group, "--all", "--yes"],
        vec!["describe-transaction", &group],
    ] {
        let ended = admin(&kafka, &line);
        assert_eq!(ended.code, Some(4), "{line:?}: {}{}", ended.stdout, ended.stderr);
        let named = ended.stderr.contains("does not exist")
            && (ended.stderr.contains(&topic) || ended.stderr.contains(&group));
        assert!(named, "{line:?}: {}", ended.stderr);
    }
    let names = admin(&kafka, &["list-topics", "--internal", "-o", "name"]).expect_code(0).stdout;
    assert!(!names.contains(&topic), "looking made it: {names}");
    let _ = said(admin(&kafka, &["create-topic", &topic]));
    let mistyped = admin(&kafka, &["describe-topic", &topic[..topic.len() - 1]]).expect_code(4);
    assert_holds(&mistyped.stderr, &[&format!("did you mean {topic}?")]);
    let _ = admin(&kafka, &["delete-topic", &topic, "--yes"]).expect_code(0);
}

/// What everybody may ask: brokers, versions, features; and lists, which leave out what this user may not see.
const PERMITTED: [&str; 9] = [
    "list-topics",
    "list-groups",
    "describe-cluster",
    "check-health",
    "list-brokers",
    "api-versions",
    "list-features",
    "list-tokens",
    "list-transactions",
];

#[test]
fn a_user_without_permissions_is_refused_with_6_at_once() {
    let Some(kafka) = RealKafka::secure() else { return };
    let (topic, group) = (unique("forbidden"), unique("forbidden-group"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    let _ =
        admin(&kafka, &["reset-offsets", &group, "--topic", &topic, "--to", "0", "--execute"]).expect_code(0);
    let folder = tempfile::tempdir().unwrap();
    let [secret, state, request] = files(folder.path(), &unique("never"));
    let names = Names { topic: &topic, group: &group, secret: &secret, state: &state, request: &request };
    let mut special: Vec<_> = PERMITTED.map(|name| (name, 0)).into();
    // A token that is nobody's is looked for before anything else.
    special.extend([("renew-token", 4), ("expire-token", 4), ("doctor", 7)]);
    for_each_command(
        &names,
        |line| admin_as(&kafka, "bob", line),
        |command, ended| {
            let quotes = ended.stderr.contains("Request(");
            judge_code(command, ended, expected(command, &special, 6))
                .or_else(|| quotes.then(|| "should not quote the broker's objects".to_owned()))
        },
    );
    let _ = admin(&kafka, &["delete-group", &group, "--yes"]).expect_code(0);
    let _ = admin(&kafka, &["delete-topic", &topic, "--yes"]).expect_code(0);
}
