//! JoinGroup: new members, known ones that come back, static ones that return under a new id, and the end of the
//! round of joins.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::{Answer, ClassicGroup, Joined, Member, State, Token};

/// How long an id given with MEMBER_ID_REQUIRED waits for its owner, at most.
const PENDING_LIMIT: Duration = Duration::from_secs(300);

/// A JoinGroup as the machine needs it.
#[derive(Debug, Clone)]
pub(crate) struct JoinRequest {
    pub(crate) token: Token,
    /// Empty for a new member.
    pub(crate) member_id: String,
    /// The id to give a new member.
    pub(crate) fresh_id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// Whether the client joins a second time with its id (KIP-394, version 4 on).
    pub(crate) member_id_required: bool,
    /// Whether the client understands a leader that must not assign (KIP-814, version 9 on).
    pub(crate) can_skip_assignment: bool,
}

impl Joined {
    pub(crate) fn refused(member_id: &str, error: ResponseError) -> Self {
        Self {
            error: Some(error),
            member_id: member_id.to_owned(),
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            skip_assignment: false,
            members: Vec::new(),
        }
    }
}

impl ClassicGroup {
    /// A member joins, or joins again. Always leads to one [`Answer::Join`], perhaps later.
    pub(crate) fn join(&mut self, request: JoinRequest, now: Instant) {
        if let Err(error) = self.check_join(&request) {
            let refused = Joined::refused(&request.member_id, error);
            self.answers.push_back(Answer::Join(request.token, refused));
        } else if request.member_id.is_empty() {
            self.join_new(request, now);
        } else {
            self.join_known(request, now);
        }
    }

    fn check_join(&self, request: &JoinRequest) -> Result<(), ResponseError> {
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        let mut others = self.members.values().filter(|member| member.id != request.member_id).peekable();
        if others.peek().is_none() {
            return Ok(());
        }
        let same_type = self.protocol_type.as_deref().is_none_or(|known| known == request.protocol_type);
        let others: Vec<&Member> = others.collect();
        let shared = request.protocols.iter().any(|(name, _)| {
            others.iter().all(|member| member.protocols.iter().any(|(known, _)| known == name))
        });
        if same_type && shared { Ok(()) } else { Err(ResponseError::InconsistentGroupProtocol) }
    }

    fn join_new(&mut self, request: JoinRequest, now: Instant) {
        if let Some(instance) = &request.instance {
            match self.member_of_instance(instance).map(str::to_owned) {
                Some(old) => self.replace_static(&old, request, now),
                None => self.add(request, now),
            }
        } else if request.member_id_required {
            let until = now + request.session_timeout.min(PENDING_LIMIT);
            self.pending.insert(request.fresh_id.clone(), until);
            let refused = Joined::refused(&request.fresh_id, ResponseError::MemberIdRequired);
            self.answers.push_back(Answer::Join(request.token, refused));
        } else {
            self.add(request, now);
        }
    }

    fn join_known(&mut self, request: JoinRequest, now: Instant) {
        if self.pending.remove(&request.member_id).is_some() {
            let fresh_id = request.member_id.clone();
            return self.add(JoinRequest { fresh_id, ..request }, now);
        }
        if let Err(error) = self.check_member(&request.member_id, request.instance.as_deref()) {
            let refused = Joined::refused(&request.member_id, error);
            self.answers.push_back(Answer::Join(request.token, refused));
            return;
        }
        let unchanged =
            self.members.get(&request.member_id).is_some_and(|m| m.protocols == request.protocols);
        let leads = self.leader.as_deref() == Some(&request.member_id);
        let answer_now = match self.state {
            State::CompletingRebalance => unchanged,
            State::Stable => unchanged && !leads,
            State::Empty | State::PreparingRebalance => false,
        };
        let (id, token) = (request.member_id.clone(), request.token);
        self.update(request, now);
        if answer_now {
            let joined = self.joined(&id);
            self.answers.push_back(Answer::Join(token, joined));
            return;
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = Some(token);
        }
        self.join_or_begin_round(now);
    }

