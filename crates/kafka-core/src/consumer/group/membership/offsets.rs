//! Commits offsets and asks for committed ones, in the member's name, through moves of the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use tokio::time::Instant;

use super::super::event::Identity;
use super::super::member::Member;
use super::{Command, Membership, Standing};
use crate::cluster::CoordinatorKind;
use crate::consumer::offsets::{self, Committed, Committer, OffsetToCommit};
use crate::error::{Error, Result};
use crate::wire::{Api, Connection, Lane};
use crate::{Backoff, ErrorCode, Reaction, TopicPartition};

/// How long one try may take: a coordinator that is frozen must not hold a commit back from the one that took over.
const TRY_LIMIT: Duration = Duration::from_secs(3);

type Offsets = BTreeMap<TopicPartition, OffsetToCommit>;

/// Why a try did not settle everything.
enum Setback {
    /// The same again, after a pause or under a newer name.
    Again(Error),
    /// To another coordinator.
    Elsewhere(Error),
    /// Never.
    Final(Error),
}

impl Membership {
    /// Commits offsets in the member's current name, and tries again through moves of the coordinator and rebalances,
    /// for `request.timeout.ms` at most.
    ///
    /// # Errors
    /// For the first partition that could not be committed; the others may have been. Partitions that are not the
    /// member's any more are refused with `ILLEGAL_GENERATION` or `UNKNOWN_MEMBER_ID`: somebody else reads them.
    pub(crate) async fn commit(&self, offsets: Vec<(TopicPartition, OffsetToCommit)>) -> Result<()> {
        let mut left: Offsets = offsets.into_iter().collect();
        let mut tries = Tries::new(self, "committing offsets");
        let mut refused = None;
        loop {
            let standing = self.standing();
            if let Some(error) = drop_others(&mut left, &standing) {
                refused.get_or_insert(error);
                self.order(Command::CommitRefused);
            }
            if left.is_empty() {
                return refused.map_or(Ok(()), Err);
            }
            match self.try_commit(&mut left, &standing.identity).await {
                Ok(()) => {}
                Err(setback) => tries.after(setback, &standing).await?,
            }
        }
    }

    async fn try_commit(&self, left: &mut Offsets, identity: &Identity) -> Result<(), Setback> {
        let connection = self.coordinator().await?;
        let version = version::<OffsetCommitRequest>(&connection);
        let request = offsets::commit_request(&self.committer(identity), left.clone(), version);
        let answer = connection.send_within(request, self.try_limit()).await.map_err(lost)?;
        let mut setback = None;
        for (partition, code) in offsets::read_commit(answer) {
            if code.is_ok() {
                left.remove(&partition);
            } else {
                setback = Some(read_code(OffsetCommitRequest::NAME, partition.to_string(), code));
            }
        }
        match setback {
            Some(setback) => Err(setback),
            // An answer that leaves a partition out would be asked for ever.
            None if !left.is_empty() => Err(Setback::Final(left_out(&connection, left.keys().next()))),
            None => Ok(()),
        }
    }

    /// The committed offsets of these partitions, waiting for transactions that may still change them (KIP-447).
    ///
    /// # Errors
    /// What stood in the way after `request.timeout.ms`, or at once what will not pass.
    pub(crate) async fn fetch_committed(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<(TopicPartition, Option<Committed>)>> {
        let mut found = Vec::with_capacity(partitions.len());
        let mut left = partitions;
        let mut tries = Tries::new(self, "asking for committed offsets");
        while !left.is_empty() {
            let standing = self.standing();
            if let Err(setback) = self.try_fetch(&mut left, &mut found, &standing.identity).await {
                tries.after(setback, &standing).await?;
            }
        }
        Ok(found)
    }

    async fn try_fetch(
        &self,
        left: &mut Vec<TopicPartition>,
        found: &mut Vec<(TopicPartition, Option<Committed>)>,
        identity: &Identity,
    ) -> Result<(), Setback> {
        let connection = self.coordinator().await?;
        let version = version::<OffsetFetchRequest>(&connection);
        let request = offsets::fetch_request(&self.committer(identity), left.iter().cloned(), version);
        let answer = connection.send_within(request, self.try_limit()).await.map_err(lost)?;
        let group = || format!("group {}", self.shared.options.group_id);
        let answers = offsets::read_fetch(answer);
        let answers = answers.map_err(|code| read_code(OffsetFetchRequest::NAME, group(), code))?;
        let mut setback = None;
        for (partition, answer) in answers {
            match answer {
                Ok(committed) => {
                    left.retain(|waiting| *waiting != partition);
                    found.push((partition, committed));
                }
                Err(code) => {
                    setback = Some(read_code(OffsetFetchRequest::NAME, partition.to_string(), code));
                }
            }
        }
        match setback {
            Some(setback) => Err(setback),
            None if !left.is_empty() => Err(Setback::Final(left_out(&connection, left.first()))),
            None => Ok(()),
        }
    }

    async fn coordinator(&self) -> Result<Arc<Connection>, Setback> {
        let cluster = &self.shared.cluster;
        let connect = async {
            let broker = cluster.coordinator(CoordinatorKind::Group, &self.shared.options.group_id).await?;
            cluster.connect(&broker, Lane::General).await
        };
        let late =
            |_| Error::Timeout { what: "reaching the coordinator".into(), after: TRY_LIMIT, last: None };
        match tokio::time::timeout(TRY_LIMIT, connect).await.map_err(late) {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) | Err(error) => Err(lost(error)),
        }
    }

