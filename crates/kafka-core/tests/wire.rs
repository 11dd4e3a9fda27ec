//! What the rest of the client relies on in rskafka's connection and in the checks around it, against a real listener.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_core::cluster::{Cluster, ClusterOptions, CoordinatorKind};
use kafka_core::wire::{ConnectOptions, Connection, Lane, OpaqueRequest};
use kafka_core::{Error, RequestFailure};
use kafka_dev::{ApiKey, Broker, Config, Fault, Handle};
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::Decodable;

fn options() -> ConnectOptions {
    ConnectOptions {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(2),
        ..Default::default()
    }
}

async fn connect(broker: &Handle) -> Arc<Connection> {
    let address = broker.bootstrap().parse().unwrap();
    Arc::new(Connection::open(&address, broker.bootstrap().into(), &options()).await.unwrap())
}

fn cluster_of(broker: &Handle) -> Cluster {
    let bootstrap = broker.bootstrap().split(',').map(|address| address.parse().unwrap()).collect();
    Cluster::new(ClusterOptions { connect: options(), ..ClusterOptions::new(bootstrap) })
}

fn nothing() -> MetadataRequest {
    MetadataRequest::default().with_topics(Some(vec![]))
}

fn failure(error: Error) -> RequestFailure {
    match error {
        Error::Request { failure, .. } => failure,
        other => panic!("not a request's failure: {other}"),
    }
}

#[tokio::test]
async fn requests_reach_the_broker_in_the_order_in_which_they_were_started() {
    let broker = Broker::start(Config::in_memory()).unwrap();
    let connection = connect(&broker).await;
    // Only the third request is answered wrongly, whatever order the answers are awaited in.
    broker.faults().on(ApiKey::Metadata).nth(3).then(Fault::Corrupt);
    let mut started: Vec<_> = (0..5).map(|_| connection.start(nothing(), Duration::from_secs(2))).collect();
    let mut failed = vec![];
    while let Some(answer) = started.pop() {
        if answer.await.is_err() {
            failed.push(started.len());
        }
    }
    assert_eq!(failed, [2]);
}

#[tokio::test]
async fn a_request_without_an_answer_ends_with_its_limit_and_retires_the_connection() {
    let broker = Broker::start(Config::in_memory()).unwrap();
    let connection = connect(&broker).await;
    broker.faults().on(ApiKey::Metadata).then(Fault::NeverAnswer);
    let behind = connection.start(nothing(), Duration::from_millis(100));
    let waiting = connection.start(ApiVersionsRequest::default(), Duration::from_secs(60));
    assert_eq!(failure(behind.await.unwrap_err()), RequestFailure::TimedOut(Duration::from_millis(100)));
    let collateral = failure(waiting.await.unwrap_err());
    assert!(
        matches!(&collateral, RequestFailure::Disconnected(why) if why.contains("Metadata")),
        "{collateral}"
    );
    assert!(connection.is_closed());
}

#[tokio::test]
async fn a_connection_that_the_broker_closes_fails_its_requests_at_once() {
    let broker = Broker::start(Config::in_memory()).unwrap();
    let connection = connect(&broker).await;
    broker.faults().on(ApiKey::Metadata).then(Fault::CloseConnection);
    let lost = failure(connection.send(nothing()).await.unwrap_err());
    assert!(matches!(lost, RequestFailure::Disconnected(_)), "{lost}");
    assert!(connection.is_closed());
}

