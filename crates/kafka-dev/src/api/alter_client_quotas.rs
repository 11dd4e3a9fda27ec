//! AlterClientQuotas, versions 0 and 1 (KIP-546): stored, not enforced.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::AlterClientQuotasRequest;
use kafka_protocol::messages::alter_client_quotas_request::EntryData;
use kafka_protocol::messages::alter_client_quotas_response::{
    AlterClientQuotasResponse, EntityData as AnsweredEntity, EntryData as Answered,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation};
use crate::cluster::quotas::Entity;
use crate::cluster::{Cluster, Refusal, storage_error};

/// Kinds of entities, and the limits that the first two have; an address has one of its own.
const KINDS: [&str; 3] = ["user", "client-id", "ip"];
const LIMITS: [&str; 5] = [
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
    "connection_creation_rate",
];

impl Serve for AlterClientQuotasRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 1 };

    async fn serve(self, call: &mut Call<'_>) -> AlterClientQuotasResponse {
        let mut cluster = call.cluster();
        let entries = self
            .entries
            .iter()
            .map(|entry| answer(entry, alter(&mut cluster, entry, self.validate_only).err()));
        let entries = entries.collect();
        AlterClientQuotasResponse::default().with_entries(entries)
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> AlterClientQuotasResponse {
        let entries = self.entries.iter();
        let entries = entries.map(|entry| answer(entry, Some(Refusal::new(error, error.to_string()))));
        AlterClientQuotasResponse::default().with_entries(entries.collect())
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::AlterConfigs)]
    }
}

fn alter(cluster: &mut Cluster, entry: &EntryData, validate_only: bool) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ResponseError::InvalidRequest, message));
    let named = entry
        .entity
        .iter()
        .map(|part| (part.entity_type.to_string(), part.entity_name.as_deref().map(str::to_owned)));
    let entity: Entity = named.collect();
    if entity.is_empty() || entity.len() != entry.entity.len() {
        return invalid("Invalid client quota entity".to_owned());
    }
    if let Some(unknown) = entity.keys().find(|kind| !KINDS.contains(&kind.as_str())) {
        return invalid(format!("Invalid client quota entity type: {unknown}"));
    }
    if let Some(unknown) = entry.ops.iter().find(|op| !LIMITS.contains(&&*op.key)) {
        return invalid(format!("Invalid configuration key {}", &*unknown.key));
    }
    if validate_only {
        return Ok(());
    }
    let changes = entry.ops.iter().map(|op| (op.key.to_string(), (!op.remove).then_some(op.value)));
    let written = cluster.quotas.alter(entity, changes.collect());
    written.map_err(|error| Refusal::new(storage_error(error), "cannot write the data folder"))
}

fn answer(entry: &EntryData, refusal: Option<Refusal>) -> Answered {
    let entity = entry.entity.iter().map(|part| {
        AnsweredEntity::default()
            .with_entity_type(part.entity_type.clone())
            .with_entity_name(part.entity_name.clone())
    });
    Answered::default()
        .with_error_code(refusal.as_ref().map_or(0, |refusal| refusal.error.code()))
        .with_error_message(refusal.map(|refusal| text(refusal.message)))
        .with_entity(entity.collect())
}
