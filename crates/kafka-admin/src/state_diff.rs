//! What has to change to make a cluster what a file says. Pure. Nothing is taken away unless asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::acl_args::AclDocument;
use crate::show::or_dash;
use crate::state::{ConfigState, QuotaState, State, TopicState};

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum Change {
    CreateTopic {
        topic: TopicState,
    },
    DeleteTopic {
        topic: String,
    },
    AddPartitions {
        topic: String,
        from: i32,
        to: i32,
    },
    ReplicationFactor {
        topic: String,
        from: i16,
        to: i16,
    },
    Setting {
        kind: String,
        name: String,
        setting: String,
        from: Option<String>,
        to: Option<String>,
    },
    CreateAcl {
        acl: AclDocument,
    },
    DeleteAcl {
        acl: AclDocument,
    },
    Quota {
        entity: BTreeMap<String, Option<String>>,
        quota: String,
        from: Option<f64>,
        to: Option<f64>,
    },
    /// What Kafka cannot do.
    Impossible {
        what: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTopic { topic } => write!(f, "+ topic {}", topic.name),
            Self::DeleteTopic { topic } => write!(f, "- topic {topic}"),
            Self::AddPartitions { topic, from, to } => {
                write!(f, "~ topic {topic}: partitions: {from} -> {to}")
            }
            Self::ReplicationFactor { topic, from, to } => {
                write!(f, "~ topic {topic}: replication factor: {from} -> {to}")
            }
            Self::Setting { kind, name, setting, from, to } => {
                let (from, to) = (or_dash(from.as_ref()), or_dash(to.as_ref()));
                write!(f, "~ {kind} {name}: {setting}: {from} -> {to}")
            }
            Self::CreateAcl { acl } => write!(f, "+ ACL {}", acl_line(acl)),
            Self::DeleteAcl { acl } => write!(f, "- ACL {}", acl_line(acl)),
            Self::Quota { entity, quota, from, to } => {
                let entity = kafka_core::admin::quota_entity_name(entity);
                write!(f, "~ quota of {entity}: {quota}: {} -> {}", or_dash(*from), or_dash(*to))
            }
            Self::Impossible { what } => write!(f, "! {what}"),
        }
    }
}

fn acl_line(acl: &AclDocument) -> String {
    let AclDocument { resource, name, pattern, principal, host, operation, permission } = acl;
    format!("{permission} {principal} {operation} {resource} {name} ({pattern}) from {host}")
}

/// The changes from `current` to `wanted`. What `wanted` does not name stays, unless `prune`.
pub(crate) fn diff(current: &State, wanted: &State, prune: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(wanted) = &wanted.topics {
        topics(current.topics.as_deref().unwrap_or_default(), wanted, prune, &mut changes);
    }
    if let Some(wanted) = &wanted.configs {
        configs(current.configs.as_deref().unwrap_or_default(), wanted, prune, &mut changes);
    }
    if let Some(wanted) = &wanted.acls {
        acls(current.acls.as_deref().unwrap_or_default(), wanted, prune, &mut changes);
    }
    if let Some(wanted) = &wanted.quotas {
        quotas(current.quotas.as_deref().unwrap_or_default(), wanted, prune, &mut changes);
    }
    changes
}

fn topics(current: &[TopicState], wanted: &[TopicState], prune: bool, changes: &mut Vec<Change>) {
    for topic in wanted {
        match current.iter().find(|known| known.name == topic.name) {
            None => changes.push(Change::CreateTopic { topic: topic.clone() }),
            Some(known) => one_topic(known, topic, prune, changes),
        }
    }
    if prune {
        let gone = current.iter().filter(|known| !wanted.iter().any(|topic| topic.name == known.name));
        changes.extend(gone.map(|topic| Change::DeleteTopic { topic: topic.name.clone() }));
    }
}

fn one_topic(known: &TopicState, wanted: &TopicState, prune: bool, changes: &mut Vec<Change>) {
    let topic = wanted.name.clone();
    if let (Some(from), Some(to)) = (known.partitions, wanted.partitions) {
        if to > from {
            changes.push(Change::AddPartitions { topic: topic.clone(), from, to });
        } else if to < from {
            let what =
                format!("topic {topic} has {from} partitions; Kafka cannot take any away to make it {to}");
            changes.push(Change::Impossible { what });
        }
    }
    if let (Some(from), Some(to)) = (known.replication_factor, wanted.replication_factor)
        && from != to
    {
        changes.push(Change::ReplicationFactor { topic: topic.clone(), from, to });
    }
    settings("topic", &topic, &known.configs, &wanted.configs, prune, changes);
}

