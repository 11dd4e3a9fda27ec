//! Quotas and SCRAM credentials: what is stored is told, what cannot be is refused, each with its own error. Where nobody
//! has to authenticate, nobody can, and there are no access rules.

use bytes::Bytes;
use kafka_dev::ResponseError as E;
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::*;
use kafka_testkit::{eventually, unique};

use super::support::Wire;
use super::{PATIENCE, code, stage, text};

const SHA_256: i8 = 1;
const SHA_512: i8 = 2;

/// Sets a limit, or takes it away where there is no value.
fn set_quota(wire: &mut Wire, entity: &[(&str, Option<&str>)], key: &str, value: Option<f64>) -> i16 {
    wire.call(&quota_request(entity, key, value), 1).entries[0].error_code
}

fn quota_request(entity: &[(&str, Option<&str>)], key: &str, value: Option<f64>) -> AlterClientQuotasRequest {
    let part = |(kind, name): &(&str, Option<&str>)| {
        EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
    };
    let op = OpData::default()
        .with_key(text(key))
        .with_value(value.unwrap_or_default())
        .with_remove(value.is_none());
    let entry = EntryData::default().with_entity(entity.iter().map(part).collect()).with_ops(vec![op]);
    AlterClientQuotasRequest::default().with_entries(vec![entry])
}

/// The limits of exactly this user.
fn quotas_of(wire: &mut Wire, user: &str) -> Vec<(String, f64)> {
    let component = ComponentData::default().with_entity_type(text("user")).with_match_type(0);
    let component = component.with_match(Some(text(user)));
    let request = DescribeClientQuotasRequest::default().with_components(vec![component]).with_strict(true);
    let answer = wire.call(&request, 1);
    assert_eq!(answer.error_code, 0);
    let entries = answer.entries.unwrap_or_default();
    let values = entries.iter().flat_map(|entry| &entry.values);
    values.map(|limit| (limit.key.to_string(), limit.value)).collect()
}

#[test]
fn a_quota_is_told_until_it_is_taken_away() {
    let Some(mut stage) = stage() else { return };
    let (wire, user) = (&mut stage.wire, unique("conformance"));
    let entity = [("user", Some(user.as_str()))];
    let tried = quota_request(&entity, "producer_byte_rate", Some(9.0)).with_validate_only(true);
    assert_eq!(wire.call(&tried, 1).entries[0].error_code, 0);
    assert_eq!(set_quota(wire, &entity, "producer_byte_rate", Some(1000.0)), 0);
    assert_eq!(set_quota(wire, &entity, "request_percentage", Some(12.5)), 0);
    let expected = [("producer_byte_rate".to_owned(), 1000.0), ("request_percentage".to_owned(), 12.5)];
    let mut told = Vec::new();
    eventually("both limits are told", PATIENCE, || {
        told = quotas_of(wire, &user);
        told.sort_by(|one, other| one.0.cmp(&other.0));
        told == expected
    });
    for (key, _) in &expected {
        assert_eq!(set_quota(wire, &entity, key, None), 0);
    }
    eventually("nothing is left", PATIENCE, || quotas_of(wire, &user).is_empty());
    assert_eq!(set_quota(wire, &entity, "producer_byte_rate", None), 0, "what is not there can be removed");
}

#[test]
fn a_quota_that_cannot_be_is_refused() {
    let Some(mut stage) = stage() else { return };
    let (wire, user) = (&mut stage.wire, unique("conformance"));
    let of_user = ("user", Some(user.as_str()));
    let address = ("ip", Some("10.1.2.3"));
    for (entity, key, value) in [
        (vec![of_user], "no_such_rate", 1.0),
        (vec![of_user], "producer_byte_rate", 1.5),
        (vec![of_user], "producer_byte_rate", 0.0),
        (vec![of_user], "producer_byte_rate", -1.0),
        (vec![of_user], "connection_creation_rate", 1.0),
        (vec![("animal", Some("dog"))], "producer_byte_rate", 1.0),
        (vec![], "producer_byte_rate", 1.0),
        (vec![of_user], "request_percentage", 0.0),
        (vec![address], "connection_creation_rate", 0.0),
        (vec![address], "connection_creation_rate", 1.5),
        (vec![address], "producer_byte_rate", 1.0),
        (vec![address, of_user], "connection_creation_rate", 1.0),
        (vec![("ip", Some("no address"))], "connection_creation_rate", 1.0),
    ] {
        let shown = format!("{entity:?} {key} {value}");
        assert_eq!(set_quota(wire, &entity, key, Some(value)), code(E::InvalidRequest), "{shown}");
    }
    assert!(quotas_of(wire, &user).is_empty());
}

fn upsert(user: &str, mechanism: i8, iterations: i32) -> ScramCredentialUpsertion {
    ScramCredentialUpsertion::default()
        .with_name(text(user))
        .with_mechanism(mechanism)
        .with_iterations(iterations)
        .with_salt(Bytes::from_static(b"salt"))
        .with_salted_password(Bytes::from_static(&[7; 32]))
}

fn alter(wire: &mut Wire, deletions: &[(&str, i8)], upsertions: &[ScramCredentialUpsertion]) -> Vec<i16> {
    let deletion = |(user, mechanism): &(&str, i8)| {
        ScramCredentialDeletion::default().with_name(text(user)).with_mechanism(*mechanism)
    };
    let request = AlterUserScramCredentialsRequest::default()
        .with_deletions(deletions.iter().map(deletion).collect())
        .with_upsertions(upsertions.to_vec());
    wire.call(&request, 0).results.iter().map(|result| result.error_code).collect()
}

