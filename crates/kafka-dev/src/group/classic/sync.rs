//! SyncGroup: the leader hands in the assignment, everyone receives their part.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::{Answer, ClassicGroup, State, Synced, Token};

/// A SyncGroup as the machine needs it.
#[derive(Debug, Clone)]
pub(crate) struct SyncRequest {
    pub(crate) token: Token,
    pub(crate) member_id: String,
    pub(crate) instance: Option<String>,
    pub(crate) generation: i32,
    /// None in versions that do not name them (before KIP-559).
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    /// From the leader: member and assignment.
    pub(crate) assignments: HashMap<String, Bytes>,
}

impl Synced {
    pub(crate) fn refused(error: ResponseError) -> Self {
        Self { error: Some(error), protocol_type: None, protocol: None, assignment: Bytes::new() }
    }
}

impl ClassicGroup {
    /// A member asks for its assignment. Always leads to one [`Answer::Sync`], perhaps later.
    pub(crate) fn sync(&mut self, request: SyncRequest, now: Instant) {
        if let Err(error) = self.check_sync(&request) {
            self.answers.push_back(Answer::Sync(request.token, Synced::refused(error)));
            return;
        }
        let leads = self.leader.as_deref() == Some(&request.member_id);
        if let Some(member) = self.members.get_mut(&request.member_id) {
            member.heard(now);
            member.synced = true;
            if let Some(older) = member.syncing.replace(request.token) {
                let refused = Synced::refused(ResponseError::UnknownMemberId);
                self.answers.push_back(Answer::Sync(older, refused));
            }
        }
        if self.state == State::CompletingRebalance && leads {
            self.take_assignment(request.assignments);
        }
        if self.state == State::Stable {
            self.hand_out(now);
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), ResponseError> {
        self.check_member(&request.member_id, request.instance.as_deref())?;
        if request.generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        let differs = |asked: &Option<String>, ours: &Option<String>| asked.is_some() && asked != ours;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        match self.state {
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    fn take_assignment(&mut self, mut assignments: HashMap<String, Bytes>) {
        for member in self.members.values_mut() {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
        }
        self.state = State::Stable;
        self.decided = true;
        self.rebalance_deadline = None;
    }

    fn hand_out(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            if let Some(token) = member.syncing.take() {
                member.heard(now);
                let synced = Synced {
                    error: None,
                    protocol_type: self.protocol_type.clone(),
                    protocol: self.protocol.clone(),
                    assignment: member.assignment.clone(),
                };
                self.answers.push_back(Answer::Sync(token, synced));
            }
        }
    }

    /// Those who joined but never asked for their assignment are taken for dead.
    pub(super) fn give_up_on_unsynced(&mut self, now: Instant) {
        let silent: Vec<String> =
            self.members.values().filter(|member| !member.synced).map(|member| member.id.clone()).collect();
        self.rebalance_deadline = None;
        for id in silent {
            self.remove(&id, now);
        }
    }
}
