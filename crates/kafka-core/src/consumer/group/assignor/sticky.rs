//! `sticky` and `cooperative-sticky`: balanced first, and then as little as possible moves.
//!
//! Balanced means: no member could take a partition from another one and still have fewer than that one. Where all
//! members subscribe to the same topics, the parts then differ by one at most. Java's, librdkafka's and franz-go's
//! assignors promise the same two things; which partition goes where differs between them, and may: one leader decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Member, Parts, Topics, claims, sorted};
use crate::TopicPartition;

pub(super) fn assign(members: &[Member], topics: &Topics) -> Parts {
    let mut table = Table::new(sorted(members), topics);
    table.keep_what_was(members);
    table.place_the_rest();
    while table.move_one() {}
    table.into_parts()
}

/// The assignment under construction; members and topics are indices.
struct Table<'a> {
    members: Vec<&'a Member>,
    topics: Vec<(&'a Arc<str>, usize)>,
    /// The subscribers of each topic.
    readers: Vec<Vec<usize>>,
    /// For each member, its partitions by topic.
    parts: Vec<BTreeMap<usize, BTreeSet<i32>>>,
    /// How many partitions each member has.
    loads: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(members: Vec<&'a Member>, topics: &'a Topics) -> Self {
        let readers_of = |topic: &Arc<str>| {
            (0..members.len()).filter(|index| members[*index].topics.contains(topic)).collect::<Vec<_>>()
        };
        let (topics, readers) = topics
            .iter()
            .map(|(name, partitions)| ((name, partitions.len()), readers_of(name)))
            .filter(|(_, readers)| !readers.is_empty())
            .unzip();
        let parts = vec![BTreeMap::new(); members.len()];
        Self { loads: vec![0; members.len()], members, topics, readers, parts }
    }

    fn give(&mut self, member: usize, topic: usize, number: i32) {
        if self.parts[member].entry(topic).or_default().insert(number) {
            self.loads[member] += 1;
        }
    }

    /// Everybody keeps what it has a right to and still subscribes to.
    fn keep_what_was(&mut self, members: &[Member]) {
        let claimed = |member: &'_ Member| -> Vec<TopicPartition> {
            if member.owned.is_empty() { member.previous.clone() } else { member.owned.clone() }
        };
        let claimers: Vec<_> =
            members.iter().map(|member| Member { owned: claimed(member), ..member.clone() }).collect();
        for (partition, owner) in claims(&claimers, |member| &member.owned) {
            let id = &claimers[owner].id;
            let topic = self.topics.iter().position(|(name, count)| {
                **name == partition.topic && usize::try_from(partition.partition).is_ok_and(|n| n < *count)
            });
            let member = self.members.iter().position(|member| member.id == *id);
            if let (Some(topic), Some(member)) = (topic, member)
                && self.readers[topic].contains(&member)
            {
                self.give(member, topic, partition.partition);
            }
        }
    }

    fn lightest_reader(&self, topic: usize) -> Option<usize> {
        self.readers[topic].iter().copied().min_by_key(|member| (self.loads[*member], *member))
    }

    /// What nobody has goes to the member with the least that reads it; topics with few readers first, since they have
    /// the least choice.
    fn place_the_rest(&mut self) {
        let mut order: Vec<_> = (0..self.topics.len()).collect();
        order.sort_by_key(|topic| self.readers[*topic].len());
        for topic in order {
            let taken: BTreeSet<_> =
                self.parts.iter().filter_map(|part| part.get(&topic)).flatten().copied().collect();
            for number in (0..).take(self.topics[topic].1).filter(|number| !taken.contains(number)) {
                if let Some(member) = self.lightest_reader(topic) {
                    self.give(member, topic, number);
                }
            }
        }
    }

    /// Moves one partition from a member to one that has at least two fewer. Every move makes the loads more even, so
    /// there is a last one.
    fn move_one(&mut self) -> bool {
        let mut by_load: Vec<_> = (0..self.members.len()).collect();
        by_load.sort_by_key(|member| std::cmp::Reverse(self.loads[*member]));
        for from in by_load {
            let target = |topic: usize| {
                let to = self.lightest_reader(topic)?;
                (self.loads[to] + 1 < self.loads[from]).then_some((self.loads[to], topic, to))
            };
            let held = self.parts[from].iter().filter(|(_, numbers)| !numbers.is_empty());
            let Some((_, topic, to)) = held.filter_map(|(topic, _)| target(*topic)).min() else { continue };
            if let Some(number) = self.parts[from].get_mut(&topic).and_then(BTreeSet::pop_last) {
                self.loads[from] -= 1;
                self.give(to, topic, number);
                return true;
            }
        }
        false
    }

    fn into_parts(self) -> Parts {
        let Self { members, topics, parts, .. } = self;
        let part = |(member, part): (&Member, BTreeMap<usize, BTreeSet<i32>>)| {
            let named = part.into_iter().flat_map(|(topic, numbers)| {
                let name = Arc::clone(topics[topic].0);
                numbers.into_iter().map(move |number| TopicPartition::new(Arc::clone(&name), number))
            });
            (Arc::clone(&member.id), named.collect())
        };
        members.into_iter().zip(parts).map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::super::tests::{member, own, shown, topics};
    use super::*;

    #[test]
    fn a_newcomer_gets_its_share_and_nothing_else_moves() {
        let mut m1 = member("m1", &["a"]);
        (m1.owned, m1.generation) = (own("a", &[0, 2, 4]), 1);
        let mut m2 = member("m2", &["a"]);
        (m2.owned, m2.generation) = (own("a", &[1, 3, 5]), 1);
        let parts = assign(&[m1, m2, member("m3", &["a"])], &topics(&[("a", 6)]));
        assert_eq!(shown(&parts), "m1=a[0],a[2] m2=a[1],a[3] m3=a[4],a[5]");
    }

    #[test]
    fn what_a_member_left_behind_goes_to_those_that_have_least() {
        let mut m1 = member("m1", &["a"]);
        (m1.previous, m1.generation) = (own("a", &[0, 1, 2]), 1);
        let parts = assign(&[m1, member("m2", &["a"])], &topics(&[("a", 5)]));
        assert_eq!(shown(&parts), "m1=a[0],a[1],a[2] m2=a[3],a[4]");
    }

    #[test]
    fn unlike_subscriptions_are_balanced_as_far_as_they_allow() {
        let members = [member("m1", &["a"]), member("m2", &["a", "b"])];
        let parts = assign(&members, &topics(&[("a", 2), ("b", 2)]));
        assert_eq!(shown(&parts), "m1=a[0],a[1] m2=b[0],b[1]");
    }

    /// Some members with some subscriptions, after an earlier assignment of which some have gone.
    fn groups() -> impl Strategy<Value = (Vec<Member>, Topics)> {
        let subscription = proptest::collection::btree_set(0_usize..3, 1..=3);
        (
            proptest::collection::vec(subscription, 1..7),
            proptest::collection::vec(0_usize..9, 3),
            proptest::collection::vec((0_usize..7, 0_usize..3, 0_i32..9), 0..30),
        )
            .prop_map(|(subscriptions, counts, held)| {
                let names = ["a", "b", "c"];
                let mut members: Vec<_> = (0..)
                    .zip(&subscriptions)
                    .map(|(index, picks)| {
                        let picked: Vec<_> = picks.iter().map(|pick| names[*pick]).collect();
                        Member { generation: index % 2, ..member(&format!("m{index}"), &picked) }
                    })
                    .collect();
                for (who, topic, number) in held {
                    let count = members.len();
                    members[who % count].owned.push(TopicPartition::new(names[topic], number));
                }
                let counts: Vec<_> = names.into_iter().zip(counts).collect();
                (members, topics(&counts))
            })
    }

    proptest! {
        #[test]
        fn every_partition_with_a_reader_is_read_by_exactly_one_subscriber((members, topics) in groups()) {
            let parts = assign(&members, &topics);
            let mut seen = HashSet::new();
            for member in &members {
                for partition in &parts[&member.id] {
                    prop_assert!(member.topics.contains(&partition.topic));
                    prop_assert!(seen.insert(partition.clone()), "{partition} twice");
                }
            }
            let wanted = |name: &Arc<str>| members.iter().any(|member| member.topics.contains(name));
            let expected: usize = topics.iter().filter(|(name, _)| wanted(name)).map(|(_, p)| p.len()).sum();
            prop_assert_eq!(seen.len(), expected);
        }

        #[test]
        fn nobody_could_take_a_partition_and_still_have_less((members, topics) in groups()) {
            let parts = assign(&members, &topics);
            for poor in &members {
                for rich in &members {
                    let takes = parts[&rich.id].iter().any(|partition| poor.topics.contains(&partition.topic));
                    prop_assert!(!takes || parts[&poor.id].len() + 1 >= parts[&rich.id].len());
                }
            }
        }

        #[test]
        fn a_balanced_assignment_stays_as_it_is((members, topics) in groups()) {
            let first = assign(&members, &topics);
            let again: Vec<_> = members
                .iter()
                .map(|member| Member { owned: first[&member.id].clone(), generation: 9, ..member.clone() })
                .collect();
            prop_assert_eq!(assign(&again, &topics), first);
        }
    }
}
