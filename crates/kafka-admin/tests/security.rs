//! Access rules, users, quotas and delegation tokens on a broker that enforces them, compared with Apache's own tools.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::process::Command;

use common::{LIMIT, admin, admin_as, admin_with_input, apache, assert_holds, said};
use kafka_testkit::{Program, RealKafka, eventually, repository, run, unique};

#[test]
fn rules_are_made_found_and_taken_away_as_apaches_tool_sees_them() {
    let Some(kafka) = RealKafka::secure() else { return };
    let (topic, user) = (unique("ruled"), unique("user"));
    let principal = format!("User:{user}");
    let prefix = &topic[..topic.len() - 1];
    let read = ["create-acl", "--allow", &user, "--operation", "read,describe", "--topic", &topic];
    let made = said(admin(&kafka, &read));
    assert_holds(&made, &[&format!("created: allow {principal} read topic {topic} from *")]);
    let produce = ["create-acl", "--allow", &user, "--producer", "--topic", prefix, "--prefixed"];
    let _ = said(admin(&kafka, &produce));
    let deny = ["create-acl", "--deny", &user, "--operation", "all", "--group", "*", "--host", "10.0.0.1"];
    let _ = said(admin(&kafka, &deny));

    let theirs = apache(&kafka, "acls", &["--list", "--principal", &principal]);
    assert_holds(
        &theirs,
        &[
            &format!("ResourcePattern(resourceType=TOPIC, name={topic}, patternType=LITERAL)"),
            &format!("ResourcePattern(resourceType=TOPIC, name={prefix}, patternType=PREFIXED)"),
            &format!("(principal={principal}, host=*, operation=READ, permissionType=ALLOW)"),
            &format!("(principal={principal}, host=*, operation=CREATE, permissionType=ALLOW)"),
            &format!("(principal={principal}, host=10.0.0.1, operation=ALL, permissionType=DENY)"),
        ],
    );
    let listed = said(admin(&kafka, &["list-acls", "--allow", &user, "-o", "csv"]));
    assert_eq!(listed.lines().count(), 1 + 2 + 3, "{listed}");
    let matching = said(admin(&kafka, &["list-acls", "--topic", &topic, "--pattern", "match", "-o", "csv"]));
    assert_eq!(matching.lines().filter(|line| line.contains(&user)).count(), 5, "{matching}");

    let which = ["delete-acl", "--allow", &user, "--topic", &topic];
    let plan = said(admin(&kafka, &[&which[..], &["--dry-run"]].concat()));
    assert_eq!(plan.lines().count(), 2, "{plan}");
    let _ = admin(&kafka, &which).expect_code(2);
    let _ = said(admin(&kafka, &[&which[..], &["--yes"]].concat()));
    let left = said(admin(&kafka, &["list-acls", "--topic", &topic, "--pattern", "literal", "-o", "name"]));
    assert_eq!(left, "");
    let _ = admin(&kafka, &[&which[..], &["--yes"]].concat()).expect_code(4);
    let _ = said(admin(&kafka, &["delete-acl", "--allow", &user, "--yes"]));
    let _ = said(admin(&kafka, &["delete-acl", "--deny", &user, "--yes"]));
    let theirs = apache(&kafka, "acls", &["--list", "--principal", &principal]);
    assert!(!theirs.contains("operation="), "{theirs}");
}

#[test]
fn a_user_that_was_made_can_log_in_until_it_is_deleted() {
    let Some(kafka) = RealKafka::secure() else { return };
    let user = unique("carol");
    let set = ["set-user", &user, "--mechanism", "SCRAM-SHA-256", "--mechanism", "SCRAM-SHA-512"];
    let _ = said(admin_with_input(&kafka, &set, "a password of hers\n"));
    // The broker that is asked hears of it from the controller.
    let mut line = None;
    eventually("the user is listed", LIMIT, || {
        let listed = said(admin(&kafka, &["list-users", "-o", "jsonl"]));
        line =
            listed.lines().find(|line| line.contains(&user) && line.contains("SHA-512")).map(str::to_owned);
        line.is_some()
    });
    let mechanisms = ["\"mechanism\":\"SCRAM-SHA-256\",\"iterations\":8192", "SCRAM-SHA-512"];
    assert_holds(&line.unwrap_or_default(), &mechanisms);
    let theirs = apache(&kafka, "configs", &["--describe", "--entity-type", "users", "--entity-name", &user]);
    assert_holds(&theirs, &["SCRAM-SHA-256=iterations=8192", "SCRAM-SHA-512=iterations=8192"]);

    let address = kafka.listener("SASL_PLAINTEXT");
    let login = |password: &str| {
        let (user, password) = (format!("sasl.username={user}"), format!("sasl.password={password}"));
        let flags = ["-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=SCRAM-SHA-512"];
        let flags = [&["-b", &address][..], &flags, &["-X", &user, "-X", &password, "list-brokers"]].concat();
        run("kafka-admin", flags, "", LIMIT)
    };
    let _ = login("a password of hers").expect_code(0);
    let _ = login("another").expect_code(6);

    let _ = said(admin(&kafka, &["delete-user", &user, "--mechanism", "SCRAM-SHA-256", "--yes"]));
    let listed = said(admin(&kafka, &["list-users", "-o", "csv"]));
    assert_holds(&listed, &[&format!("{user},SCRAM-SHA-512 (8192 iterations)")]);
    let _ = said(admin(&kafka, &["delete-user", &user, "--yes"]));
    let _ = admin(&kafka, &["delete-user", &user, "--yes"]).expect_code(4);
    let _ = login("a password of hers").expect_code(6);
}

