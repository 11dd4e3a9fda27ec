//! Every way into a secured cluster, and every way in which it can go wrong, against a real Kafka with TLS, SASL and
//! ACLs (`scripts/kafka.sh up --tls --sasl`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kafka_core::{Client, Config, Error, ErrorKind, Metric};
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

#[test]
fn rskafkas_own_client_comes_from_the_same_configuration() {
    let Some(kafka) = RealKafka::secure() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (listener, file) in
        [("SSL", "ssl.properties"), ("SASL_SSL", "sasl-ssl-scram-sha-512-admin.properties")]
    {
        let mut config = Config::new();
        config.read_properties(&client_file(&kafka, file), "f").unwrap();
        config.set("bootstrap.servers", &kafka.listener(listener)).unwrap();
        runtime.block_on(async {
            let second = Client::new(config).unwrap().rskafka().await.unwrap();
            second.list_topics().await.unwrap();
        });
    }
}

/// A token endpoint (KIP-768) that answers one request with `answer` and hands out what it was asked.
fn token_endpoint(answer: String) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        let mut buffer = [0; 4096];
        while !asked.contains("grant_type=") {
            let length = stream.read(&mut buffer).unwrap();
            asked.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        stream.write_all(answer.as_bytes()).unwrap();
        asked
    });
    (url, served)
}

fn http(status: &str, json: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    )
}

#[test]
fn a_token_is_fetched_with_client_credentials() {
    let Some(kafka) = RealKafka::secure() else { return };
    // {"alg":"none"} . {"sub":"admin","iat":0,"exp":9999999999}
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImlhdCI6MCwiZXhwIjo5OTk5OTk5OTk5fQ.";
    let (url, served) =
        token_endpoint(http("200 OK", &format!(r#"{{"access_token":"{token}","expires_in":3600}}"#)));
    let lines = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.token.endpoint.url={url}\n\
         sasl.oauthbearer.client.id=me\nsasl.oauthbearer.client.secret=hunter2\nsasl.oauthbearer.scope=kafka all\n"
    );
    ask(&kafka, "SASL_PLAINTEXT", &lines).unwrap();
    let asked = served.join().unwrap();
    assert!(asked.starts_with("POST /token HTTP/1.1\r\n"), "{asked}");
    // me:hunter2
    assert!(asked.contains("Authorization: Basic bWU6aHVudGVyMg==\r\n"), "{asked}");
    assert!(asked.ends_with("grant_type=client_credentials&scope=kafka+all"), "{asked}");
}

#[test]
fn a_token_endpoint_that_refuses_ends_it_at_once_in_its_words() {
    let Some(kafka) = RealKafka::secure() else { return };
    let (url, served) =
        token_endpoint(http("401 Unauthorized", r#"{"error_description":"unknown client me"}"#));
    let lines = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.token.endpoint.url={url}\n\
         sasl.oauthbearer.client.id=me\nsasl.oauthbearer.client.secret=hunter2\n"
    );
    assert_refused(ask(&kafka, "SASL_PLAINTEXT", &lines), ErrorKind::Denied, "unknown client me");
    served.join().unwrap();
}

#[test]
fn a_session_is_renewed_on_its_connection_before_it_ends() {
    let Some(kafka) = RealKafka::secure() else { return };
    let mut config = Config::new();
    config.read_properties(&client_file(&kafka, "sasl-ssl-scram-sha-256-alice.properties"), "f").unwrap();
    config.set("bootstrap.servers", &kafka.listener("SASL_SSL")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(config).unwrap();
        let first = client.cluster().any().await.unwrap();
        // The secure cluster of scripts/test.sh has connections.max.reauth.ms=3000.
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            client.cluster().refresh().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!first.is_closed(), "the broker ended the session");
        let handshakes = client.metrics().get(Metric::Requests, "SaslHandshake");
        assert!(handshakes >= 2, "{handshakes} handshakes: is connections.max.reauth.ms set?");
    });
}