    fn try_limit(&self) -> Duration {
        TRY_LIMIT.min(self.shared.options.request_timeout)
    }

    fn standing(&self) -> Standing {
        self.shared.standing.borrow().clone()
    }

    fn committer(&self, identity: &Identity) -> Committer {
        let options = &self.shared.options;
        let instance_id = options.instance_id.as_deref().map(str::to_owned);
        Committer {
            group: Arc::clone(&options.group_id),
            member_id: identity.member_id.to_string(),
            generation: identity.generation,
            instance_id: instance_id.filter(|_| identity.generation >= 0),
        }
    }
}

/// The tries of one call: their limit, and the pauses between them.
struct Tries<'a> {
    membership: &'a Membership,
    what: &'static str,
    until: Instant,
    backoff: Backoff,
}

impl<'a> Tries<'a> {
    fn new(membership: &'a Membership, what: &'static str) -> Self {
        let options = &membership.shared.options;
        let (pause, max_pause) = options.retry_backoff;
        let until = Instant::now() + options.request_timeout;
        Self { membership, what, until, backoff: Backoff::new(pause, max_pause) }
    }

    /// Pauses before the next try, or gives up. A member that gets a newer name meanwhile tries again at once.
    async fn after(&mut self, setback: Setback, used: &Standing) -> Result<()> {
        let shared = &self.membership.shared;
        let error = match setback {
            Setback::Final(error) => return Err(error),
            Setback::Again(error) => error,
            Setback::Elsewhere(error) => {
                shared.cluster.forget_coordinator(CoordinatorKind::Group, &shared.options.group_id);
                error
            }
        };
        let pause = self.backoff.next_pause(&mut fastrand::Rng::new());
        let next_try = Instant::now() + pause;
        if next_try > self.until {
            let (what, after) = (self.what.to_owned(), shared.options.request_timeout);
            return Err(Error::Timeout { what, after, last: Some(Box::new(error)) });
        }
        if is_about_the_name(&error) {
            self.membership.order(Command::CommitRefused);
        }
        let mut standing = shared.standing.clone();
        let renamed = standing.wait_for(|now| now.identity != used.identity);
        let _ = tokio::time::timeout_at(next_try, renamed).await;
        Ok(())
    }
}

fn is_about_the_name(error: &Error) -> bool {
    error
        .code()
        .is_some_and(|code| code.reaction() == Reaction::RejoinGroup || code == ErrorCode::STALE_MEMBER_EPOCH)
}

/// Takes out what this member must not commit, with the reason.
fn drop_others(left: &mut Offsets, standing: &Standing) -> Option<Error> {
    let mut refused = None;
    left.retain(|partition, _| {
        let is_ours = standing.identity.generation >= 0 && standing.owned.contains(partition);
        if !is_ours && refused.is_none() {
            let code = match standing.identity.generation {
                0.. => ErrorCode::ILLEGAL_GENERATION,
                _ => ErrorCode::UNKNOWN_MEMBER_ID,
            };
            refused = Some(Error::broker(OffsetCommitRequest::NAME, partition.to_string(), code, None));
        }
        is_ours
    });
    refused
}

fn version<R: Api>(connection: &Connection) -> i16 {
    connection.version::<R>().unwrap_or(R::MAX)
}

fn lost(error: Error) -> Setback {
    if Member::is_final(&error) { Setback::Final(error) } else { Setback::Elsewhere(error) }
}

fn left_out(connection: &Connection, partition: Option<&TopicPartition>) -> Error {
    Error::Corrupt {
        subject: partition.map(TopicPartition::to_string).unwrap_or_default(),
        reason: format!("{} left it out of its answer about offsets", connection.broker()),
    }
}

/// A code about the member's name is worth another try: a rebalance may have given it a new one. If it has lost the
/// partition meanwhile, the next try finds that out before anything is sent.
fn read_code(api: &'static str, subject: String, code: ErrorCode) -> Setback {
    let error = Error::broker(api, subject, code, None);
    match code.reaction() {
        Reaction::Retry | Reaction::RefreshMetadata | Reaction::RejoinGroup => Setback::Again(error),
        Reaction::FindCoordinator => Setback::Elsewhere(error),
        Reaction::ResetSequence | Reaction::Fail => Setback::Final(error),
    }
}