    fn update(&mut self, request: JoinRequest, now: Instant) {
        if let Some(member) = self.members.get_mut(&request.member_id) {
            member.protocols = request.protocols;
            member.session_timeout = request.session_timeout;
            member.rebalance_timeout = request.rebalance_timeout;
            member.client_id = request.client_id;
            member.client_host = request.client_host;
            member.heard(now);
            if let Some(older) = member.joining.take() {
                let id = member.id.clone();
                let refused = Joined::refused(&id, ResponseError::UnknownMemberId);
                self.answers.push_back(Answer::Join(older, refused));
            }
        }
    }

    fn add(&mut self, request: JoinRequest, now: Instant) {
        let member = Member {
            id: request.fresh_id,
            instance: request.instance,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols,
            assignment: Bytes::new(),
            joining: Some(request.token),
            syncing: None,
            synced: false,
            deadline: now + request.session_timeout,
        };
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.members.insert(member.id.clone(), member);
        self.join_or_begin_round(now);
    }

    /// A static member that came back takes the place of its older self, whose requests are fenced from now on.
    fn replace_static(&mut self, old: &str, request: JoinRequest, now: Instant) {
        let Some(mut member) = self.members.remove(old) else { return };
        if let Some(token) = member.joining.take() {
            let fenced = Joined::refused(old, ResponseError::FencedInstanceId);
            self.answers.push_back(Answer::Join(token, fenced));
        }
        if let Some(token) = member.syncing.take() {
            self.answers
                .push_back(Answer::Sync(token, super::Synced::refused(ResponseError::FencedInstanceId)));
        }
        let id = request.fresh_id.clone();
        let led = self.leader.as_deref() == Some(old);
        if led {
            self.leader = Some(id.clone());
        }
        member.id.clone_from(&id);
        self.members.insert(id.clone(), member);
        let (token, can_skip) = (request.token, request.can_skip_assignment);
        self.update(JoinRequest { member_id: id.clone(), ..request }, now);
        if self.state == State::Stable && self.elect_protocol() == self.protocol {
            let mut joined = self.joined(&id);
            joined.skip_assignment = led && can_skip;
            if led && !can_skip {
                // An older client would assign anew if it learnt that it leads.
                old.clone_into(&mut joined.leader);
                joined.members.clear();
            }
            self.decided = true;
            self.answers.push_back(Answer::Join(token, joined));
            return;
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = Some(token);
        }
        self.join_or_begin_round(now);
    }

    /// A member joins: the round of joins that is open, or one that begins with it.
    fn join_or_begin_round(&mut self, now: Instant) {
        match self.state {
            State::PreparingRebalance => self.complete_join_if_all_here(now),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(now),
        }
    }

    /// Ends the round of joins once every member, and everyone who was given an id, is in it.
    pub(super) fn complete_join_if_all_here(&mut self, now: Instant) {
        let all_here =
            self.members.values().all(|member| member.joining.is_some()) && self.pending.is_empty();
        if self.state == State::PreparingRebalance && all_here && !self.in_initial_delay {
            self.complete_join(now);
        }
    }

    /// Goes on without those who did not join in time; absent static members keep their place.
    pub(super) fn give_up_on_absent(&mut self, now: Instant) {
        self.members.retain(|_, member| member.joining.is_some() || member.instance.is_some());
        if self.leader.as_ref().is_some_and(|leader| !self.members.contains_key(leader)) {
            self.leader = self.members.values().find(|m| m.joining.is_some()).map(|m| m.id.clone());
        }
        self.complete_join(now);
    }

    fn complete_join(&mut self, now: Instant) {
        self.generation += 1;
        self.in_initial_delay = false;
        if self.members.is_empty() {
            self.state = State::Empty;
            self.decided = true;
            self.protocol = None;
            self.leader = None;
            self.rebalance_deadline = None;
            return;
        }
        self.protocol = self.elect_protocol();
        self.state = State::CompletingRebalance;
        let longest = self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
        self.rebalance_deadline = Some(now + longest);
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.synced = false;
                member.heard(now);
                if let Some(token) = member.joining.take() {
                    self.answers.push_back(Answer::Join(token, joined));
                }
            }
        }
    }

    /// What a member of the current generation is told.
    fn joined(&self, id: &str) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = if leader == id {
            let all = self.members.values();
            all.map(|m| (m.id.clone(), m.instance.clone(), m.metadata(&protocol))).collect()
        } else {
            Vec::new()
        };
        Joined {
            error: None,
            member_id: id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: Some(protocol),
            leader,
            skip_assignment: false,
            members,
        }
    }
}
