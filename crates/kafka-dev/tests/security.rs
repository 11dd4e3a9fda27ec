//! Users, access rules and TLS, over real connections.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use kafka_dev::{Broker, Config, Handle, ResponseError};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use kafka_testkit::{kcat, skip_without_kcat};
use support::{ANYONE, Program, Wire};

const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const WRITE: i8 = 4;
const ALLOW: i8 = 3;

fn cluster() -> Handle {
    let config = Config::in_memory().super_user("root", "top").user("ann", "secret").user("bob", "other");
    Broker::start(config.topic("t", 1).sasl_session_lifetime(Duration::from_secs(60))).unwrap()
}

fn authenticate(wire: &mut Wire, name: &str, password: &str) -> i16 {
    let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
    assert_eq!(wire.call(&handshake, 1).error_code, 0);
    let message = format!("\0{name}\0{password}").into_bytes();
    wire.call(&SaslAuthenticateRequest::default().with_auth_bytes(message.into()), 2).error_code
}

fn connected(cluster: &Handle, name: &str, password: &str) -> Wire {
    let mut wire = Wire::connect(&cluster.bootstrap());
    assert_eq!(authenticate(&mut wire, name, password), 0);
    wire
}

#[test]
fn nothing_is_answered_before_authentication() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    assert_eq!(wire.call(&ApiVersionsRequest::default(), 0).error_code, 0);
    assert!(wire.try_call(&MetadataRequest::default(), 9).is_err());
}

#[test]
fn a_wrong_password_is_told_and_ends_the_connection() {
    let cluster = cluster();
    let mut wire = Wire::connect(&cluster.bootstrap());
    let error = authenticate(&mut wire, "ann", "guess");
    assert_eq!(error, ResponseError::SaslAuthenticationFailed.code());
    assert!(wire.receive_raw().is_err());
}

#[test]
fn a_session_ends_unless_it_is_renewed() {
    let cluster = cluster();
    let mut wire = connected(&cluster, "ann", "secret");
    cluster.advance(Duration::from_secs(50));
    assert_eq!(authenticate(&mut wire, "ann", "secret"), 0);
    cluster.advance(Duration::from_secs(50));
    assert_eq!(wire.produce("t", ANYONE, &["x"]).error_code, 0);
    cluster.advance(Duration::from_secs(50));
    assert!(wire.try_produce("t", ANYONE, &["x"]).is_err());
}

#[test]
fn a_rule_for_one_user_shuts_out_the_others_but_not_the_super_user() {
    let cluster = cluster();
    let mut root = connected(&cluster, "root", "top");
    let rule = AclCreation::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_static_str("t"))
        .with_resource_pattern_type(LITERAL)
        .with_principal(StrBytes::from_static_str("User:ann"))
        .with_host(StrBytes::from_static_str("*"))
        .with_operation(WRITE)
        .with_permission_type(ALLOW);
    let created = root.call(&CreateAclsRequest::default().with_creations(vec![rule]), 2);
    assert_eq!(created.results[0].error_code, 0);
    let error = |name, password| connected(&cluster, name, password).produce("t", ANYONE, &["x"]).error_code;
    assert_eq!(error("ann", "secret"), 0);
    assert_eq!(error("bob", "other"), ResponseError::TopicAuthorizationFailed.code());
    assert_eq!(error("root", "top"), 0);
}

#[test]
fn kcat_authenticates_by_every_mechanism() {
    if skip_without_kcat() {
        return;
    }
    let cluster = cluster();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mechanism = format!("sasl.mechanism={mechanism}");
        let arguments =
            ["-b", &cluster.bootstrap(), "-L", "-X", "security.protocol=SASL_PLAINTEXT", "-X", &mechanism];
        let listed =
            kcat(&[&arguments[..], &["-X", "sasl.username=ann", "-X", "sasl.password=secret"]].concat(), "");
        assert!(listed.expect_code(0).stdout.contains("topic \"t\""), "{mechanism}");
    }
}

#[test]
fn kcat_connects_by_tls_and_trusts_only_the_certificate_it_was_given() {
    if skip_without_kcat() {
        return;
    }
    let identity =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let config =
        Config::in_memory().topic("t", 1).tls(identity.cert.pem(), identity.signing_key.serialize_pem());
    let cluster = Broker::start(config).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, identity.cert.pem()).unwrap();
    let trusted = format!("ssl.ca.location={}", ca.display());
    let bootstrap = cluster.bootstrap();
    let listed = kcat(&["-b", &bootstrap, "-L", "-X", "security.protocol=ssl", "-X", &trusted], "");
    assert!(listed.expect_code(0).stdout.contains("topic \"t\""));
    let refused = kcat(&["-b", &bootstrap, "-L", "-m", "2", "-X", "security.protocol=ssl"], "");
    assert_ne!(refused.code, Some(0));
}

#[test]
fn the_program_asks_for_users_and_speaks_tls_as_its_flags_say() {
    if skip_without_kcat() {
        return;
    }
    let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let users = file("users", "# who may come\nroot:top\nann:se:cret\n");
    let cert = file("cert.pem", &identity.cert.pem());
    let key = file("key.pem", &identity.signing_key.serialize_pem());
    let flags = ["--memory", "--topic", "t", "--users", &users, "--super-user", "root", "--tls-cert", &cert];
    let program = Program::start(&[&flags[..], &["--tls-key", &key]].concat());
    let list = |user: &str, password: &str| {
        let (user, password) = (format!("sasl.username={user}"), format!("sasl.password={password}"));
        let ca = format!("ssl.ca.location={cert}");
        let properties =
            ["security.protocol=sasl_ssl", "sasl.mechanism=SCRAM-SHA-512", &ca, &user, &password];
        let flags = ["-b", &program.address, "-L", "-m", "3"];
        kcat(&flags.into_iter().chain(properties.iter().flat_map(|p| ["-X", p])).collect::<Vec<_>>(), "")
    };
    assert!(list("ann", "se:cret").expect_code(0).stdout.contains("topic \"t\""));
    assert_ne!(list("ann", "guess").code, Some(0));
}
