//! Limits for the copying of replicas: settings of topics (which replicas are limited) and of brokers (to how much).
//! They are shared by everybody who moves something, so they are added to, and only those of named topics are removed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use kafka_core::Error;
use kafka_core::admin::{ConfigChange, ConfigEntry, ConfigKind, ConfigQuery, ConfigResource, all_ok};

use crate::context::{Context, note};

/// The rates, on brokers.
const RATES: [&str; 2] = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];
/// The lists of `PARTITION:BROKER` that the rates apply to, on topics. `*` is every replica.
const LISTS: [&str; 2] = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

/// A partition whose replicas are copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copies<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) from: &'a [i32],
    pub(crate) to: &'a [i32],
}

/// Before anything moves: what is copied, and from whom, goes no faster than `rate` bytes per second and broker.
pub(crate) async fn limit(
    context: &Context,
    copies: impl Iterator<Item = Copies<'_>> + Clone,
    rate: u64,
) -> Result<()> {
    let brokers: BTreeSet<i32> =
        copies.clone().flat_map(|copy| copy.from.iter().chain(copy.to).copied()).collect();
    let resources = brokers.iter().map(|id| ConfigResource::new(ConfigKind::Broker, id.to_string()));
    for (resource, entries) in settings(context, resources, &RATES).await? {
        for entry in entries.iter().filter(|entry| entry.value.as_ref() != Some(&rate.to_string())) {
            note(&format!("{resource}: {} was {}", entry.name, entry.value.as_deref().unwrap_or("-")));
        }
    }
    let topics = lists(copies).into_iter().map(|(topic, lists)| {
        let add = |(name, list): (&&str, BTreeSet<String>)| {
            ((*name).to_owned(), ConfigChange::Append(list.into_iter().collect::<Vec<_>>().join(",")))
        };
        (ConfigResource::new(ConfigKind::Topic, topic), LISTS.iter().zip(lists).map(add).collect())
    });
    let brokers = brokers.iter().map(|id| {
        let set = |name: &str| (name.to_owned(), ConfigChange::Set(rate.to_string()));
        (ConfigResource::new(ConfigKind::Broker, id.to_string()), RATES.map(set).to_vec())
    });
    all_ok(context.admin.alter_configs(topics.chain(brokers).collect(), false).await)?;
    Ok(())
}

/// What [`LISTS`] shall name, by topic: all that have the data now as leaders, all that get it as followers.
fn lists<'a>(copies: impl Iterator<Item = Copies<'a>>) -> BTreeMap<String, [BTreeSet<String>; 2]> {
    let mut lists: BTreeMap<String, [BTreeSet<String>; 2]> = BTreeMap::new();
    for Copies { topic, partition, from, to } in copies {
        let [leaders, followers] = lists.entry(topic.to_owned()).or_default();
        leaders.extend(from.iter().map(|id| format!("{partition}:{id}")));
        let new = to.iter().filter(|id| !from.contains(id));
        followers.extend(new.map(|id| format!("{partition}:{id}")));
    }
    lists
}

/// Takes the limits of these topics away, and the rates of brokers that nothing else is limited on.
pub(crate) async fn clear(context: &Context, topics: &[String]) -> Result<()> {
    let all = context.admin.list_topics(true).await?;
    if let Some(missing) = topics.iter().find(|name| !all.iter().any(|topic| *topic.name == ***name)) {
        let error = Error::NotFound { subject: format!("topic {missing}"), api: "Metadata" };
        return Err(context.explain_topic(missing, error).await);
    }
    let resources = all.iter().map(|topic| ConfigResource::new(ConfigKind::Topic, &*topic.name));
    let limited = settings(context, resources, &LISTS).await?;
    let (ours, theirs): (Vec<_>, Vec<_>) =
        limited.iter().partition(|(resource, _)| topics.contains(&resource.name));
    let values = |of: &[&Limited]| {
        let entries = of.iter().flat_map(|(_, entries)| entries);
        entries.filter_map(|entry| entry.value.clone()).collect::<Vec<_>>()
    };
    let free = free_brokers(&values(&ours), &values(&theirs));
    let unset = |name: &str| (name.to_owned(), ConfigChange::Unset);
    let topics = ours.iter().map(|(resource, _)| (resource.clone(), LISTS.map(unset).to_vec()));
    let brokers = free
        .iter()
        .map(|id| (ConfigResource::new(ConfigKind::Broker, id.to_string()), RATES.map(unset).to_vec()));
    all_ok(context.admin.alter_configs(topics.chain(brokers).collect(), false).await)?;
    Ok(())
}

/// Brokers named in `ours` and not in `theirs`; none where a list of theirs means every replica.
fn free_brokers(ours: &[String], theirs: &[String]) -> BTreeSet<i32> {
    let named = |lists: &[String]| {
        let entries = lists.iter().flat_map(|list| list.split(','));
        entries.filter_map(|entry| entry.split_once(':')?.1.trim().parse().ok()).collect::<BTreeSet<i32>>()
    };
    if theirs.iter().any(|list| list.trim() == "*") {
        return BTreeSet::new();
    }
    named(ours).difference(&named(theirs)).copied().collect()
}

type Limited = (ConfigResource, Vec<ConfigEntry>);

/// These settings where the resources have them of their own.
async fn settings(
    context: &Context,
    resources: impl Iterator<Item = ConfigResource>,
    names: &[&str],
) -> Result<Vec<Limited>> {
    let names = Some(names.iter().map(|name| (*name).to_owned()).collect());
    let query = ConfigQuery { names, ..ConfigQuery::default() };
    let found = all_ok(context.admin.describe_configs(resources.collect(), query).await)?;
    let own = |(resource, mut entries): Limited| {
        entries.retain(|entry| entry.source.is_own(resource.kind));
        (resource, entries)
    };
    Ok(found.into_iter().map(own).filter(|(_, entries)| !entries.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_have_the_data_are_limited_as_leaders_and_those_that_get_it_as_followers() {
        let copies = Copies { topic: "t", partition: 2, from: &[1, 2], to: &[2, 3] };
        let lists = lists([copies].into_iter());
        let set = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(lists["t"], [set(&["2:1", "2:2"]), set(&["2:3"])]);
    }

    #[test]
    fn a_broker_that_others_limit_keeps_its_rate() {
        let text = |list: &str| vec![list.to_owned()];
        assert_eq!(free_brokers(&text("0:1,0:2,1:3"), &text("5:2")), BTreeSet::from([1, 3]));
        assert_eq!(free_brokers(&text("0:1"), &text("*")), BTreeSet::new());
        assert_eq!(free_brokers(&text("0:1"), &[]), BTreeSet::from([1]));
    }
}
