//! Topics, partitions and their settings: what cannot be is refused, each with its own error.

use kafka_dev::ResponseError as E;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig as OldConfig};
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource as Resource, AlterableConfig,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;
use kafka_testkit::eventually;

use super::support::{ANYONE, name};
use super::{PATIENCE, code, create, create_as, stage, text};

const TOPIC: i8 = 2;
const SET: i8 = 0;
const APPEND: i8 = 2;

#[test]
fn a_topic_that_cannot_be_is_not_created() {
    let Some(mut stage) = stage() else { return };
    let fresh = format!("{}-new", stage.topic);
    let plain = || CreatableTopic::default().with_num_partitions(1).with_replication_factor(1);
    let config = |name: &str, value: &str| {
        vec![CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))]
    };
    for (topic, error) in [
        (plain().with_name(name("a b")), E::InvalidTopicException),
        (plain().with_name(name(".")), E::InvalidTopicException),
        (plain().with_name(name(&"x".repeat(250))), E::InvalidTopicException),
        (plain().with_name(name(&stage.topic)), E::TopicAlreadyExists),
        (plain().with_name(name(&fresh)).with_num_partitions(0), E::InvalidPartitions),
        (plain().with_name(name(&fresh)).with_replication_factor(2), E::InvalidReplicationFactor),
        (plain().with_name(name(&fresh)).with_replication_factor(0), E::InvalidReplicationFactor),
        (plain().with_name(name(&fresh)).with_configs(config("no.such", "1")), E::InvalidConfig),
        (plain().with_name(name(&fresh)).with_configs(config("retention.ms", "soon")), E::InvalidConfig),
    ] {
        let shown = format!("{topic:?}");
        assert_eq!(create_as(&mut stage.wire, topic), code(error), "{shown}");
    }
    let tried = CreateTopicsRequest::default()
        .with_topics(vec![plain().with_name(name(&fresh))])
        .with_timeout_ms(10_000)
        .with_validate_only(true);
    assert_eq!(stage.wire.call(&tried, 7).topics[0].error_code, 0);
    assert_eq!(create(&mut stage.wire, &fresh, 1), 0, "trying did not create it");
}

#[test]
fn a_topic_that_is_not_there_is_unknown_to_every_question() {
    let Some(mut stage) = stage() else { return };
    let (missing, unknown) = (format!("{}-missing", stage.topic), code(E::UnknownTopicOrPartition));
    let wire = &mut stage.wire;
    let asked = MetadataRequestTopic::default().with_name(Some(name(&missing)));
    let metadata =
        MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
    assert_eq!(wire.call(&metadata, 9).topics[0].error_code, unknown);
    let illegal = MetadataRequestTopic::default().with_name(Some(name("a b")));
    let illegal =
        MetadataRequest::default().with_topics(Some(vec![illegal])).with_allow_auto_topic_creation(false);
    assert_eq!(wire.call(&illegal, 9).topics[0].error_code, code(E::InvalidTopicException));
    assert_eq!(wire.produce(&missing, ANYONE, &["x"]).error_code, unknown);
    assert_eq!(wire.fetch(&missing, 0, 0).error_code, unknown);
    let deleted =
        DeleteTopicsRequest::default().with_topic_names(vec![name(&missing)]).with_timeout_ms(10_000);
    assert_eq!(wire.call(&deleted, 5).responses[0].error_code, unknown);
    let grown = CreatePartitionsTopic::default().with_name(name(&missing)).with_count(3);
    let grown = CreatePartitionsRequest::default().with_topics(vec![grown]).with_timeout_ms(10_000);
    assert_eq!(wire.call(&grown, 3).results[0].error_code, unknown);
    let described =
        DescribeConfigsResource::default().with_resource_type(TOPIC).with_resource_name(text(&missing));
    let described = DescribeConfigsRequest::default().with_resources(vec![described]);
    assert_eq!(wire.call(&described, 4).results[0].error_code, unknown);
    let cut = DeleteRecordsTopic::default().with_name(name(&missing));
    let cut = cut.with_partitions(vec![DeleteRecordsPartition::default().with_offset(0)]);
    let cut = DeleteRecordsRequest::default().with_topics(vec![cut]).with_timeout_ms(10_000);
    assert_eq!(wire.call(&cut, 2).topics[0].partitions[0].error_code, unknown);
}

