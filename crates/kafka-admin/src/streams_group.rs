//! The members of streams groups (KIP-1071). Their describe request is one that kafka-core has no messages for, so it is
//! asked by the table of `raw`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use kafka_core::admin::{GroupDescription, GroupKind, GroupMember, Recipient};
use kafka_core::cluster::CoordinatorKind;
use kafka_core::{Error, ErrorCode, TopicPartition};
use serde_json::{Value, json};

use crate::context::{Context, note};
use crate::raw::{Api, ask};

/// The description as it is, or that of a streams group with what its coordinator says of it.
pub(crate) async fn with_members(context: &Context, group: GroupDescription) -> Result<GroupDescription> {
    if group.kind != GroupKind::Streams {
        return Ok(group);
    }
    let coordinator = Recipient::Coordinator(CoordinatorKind::Group, group.id.clone());
    let connection = context.admin.connect(coordinator).await?;
    let api = Api::find("StreamsGroupDescribe").context("the table of messages has it")?;
    let request = json!({"group_ids": [group.id]});
    let answer = ask(&connection, &api, api.versions.last, &request, context.session.timeout).await?;
    let answer = serde_json::to_value(&answer)?;
    let described = &answer["groups"][0];
    let code = described["error_code"].as_i64().and_then(|code| i16::try_from(code).ok()).unwrap_or(-1);
    ErrorCode(code).check().map_err(|code| {
        let message = described["error_message"].as_str().map(str::to_owned);
        Error::broker(api.name, format!("group {}", group.id), code, message)
    })?;
    if described["topology"].is_null() {
        // Kafka 4.1 tells it only after something else was written into the same partition of its log.
        note(&format!("the broker does not tell yet what the members of streams group {} read", group.id));
    }
    let topology = described["topology"]["subtopologies"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(GroupDescription {
        state: text(&described["group_state"]),
        epoch: int(&described["group_epoch"]),
        members: list(&described["members"]).map(|of| member(of, topology)).collect(),
        ..group
    })
}

fn member(of: &Value, topology: &[Value]) -> GroupMember {
    let tasks = list(&of["assignment"]["active_tasks"]);
    let assigned: BTreeSet<_> = tasks.flat_map(|task| inputs(task, topology)).collect();
    GroupMember {
        id: text(&of["member_id"]),
        instance_id: of["instance_id"].as_str().map(str::to_owned),
        client_id: text(&of["client_id"]),
        host: text(&of["client_host"]),
        epoch: int(&of["member_epoch"]),
        assignment: assigned.into_iter().collect(),
        subscribed_topics: Vec::new(),
    }
}

/// What a subtopology's tasks read: each has a partition of the same number of every input topic.
fn inputs(task: &Value, topology: &[Value]) -> Vec<TopicPartition> {
    let found = topology.iter().find(|one| one["subtopology_id"] == task["subtopology_id"]);
    let Some(subtopology) = found else { return Vec::new() };
    let sources = list(&subtopology["source_topics"]).filter_map(Value::as_str);
    let repartitioned = list(&subtopology["repartition_source_topics"]);
    let topics = sources.chain(repartitioned.filter_map(|topic| topic["name"].as_str()));
    let partitions = || list(&task["partitions"]).filter_map(int);
    topics.flat_map(|topic| partitions().map(move |id| TopicPartition::new(topic, id))).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn int(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_reads_its_partition_of_every_input_of_its_subtopology() {
        let topology = [
            json!({"subtopology_id": "0", "source_topics": ["a"], "repartition_source_topics": [{"name": "b"}]}),
            json!({"subtopology_id": "1", "source_topics": ["c"], "repartition_source_topics": []}),
        ];
        let task = json!({"subtopology_id": "0", "partitions": [0, 2]});
        let read = inputs(&task, &topology);
        let expected =
            [("a", 0), ("a", 2), ("b", 0), ("b", 2)].map(|(topic, id)| TopicPartition::new(topic, id));
        assert_eq!(read, expected);
        assert!(inputs(&json!({"subtopology_id": "9", "partitions": [0]}), &topology).is_empty());
    }
}
