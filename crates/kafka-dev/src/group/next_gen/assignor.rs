//! The server-side assignors of KIP-848: `uniform` (even and sticky) and `range`. Pure functions.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// A partition by topic id and index.
pub(crate) type Slot = (Uuid, i32);
/// Topics by name: id and number of partitions.
pub(crate) type Topics = BTreeMap<String, (Uuid, usize)>;

/// Which partitions each member should have.
pub(crate) type Target = BTreeMap<String, BTreeSet<Slot>>;

/// How partitions are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assignor {
    Uniform,
    Range,
}

impl Assignor {
    /// By the name clients use.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// Shares out the partitions of what each member is subscribed to.
    pub(crate) fn assign(
        self,
        subscriptions: &BTreeMap<String, BTreeSet<String>>,
        topics: &Topics,
        before: &Target,
    ) -> Target {
        match self {
            Self::Uniform => uniform(subscriptions, topics, before),
            Self::Range => range(subscriptions, topics),
        }
    }
}

fn slots(id: Uuid, partitions: usize) -> impl Iterator<Item = Slot> {
    (0..).take(partitions).map(move |index| (id, index))
}

/// Contiguous partitions of each topic, the first members get one more.
fn range(subscriptions: &BTreeMap<String, BTreeSet<String>>, topics: &Topics) -> Target {
    let mut target: Target = subscriptions.keys().map(|member| (member.clone(), BTreeSet::new())).collect();
    for (name, (id, partitions)) in topics {
        let readers: Vec<&String> = subscriptions
            .iter()
            .filter(|(_, names)| names.contains(name))
            .map(|(member, _)| member)
            .collect();
        let mut all = slots(*id, *partitions);
        for (at, member) in readers.iter().enumerate() {
            let share = partitions / readers.len() + usize::from(at < partitions % readers.len());
            target.entry((*member).clone()).or_default().extend(all.by_ref().take(share));
        }
    }
    target
}

/// Everyone keeps what it had, the rest goes to whoever has least, then the load is evened out.
fn uniform(subscriptions: &BTreeMap<String, BTreeSet<String>>, topics: &Topics, before: &Target) -> Target {
    let mut readers: BTreeMap<Slot, Vec<&str>> = BTreeMap::new();
    for (name, (id, partitions)) in topics {
        let interested = subscriptions.iter().filter(|(_, names)| names.contains(name));
        let interested: Vec<&str> = interested.map(|(member, _)| member.as_str()).collect();
        if !interested.is_empty() {
            readers.extend(slots(*id, *partitions).map(|slot| (slot, interested.clone())));
        }
    }
    let mut owner: BTreeMap<Slot, &str> = BTreeMap::new();
    let mut load: BTreeMap<&str, usize> = subscriptions.keys().map(|member| (member.as_str(), 0)).collect();
    for (member, kept) in before {
        for slot in kept {
            let reads = readers.get(slot).and_then(|readers| readers.iter().find(|reader| *reader == member));
            if let Some(reader) = reads
                && !owner.contains_key(slot)
            {
                owner.insert(*slot, reader);
                *load.entry(reader).or_default() += 1;
            }
        }
    }
    for (slot, readers) in &readers {
        if !owner.contains_key(slot)
            && let Some(least) = least_loaded(readers, &load)
        {
            owner.insert(*slot, least);
            *load.entry(least).or_default() += 1;
        }
    }
    even_out(&readers, &mut owner, &mut load);
    let mut target: Target = subscriptions.keys().map(|member| (member.clone(), BTreeSet::new())).collect();
    for (slot, member) in owner {
        target.entry(member.to_owned()).or_default().insert(slot);
    }
    target
}

fn least_loaded<'a>(readers: &[&'a str], load: &BTreeMap<&str, usize>) -> Option<&'a str> {
    readers.iter().min_by_key(|reader| load.get(*reader).copied().unwrap_or(0)).copied()
}

/// Moves single partitions as long as that brings two members closer.
fn even_out<'a>(
    readers: &BTreeMap<Slot, Vec<&'a str>>,
    owner: &mut BTreeMap<Slot, &'a str>,
    load: &mut BTreeMap<&'a str, usize>,
) {
    let mut moved = true;
    while moved {
        moved = false;
        for (slot, member) in owner.iter_mut() {
            let Some(least) = readers.get(slot).and_then(|readers| least_loaded(readers, load)) else {
                continue;
            };
            let (has, would) =
                (load.get(member).copied().unwrap_or(0), load.get(least).copied().unwrap_or(0));
            if has > would + 1 {
                *load.entry(member).or_default() -= 1;
                *load.entry(least).or_default() += 1;
                *member = least;
                moved = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn topic(partitions: usize) -> Topics {
        BTreeMap::from([("t".to_owned(), (Uuid::from_u128(1), partitions))])
    }

    fn members(count: usize) -> BTreeMap<String, BTreeSet<String>> {
        (0..count).map(|n| (format!("m{n}"), BTreeSet::from(["t".to_owned()]))).collect()
    }

    fn sizes(target: &Target) -> Vec<usize> {
        target.values().map(BTreeSet::len).collect()
    }

    #[test]
    fn range_gives_the_first_members_one_more() {
        let target = Assignor::Range.assign(&members(3), &topic(7), &Target::new());
        assert_eq!(sizes(&target), [3, 2, 2]);
    }

    #[test]
    fn uniform_keeps_what_it_can() {
        let before = Assignor::Uniform.assign(&members(2), &topic(6), &Target::new());
        let after = Assignor::Uniform.assign(&members(3), &topic(6), &before);
        let kept: usize =
            before.iter().map(|(member, slots)| slots.intersection(&after[member]).count()).sum();
        assert_eq!((sizes(&after), kept), (vec![2, 2, 2], 4));
    }

    proptest! {
        #[test]
        fn every_partition_goes_to_one_member_and_loads_differ_by_one_at_most(
            counts in proptest::collection::vec(1usize..6, 1..5),
            partitions in 0usize..20,
        ) {
            let mut before = Target::new();
            for count in counts {
                let target = Assignor::Uniform.assign(&members(count), &topic(partitions), &before);
                let sizes = sizes(&target);
                prop_assert_eq!(sizes.iter().sum::<usize>(), partitions);
                let spread = sizes.iter().max().unwrap() - sizes.iter().min().unwrap();
                prop_assert!(spread <= 1);
                before = target;
            }
        }
    }
}
