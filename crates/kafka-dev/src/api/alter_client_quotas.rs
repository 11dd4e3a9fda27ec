//! AlterClientQuotas, versions 0 and 1 (KIP-546): stored, not enforced.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::AlterClientQuotasRequest;
use kafka_protocol::messages::alter_client_quotas_request::{EntryData, OpData};
use kafka_protocol::messages::alter_client_quotas_response::{
    AlterClientQuotasResponse, EntityData as AnsweredEntity, EntryData as Answered,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, told};
use crate::auth::acl::{Access, Operation};
use crate::cluster::quotas::Entity;
use crate::cluster::{Cluster, Refusal, storage_refusal};

/// Kinds of entities.
const KINDS: [&str; 3] = ["user", "client-id", "ip"];
/// The limits of users and client ids.
const LIMITS: [&str; 4] =
    ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
/// The limits of an address.
const ADDRESS_LIMITS: [&str; 1] = ["connection_creation_rate"];
/// Those that are no whole numbers.
const FRACTIONS: [&str; 2] = ["request_percentage", "controller_mutation_rate"];

impl Serve for AlterClientQuotasRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 1 };

    async fn serve(self, call: &mut Call<'_>) -> AlterClientQuotasResponse {
        let mut cluster = call.cluster();
        let entries = self.entries.iter();
        let entries = entries.map(|entry| {
            let altered = alter(&mut cluster, entry, self.validate_only);
            answer(entry, altered.err().as_ref())
        });
        AlterClientQuotasResponse::default().with_entries(entries.collect())
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> AlterClientQuotasResponse {
        let refusal = error.into();
        let entries = self.entries.iter().map(|entry| answer(entry, Some(&refusal)));
        AlterClientQuotasResponse::default().with_entries(entries.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::AlterConfigs)]
    }
}

fn alter(cluster: &mut Cluster, entry: &EntryData, validate_only: bool) -> Result<(), Refusal> {
    let named = entry
        .entity
        .iter()
        .map(|part| (part.entity_type.to_string(), part.entity_name.as_deref().map(str::to_owned)));
    let entity: Entity = named.collect();
    check(&entity, &entry.ops).map_err(|why| Refusal::new(ResponseError::InvalidRequest, why))?;
    if validate_only {
        return Ok(());
    }
    let changes = entry.ops.iter().map(|op| (op.key.to_string(), (!op.remove).then_some(op.value)));
    cluster.quotas.alter(entity, changes.collect()).map_err(storage_refusal)
}

/// Why these limits cannot be set for this entity, where they cannot.
fn check(entity: &Entity, ops: &[OpData]) -> Result<(), String> {
    if let Some(unknown) = entity.keys().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(format!("Unhandled client quota entity type: {unknown}"));
    }
    if let Some((kind, _)) = entity.iter().find(|(_, name)| name.as_deref() == Some("")) {
        return Err(format!("Empty {kind} not supported"));
    }
    let address = entity.get("ip");
    if entity.is_empty() || (address.is_some() && entity.len() > 1) {
        return Err("Invalid empty client quota entity".to_owned());
    }
    if let Some(Some(name)) = address.filter(|name| name.as_deref().is_some_and(|name| !is_host(name))) {
        return Err(format!("{name} is not a valid IP or resolvable host."));
    }
    let known: &[&str] = if address.is_some() { &ADDRESS_LIMITS } else { &LIMITS };
    for OpData { key, value, .. } in ops.iter().filter(|op| !op.remove) {
        if !known.contains(&key.as_str()) {
            return Err(format!("Invalid configuration key {}", key.as_str()));
        }
        if value.fract() != 0.0 && !FRACTIONS.contains(&key.as_str()) {
            return Err(format!("Configuration {} must be a Long value", key.as_str()));
        }
        if *value <= 0.0 {
            return Err(format!("Quota {} must be greater than 0", key.as_str()));
        }
    }
    Ok(())
}

/// Whether this may be the name of a host, or an address. Nothing is looked up.
fn is_host(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-'))
}

fn answer(entry: &EntryData, refusal: Option<&Refusal>) -> Answered {
    let entity = entry.entity.iter().map(|part| {
        AnsweredEntity::default()
            .with_entity_type(part.entity_type.clone())
            .with_entity_name(part.entity_name.clone())
    });
    let (code, message) = told(refusal);
    Answered::default().with_error_code(code).with_error_message(message).with_entity(entity.collect())
}
