//! `range`, partition for partition as Apache Kafka's Java client assigns it: per topic, each member gets neighbouring
//! partitions, the first members one more where it does not come out even. Where members and replicas name racks and
//! not every partition is on every rack, partitions go to members in the same rack first (KIP-881).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Member, Parts, Racks, Topics, empty_parts, sorted};
use crate::TopicPartition;

pub(super) fn assign(members: &[Member], topics: &Topics) -> Parts {
    let members_in_order = sorted(members);
    let mut shares: Vec<_> =
        topics.iter().filter_map(|(name, racks)| Share::new(name, racks, &members_in_order)).collect();
    let mut parts = empty_parts(members);
    if shares.iter().any(|share| share.minds_racks) {
        match_racks(&mut shares, &mut parts);
    }
    for share in &mut shares {
        share.hand_out(&mut parts, |_, _| true);
    }
    for part in parts.values_mut() {
        part.sort();
    }
    parts
}

/// One topic being shared out.
struct Share<'a> {
    topic: &'a Arc<str>,
    racks: &'a [Racks],
    members: Vec<&'a Member>,
    /// How many each member has got, in the order of `members`.
    given: Vec<usize>,
    free: BTreeSet<usize>,
    each: usize,
    /// How many members may still get one more than `each`.
    extras: usize,
    minds_racks: bool,
}

