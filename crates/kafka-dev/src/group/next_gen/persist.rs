//! A KIP-848 group as the journal keeps it.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use uuid::Uuid;

use super::assignor::{Assignor, Slot};
use super::{Member, MemberState, NextGenGroup, SESSION_TIMEOUT};
use crate::journal::fields::{self, Fields};

impl NextGenGroup {
    pub(crate) fn write(&self) -> Fields {
        Fields::new()
            .long(self.epoch)
            .long(self.target_epoch)
            .list(&self.topics, |out, (name, (id, partitions))| {
                let partitions = i64::try_from(*partitions).unwrap_or(i64::MAX);
                out.text(name).bytes(id.as_bytes()).long(partitions)
            })
            .list(&self.target, |out, (member, slots)| write_slots(out.text(member), slots))
            .list(self.members.values(), write_member)
    }

    /// Members get a whole session to be heard of.
    pub(crate) fn read(from: &mut Bytes, now: Instant) -> io::Result<Self> {
        let mut group =
            Self { epoch: fields::int(from)?, target_epoch: fields::int(from)?, ..Self::default() };
        let topics = fields::list(from, |from| {
            let (name, id) = (fields::text(from)?, read_id(from)?);
            Ok((name, (id, usize::try_from(fields::long(from)?).unwrap_or(0))))
        })?;
        group.topics = topics.into_iter().collect();
        let target = fields::list(from, |from| Ok((fields::text(from)?, read_slots(from)?)))?;
        group.target = target.into_iter().collect();
        let members = fields::list(from, |from| read_member(from, now))?;
        group.members = members.into_iter().map(|member| (member.id.clone(), member)).collect();
        Ok(group)
    }
}

fn write_slots(out: Fields, slots: &BTreeSet<Slot>) -> Fields {
    out.list(slots, |out, (topic, partition)| out.bytes(topic.as_bytes()).long(*partition))
}

fn read_slots(from: &mut Bytes) -> io::Result<BTreeSet<Slot>> {
    Ok(fields::list(from, |from| Ok((read_id(from)?, fields::int(from)?)))?.into_iter().collect())
}

fn read_id(from: &mut Bytes) -> io::Result<Uuid> {
    Uuid::from_slice(&fields::bytes(from)?).map_err(io::Error::other)
}

fn write_member(out: Fields, member: &Member) -> Fields {
    let state = match member.state {
        MemberState::Stable => 0,
        MemberState::Unrevoked => 1,
        MemberState::Unreleased => 2,
    };
    let rebalance_ms = i64::try_from(member.rebalance_timeout.as_millis()).unwrap_or(i64::MAX);
    let out = out
        .text(&member.id)
        .optional(member.instance.as_deref())
        .optional(member.rack.as_deref())
        .text(&member.client_id)
        .text(&member.client_host)
        .list(&member.topics, |out, name| out.text(name))
        .optional(member.regex.as_deref())
        .optional(member.assignor.map(Assignor::name))
        .long(rebalance_ms)
        .long(member.epoch)
        .long(member.previous_epoch)
        .long(state);
    write_slots(write_slots(out, &member.assigned), &member.revoking)
}

fn read_member(from: &mut Bytes, now: Instant) -> io::Result<Member> {
    let mut member = Member::new(&fields::text(from)?, now);
    member.instance = fields::optional(from)?;
    member.rack = fields::optional(from)?;
    member.client_id = fields::text(from)?;
    member.client_host = fields::text(from)?;
    member.topics = fields::list(from, fields::text)?.into_iter().collect();
    member.regex = fields::optional(from)?;
    member.assignor = fields::optional(from)?.as_deref().and_then(Assignor::named);
    member.rebalance_timeout = Duration::from_millis(u64::try_from(fields::long(from)?).unwrap_or(0));
    member.epoch = fields::int(from)?;
    member.previous_epoch = fields::int(from)?;
    member.state = match fields::int(from)? {
        0 => MemberState::Stable,
        1 => MemberState::Unrevoked,
        _ => MemberState::Unreleased,
    };
    member.assigned = read_slots(from)?;
    member.revoking = read_slots(from)?;
    member.deadline = now + SESSION_TIMEOUT;
    member.revoke_by = (member.state == MemberState::Unrevoked).then(|| now + member.rebalance_timeout);
    Ok(member)
}