#[test]
fn quotas_of_users_clients_and_addresses_are_those_that_apaches_tool_sees() {
    let Some(kafka) = RealKafka::secure() else { return };
    let (user, client) = (unique("payer"), unique("app"));
    let quotas = ["producer_byte_rate=1MiB", "request_percentage=12.5"];
    let _ = said(admin(&kafka, &[&["set-quota", "--user", &user][..], &quotas].concat()));
    let both = ["set-quota", "--user-default", "--client-id", &client, "consumer_byte_rate=10MiB"];
    let _ = said(admin(&kafka, &both));
    let address = ["set-quota", "--ip", "10.1.2.3", "connection_creation_rate=5"];
    let _ = said(admin(&kafka, &address));

    let theirs = apache(&kafka, "configs", &["--describe", "--entity-type", "users", "--entity-name", &user]);
    assert_holds(&theirs, &["producer_byte_rate=1048576.0", "request_percentage=12.5"]);
    let pair = ["--entity-type", "users", "--entity-default", "--entity-type", "clients", "--entity-name"];
    let theirs = apache(&kafka, "configs", &[&["--describe"][..], &pair, &[&client]].concat());
    assert_holds(&theirs, &["consumer_byte_rate=1.048576E7"]);
    let listed = said(admin(&kafka, &["list-quotas"]));
    assert_holds(
        &listed,
        &[&format!("user {user}"), &format!("client-id {client}, user (default)"), "ip 10.1.2.3"],
    );

    let checked = ["set-quota", "--user", &user, "--remove", "producer_byte_rate", "--dry-run"];
    let _ = said(admin(&kafka, &checked));
    let _ = said(admin(&kafka, &["set-quota", "--user", &user, "--remove", "producer_byte_rate"]));
    let listed = said(admin(&kafka, &["list-quotas", "-o", "jsonl"]));
    let line = listed.lines().find(|line| line.contains(&user)).expect("one quota is left");
    assert!(line.contains("\"quotas\":{\"request_percentage\":12.5}"), "{line}");
    let wrong = admin(&kafka, &["set-quota", "--user", &user, "nonsense=3"]).expect_code(1);
    assert_holds(&wrong.stderr, &["nonsense"]);

    let rest = [
        vec!["set-quota", "--user", &user, "--remove", "request_percentage"],
        vec!["set-quota", "--user-default", "--client-id", &client, "--remove", "consumer_byte_rate"],
        vec!["set-quota", "--ip", "10.1.2.3", "--remove", "connection_creation_rate"],
    ];
    for arguments in rest {
        let _ = said(admin(&kafka, &arguments));
    }
    let listed = said(admin(&kafka, &["list-quotas", "-o", "name"]));
    assert!(!listed.contains(&user) && !listed.contains(&client), "{listed}");
}