#[test]
fn partitions_can_only_become_more() {
    let Some(mut stage) = stage() else { return };
    let grow =
        |stage: &mut super::Stage, count: i32, assignments: Option<Vec<CreatePartitionsAssignment>>| {
            let topic = CreatePartitionsTopic::default().with_name(name(&stage.topic)).with_count(count);
            let topic = topic.with_assignments(assignments);
            let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
            stage.wire.call(&request, 3).results[0].error_code
        };
    for count in [1, 0, -1] {
        assert_eq!(grow(&mut stage, count, None), code(E::InvalidPartitions), "{count}");
    }
    assert_eq!(grow(&mut stage, 3, Some(vec![])), code(E::InvalidReplicaAssignment), "two are missing");
    assert_eq!(grow(&mut stage, 3, None), 0);
    assert_eq!(grow(&mut stage, 2, None), code(E::InvalidPartitions));
}

#[test]
fn records_are_deleted_up_to_the_end_and_not_beyond() {
    let Some(mut stage) = stage() else { return };
    stage.wire.produce(&stage.topic, ANYONE, &["a", "b", "c"]);
    let mut cut = |offset: i64| {
        let partition = DeleteRecordsPartition::default().with_offset(offset);
        let topic =
            DeleteRecordsTopic::default().with_name(name(&stage.topic)).with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let answer = stage.wire.call(&request, 2).topics[0].partitions[0].clone();
        (answer.error_code, answer.low_watermark)
    };
    assert_eq!(cut(2), (0, 2));
    assert_eq!(cut(1), (0, 2), "what is gone is gone");
    assert_eq!(cut(4), (code(E::OffsetOutOfRange), -1));
    assert_eq!(cut(-1), (0, 3), "-1 is the end");
}

#[test]
fn settings_are_checked_by_name_and_value() {
    let Some(mut stage) = stage() else { return };
    let topic = stage.topic.clone();
    let mut change = |operation: i8, setting: &str, value: &str| {
        let config = AlterableConfig::default()
            .with_name(text(setting))
            .with_config_operation(operation)
            .with_value(Some(text(value)));
        let resource = Resource::default().with_resource_type(TOPIC).with_resource_name(text(&topic));
        let resource = resource.with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        stage.wire.call(&request, 1).responses[0].error_code
    };
    let invalid = code(E::InvalidConfig);
    assert_eq!(change(SET, "no.such.setting", "1"), invalid);
    assert_eq!(change(SET, "retention.ms", "soon"), invalid);
    assert_eq!(change(SET, "cleanup.policy", "burn"), invalid);
    assert_eq!(change(SET, "retention.ms", "1000"), 0);
    assert_eq!(change(APPEND, "cleanup.policy", "compact"), 0);
    assert_eq!(change(APPEND, "retention.ms", "1"), invalid, "only lists are appended to");
    let shown = |stage: &mut super::Stage, setting: &str| {
        let resource =
            DescribeConfigsResource::default().with_resource_type(TOPIC).with_resource_name(text(&topic));
        let resource = resource.with_configuration_keys(Some(vec![text(setting)]));
        let answer = stage.wire.call(&DescribeConfigsRequest::default().with_resources(vec![resource]), 4);
        let config = &answer.results[0].configs[0];
        (config.value.clone().unwrap_or_default().to_string(), config.config_source, config.config_type)
    };
    // What was answered may take a moment to be seen.
    let is = |stage: &mut super::Stage, setting: &str, expected: (&str, i8, i8)| {
        eventually(setting, PATIENCE, || {
            let (value, source, kind) = shown(stage, setting);
            (value.as_str(), source, kind) == expected
        });
    };
    is(&mut stage, "retention.ms", ("1000", 1, 5));
    is(&mut stage, "cleanup.policy", ("delete,compact", 1, 7));
    is(&mut stage, "max.message.bytes", ("1048588", 5, 3));
    let old = OldConfig::default().with_name(text("retention.ms")).with_value(Some(text("2000")));
    let resource = AlterConfigsResource::default().with_resource_type(TOPIC).with_resource_name(text(&topic));
    let replaced = AlterConfigsRequest::default().with_resources(vec![resource.with_configs(vec![old])]);
    assert_eq!(stage.wire.call(&replaced, 2).responses[0].error_code, 0);
    // All others have their default again.
    is(&mut stage, "cleanup.policy", ("delete", 5, 7));
}
