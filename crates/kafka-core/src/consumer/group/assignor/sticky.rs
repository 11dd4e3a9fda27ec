//! `sticky` and `cooperative-sticky`: balanced first, and then as little as possible moves.
//!
//! Balanced means: no member could take a partition from another one and still have fewer than that one. Where all
//! members subscribe to the same topics, the parts then differ by one at most. Java's, librdkafka's and franz-go's
//! assignors promise the same two things; which partition goes where differs between them, and may: one leader decides.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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

/// The assignment under construction; members, topics and audiences are indices.
struct Table<'a> {
    members: Vec<&'a Member>,
    topics: Vec<(&'a Arc<str>, usize)>,
    /// The different sets of members that read some topic: most often there is one.
    audiences: Vec<Vec<usize>>,
    /// The audience of each topic.
    audience_of: Vec<usize>,
    /// For each member, its partitions by topic; no topic without partitions.
    parts: Vec<BTreeMap<usize, BTreeSet<i32>>>,
    /// How many partitions each member has.
    loads: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(members: Vec<&'a Member>, topics: &'a Topics) -> Self {
        let readers_of = |topic: &Arc<str>| {
            (0..members.len()).filter(|index| members[*index].topics.contains(topic)).collect::<Vec<_>>()
        };
        let (mut known, mut audiences) = (HashMap::new(), Vec::new());
        let (mut read, mut audience_of) = (Vec::new(), Vec::new());
        for (name, partitions) in topics {
            let readers = readers_of(name);
            if readers.is_empty() {
                continue;
            }
            read.push((name, partitions.len()));
            audience_of.push(*known.entry(readers).or_insert_with_key(|readers: &Vec<usize>| {
                audiences.push(readers.clone());
                audiences.len() - 1
            }));
        }
        let (parts, loads) = (vec![BTreeMap::new(); members.len()], vec![0; members.len()]);
        Self { members, topics: read, audiences, audience_of, parts, loads }
    }

    fn give(&mut self, member: usize, topic: usize, number: i32) {
        if self.parts[member].entry(topic).or_default().insert(number) {
            self.loads[member] += 1;
        }
    }

    /// Everybody keeps what it has a right to and still subscribes to.
    fn keep_what_was(&mut self, members: &[Member]) {
        let topics: HashMap<&str, (usize, usize)> = self
            .topics
            .iter()
            .enumerate()
            .map(|(index, (name, count))| (&***name, (index, *count)))
            .collect();
        let indices: HashMap<&str, usize> =
            self.members.iter().enumerate().map(|(index, member)| (&*member.id, index)).collect();
        let claimed =
            claims(members, |member| if member.owned.is_empty() { &member.previous } else { &member.owned });
        for (partition, owner) in claimed {
            let Some((topic, count)) = topics.get(&*partition.topic).copied() else { continue };
            let member = indices[&*members[owner].id];
            let exists = usize::try_from(partition.partition).is_ok_and(|number| number < count);
            if exists && self.members[member].topics.contains(&partition.topic) {
                self.give(member, topic, partition.partition);
            }
        }
    }

    /// The member with the least of those that read what this audience reads.
    fn lightest(&self, audience: usize) -> Option<usize> {
        self.audiences[audience].iter().copied().min_by_key(|member| (self.loads[*member], *member))
    }

    /// What nobody has goes to the member with the least that reads it; topics with few readers first, since they have
    /// the least choice.
    fn place_the_rest(&mut self) {
        let mut order: Vec<_> = (0..self.topics.len()).collect();
        order.sort_by_key(|topic| self.audiences[self.audience_of[*topic]].len());
        for topic in order {
            let taken: BTreeSet<_> =
                self.parts.iter().filter_map(|part| part.get(&topic)).flatten().copied().collect();
            for number in (0..).take(self.topics[topic].1).filter(|number| !taken.contains(number)) {
                if let Some(member) = self.lightest(self.audience_of[topic]) {
                    self.give(member, topic, number);
                }
            }
        }
    }

    /// Moves one partition from a member to one that has at least two fewer. Every move makes the loads more even, so
    /// there is a last one.
    fn move_one(&mut self) -> bool {
        let lightest: Vec<_> = (0..self.audiences.len()).map(|audience| self.lightest(audience)).collect();
        let mut by_load: Vec<_> = (0..self.members.len()).collect();
        by_load.sort_by_key(|member| std::cmp::Reverse(self.loads[*member]));
        for from in by_load {
            let target = |topic: usize| {
                let to = lightest[self.audience_of[topic]]?;
                (self.loads[to] + 1 < self.loads[from]).then_some((self.loads[to], topic, to))
            };
            let best = self.parts[from].keys().filter_map(|topic| target(*topic)).min();
            if let Some((_, topic, to)) = best
                && let Some(number) = self.take(from, topic)
            {
                self.give(to, topic, number);
                return true;
            }
        }
        false
    }

    /// Takes the last partition of the topic from a member.
    fn take(&mut self, from: usize, topic: usize) -> Option<i32> {
        let held = self.parts[from].get_mut(&topic)?;
        let number = held.pop_last()?;
        if held.is_empty() {
            self.parts[from].remove(&topic);
        }
        self.loads[from] -= 1;
        Some(number)
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

    #[test]
    fn ten_thousand_partitions_move_to_fifty_new_members_out_of_a_hundred_in_no_time() {
        let names: Vec<_> = (0..1000).map(|number| format!("t{number:03}")).collect();
        let subscribed: Vec<_> = names.iter().map(String::as_str).collect();
        let counts: Vec<_> = subscribed.iter().map(|name| (*name, 10)).collect();
        let topics = topics(&counts);
        let group =
            |count: usize| (0..count).map(|n| member(&format!("m{n:02}"), &subscribed)).collect::<Vec<_>>();
        let started = std::time::Instant::now();
        let before = assign(&group(50), &topics);
        let mut members = group(100);
        for old in &mut members[..50] {
            (old.owned, old.generation) = (before[&old.id].clone(), 1);
        }
        let after = assign(&members, &topics);
        // A second on a quiet machine without optimisation; minutes when every move looked at all topics.
        assert!(started.elapsed() < std::time::Duration::from_secs(60), "{:?}", started.elapsed());
        assert!(after.values().all(|part| part.len() == 100));
        let kept = |old: &Member| after[&old.id].iter().all(|partition| before[&old.id].contains(partition));
        assert!(members[..50].iter().all(kept), "nobody swaps");
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
