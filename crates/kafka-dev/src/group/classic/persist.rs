//! A classic group as the journal keeps it: what was decided, not what is being negotiated.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{ClassicGroup, Member, State};
use crate::journal::fields::{self, Fields};

impl ClassicGroup {
    /// Whether something worth keeping was decided since this was last asked.
    pub(crate) fn take_decided(&mut self) -> bool {
        std::mem::take(&mut self.decided)
    }

    pub(crate) fn write(&self) -> Fields {
        Fields::new()
            .long(self.generation)
            .optional(self.protocol_type.as_deref())
            .optional(self.protocol.as_deref())
            .optional(self.leader.as_deref())
            .list(self.members.values(), write_member)
    }

    pub(crate) fn read(from: &mut Bytes, initial_delay: Duration, now: Instant) -> io::Result<Self> {
        let mut group = Self::new(initial_delay);
        group.generation = fields::int(from)?;
        group.protocol_type = fields::optional(from)?;
        group.protocol = fields::optional(from)?;
        group.leader = fields::optional(from)?;
        let members = fields::list(from, |from| read_member(from, now))?;
        group.members = members.into_iter().map(|member| (member.id.clone(), member)).collect();
        group.state = if group.members.is_empty() { State::Empty } else { State::Stable };
        Ok(group)
    }
}

fn write_member(out: Fields, member: &Member) -> Fields {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    out.text(&member.id)
        .optional(member.instance.as_deref())
        .text(&member.client_id)
        .text(&member.client_host)
        .long(millis(member.session_timeout))
        .long(millis(member.rebalance_timeout))
        .list(&member.protocols, |out, (name, metadata)| out.text(name).bytes(metadata))
        .bytes(&member.assignment)
}

fn read_member(from: &mut Bytes, now: Instant) -> io::Result<Member> {
    let millis = |from: &mut Bytes| -> io::Result<Duration> {
        Ok(Duration::from_millis(u64::try_from(fields::long(from)?).unwrap_or(0)))
    };
    let id = fields::text(from)?;
    let instance = fields::optional(from)?;
    let client_id = fields::text(from)?;
    let client_host = fields::text(from)?;
    let session_timeout = millis(from)?;
    Ok(Member {
        id,
        instance,
        client_id,
        client_host,
        session_timeout,
        rebalance_timeout: millis(from)?,
        protocols: fields::list(from, |from| Ok((fields::text(from)?, fields::bytes(from)?)))?,
        assignment: fields::bytes(from)?,
        joining: None,
        syncing: None,
        synced: true,
        deadline: now + session_timeout,
    })
}
