//! Brokers that lie, and what the client makes of it: an error that names the broker and what was wrong, in time, with
//! bounded memory, without spinning and without a panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use kafka_core::{Client, Config, Error};
use kafka_testkit::hostile::{FRAME_LIES, HostileBroker, Lie, METADATA_LIES};

/// The client's own limits; a lie may use up each of them once.
const STEP: Duration = Duration::from_millis(700);
const LIMIT: Duration = Duration::from_secs(3);

fn client(address: &str) -> Client {
    let mut config = Config::new();
    let step = STEP.as_millis().to_string();
    for (name, value) in [
        ("bootstrap.servers", address),
        ("socket.connection.setup.timeout.ms", &step),
        ("request.timeout.ms", &step),
    ] {
        config.set(name, value).unwrap();
    }
    Client::new(config).unwrap()
}

/// Asks a lying broker for its topics; what was answered, and in how much time.
fn ask(broker: &HostileBroker) -> (Result<(), Error>, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = Instant::now();
    let outcome = runtime.block_on(async {
        let client = client(&broker.address());
        tokio::time::timeout(LIMIT * 2, client.cluster().all_topics())
            .await
            .expect("it ends by itself")
            .map(drop)
    });
    (outcome, started.elapsed())
}

fn survive((name, words, script): &Lie) {
    let broker = HostileBroker::start(*script);
    let (outcome, took) = ask(&broker);
    assert!(took < LIMIT, "{name}: took {took:?}, {outcome:?}");
    assert!(broker.connections() <= 3, "{name}: {} connections", broker.connections());
    match (words, outcome) {
        (Some(words), Err(error)) => {
            let text = error.to_string();
            assert!(text.contains(words) && text.contains(&broker.address()), "{name}: {text}");
        }
        (Some(words), Ok(())) => panic!("{name}: it was believed, where {words:?} was due"),
        // Nothing to object to in a list of topics, or an error: both are right.
        (None, _) => {}
    }
}

#[test]
fn lies_about_frames_end_in_an_error_that_names_them() {
    FRAME_LIES.iter().for_each(survive);
}

#[test]
fn lies_about_the_cluster_end_in_an_error_or_do_no_harm() {
    METADATA_LIES.iter().for_each(survive);
}
