//! Who reads what: the assignors of the classic protocol, run by the group's leader. Functions of members and topics;
//! they know no generation's messages. Equal input gives equal output on every member.

mod range;
mod round_robin;
mod sticky;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::protocol::{self, Subscription};
use crate::TopicPartition;
use crate::error::{Error, Result};

/// How the partitions of the subscribed topics are shared out (`partition.assignment.strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assignor {
    /// Neighbouring partitions of each topic to one member; the same numbers of several topics together.
    Range,
    /// One partition after the other to one member after the other.
    RoundRobin,
    /// Balanced, and as much as possible stays where it was; everybody stops while the group rebalances.
    Sticky,
    /// Like `Sticky`; only the partitions that move stop (KIP-429).
    CooperativeSticky,
}

impl Assignor {
    /// Every assignor, in the order in which a member that has no preference offers them.
    pub const ALL: [Self; 4] = [Self::CooperativeSticky, Self::Range, Self::RoundRobin, Self::Sticky];

    /// The name that goes over the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Whether members keep what they read while the group rebalances.
    #[must_use]
    pub const fn is_cooperative(self) -> bool {
        matches!(self, Self::CooperativeSticky)
    }

    /// The assignor with this wire name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// The notes that a member sends to the leader along with its subscription.
    pub(super) fn notes(self, remembered: &[TopicPartition], generation: i32) -> Bytes {
        match self {
            Self::Range | Self::RoundRobin => Bytes::new(),
            Self::Sticky if remembered.is_empty() => Bytes::new(),
            Self::Sticky => protocol::encode_sticky_notes(remembered, generation),
            Self::CooperativeSticky => Bytes::copy_from_slice(&generation.to_be_bytes()),
        }
    }

    /// Shares out `topics` among `members`. Every member is in the answer, perhaps with nothing.
    ///
    /// A partition that a member goes on reading is given to another one only in a later generation, when it has been
    /// given up: whoever loses a partition joins again, and then it is free.
    pub(super) fn assign(self, members: &[Member], topics: &Topics) -> Parts {
        let mut parts = match self {
            Self::Range => range::assign(members, topics),
            Self::RoundRobin => round_robin::assign(members, topics),
            Self::Sticky | Self::CooperativeSticky => sticky::assign(members, topics),
        };
        withhold_owned(&mut parts, members);
        parts
    }
}

impl std::str::FromStr for Assignor {
    type Err = Error;

    /// A wire name, or the name of Java's class, with or without its package.
    fn from_str(text: &str) -> Result<Self> {
        let simple = text.rsplit('.').next().unwrap_or(text);
        match simple {
            "RangeAssignor" => Ok(Self::Range),
            "RoundRobinAssignor" => Ok(Self::RoundRobin),
            "StickyAssignor" => Ok(Self::Sticky),
            "CooperativeStickyAssignor" => Ok(Self::CooperativeSticky),
            _ => Self::by_name(text).ok_or_else(|| {
                Error::Config(format!(
                    "partition.assignment.strategy: unknown assignor {text:?}; known: range, roundrobin, sticky, \
                     cooperative-sticky"
                ))
            }),
        }
    }
}

/// A member as the leader sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: Arc<str>,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) topics: BTreeSet<Arc<str>>,
    /// What it goes on reading (cooperative members).
    pub(super) owned: Vec<TopicPartition>,
    /// What it read before, by the sticky assignor's notes (eager members).
    pub(super) previous: Vec<TopicPartition>,
    /// The generation of `owned` or `previous`.
    pub(super) generation: i32,
    pub(super) rack: Option<Arc<str>>,
}

impl Member {
    /// Reads what a member sent under the assignor that the group has agreed on.
    pub(super) fn read(
        id: Arc<str>,
        instance_id: Option<Arc<str>>,
        assignor: Assignor,
        metadata: Bytes,
    ) -> Result<Self, protocol::Malformed> {
        let subscription = Subscription::decode(metadata)?;
        let notes = subscription.user_data;
        let (mut previous, mut generation) = (Vec::new(), subscription.generation);
        match assignor {
            // Notes that cannot be read cost stickiness, nothing else.
            Assignor::Sticky => {
                (previous, generation) = protocol::decode_sticky_notes(notes).unwrap_or_default();
            }
            Assignor::CooperativeSticky if generation < 0 => {
                generation = <[u8; 4]>::try_from(&notes[..]).map_or(-1, i32::from_be_bytes);
            }
            _ => {}
        }
        let topics = subscription.topics.into_iter().collect();
        let rack = subscription.rack;
        Ok(Self { id, instance_id, topics, owned: subscription.owned, previous, generation, rack })
    }

