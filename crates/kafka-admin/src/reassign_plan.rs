//! Where replicas shall be so that little has to move: those on brokers that stay are kept, missing ones go to the
//! broker that has the fewest, first to racks the partition has no replica in. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kafka_core::TopicPartition;

/// Replicas of each partition by node id, the preferred leader first.
pub(crate) type Placement = BTreeMap<TopicPartition, Vec<i32>>;

/// Who may hold replicas: node id to rack.
pub(crate) type Brokers = BTreeMap<i32, Option<String>>;

/// The new placement. `replication_factor` of `None` keeps each partition's; with `balance`, replicas also move from the
/// fullest to the emptiest broker until they differ by one at most.
pub(crate) fn plan(
    current: &Placement,
    brokers: &Brokers,
    replication_factor: Option<usize>,
    balance: bool,
) -> Placement {
    let mut next: Placement = current
        .iter()
        .map(|(key, replicas)| {
            let kept = replicas.iter().copied().filter(|id| brokers.contains_key(id)).collect();
            (key.clone(), kept)
        })
        .collect();
    let keys: Vec<_> = current.keys().cloned().collect();
    for key in &keys {
        let wanted = replication_factor.unwrap_or(current[key].len()).min(brokers.len());
        let mut replicas = next.remove(key).unwrap_or_default();
        replicas.truncate(wanted);
        while replicas.len() < wanted {
            let Some(id) = best(brokers, &next, &replicas) else { break };
            replicas.push(id);
        }
        next.insert(key.clone(), replicas);
    }
    if balance {
        level(&mut next, brokers);
    }
    next
}

/// How many replicas each broker holds.
fn loads(brokers: &Brokers, placement: &Placement) -> BTreeMap<i32, usize> {
    let mut loads: BTreeMap<i32, usize> = brokers.keys().map(|id| (*id, 0)).collect();
    for id in placement.values().flatten() {
        *loads.entry(*id).or_default() += 1;
    }
    loads
}

/// The broker for one more replica: a rack that has none yet, then the fewest replicas, then the lowest id.
fn best(brokers: &Brokers, placement: &Placement, replicas: &[i32]) -> Option<i32> {
    let racks: BTreeSet<_> = replicas.iter().filter_map(|id| brokers.get(id)?.as_ref()).collect();
    let loads = loads(brokers, placement);
    let free = brokers.iter().filter(|(id, _)| !replicas.contains(id));
    let rank = |(id, rack): &(&i32, &Option<String>)| {
        let same_rack = rack.as_ref().is_some_and(|rack| racks.contains(rack));
        (same_rack, loads.get(*id).copied().unwrap_or(0), **id)
    };
    free.min_by_key(rank).map(|(id, _)| *id)
}

/// Moves single replicas from the fullest to the emptiest broker while that evens them out.
fn level(placement: &mut Placement, brokers: &Brokers) {
    loop {
        let loads = loads(brokers, placement);
        let (Some((full, most)), Some((empty, least))) =
            (loads.iter().max_by_key(|(_, load)| **load), loads.iter().min_by_key(|(_, load)| **load))
        else {
            return;
        };
        if most - least <= 1 {
            return;
        }
        let movable =
            placement.values_mut().find(|replicas| replicas.contains(full) && !replicas.contains(empty));
        let Some(replicas) = movable else { return };
        for id in replicas.iter_mut().filter(|id| **id == *full) {
            *id = *empty;
        }
    }
}

/// How many replicas the plan creates anew: what has to be copied over the network.
pub(crate) fn moved(current: &[i32], next: &[i32]) -> usize {
    next.iter().filter(|id| !current.contains(id)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(replicas: &[&[i32]]) -> Placement {
        let entry = |(index, ids): (usize, &&[i32])| (TopicPartition::new("t", index as i32), ids.to_vec());
        replicas.iter().enumerate().map(entry).collect()
    }

    fn brokers(ids: &[i32]) -> Brokers {
        ids.iter().map(|id| (*id, None)).collect()
    }

    fn moves(current: &Placement, next: &Placement) -> usize {
        current.iter().map(|(key, ids)| moved(ids, &next[key])).sum()
    }

    #[test]
    fn what_is_well_placed_does_not_move() {
        let current = placement(&[&[1, 2], &[2, 3], &[3, 1]]);
        assert_eq!(plan(&current, &brokers(&[1, 2, 3]), None, true), current);
    }

    #[test]
    fn only_the_replicas_of_a_broker_that_goes_are_moved() {
        let current = placement(&[&[1, 2], &[2, 3], &[3, 1]]);
        let next = plan(&current, &brokers(&[1, 2, 4]), None, false);
        assert_eq!(moves(&current, &next), 2);
        assert!(next.values().flatten().all(|id| *id != 3));
    }

    #[test]
    fn more_replicas_keep_those_there_are_and_their_leader() {
        let current = placement(&[&[1], &[2]]);
        let next = plan(&current, &brokers(&[1, 2, 3]), Some(3), false);
        assert!(next.values().all(|ids| ids.iter().collect::<BTreeSet<_>>().len() == 3));
        assert_eq!(next.values().map(|ids| ids[0]).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_new_replica_goes_to_a_rack_that_has_none() {
        let racks = [(1, "a"), (2, "a"), (3, "b")];
        let brokers = racks.into_iter().map(|(id, rack)| (id, Some(rack.to_owned()))).collect();
        assert_eq!(plan(&placement(&[&[1]]), &brokers, Some(2), false), placement(&[&[1, 3]]));
    }

    #[test]
    fn balancing_fills_an_empty_broker() {
        let current = placement(&[&[1], &[1], &[1], &[1]]);
        let next = plan(&current, &brokers(&[1, 2]), None, true);
        assert_eq!(moves(&current, &next), 2);
    }

    #[test]
    fn no_partition_gets_two_replicas_on_one_broker() {
        let current = placement(&[&[1, 2], &[1, 2], &[1, 2], &[1, 2], &[1, 2], &[1, 2]]);
        let next = plan(&current, &brokers(&[1, 2, 3]), None, true);
        assert!(next.values().all(|ids| ids[0] != ids[1]), "{next:?}");
    }
}
