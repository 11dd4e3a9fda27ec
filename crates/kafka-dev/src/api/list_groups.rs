//! ListGroups, versions 0 to 5: the groups this broker coordinates (KIP-518 states, 848 types).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::{Call, Serve, text};

impl Serve for ListGroupsRequest {
    const SERVED: VersionRange = VersionRange { min: 0, max: 5 };

    async fn serve(self, call: &mut Call<'_>) -> ListGroupsResponse {
        let broker = call.broker();
        let cluster = call.cluster();
        let here = cluster.groups.iter().filter(|(id, _)| cluster.coordinator(id) == Some(broker));
        let listed = here.filter(|(_, group)| {
            passes(&self.states_filter, group.state_name()) && passes(&self.types_filter, group.kind_name())
        });
        let groups = listed.map(|(id, group)| {
            ListedGroup::default()
                .with_group_id(GroupId(text(id)))
                .with_protocol_type(text(group.protocol_type()))
                .with_group_state(text(group.state_name()))
                .with_group_type(text(group.kind_name()))
        });
        ListGroupsResponse::default().with_groups(groups.collect())
    }

    fn refuse(&self, _version: i16, error: ResponseError) -> ListGroupsResponse {
        ListGroupsResponse::default().with_error_code(error.code())
    }
}

/// An empty filter lets everything through; case does not matter.
fn passes(filter: &[StrBytes], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
}
