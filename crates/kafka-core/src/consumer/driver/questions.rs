//! The questions of the positions: sent to the leaders and to the group, and their answers brought back.

use std::collections::HashMap;
use std::time::Instant;

use super::{Done, Driver, REFRESH_PAUSE, now_ms};
use crate::consumer::lookup::{self, EpochAnswers, ListAnswers};
use crate::consumer::offsets::{Committed, EpochQuestion};
use crate::consumer::position::{Questions, Said, Token};
use crate::error::{Error, Result};
use crate::{ErrorCode, TopicPartition};

/// The group's word on what is committed.
pub(super) type CommittedAnswers = Vec<(TopicPartition, Option<Committed>)>;

impl Driver {
    pub(super) fn ask(&mut self, questions: Questions, now: Instant) {
        if !questions.committed.is_empty() {
            self.ask_committed(questions.committed);
        }
        if questions.needs_metadata {
            self.refresh(now);
        }
        for (broker, questions) in questions.lists {
            let asked = questions.iter().map(|(partition, token, _)| (partition.clone(), *token)).collect();
            let listings =
                questions.into_iter().map(|(partition, _, listing)| (partition, listing)).collect();
            let cluster = self.cluster.clone();
            let read_committed = self.options.read_committed;
            self.tasks.spawn(async move {
                let result = lookup::list_from(&cluster, broker, read_committed, listings).await;
                Done::Listed { asked, result }
            });
        }
        for (broker, questions) in questions.epochs {
            let current = |(partition, token, question): &(TopicPartition, Token, EpochQuestion)| {
                (partition.clone(), *token, question.current)
            };
            let asked = questions.iter().map(current).collect();
            let questions =
                questions.into_iter().map(|(partition, _, question)| (partition, question)).collect();
            let cluster = self.cluster.clone();
            self.tasks.spawn(async move {
                let result = lookup::epochs_from(&cluster, broker, questions).await;
                Done::Epochs { asked, result }
            });
        }
    }

    fn ask_committed(&mut self, asked: Vec<(TopicPartition, Token)>) {
        let partitions = asked.iter().map(|(partition, _)| partition.clone()).collect();
        let membership = self.group.as_ref().map(|group| group.membership.clone());
        self.tasks.spawn(async move {
            // Without a group nothing is committed, and the reset policy says where to begin.
            let result = match membership {
                Some(membership) => membership.fetch_committed(partitions).await,
                None => Ok(partitions.into_iter().map(|partition| (partition, None)).collect()),
            };
            Done::Committed { asked, result }
        });
    }

    pub(super) fn handle_committed(
        &mut self,
        asked: Vec<(TopicPartition, Token)>,
        result: Result<CommittedAnswers>,
    ) {
        let result = result
            .map(|answers| answers.into_iter().map(|(partition, found)| (partition, Ok(found))).collect());
        let (mut answers, failure) = split(result);
        for (partition, token) in asked {
            let said = match answers.remove(&partition) {
                Some(Ok(found)) => self.positions.handle_committed(&partition, token, found, now_ms()),
                answer => {
                    let code = answer.and_then(Result::err);
                    self.question_failed("OffsetFetch", &partition, token, code, failure.as_ref())
                }
            };
            self.tell_all(said);
        }
    }

    /// Asks for fresh metadata: the first time at once and awaited, later by the cluster's own task.
    pub(super) fn refresh(&mut self, now: Instant) {
        if self.learning || self.refreshed.is_some_and(|at| now < at + REFRESH_PAUSE) {
            return;
        }
        self.refreshed = Some(now);
        self.learning = true;
        let cluster = self.cluster.clone();
        self.tasks.spawn(async move { Done::Learnt(cluster.refresh().await) });
    }

    pub(super) fn handle_listed(&mut self, asked: Vec<(TopicPartition, Token)>, result: Result<ListAnswers>) {
        let (mut answers, failure) = split(result);
        for (partition, token) in asked {
            let said = match answers.remove(&partition) {
                Some(Ok(found)) => self.positions.handle_listed(&partition, token, found),
                answer => self.question_failed(
                    "ListOffsets",
                    &partition,
                    token,
                    answer.and_then(Result::err),
                    failure.as_ref(),
                ),
            };
            self.tell_all(said);
        }
    }

    pub(super) fn handle_epochs(
        &mut self,
        asked: Vec<(TopicPartition, Token, i32)>,
        result: Result<EpochAnswers>,
    ) {
        let (mut answers, failure) = split(result);
        for (partition, token, current) in asked {
            let said = match answers.remove(&partition) {
                Some(Ok(end)) => self.positions.handle_epoch(&partition, token, current, end, now_ms()),
                answer => {
                    let code = answer.and_then(Result::err);
                    self.question_failed("OffsetForLeaderEpoch", &partition, token, code, failure.as_ref())
                }
            };
            self.tell_all(said);
        }
    }

    /// A question about a partition was answered with an error, or not at all.
    fn question_failed(
        &mut self,
        api: &'static str,
        partition: &TopicPartition,
        token: Token,
        code: Option<ErrorCode>,
        failure: Option<&Error>,
    ) -> Option<Said> {
        let now = Instant::now();
        let error = match (code, failure) {
            (Some(code), _) => Error::broker(api, partition.to_string(), code, None),
            (None, Some(failure)) => failure.clone(),
            // An answer without the partition: its leader does not know it.
            (None, None) => {
                Error::broker(api, partition.to_string(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None)
            }
        };
        self.refresh(now);
        self.positions.handle_trouble(partition, token, error, now, &mut self.rng)
    }
}

type Answers<T> = HashMap<TopicPartition, Result<T, ErrorCode>>;

/// Answers by partition, and what stands for the missing ones.
fn split<T>(result: Result<Vec<(TopicPartition, Result<T, ErrorCode>)>>) -> (Answers<T>, Option<Error>) {
    match result {
        Ok(answers) => (answers.into_iter().collect(), None),
        Err(error) => (HashMap::new(), Some(error)),
    }
}
