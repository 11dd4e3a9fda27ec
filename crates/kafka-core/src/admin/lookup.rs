//! Which broker answers for a key: the leader of a partition, the coordinator of a group, the controller. It asks one
//! question for all keys and never keeps what it learnt: an admin call looks at the cluster as it is now.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest};
use kafka_protocol::protocol::StrBytes;

use super::driver::Call;
use super::route::{Located, Target};
use crate::cluster::{Broker, Cluster, CoordinatorKind, Metadata};
use crate::error::{Error, Result};
use crate::wire::{Address, Api};
use crate::{ConnectFailure, ErrorCode, TopicPartition};

/// What decides which broker answers for the keys of a call: one thing for all, or one for each, in their order.
pub(super) enum Places {
    /// Any broker answers.
    Any,
    /// Any broker passes it on to the controller; before KRaft only the controller itself took it.
    Controller,
    /// The broker of that id, or any where there is none.
    Brokers(Vec<Option<i32>>),
    /// The leader of the partition.
    Leaders(Vec<TopicPartition>),
    /// The coordinator of the group or transactional id.
    Coordinators(CoordinatorKind, Vec<String>),
}

/// Looks all `keys` up at once, which are places in the lists. `tries` counts the lookups before this one.
pub(super) async fn locate(
    call: &Call,
    places: &Places,
    tries: u32,
    keys: Vec<usize>,
) -> Vec<(usize, Located)> {
    if keys.is_empty() {
        return Vec::new();
    }
    let any = |keys: Vec<usize>| keys.into_iter().map(|key| (key, Located::At(Target::Any))).collect();
    match places {
        Places::Any => any(keys),
        Places::Controller if tries == 0 => any(keys),
        Places::Controller => {
            let found = call.cluster.look_up(Some(&[])).await;
            let controller = |metadata: &Metadata| metadata.brokers.get(&metadata.controller?).cloned();
            locate_each(keys, &found, |_, metadata| {
                Located::At(controller(metadata).map_or(Target::Any, Target::Broker))
            })
        }
        Places::Brokers(ids) if keys.iter().all(|key| ids[*key].is_none()) => any(keys),
        Places::Brokers(ids) => {
            let found = call.cluster.look_up(Some(&[])).await;
            locate_each(keys, &found, |key, metadata| broker(ids[key], metadata))
        }
        Places::Leaders(partitions) => {
            let names: BTreeSet<Arc<str>> =
                keys.iter().map(|key| Arc::clone(&partitions[*key].topic)).collect();
            let found = call.cluster.look_up(Some(&names.into_iter().collect::<Vec<_>>())).await;
            locate_each(keys, &found, |key, metadata| leader(&partitions[key], metadata))
        }
        Places::Coordinators(kind, names) => {
            let wanted: BTreeSet<&str> = keys.iter().map(|key| &*names[*key]).collect();
            let wanted = wanted.into_iter().map(|name| StrBytes::from_string(name.to_owned())).collect();
            let found = find_coordinators(&call.cluster, *kind, wanted).await;
            locate_each(keys, &found, |key, found| coordinator(*kind, &names[key], found))
        }
    }
}

fn locate_each<T>(
    keys: Vec<usize>,
    found: &Result<T>,
    place: impl Fn(usize, &T) -> Located,
) -> Vec<(usize, Located)> {
    let place = |key: usize| match found {
        Ok(found) => (key, place(key, found)),
        Err(error) => (key, later_or_never(error.clone())),
    };
    keys.into_iter().map(place).collect()
}

fn later_or_never(error: Error) -> Located {
    if error.is_retriable() { Located::Later(error) } else { Located::Never(error) }
}

fn broker(id: Option<i32>, metadata: &Metadata) -> Located {
    let Some(id) = id else { return Located::At(Target::Any) };
    match metadata.brokers.get(&id) {
        Some(broker) => Located::At(Target::Broker(broker.clone())),
        None => Located::Never(Error::Connect {
            broker: format!("broker {id}").into(),
            failure: ConnectFailure::Resolve("the cluster does not list it: it is down or never was".into()),
        }),
    }
}

