//! Every command in the documents works: on the embedded broker, as a newcomer plays them, and on a real Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::net::TcpListener;

use kafka_testkit::{Document, RealKafka, Stage};

/// What the harness has done already: the programs are built and on the path.
fn stage(folder: &tempfile::TempDir, bootstrap: &str) -> Stage {
    Stage::new(folder.path(), bootstrap).without("cargo build").without("export PATH")
}

fn on_the_embedded_broker(path: &str) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    let bootstrap = format!("127.0.0.1:{port}");
    let folder = tempfile::tempdir().unwrap();
    let start = format!("$ kafka-dev --memory --listen {bootstrap}");
    Document::read(path).play(&stage(&folder, &bootstrap).with("$ kafka-dev", &start));
}

fn on_a_real_kafka(path: &str) {
    let Some(kafka) = RealKafka::three_nodes() else { return };
    let topics = ["rider-updates", "rider-copy", "riders-now", "payment-done", "orders"];
    let forget = || {
        for topic in topics {
            let _ = kafka.tool("topics", &["--delete", "--if-exists", "--topic", topic], "");
        }
        for group in ["user-1", "user-2"] {
            let _ = kafka.tool("consumer-groups", &["--delete", "--group", group], "");
        }
    };
    forget();
    let folder = tempfile::tempdir().unwrap();
    Document::read(path).play(&stage(&folder, &kafka.bootstrap()).without("kafka-dev"));
    forget();
}

#[test]
fn the_readme_works_on_the_embedded_broker() {
    on_the_embedded_broker("README.md");
}

#[test]
fn the_readme_works_on_a_real_kafka() {
    on_a_real_kafka("README.md");
}

#[test]
fn the_tutorial_works_on_the_embedded_broker() {
    on_the_embedded_broker("docs/tutorial.md");
}

#[test]
fn the_tutorial_works_on_a_real_kafka() {
    on_a_real_kafka("docs/tutorial.md");
}
