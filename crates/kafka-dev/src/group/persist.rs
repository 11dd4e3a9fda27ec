//! Groups and their committed offsets, to and from the journal.

use std::io;
use std::time::Instant;

use super::Groups;
use super::classic::ClassicGroup;
use super::next_gen::NextGenGroup;
use super::offsets::Committed;
use crate::journal::Kind;
use crate::journal::fields::{self, Fields};

impl Groups {
    /// Takes up what an earlier run has left. Members get a whole session to be heard of.
    pub(crate) fn restore(&mut self) -> io::Result<()> {
        for (mut key, mut value) in self.journal.entries(Kind::Offset) {
            let (group, topic) = (fields::text(&mut key)?, fields::text(&mut key)?);
            let partition = fields::int(&mut key)?;
            let committed = Committed {
                offset: fields::long(&mut value)?,
                leader_epoch: fields::int(&mut value)?,
                metadata: fields::text(&mut value)?,
            };
            self.get_or_create(&group).offsets.commit(&topic, partition, committed);
        }
        for (mut key, mut value) in self.journal.entries(Kind::Group) {
            let id = fields::text(&mut key)?;
            let restored = ClassicGroup::read(&mut value, self.initial_delay, Instant::now())?;
            let is_next_gen = fields::long(&mut value)? == 1;
            let next_gen = is_next_gen.then(|| NextGenGroup::read(&mut value, Instant::now())).transpose()?;
            let group = self.get_or_create(&id);
            group.classic = restored;
            group.next_gen = next_gen;
        }
        Ok(())
    }

    /// Commits an offset for good.
    pub(crate) fn commit(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        committed: Committed,
    ) -> io::Result<()> {
        let value =
            Fields::new().long(committed.offset).long(committed.leader_epoch).text(&committed.metadata);
        self.journal.put(Kind::Offset, offset_key(group, topic, partition), value)?;
        self.get_or_create(group).offsets.commit(topic, partition, committed);
        Ok(())
    }

    /// Forgets a committed offset.
    pub(crate) fn forget_offset(&mut self, group: &str, topic: &str, partition: i32) -> io::Result<()> {
        if let Some(found) = self.groups.get_mut(group) {
            found.offsets.remove(topic, partition);
        }
        self.journal.remove(Kind::Offset, offset_key(group, topic, partition))
    }

    /// Writes down the group as it is now, or that it is no more.
    pub(super) fn save(&self, id: &str) -> io::Result<()> {
        let key = Fields::new().text(id);
        match self.groups.get(id) {
            Some(group) => {
                let value = group.classic.write();
                let value = match &group.next_gen {
                    Some(next_gen) => value.long(1).append(next_gen.write()),
                    None => value.long(0),
                };
                self.journal.put(Kind::Group, key, value)
            }
            None => self.journal.remove(Kind::Group, key),
        }
    }
}

fn offset_key(group: &str, topic: &str, partition: i32) -> Fields {
    Fields::new().text(group).text(topic).long(partition)
}