    /// Static members come first, by their names; then the others by their ids. So a static member keeps its place.
    fn order(&self) -> (bool, &str) {
        match &self.instance_id {
            Some(name) => (false, name),
            None => (true, &self.id),
        }
    }
}

/// The racks of one partition's replicas; empty where brokers name none.
pub(super) type Racks = BTreeSet<Arc<str>>;

/// The partitions of each topic that exists, by number.
pub(super) type Topics = BTreeMap<Arc<str>, Vec<Racks>>;

/// Each member's part.
pub(super) type Parts = BTreeMap<Arc<str>, Vec<TopicPartition>>;

fn sorted(members: &[Member]) -> Vec<&Member> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|a, b| a.order().cmp(&b.order()));
    sorted
}

fn empty_parts(members: &[Member]) -> Parts {
    members.iter().map(|member| (Arc::clone(&member.id), Vec::new())).collect()
}

/// The one member, by index, that may claim each partition: whoever says so for the highest generation. Where two say
/// so for the same one, neither is believed.
fn claims<'a>(
    members: &'a [Member],
    claimed: impl Fn(&'a Member) -> &'a [TopicPartition],
) -> HashMap<&'a TopicPartition, usize> {
    let mut best = HashMap::<&TopicPartition, (i32, Option<usize>)>::new();
    for (index, member) in members.iter().enumerate() {
        for partition in claimed(member) {
            let held = best.entry(partition).or_insert((member.generation, Some(index)));
            if member.generation > held.0 {
                *held = (member.generation, Some(index));
            } else if member.generation == held.0 && held.1 != Some(index) {
                held.1 = None;
            }
        }
    }
    best.into_iter().filter_map(|(partition, (_, index))| Some((partition, index?))).collect()
}

/// Takes out of each part what another member still reads.
fn withhold_owned(parts: &mut Parts, members: &[Member]) {
    let owners = claims(members, |member| &member.owned);
    if owners.is_empty() {
        return;
    }
    for (id, part) in parts {
        part.retain(|partition| owners.get(partition).is_none_or(|owner| members[*owner].id == *id));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::consumer::group) fn member(id: &str, topics: &[&str]) -> Member {
        let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
        Member { id: id.into(), topics, generation: -1, ..Member::default() }
    }

    pub(in crate::consumer::group) fn topics(counts: &[(&str, usize)]) -> Topics {
        counts.iter().map(|(name, count)| (Arc::from(*name), vec![Racks::new(); *count])).collect()
    }

    /// `m1=a[0],a[1] m2=a[2]`
    pub(in crate::consumer::group) fn shown(parts: &Parts) -> String {
        let part = |(id, part): (&Arc<str>, &Vec<TopicPartition>)| {
            let names: Vec<_> = part.iter().map(TopicPartition::to_string).collect();
            format!("{id}={}", names.join(","))
        };
        parts.iter().map(part).collect::<Vec<_>>().join(" ")
    }

    pub(in crate::consumer::group) fn own(topic: &str, numbers: &[i32]) -> Vec<TopicPartition> {
        numbers.iter().map(|number| TopicPartition::new(topic, *number)).collect()
    }

    #[test]
    fn javas_class_names_are_known() {
        let java = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        assert_eq!(java.parse::<Assignor>().unwrap(), Assignor::CooperativeSticky);
        assert_eq!("roundrobin".parse::<Assignor>().unwrap(), Assignor::RoundRobin);
        assert!("best".parse::<Assignor>().unwrap_err().to_string().contains("known: range"));
    }

    #[test]
    fn what_another_member_still_reads_is_held_back_under_every_assignor() {
        let mut holder = member("m1", &["a"]);
        (holder.owned, holder.generation) = (own("a", &[0, 1, 2, 3]), 5);
        let members = [holder, member("m2", &["a"])];
        for assignor in Assignor::ALL {
            let parts = assignor.assign(&members, &topics(&[("a", 4)]));
            assert_eq!(parts["m1"].len(), 2, "{assignor:?}");
            assert!(parts["m2"].is_empty(), "{assignor:?}");
        }
    }

    #[test]
    fn of_two_claims_the_later_generation_wins_and_equal_ones_cancel_out() {
        let claim = |id: &str, generation| {
            let mut member = member(id, &["a"]);
            (member.owned, member.generation) = (own("a", &[0]), generation);
            member
        };
        let partition = TopicPartition::new("a", 0);
        let owner = |members: &[Member]| claims(members, |m| &m.owned).get(&partition).copied();
        assert_eq!(owner(&[claim("m1", 3), claim("m2", 4)]), Some(1));
        assert_eq!(owner(&[claim("m1", 4), claim("m2", 4)]), None);
        assert_eq!(owner(&[claim("m1", 4), claim("m2", 4), claim("m3", 5)]), Some(2));
    }
}