fn settings(
    kind: &str,
    name: &str,
    known: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    prune: bool,
    changes: &mut Vec<Change>,
) {
    let names: BTreeSet<_> = wanted.keys().chain(known.keys().filter(|_| prune)).collect();
    for setting in names {
        let (from, to) = (known.get(setting).cloned(), wanted.get(setting).cloned());
        if from != to {
            let (kind, name, setting) = (kind.to_owned(), name.to_owned(), setting.clone());
            changes.push(Change::Setting { kind, name, setting, from, to });
        }
    }
}

fn configs(current: &[ConfigState], wanted: &[ConfigState], prune: bool, changes: &mut Vec<Change>) {
    for config in wanted {
        let known = current.iter().find(|known| known.kind == config.kind && known.name == config.name);
        let empty = BTreeMap::new();
        let known = known.map_or(&empty, |known| &known.settings);
        settings(&config.kind, &config.name, known, &config.settings, prune, changes);
    }
}

fn acls(current: &[AclDocument], wanted: &[AclDocument], prune: bool, changes: &mut Vec<Change>) {
    let (current, wanted): (BTreeSet<_>, BTreeSet<_>) = (current.iter().collect(), wanted.iter().collect());
    changes.extend(wanted.difference(&current).map(|acl| Change::CreateAcl { acl: (*acl).clone() }));
    if prune {
        changes.extend(current.difference(&wanted).map(|acl| Change::DeleteAcl { acl: (*acl).clone() }));
    }
}

fn quotas(current: &[QuotaState], wanted: &[QuotaState], prune: bool, changes: &mut Vec<Change>) {
    let by_entity = |quotas: &[QuotaState]| -> BTreeMap<_, _> {
        quotas.iter().map(|quota| (quota.entity.clone(), quota.quotas.clone())).collect()
    };
    let (current, wanted) = (by_entity(current), by_entity(wanted));
    let entities: BTreeSet<_> = wanted.keys().chain(current.keys().filter(|_| prune)).collect();
    let empty = BTreeMap::new();
    for entity in entities {
        let (known, values) = (current.get(entity).unwrap_or(&empty), wanted.get(entity).unwrap_or(&empty));
        let names: BTreeSet<_> = values.keys().chain(known.keys().filter(|_| prune)).collect();
        for quota in names {
            let (from, to) = (known.get(quota).copied(), values.get(quota).copied());
            if from != to {
                changes.push(Change::Quota { entity: entity.clone(), quota: quota.clone(), from, to });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> TopicState {
        TopicState {
            name: name.into(),
            partitions: Some(partitions),
            replication_factor: Some(1),
            configs: configs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        }
    }

    fn state(topics: Vec<TopicState>) -> State {
        State { topics: Some(topics), ..State::default() }
    }

    fn lines(current: &State, wanted: &State, prune: bool) -> Vec<String> {
        diff(current, wanted, prune).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_cluster_that_is_as_declared_needs_no_change() {
        let same = state(vec![topic("a", 2, &[("x", "1")])]);
        assert!(diff(&same, &same, true).is_empty());
    }

    #[test]
    fn what_is_missing_is_made_and_what_differs_is_changed() {
        let current = state(vec![topic("a", 2, &[("x", "1"), ("y", "1")])]);
        let wanted = state(vec![topic("a", 4, &[("x", "2")]), topic("b", 1, &[])]);
        assert_eq!(
            lines(&current, &wanted, false),
            ["~ topic a: partitions: 2 -> 4", "~ topic a: x: 1 -> 2", "+ topic b"]
        );
    }

    #[test]
    fn only_prune_takes_things_away() {
        let current = state(vec![topic("a", 1, &[("x", "1")]), topic("old", 1, &[])]);
        let wanted = state(vec![topic("a", 1, &[])]);
        assert!(diff(&current, &wanted, false).is_empty());
        assert_eq!(lines(&current, &wanted, true), ["~ topic a: x: 1 -> -", "- topic old"]);
    }

    #[test]
    fn a_section_that_the_file_leaves_out_is_not_touched() {
        let current = state(vec![topic("a", 1, &[])]);
        assert!(diff(&current, &State::default(), true).is_empty());
    }

    #[test]
    fn fewer_partitions_are_said_to_be_impossible() {
        let changes = diff(&state(vec![topic("a", 2, &[])]), &state(vec![topic("a", 1, &[])]), false);
        assert!(matches!(changes.as_slice(), [Change::Impossible { .. }]));
    }

    #[test]
    fn yaml_and_back_is_the_same_state() {
        let state = state(vec![topic("a", 2, &[("retention.ms", "604800000")])]);
        let text = serde_saphyr::to_string(&state).unwrap();
        assert_eq!(serde_saphyr::from_str::<State>(&text).unwrap(), state);
    }
}