/// The code for one user, and its mechanisms with their iterations.
fn described(wire: &mut Wire, user: &str) -> (i16, Vec<(i8, i32)>) {
    let users = vec![UserName::default().with_name(text(user))];
    let answer = wire.call(&DescribeUserScramCredentialsRequest::default().with_users(Some(users)), 0);
    assert_eq!(answer.error_code, 0);
    let infos = answer.results[0].credential_infos.iter();
    let mut infos: Vec<_> = infos.map(|info| (info.mechanism, info.iterations)).collect();
    infos.sort_unstable();
    (answer.results[0].error_code, infos)
}

#[test]
fn a_users_credentials_are_told_by_mechanism_until_they_are_deleted() {
    let Some(mut stage) = stage() else { return };
    let (wire, user) = (&mut stage.wire, unique("conformance"));
    let missing = code(E::ResourceNotFound);
    assert_eq!(described(wire, &user), (missing, vec![]));
    assert_eq!(alter(wire, &[(&user, SHA_256)], &[]), [missing]);
    assert_eq!(alter(wire, &[], &[upsert(&user, SHA_256, 4096)]), [0]);
    assert_eq!(alter(wire, &[], &[upsert(&user, SHA_512, 8192)]), [0]);
    let both = vec![(SHA_256, 4096), (SHA_512, 8192)];
    eventually("both mechanisms are told", PATIENCE, || described(wire, &user) == (0, both.clone()));
    let twice = UserName::default().with_name(text(&user));
    let twice = DescribeUserScramCredentialsRequest::default().with_users(Some(vec![twice.clone(), twice]));
    let answer = wire.call(&twice, 0);
    assert_eq!(answer.results[0].error_code, code(E::DuplicateResource));
    assert_eq!(alter(wire, &[(&user, SHA_512)], &[]), [0]);
    eventually("one is left", PATIENCE, || described(wire, &user) == (0, vec![(SHA_256, 4096)]));
    assert_eq!(alter(wire, &[(&user, SHA_256)], &[]), [0]);
    eventually("none is left", PATIENCE, || described(wire, &user) == (missing, vec![]));
}

#[test]
fn a_credential_that_cannot_be_is_refused() {
    let Some(mut stage) = stage() else { return };
    let (wire, user) = (&mut stage.wire, unique("conformance"));
    for (upsertion, error) in [
        (upsert(&user, SHA_256, 4095), E::UnacceptableCredential),
        (upsert(&user, SHA_256, 16_385), E::UnacceptableCredential),
        (upsert("", SHA_256, 4096), E::UnacceptableCredential),
        (upsert(&user, 9, 4096), E::UnsupportedSaslMechanism),
    ] {
        let shown = format!("{upsertion:?}");
        assert_eq!(alter(wire, &[], &[upsertion]), [code(error)], "{shown}");
    }
    assert_eq!(alter(wire, &[(&user, 9)], &[]), [code(E::UnsupportedSaslMechanism)]);
    let twice = [upsert(&user, SHA_256, 4096), upsert(&user, SHA_512, 4096)];
    assert_eq!(alter(wire, &[], &twice), [code(E::DuplicateResource)], "one change of a user at a time");
    let both = alter(wire, &[(&user, SHA_256)], &[upsert(&user, SHA_256, 4096)]);
    assert_eq!(both, [code(E::ResourceNotFound)], "the first thing that is wrong counts");
    assert_eq!(described(wire, &user).0, code(E::ResourceNotFound), "nothing was stored");
}

#[test]
fn there_are_no_access_rules_where_nobody_has_to_authenticate() {
    const TOPIC: i8 = 2;
    const LITERAL: i8 = 3;
    const ALLOW: i8 = 3;
    const READ: i8 = 3;
    let Some(mut stage) = stage() else { return };
    let (wire, disabled) = (&mut stage.wire, code(E::SecurityDisabled));
    let all = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(1)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    assert_eq!(wire.call(&all, 3).error_code, disabled);
    let rule = AclCreation::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t"))
        .with_resource_pattern_type(LITERAL)
        .with_principal(text("User:ann"))
        .with_host(text("*"))
        .with_operation(READ)
        .with_permission_type(ALLOW);
    let created = wire.call(&CreateAclsRequest::default().with_creations(vec![rule]), 3);
    assert_eq!(created.results[0].error_code, disabled);
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(TOPIC)
        .with_resource_name_filter(Some(text("t")))
        .with_pattern_type_filter(LITERAL)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let deleted = wire.call(&DeleteAclsRequest::default().with_filters(vec![filter]), 3);
    assert_eq!(deleted.filter_results[0].error_code, disabled);
}

#[test]
fn nobody_can_authenticate_where_nobody_has_to() {
    let Some(mut stage) = stage() else { return };
    let illegal = code(E::IllegalSaslState);
    let handshake = SaslHandshakeRequest::default().with_mechanism(text("PLAIN"));
    assert_eq!(stage.wire.call(&handshake, 1).error_code, illegal);
    let token = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0ann\0secret"));
    assert_eq!(stage.wire.call(&token, 2).error_code, illegal);
    assert_eq!(stage.wire.offset(&stage.topic, -1), 0, "the connection goes on");
}
