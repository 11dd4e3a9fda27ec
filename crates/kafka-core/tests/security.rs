//! Every way into a secured cluster, and every way in which it can go wrong, against a real Kafka with TLS, SASL and
//! ACLs (`scripts/kafka.sh up --tls --sasl`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use kafka_core::{Client, Config, Error, ErrorKind};
use kafka_testkit::RealKafka;

/// However it ends, it ends in this time.
const LIMIT: Duration = Duration::from_secs(2);

/// Asks for the cluster's metadata once. `lines` are properties; `FILE(name)` in them stands for a file of the cluster.
fn ask(kafka: &RealKafka, listener: &str, lines: &str) -> Result<(), Error> {
    let mut text = lines.to_owned();
    while let Some((before, rest)) = text.split_once("FILE(") {
        let (name, after) = rest.split_once(')').unwrap();
        text = format!("{before}{}{after}", kafka.file(name).display());
    }
    let mut config = Config::new();
    config.read_properties(&text, "test.properties").unwrap();
    config.set("bootstrap.servers", &kafka.listener(listener)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = Instant::now();
    let outcome = runtime.block_on(async { Client::new(config)?.cluster().refresh().await.map(drop) });
    assert!(started.elapsed() < LIMIT, "took {:?}: {outcome:?}", started.elapsed());
    outcome
}

fn client_file(kafka: &RealKafka, name: &str) -> String {
    std::fs::read_to_string(kafka.file(name)).unwrap()
}

fn assert_refused(outcome: Result<(), Error>, kind: ErrorKind, words: &str) {
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(!error.is_retriable(), "{error}");
}

#[test]
fn the_client_files_of_apaches_tools_open_every_listener() {
    let Some(kafka) = RealKafka::secure() else { return };
    ask(&kafka, "SSL", &client_file(&kafka, "ssl.properties")).unwrap();
    ask(&kafka, "MTLS", &client_file(&kafka, "mtls.properties")).unwrap();
    for mechanism in ["plain", "scram-sha-256", "scram-sha-512"] {
        for (listener, name) in [("SASL_PLAINTEXT", "sasl-plaintext"), ("SASL_SSL", "sasl-ssl")] {
            let file = format!("{name}-{mechanism}-alice.properties");
            ask(&kafka, listener, &client_file(&kafka, &file)).unwrap();
        }
    }
}

#[test]
fn trust_and_key_stores_are_read_in_every_form() {
    let Some(kafka) = RealKafka::secure() else { return };
    let ssl = "security.protocol=SSL\n";
    let pkcs12 = "ssl.truststore.location=FILE(truststore.p12)\nssl.truststore.password=changeit\n";
    let pem = "ssl.ca.location=FILE(ca.pem)\n";
    ask(&kafka, "SSL", &format!("{ssl}{pkcs12}")).unwrap();
    ask(&kafka, "SSL", &format!("{ssl}{pem}ssl.protocol=TLSv1.3\n")).unwrap();
    for identity in [
        "ssl.keystore.location=FILE(client.p12)\nssl.keystore.password=changeit\n",
        "ssl.keystore.location=FILE(client-store.pem)\n",
        "ssl.certificate.location=FILE(client.pem)\nssl.key.location=FILE(client.key)\n",
        "ssl.certificate.location=FILE(client.pem)\nssl.key.location=FILE(client-encrypted.key)\nssl.key.password=changeit\n",
    ] {
        ask(&kafka, "MTLS", &format!("{ssl}{pem}{identity}")).unwrap();
    }
}

#[test]
fn stores_that_cannot_be_opened_say_what_to_do() {
    let Some(kafka) = RealKafka::secure() else { return };
    for (lines, words) in [
        ("ssl.truststore.location=FILE(truststore.jks)", "keytool -importkeystore -srckeystore"),
        ("ssl.truststore.location=FILE(truststore.p12)", "its password is not set"),
        ("ssl.truststore.location=FILE(truststore.p12)\nssl.truststore.password=wrong", "wrong password?"),
        ("ssl.ca.location=/nonexistent/ca.pem", "ssl.ca.location: /nonexistent/ca.pem"),
        ("ssl.ca.location=FILE(ca.key)", "it holds no certificate"),
        (
            "ssl.ca.location=FILE(ca.pem)\nssl.certificate.location=FILE(client.pem)\nssl.key.location=FILE(client-encrypted.key)",
            "ssl.key.password is not set",
        ),
        (
            "ssl.ca.location=FILE(ca.pem)\nssl.certificate.location=FILE(client.pem)\nssl.key.location=FILE(client-encrypted.key)\nssl.key.password=wrong",
            "wrong ssl.key.password?",
        ),
    ] {
        assert_refused(
            ask(&kafka, "SSL", &format!("security.protocol=SSL\n{lines}")),
            ErrorKind::Usage,
            words,
        );
    }
}

#[test]
fn certificate_problems_say_which() {
    let Some(kafka) = RealKafka::secure() else { return };
    let trusted = client_file(&kafka, "ssl.properties");
    for (listener, lines, words) in [
        ("SSL", client_file(&kafka, "ssl-wrong-ca.properties"), "unknown issuer"),
        ("EXPIRED", trusted.clone(), "the broker's certificate expired on 2024-02-01 00:00:00 UTC"),
        (
            "WRONGNAME",
            trusted.clone(),
            "the broker's certificate is for elsewhere.example, not for localhost",
        ),
        ("MTLS", trusted.clone(), "the broker wants a client certificate"),
        ("PLAINTEXT", trusted.clone(), "is this listener SSL or SASL_SSL?"),
    ] {
        assert_refused(ask(&kafka, listener, &lines), ErrorKind::Unreachable, words);
    }
    ask(&kafka, "WRONGNAME", &format!("{trusted}\nssl.endpoint.identification.algorithm=\n")).unwrap();
    ask(&kafka, "EXPIRED", &format!("{trusted}\nenable.ssl.certificate.verification=false\n")).unwrap();
}

#[test]
fn a_wrong_password_is_final_and_said_in_the_brokers_words() {
    let Some(kafka) = RealKafka::secure() else { return };
    for (mechanism, words) in [
        ("PLAIN", "Invalid username or password"),
        ("SCRAM-SHA-256", "invalid credentials"),
        ("SCRAM-SHA-512", "invalid credentials"),
    ] {
        let lines = format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism={mechanism}\nsasl.username=alice\nsasl.password=hunter2"
        );
        let outcome = ask(&kafka, "SASL_PLAINTEXT", &lines);
        assert!(!format!("{outcome:?}").contains("hunter2"));
        assert_refused(outcome, ErrorKind::Denied, words);
    }
}

#[test]
fn an_unsecured_token_is_made_as_java_makes_it_and_a_wrong_one_is_refused() {
    let Some(kafka) = RealKafka::secure() else { return };
    let lines = "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n";
    let jaas = "sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"admin\";\n";
    ask(&kafka, "SASL_PLAINTEXT", &format!("{lines}{jaas}")).unwrap();
    let wrong = format!("{lines}sasl.oauthbearer.token=not.a.token\n");
    assert_refused(ask(&kafka, "SASL_PLAINTEXT", &wrong), ErrorKind::Denied, "refuses the token");
}