/// A topic or partition that does not exist is final here: an admin call names what it means.
fn leader(of: &TopicPartition, metadata: &Metadata) -> Located {
    let failed = |code| Error::broker(MetadataRequest::NAME, of.to_string(), code, None);
    let unknown = |subject| Located::Never(Error::NotFound { subject, api: MetadataRequest::NAME });
    let Some(topic) = metadata.topic(&of.topic) else { return unknown(format!("topic {}", of.topic)) };
    match topic.error {
        ErrorCode::NONE => {}
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => return unknown(format!("topic {}", of.topic)),
        code => return later_or_never(failed(code)),
    }
    if topic.partition(of.partition).is_none() {
        return unknown(format!("partition {of}"));
    }
    match metadata.leader(of) {
        Some(broker) => Located::At(Target::Broker(broker.clone())),
        None => Located::Later(failed(ErrorCode::LEADER_NOT_AVAILABLE)),
    }
}

fn coordinator(kind: CoordinatorKind, name: &str, found: &Coordinators) -> Located {
    match found.get(name) {
        Some(Ok(broker)) => Located::At(Target::Broker(broker.clone())),
        Some(Err(error)) => later_or_never(error.clone()),
        None => Located::Later(coordinator_error(kind, name, 15, None)),
    }
}

type Coordinators = HashMap<String, Result<Broker>>;

/// All in one question (from version 4 on), or one question each.
async fn find_coordinators(
    cluster: &Cluster,
    kind: CoordinatorKind,
    names: Vec<StrBytes>,
) -> Result<Coordinators> {
    let mut found = Coordinators::new();
    let mut left = names;
    while !left.is_empty() {
        let asked = left.clone();
        let answer = cluster
            .ask_any(move |connection| {
                let question = FindCoordinatorRequest::default().with_key_type(kind.key_type());
                let batches =
                    connection.version::<FindCoordinatorRequest>().is_some_and(|version| version >= 4);
                Ok(match asked.first() {
                    Some(first) if !batches => question.with_key(first.clone()),
                    _ => question.with_coordinator_keys(asked.clone()),
                })
            })
            .await?;
        if answer.coordinators.is_empty() {
            let name = left.remove(0);
            found.insert(name.to_string(), read_single(kind, &name, &answer));
        } else {
            left.clear();
            found.extend(read_batch(kind, answer));
        }
    }
    Ok(found)
}

fn read_single(kind: CoordinatorKind, name: &str, answer: &FindCoordinatorResponse) -> Result<Broker> {
    let place = (answer.node_id.0, &*answer.host, answer.port);
    read_place(kind, name, (answer.error_code, answer.error_message.as_deref()), place)
}

fn read_batch(kind: CoordinatorKind, answer: FindCoordinatorResponse) -> Coordinators {
    let read = |one: kafka_protocol::messages::find_coordinator_response::Coordinator| {
        let place = (one.node_id.0, &*one.host, one.port);
        let broker = read_place(kind, &one.key, (one.error_code, one.error_message.as_deref()), place);
        (one.key.to_string(), broker)
    };
    answer.coordinators.into_iter().map(read).collect()
}

fn read_place(
    kind: CoordinatorKind,
    name: &str,
    (code, message): (i16, Option<&str>),
    (id, host, port): (i32, &str, i32),
) -> Result<Broker> {
    if code != 0 {
        return Err(coordinator_error(kind, name, code, message));
    }
    let port = u16::try_from(port).ok().filter(|_| id >= 0 && !host.is_empty());
    // A coordinator without an address is one that is not available yet.
    let port = port.ok_or_else(|| coordinator_error(kind, name, 15, None))?;
    Ok(Broker { id, address: Address { host: host.into(), port }, rack: None })
}

fn coordinator_error(kind: CoordinatorKind, name: &str, code: i16, message: Option<&str>) -> Error {
    Error::broker(FindCoordinatorRequest::NAME, kind.subject(name), code, message.map(str::to_owned))
}
