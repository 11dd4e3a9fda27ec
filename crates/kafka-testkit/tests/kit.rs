//! The kit itself against a real Kafka and other people's clients: what it says it breaks is broken, what it says it
//! mends is mended.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::{Duration, Instant};

use kafka_testkit::{FaultProxy, RealKafka, Rule, api, eventually, kcat, skip_without_kcat, unique};

#[test]
fn a_killed_leader_is_replaced_and_comes_back_when_the_test_ends() {
    let topic = unique("kit-leader");
    let before = {
        let Some(kafka) = RealKafka::three_nodes() else { return };
        kafka.create_topic(&topic, 1, &[]);
        let before = kafka.leader(&topic, 0).expect("a new partition has a leader");
        kafka.kill(before);
        eventually("another leader", Duration::from_secs(60), || {
            kafka.leader(&topic, 0).is_some_and(|now| now != before)
        });
        before
    };
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let quorum = kafka.tool("topics", &["--describe", "--topic", &topic], "").expect_code(0).stdout;
    let in_sync = quorum.split("Isr: ").nth(2).or_else(|| quorum.split("Isr: ").nth(1)).unwrap_or_default();
    assert!(in_sync.contains(&before.to_string()), "node {before} is not in sync again: {quorum}");
}

#[test]
fn the_proxy_swallows_acknowledgements_of_records_that_were_appended() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let topic = unique("kit-swallow");
    kafka.create_topic(&topic, 1, &[]);
    let proxy = FaultProxy::start(&kafka);
    proxy.add(Rule::SwallowEvery { api: api::PRODUCE, nth: 1, cut: true });
    let unacknowledged = kcat(&["-P", "-b", proxy.bootstrap(), "-t", &topic], "lost and found\n");
    assert_ne!(unacknowledged.code, Some(0));
    assert!(proxy.swallowed() > 0);
    let read = kcat(&["-C", "-e", "-q", "-b", &kafka.bootstrap(), "-t", &topic], "").expect_code(0).stdout;
    assert!(read.contains("lost and found"));
}

#[test]
fn a_frozen_proxy_lets_nothing_through_until_it_is_thawed() {
    let Some(kafka) = RealKafka::one_node() else { return };
    if skip_without_kcat() {
        return;
    }
    let proxy = FaultProxy::start(&kafka);
    proxy.freeze();
    let started = Instant::now();
    let list = kcat(&["-L", "-m", "1", "-b", proxy.bootstrap()], "");
    assert_ne!(list.code, Some(0));
    assert!(started.elapsed() >= Duration::from_secs(1));
    proxy.thaw();
    let _ = kcat(&["-L", "-b", proxy.bootstrap()], "").expect_code(0);
}

#[test]
fn the_secure_listeners_let_in_who_should_get_in_and_nobody_else() {
    let Some(kafka) = RealKafka::secure() else { return };
    if skip_without_kcat() {
        return;
    }
    let ca = format!("ssl.ca.location={}", kafka.file("ca.pem").display());
    let stranger = format!("ssl.ca.location={}", kafka.file("stranger.pem").display());
    let ssl = ["-X", "security.protocol=SSL", "-X"];
    // Not SCRAM: Debian's kcat repeats the nonce wrongly, and Kafka 4 looks at it (CVE-2024-56128).
    let sasl =
        ["-X", "security.protocol=SASL_SSL", "-X", "sasl.mechanism=PLAIN", "-X", "sasl.username=alice"];
    let list = |listener: &str, flags: &[&str]| {
        let address = kafka.listener(listener);
        kcat(&[&["-L", "-m", "3", "-b", &address], flags].concat(), "").code == Some(0)
    };
    assert!(list("SSL", &[&ssl[..], &[&ca]].concat()));
    assert!(!list("SSL", &[&ssl[..], &[&stranger]].concat()));
    assert!(!list("EXPIRED", &[&ssl[..], &[&ca]].concat()));
    assert!(!list("WRONGNAME", &[&ssl[..], &[&ca]].concat()));
    assert!(!list("MTLS", &[&ssl[..], &[&ca]].concat()));
    assert!(list("SASL_SSL", &[&sasl[..], &["-X", "sasl.password=alice-secret", "-X", &ca]].concat()));
    assert!(!list("SASL_SSL", &[&sasl[..], &["-X", "sasl.password=wrong", "-X", &ca]].concat()));
}