impl<'a> Share<'a> {
    fn new(topic: &'a Arc<str>, racks: &'a [Racks], members: &[&'a Member]) -> Option<Self> {
        let members: Vec<_> =
            members.iter().filter(|member| member.topics.contains(topic)).copied().collect();
        if members.is_empty() || racks.is_empty() {
            return None;
        }
        let (each, extras) = (racks.len() / members.len(), racks.len() % members.len());
        let minds_racks = minds_racks(racks, &members);
        let (given, free) = (vec![0; members.len()], (0..racks.len()).collect());
        Some(Self { topic, racks, members, given, free, each, extras, minds_racks })
    }

    fn room(&self, member: usize) -> usize {
        (self.each + usize::from(self.extras > 0)).saturating_sub(self.given[member])
    }

    fn is_near(&self, member: usize, partition: usize) -> bool {
        self.members[member].rack.as_ref().is_none_or(|rack| self.racks[partition].contains(rack))
    }

    fn give(&mut self, member: usize, partitions: &[usize], parts: &mut Parts) {
        self.given[member] += partitions.len();
        if self.given[member] > self.each {
            self.extras -= 1;
        }
        let part = parts.entry(Arc::clone(&self.members[member].id)).or_default();
        for partition in partitions {
            self.free.remove(partition);
            let number = i32::try_from(*partition).unwrap_or(i32::MAX);
            part.push(TopicPartition::new(Arc::clone(self.topic), number));
        }
    }

    fn hand_out(&mut self, parts: &mut Parts, allowed: impl Fn(&Self, (usize, usize)) -> bool) {
        for member in 0..self.members.len() {
            let fits = |partition: &usize| allowed(self, (member, *partition));
            let chosen: Vec<_> = self.free.iter().copied().filter(fits).take(self.room(member)).collect();
            if !chosen.is_empty() {
                self.give(member, &chosen, parts);
            }
        }
    }
}

/// Racks matter where members and replicas have some in common, and not every partition is in all of them anyway.
fn minds_racks(racks: &[Racks], members: &[&Member]) -> bool {
    let everywhere: Racks = racks.iter().flatten().cloned().collect();
    let is_shared = members.iter().filter_map(|member| member.rack.as_ref()).any(|r| everywhere.contains(r));
    is_shared && racks.iter().any(|one| *one != everywhere)
}

/// Hands out what fits by rack. Topics with the same members and as many partitions stay together, number by number.
fn match_racks(shares: &mut [Share<'_>], parts: &mut Parts) {
    let mut alike = BTreeMap::<(Vec<Arc<str>>, usize), Vec<usize>>::new();
    for (index, share) in shares.iter().enumerate() {
        let ids = share.members.iter().map(|member| Arc::clone(&member.id)).collect();
        alike.entry((ids, share.racks.len())).or_default().push(index);
    }
    for group in alike.into_values() {
        match group[..] {
            [one] if !shares[one].minds_racks => {}
            [one] => shares[one].hand_out(parts, |share, (member, number)| share.is_near(member, number)),
            _ => match_racks_together(shares, &group, parts),
        }
    }
}

fn match_racks_together(shares: &mut [Share<'_>], group: &[usize], parts: &mut Parts) {
    let (members, numbers) = (shares[group[0]].members.len(), shares[group[0]].racks.len());
    for number in 0..numbers {
        let fits = |member: &usize| {
            group
                .iter()
                .all(|topic| shares[*topic].is_near(*member, number) && shares[*topic].room(*member) > 0)
        };
        if let Some(member) = (0..members).find(fits) {
            for topic in group {
                shares[*topic].give(member, &[number], parts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{member, shown, topics};
    use super::*;

    #[test]
    fn the_first_members_get_one_more_where_it_does_not_come_out_even() {
        let members = [member("c", &["a"]), member("a", &["a"]), member("b", &["a"])];
        let parts = assign(&members, &topics(&[("a", 7)]));
        assert_eq!(shown(&parts), "a=a[0],a[1],a[2] b=a[3],a[4] c=a[5],a[6]");
    }

    #[test]
    fn the_same_numbers_of_several_topics_go_together() {
        let members = [member("m1", &["a", "b"]), member("m2", &["a", "b"])];
        let parts = assign(&members, &topics(&[("a", 3), ("b", 3)]));
        assert_eq!(shown(&parts), "m1=a[0],a[1],b[0],b[1] m2=a[2],b[2]");
    }

    #[test]
    fn only_subscribers_of_a_topic_share_it() {
        let members = [member("m1", &["a"]), member("m2", &["a", "b"]), member("m3", &["c"])];
        let parts = assign(&members, &topics(&[("a", 2), ("b", 2)]));
        assert_eq!(shown(&parts), "m1=a[0] m2=a[1],b[0],b[1] m3=");
    }

    #[test]
    fn static_members_come_first_by_their_names() {
        let mut with_name = member("z", &["a"]);
        with_name.instance_id = Some("i".into());
        let parts = assign(&[member("a", &["a"]), with_name], &topics(&[("a", 3)]));
        assert_eq!(shown(&parts), "a=a[2] z=a[0],a[1]");
    }

    fn in_rack(id: &str, rack: &str, names: &[&str]) -> Member {
        Member { rack: Some(rack.into()), ..member(id, names) }
    }

    fn on_racks(placement: &[&[&str]]) -> Vec<Racks> {
        placement.iter().map(|racks| racks.iter().map(|rack| Arc::from(*rack)).collect()).collect()
    }

    #[test]
    fn partitions_go_to_members_in_the_same_rack_as_far_as_balance_allows() {
        let placed = on_racks(&[&["r2"], &["r1"], &["r2"], &["r1"], &["r2"]]);
        let topics = Topics::from([("a".into(), placed)]);
        let parts = assign(&[in_rack("m1", "r1", &["a"]), in_rack("m2", "r2", &["a"])], &topics);
        assert_eq!(shown(&parts), "m1=a[1],a[3] m2=a[0],a[2],a[4]");
    }

    #[test]
    fn racks_do_not_matter_where_every_partition_is_in_all_of_them() {
        let topics = Topics::from([("a".into(), on_racks(&[&["r1", "r2"], &["r1", "r2"]]))]);
        let parts = assign(&[in_rack("m1", "r2", &["a"]), in_rack("m2", "r1", &["a"])], &topics);
        assert_eq!(shown(&parts), "m1=a[0] m2=a[1]");
    }

    #[test]
    fn topics_that_belong_together_stay_together_by_rack() {
        let placed = || on_racks(&[&["r2"], &["r1"]]);
        let topics = Topics::from([("a".into(), placed()), ("b".into(), placed())]);
        let members = [in_rack("m1", "r1", &["a", "b"]), in_rack("m2", "r2", &["a", "b"])];
        assert_eq!(shown(&assign(&members, &topics)), "m1=a[1],b[1] m2=a[0],b[0]");
    }
}
