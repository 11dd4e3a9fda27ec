//! DescribeClientQuotas, versions 0 and 1 (KIP-546).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::DescribeClientQuotasRequest;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_client_quotas_response::{
    DescribeClientQuotasResponse, EntityData, EntryData, ValueData,
};
use kafka_protocol::protocol::VersionRange;

use super::{Call, Serve, text};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;
use crate::cluster::quotas::Match;

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;

impl Serve for DescribeClientQuotasRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 1 };

    async fn serve(self, call: &mut Call<'_>) -> DescribeClientQuotasResponse {
        let wanted: Vec<(String, Match)> = self.components.iter().map(read).collect();
        let cluster = call.cluster();
        let entries = cluster.quotas.find(&wanted, self.strict).map(|(entity, limits)| {
            let entity = entity.iter().map(|(kind, name)| {
                let name = name.as_deref().map(text);
                EntityData::default().with_entity_type(text(kind)).with_entity_name(name)
            });
            let values =
                limits.iter().map(|(key, value)| ValueData::default().with_key(text(key)).with_value(*value));
            EntryData::default().with_entity(entity.collect()).with_values(values.collect())
        });
        DescribeClientQuotasResponse::default().with_error_message(None).with_entries(Some(entries.collect()))
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> DescribeClientQuotasResponse {
        DescribeClientQuotasResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.to_string())))
            .with_entries(None)
    }

    fn access(&self, _cluster: &Cluster) -> Vec<Access> {
        vec![Access::to_cluster(Operation::DescribeConfigs)]
    }
}

fn read(component: &ComponentData) -> (String, Match) {
    let wanted = match component.match_type {
        EXACT => Match::Name(component._match.as_deref().unwrap_or_default().to_owned()),
        DEFAULT => Match::Default,
        _ => Match::Any,
    };
    (component.entity_type.to_string(), wanted)
}
