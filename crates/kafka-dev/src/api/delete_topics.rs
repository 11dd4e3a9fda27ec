//! DeleteTopics, versions 1 to 6 (KIP-4, 516 by topic id).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use kafka_protocol::protocol::VersionRange;
use uuid::Uuid;

use super::{Call, Serve, code, text};
use crate::auth::acl::{Access, Operation};
use crate::cluster::Cluster;

impl Serve for DeleteTopicsRequest {
    const SERVED: VersionRange = VersionRange { min: 1, max: 6 };

    async fn serve(self, call: &mut Call<'_>) -> DeleteTopicsResponse {
        let version = call.version;
        let mut cluster = call.cluster();
        let results = states(&self).into_iter().map(|state| {
            let by_id = state.topic_id != Uuid::nil();
            let name = if by_id {
                cluster.topic_name(state.topic_id).map(str::to_owned)
            } else {
                state.name.as_ref().map(|name| name.to_string())
            };
            let Some(name) = name else {
                return result(&state, Some(ResponseError::UnknownTopicId), version);
            };
            match cluster.delete_topic(&name) {
                Ok(id) => {
                    let topic_id = if version >= 6 { id } else { Uuid::nil() };
                    let deleted = DeleteTopicState::default()
                        .with_name(Some(TopicName(text(name))))
                        .with_topic_id(topic_id);
                    result(&deleted, None, version)
                }
                Err(error) => result(&state, Some(error), version),
            }
        });
        let response = DeleteTopicsResponse::default().with_responses(results.collect());
        drop(cluster);
        call.shared().changed.notify_waiters();
        response
    }

    fn refuse(&self, version: i16, error: ResponseError) -> DeleteTopicsResponse {
        let refused = states(self).into_iter().map(|state| result(&state, Some(error), version));
        DeleteTopicsResponse::default().with_responses(refused.collect())
    }

    fn topics(&self, cluster: &Cluster) -> Vec<String> {
        let name = |state: DeleteTopicState| match state.name {
            Some(name) => Some(name.to_string()),
            None => cluster.topic_name(state.topic_id).map(str::to_owned),
        };
        states(self).into_iter().filter_map(name).collect()
    }

    fn access(&self, cluster: &Cluster) -> Vec<Access> {
        Access::to_topics(Operation::Delete, self.topics(cluster))
    }
}

/// What is asked for, in the form of the newest version.
fn states(request: &DeleteTopicsRequest) -> Vec<DeleteTopicState> {
    let older = request.topic_names.iter();
    let older = older.map(|name| DeleteTopicState::default().with_name(Some(name.clone())));
    request.topics.iter().cloned().chain(older).collect()
}

fn result(state: &DeleteTopicState, error: Option<ResponseError>, version: i16) -> DeletableTopicResult {
    let message = error.filter(|_| version >= 5).map(|error| text(error.to_string()));
    DeletableTopicResult::default()
        .with_name(state.name.clone())
        .with_topic_id(state.topic_id)
        .with_error_code(code(error))
        .with_error_message(message)
}
