//! `roundrobin`: all partitions of all topics in order, each to the next member that subscribes to its topic, as Apache
//! Kafka's Java client does it.

use std::sync::Arc;

use super::{Member, Parts, Topics, empty_parts, sorted};
use crate::TopicPartition;

pub(super) fn assign(members: &[Member], topics: &Topics) -> Parts {
    let in_order = sorted(members);
    let mut parts = empty_parts(members);
    let mut turn = 0;
    for (topic, partitions) in topics {
        for number in (0..).take(partitions.len()) {
            let reads = |step: &usize| in_order[(turn + step) % in_order.len()].topics.contains(topic);
            let Some(step) = (0..in_order.len()).find(reads) else { break };
            let chosen = (turn + step) % in_order.len();
            turn = chosen + 1;
            let part = parts.entry(Arc::clone(&in_order[chosen].id)).or_default();
            part.push(TopicPartition::new(Arc::clone(topic), number));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::tests::{member, shown, topics};
    use super::*;

    #[test]
    fn partitions_go_round_over_the_borders_of_topics() {
        let members = [member("m1", &["a", "b"]), member("m2", &["a", "b"])];
        let parts = assign(&members, &topics(&[("a", 3), ("b", 3)]));
        assert_eq!(shown(&parts), "m1=a[0],a[2],b[1] m2=a[1],b[0],b[2]");
    }

    #[test]
    fn who_does_not_subscribe_is_passed_over() {
        let members = [member("m1", &["a"]), member("m2", &["a", "b"]), member("m3", &["a", "b", "c"])];
        let parts = assign(&members, &topics(&[("a", 1), ("b", 2), ("c", 3)]));
        assert_eq!(shown(&parts), "m1=a[0] m2=b[0] m3=b[1],c[0],c[1],c[2]");
    }

    #[test]
    fn a_topic_that_nobody_reads_stays_out() {
        let parts = assign(&[member("m1", &["a"])], &topics(&[("a", 1), ("z", 4)]));
        assert_eq!(shown(&parts), "m1=a[0]");
        assert!(assign(&[], &topics(&[("a", 1)])).is_empty());
    }
}
