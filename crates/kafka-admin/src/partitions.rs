//! Partitions as users name them: `topic` for all of them, `topic:0,2` for some.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use kafka_cli::Failure;
use kafka_core::TopicPartition;
use kafka_core::cluster::Topic;

use crate::context::Context;

/// A topic, and which of its partitions; `None` is all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionChoice {
    pub(crate) topic: String,
    pub(crate) partitions: Option<BTreeSet<i32>>,
}

impl std::str::FromStr for PartitionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((topic, numbers)) = text.split_once(':') else {
            return Ok(Self { topic: text.to_owned(), partitions: None });
        };
        let wrong = || format!("{text:?}: write TOPIC or TOPIC:0,1,2");
        let numbers = numbers.split(',').map(|number| number.trim().parse().ok().filter(|n| *n >= 0));
        let partitions = numbers.collect::<Option<BTreeSet<i32>>>().ok_or_else(wrong)?;
        Ok(Self { topic: topic.to_owned(), partitions: Some(partitions) })
    }
}

impl PartitionChoice {
    /// Whether it means that partition.
    pub(crate) fn includes(&self, partition: &TopicPartition) -> bool {
        *self.topic == *partition.topic
            && self.partitions.as_ref().is_none_or(|numbers| numbers.contains(&partition.partition))
    }
}

/// The partitions that choices mean, as the cluster has them now. A topic or partition that does not exist is an error.
pub(crate) async fn resolve(context: &Context, choices: &[PartitionChoice]) -> Result<Vec<TopicPartition>> {
    let names: Vec<_> = choices.iter().map(|choice| choice.topic.clone()).collect();
    let mut found = BTreeSet::new();
    for outcome in context.admin.describe_topics(&names).await {
        let topic = match outcome.result {
            Ok(topic) => topic,
            Err(error) => return Err(context.explain_topic(&outcome.key, error).await),
        };
        for choice in choices.iter().filter(|choice| choice.topic == outcome.key) {
            found.extend(of_topic(choice, &topic)?);
        }
    }
    Ok(found.into_iter().collect())
}

fn of_topic(choice: &PartitionChoice, topic: &Arc<Topic>) -> Result<Vec<TopicPartition>> {
    let all = || topic.partitions.iter().map(|partition| partition.id);
    let missing = choice.partitions.iter().flatten().find(|number| !all().any(|id| id == **number));
    if let Some(number) = missing {
        let message = format!("partition {}[{number}] does not exist", choice.topic);
        return Err(Failure::new(kafka_cli::Exit::NotFound, message).into());
    }
    let chosen = all().filter(|id| choice.partitions.as_ref().is_none_or(|numbers| numbers.contains(id)));
    Ok(chosen.map(|id| TopicPartition::new(topic.name.clone(), id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_alone_means_all_its_partitions() {
        let all: PartitionChoice = "t".parse().unwrap();
        assert!(all.includes(&TopicPartition::new("t", 7)) && !all.includes(&TopicPartition::new("u", 7)));
        let some: PartitionChoice = "t:0,2".parse().unwrap();
        assert!(some.includes(&TopicPartition::new("t", 2)) && !some.includes(&TopicPartition::new("t", 1)));
        assert!("t:x".parse::<PartitionChoice>().is_err() && "t:-1".parse::<PartitionChoice>().is_err());
    }
}