#[tokio::test]
async fn requests_and_answers_may_be_bytes_and_travel_among_the_others() {
    let broker = Broker::start(Config::in_memory()).unwrap();
    let connection = connect(&broker).await;
    assert_eq!(connection.offered(ApiKey::Metadata as i16).map(|range| range.min), Some(0));
    assert_eq!(connection.offered(999), None);
    // Metadata about no topic: as version 1 writes it, and as version 12 does, whose headers have tagged fields.
    for (version, flexible, body) in [(1, false, &[0, 0, 0, 0][..]), (12, true, &[1, 0, 0, 0])] {
        let request = OpaqueRequest {
            key: ApiKey::Metadata as i16,
            name: "Metadata",
            version,
            flexible,
            body: body.to_vec(),
        };
        let mut answer = connection.send_opaque(request, Duration::from_secs(2)).await.unwrap();
        let read = MetadataResponse::decode(&mut answer, version).unwrap();
        assert_eq!((read.brokers.len(), answer.len()), (1, 0), "version {version}");
        assert!(connection.send(nothing()).await.is_ok());
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_its_request_only() {
    let broker = Broker::start(Config::in_memory()).unwrap();
    let connection = connect(&broker).await;
    broker.faults().on(ApiKey::Metadata).then(Fault::Corrupt);
    assert!(matches!(failure(connection.send(nothing()).await.unwrap_err()), RequestFailure::Malformed(_)));
    assert!(connection.send(nothing()).await.is_ok());
}

#[tokio::test]
async fn dropping_a_request_does_not_disturb_those_behind_it() {
    let broker = Broker::start(Config::in_memory()).unwrap();
    let connection = connect(&broker).await;
    drop(connection.start(nothing(), Duration::from_secs(2)));
    assert!(connection.send(ApiVersionsRequest::default()).await.is_ok());
}

#[tokio::test]
async fn the_pool_replaces_a_connection_that_has_ended() {
    let broker = Broker::start(Config::in_memory()).unwrap();
    let cluster = cluster_of(&broker);
    cluster.refresh().await.unwrap();
    let first = cluster.broker(1, Lane::Fetch(0)).await.unwrap();
    assert!(
        Arc::ptr_eq(&first, &cluster.broker(1, Lane::Fetch(0)).await.unwrap()),
        "lanes keep their connection"
    );
    assert!(!Arc::ptr_eq(&first, &cluster.broker(1, Lane::Produce).await.unwrap()), "and do not share it");
    broker.faults().on(ApiKey::Metadata).then(Fault::CloseConnection);
    first.send(nothing()).await.unwrap_err();
    let second = cluster.broker(1, Lane::Fetch(0)).await.unwrap();
    assert!(second.send(nothing()).await.is_ok());
}

#[tokio::test]
async fn a_silent_broker_does_not_keep_the_client_from_asking_another() {
    let broker = Broker::start(Config::in_memory().brokers(3).topic("rides", 3)).unwrap();
    let cluster = cluster_of(&broker);
    cluster.refresh().await.unwrap();
    broker.faults().on(ApiKey::Metadata).times(1).then(Fault::NeverAnswer);
    let started = Instant::now();
    let metadata = cluster.topics(&["rides".into()]).await.unwrap();
    assert_eq!(metadata.topic("rides").unwrap().partitions.len(), 3);
    assert!(started.elapsed() < options().request_timeout, "it waited out the silent broker's time limit");
}

#[tokio::test]
async fn asking_about_a_topic_does_not_create_it() {
    let broker = Broker::start(Config::in_memory().auto_create_topics(true)).unwrap();
    let cluster = cluster_of(&broker);
    for _ in 0..2 {
        let metadata = cluster.topics(&["typo".into()]).await.unwrap();
        assert_eq!(metadata.topic("typo").unwrap().error.name(), "UNKNOWN_TOPIC_OR_PARTITION");
    }
    assert_eq!(cluster.all_topics().await.unwrap().topics().count(), 0);
}

#[tokio::test]
async fn a_cluster_whose_known_brokers_are_gone_is_found_again_by_the_bootstrap_servers() {
    let broker = Broker::start(Config::in_memory().brokers(2)).unwrap();
    let cluster = cluster_of(&broker);
    cluster.refresh().await.unwrap();
    broker.stop_broker(1).unwrap();
    broker.stop_broker(2).unwrap();
    assert!(cluster.refresh().await.is_err());
    broker.start_broker(2).unwrap();
    assert!(cluster.refresh().await.is_ok());
}

#[tokio::test]
async fn a_coordinator_is_remembered_until_it_is_forgotten() {
    let broker = Broker::start(Config::in_memory().brokers(3)).unwrap();
    let cluster = cluster_of(&broker);
    let first = cluster.coordinator(CoordinatorKind::Group, "user-1").await.unwrap();
    broker.faults().on(ApiKey::FindCoordinator).always().then(Fault::CloseConnection);
    assert_eq!(cluster.coordinator(CoordinatorKind::Group, "user-1").await.unwrap(), first);
    cluster.forget_coordinator(CoordinatorKind::Group, "user-1");
    assert!(cluster.coordinator(CoordinatorKind::Group, "user-1").await.is_err());
}