#[test]
fn a_delegation_token_lets_in_whom_it_stands_for_until_it_ends() {
    let Some(kafka) = RealKafka::secure() else { return };
    let made = said(admin_as(
        &kafka,
        "alice",
        &["create-token", "--renewer", "bob", "--max-life", "1h", "-o", "jsonl"],
    ));
    let field = |name: &str| {
        let (_, rest) = made.split_once(&format!("\"{name}\":\"")).expect("the token has the field");
        rest.split('"').next().unwrap().to_owned()
    };
    let (id, hmac) = (field("token_id"), field("hmac"));
    let lists = |user: &str| said(admin_as(&kafka, user, &["list-tokens"]));
    eventually("the broker has heard of the token", LIMIT, || lists("alice").contains(&id));
    assert!(!lists("alice").contains(&hmac), "the secret is shown once");

    // Apache's tool, too, has to be somebody for this; the plain listener knows nobody.
    let mut theirs = Command::new(repository().join("scripts/kafka.sh"));
    theirs.args(["tool", "delegation-tokens", "--bootstrap-server", &kafka.listener("SASL_PLAINTEXT")]);
    theirs.args(["--describe", "--owner-principal", "User:alice", "--command-config"]);
    theirs.arg(kafka.file("sasl-plaintext-scram-sha-256-alice.properties"));
    let theirs = Program::start_command(theirs).finish(LIMIT).expect_code(0);
    assert_holds(&theirs.stdout, &[&id, &hmac, "User:alice", "[User:bob]"]);

    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("hmac");
    std::fs::write(&secret, &hmac).unwrap();
    let secret = secret.to_str().unwrap();
    let renewed = admin_as(&kafka, "bob", &["renew-token", "--hmac-file", secret, "--period", "30m"]);
    assert_holds(&said(renewed), &["the token lasts until"]);
    let ended = said(admin_as(&kafka, "alice", &["expire-token", "--hmac-file", secret]));
    assert_holds(&ended, &["the token ends at"]);
    eventually("the token is gone", LIMIT, || !lists("alice").contains(&id));
    // Over a connection that is not authenticated there is nobody for a token to stand for.
    let refused = admin(&kafka, &["create-token"]).expect_code(1);
    assert_holds(&refused.stderr, &["DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"]);
}

#[test]
fn doctor_says_what_a_user_lacks_and_when_certificates_end() {
    let Some(kafka) = RealKafka::secure() else { return };
    let (topic, group) = (unique("examined"), unique("readers"));
    let _ = said(admin(&kafka, &["create-topic", &topic, "-p", "1"]));
    let asked = ["doctor", "--topic", &topic, "--group", &group, "-o", "jsonl"];
    let well = said(admin_as(&kafka, "admin", &asked));
    let permitted =
        ["\"step\":\"produce\"", "\"step\":\"consume\"", "\"found\":\"permitted\"", "\"step\":\"clock\""];
    assert_holds(&well, &permitted);
    assert!(!well.contains("unknown") && !well.contains("failed"), "{well}");

    let lacking = admin_as(&kafka, "bob", &asked).expect_code(7).stdout;
    let of_group = lacking.lines().find(|line| line.contains(&group)).expect("the group is named");
    assert_holds(of_group, &["\"verdict\":\"failed\"", "create-acl --allow USER --operation read --group"]);
    assert_holds(&lacking, &["\"step\":\"clock\",\"of\":\"controller\",\"verdict\":\"unknown\""]);
    let _ =
        said(admin(&kafka, &["create-acl", "--allow", "bob", "--operation", "describe", "--topic", &topic]));
    let _ = said(admin(&kafka, &["create-acl", "--allow", "bob", "--operation", "read", "--group", &group]));
    eventually("the rules apply", LIMIT, || {
        let now = admin_as(&kafka, "bob", &asked).expect_code(7).stdout;
        now.contains("\"found\":\"not permitted\"") && !now.contains("--group")
    });
    for of in [["--topic", &topic], ["--group", &group]] {
        let _ = said(admin(&kafka, &[&["delete-acl", "--allow", "bob", "--yes"][..], &of].concat()));
    }

    let certificate = |listener: &str| {
        let (address, file) = (kafka.listener(listener), kafka.file("ssl.properties"));
        let flags = ["-b", &address, "-F", file.to_str().unwrap(), "doctor", "-o", "jsonl"];
        let ended = run("kafka-admin", flags, "", LIMIT);
        let line = ended.stdout.lines().find(|line| line.contains("\"certificate\"")).map(str::to_owned);
        (ended.code, line.expect("there is a certificate"))
    };
    let (code, line) = certificate("SSL");
    assert_eq!(code, Some(0), "{line}");
    assert_holds(&line, &["\"verdict\":\"ok\"", "CN=localhost for localhost, 127.0.0.1", "days left"]);
    let (code, line) = certificate("EXPIRED");
    assert_eq!(code, Some(7), "{line}");
    assert_holds(&line, &["\"verdict\":\"failed\"", "expired on 2024-02-01", "renew it"]);
    let (code, line) = certificate("WRONGNAME");
    assert_eq!(code, Some(7), "{line}");
    assert_holds(&line, &["for elsewhere.example"]);
}
