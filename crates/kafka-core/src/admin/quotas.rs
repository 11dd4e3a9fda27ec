//! Quotas of users, client ids and addresses (KIP-546).

use std::collections::BTreeMap;

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest};

use super::names::{check, some_text, text};
use super::stage::{Lookup, Stage};
use super::{Admin, Outcome};
use crate::error::Result;
use crate::wire::Api;

/// Whom quotas are for: kind (`user`, `client-id`, `ip`) to name; a name of `None` is the default of that kind.
pub type QuotaEntity = BTreeMap<String, Option<String>>;

/// `user alice, client-id app`.
#[must_use]
pub fn quota_entity_name(entity: &QuotaEntity) -> String {
    let part = |(kind, name): (&String, &Option<String>)| match name {
        Some(name) => format!("{kind} {name}"),
        None => format!("{kind} (default)"),
    };
    entity.iter().map(part).collect::<Vec<_>>().join(", ")
}

impl Admin {
    /// All quotas there are.
    ///
    /// # Errors
    /// No permission, or no answer in time.
    pub async fn list_quotas(&self) -> Result<BTreeMap<QuotaEntity, BTreeMap<String, f64>>> {
        let build = |_: i16| {
            Ok(DescribeClientQuotasRequest::default().with_components(Vec::new()).with_strict(false))
        };
        let read = |answer: <DescribeClientQuotasRequest as Api>::Response| {
            let (code, message) = (answer.error_code, answer.error_message.as_ref());
            check::<DescribeClientQuotasRequest>("quotas", code, message)?;
            let mut found = BTreeMap::new();
            for entry in answer.entries.unwrap_or_default() {
                let entity = entry.entity.iter();
                let entity: QuotaEntity = entity
                    .map(|part| {
                        (part.entity_type.to_string(), part.entity_name.as_ref().map(ToString::to_string))
                    })
                    .collect();
                let values = entry.values.iter().map(|value| (value.key.to_string(), value.value)).collect();
                found.insert(entity, values);
            }
            Ok(found)
        };
        self.ask("listing quotas", build, read).await
    }

    /// Sets quotas (`producer_byte_rate`, …) of some entities; `None` takes one away.
    pub async fn alter_quotas(
        &self,
        changes: BTreeMap<QuotaEntity, BTreeMap<String, Option<f64>>>,
        validate_only: bool,
    ) -> Vec<Outcome<QuotaEntity>> {
        let keys: Vec<_> = changes.keys().cloned().collect();
        let build = move |keys: &[QuotaEntity], _| {
            let entry = |entity: &QuotaEntity| {
                let op = |(key, value): (&String, &Option<f64>)| {
                    let op = OpData::default().with_key(text(key)).with_value(value.unwrap_or_default());
                    op.with_remove(value.is_none())
                };
                let part = |(kind, name): (&String, &Option<String>)| {
                    EntityData::default()
                        .with_entity_type(text(kind))
                        .with_entity_name(some_text(name.as_deref()))
                };
                let ops = changes.get(entity).into_iter().flatten().map(op).collect();
                EntryData::default().with_entity(entity.iter().map(part).collect()).with_ops(ops)
            };
            let entries = keys.iter().map(entry).collect();
            Ok(AlterClientQuotasRequest::default().with_entries(entries).with_validate_only(validate_only))
        };
        let read = |_: &[QuotaEntity], answer: <AlterClientQuotasRequest as Api>::Response| {
            let read = |entry: kafka_protocol::messages::alter_client_quotas_response::EntryData| {
                let entity: QuotaEntity = entry
                    .entity
                    .iter()
                    .map(|part| {
                        (part.entity_type.to_string(), part.entity_name.as_ref().map(ToString::to_string))
                    })
                    .collect();
                let (code, message) = (entry.error_code, entry.error_message.as_ref());
                let result = check::<AlterClientQuotasRequest>(quota_entity_name(&entity), code, message);
                (entity, result)
            };
            answer.entries.into_iter().map(read).collect()
        };
        self.call("changing quotas").run(Stage::new(Lookup::Controller, build, read).changing(), keys).await
    }
}
