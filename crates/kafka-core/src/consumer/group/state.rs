//! Where a member stands, and the table of the steps it may take. Knows no message and no time.

/// Where a group member stands; one list for both protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MemberState {
    /// Wants in; nothing is under way.
    Unjoined,
    /// Has asked to be let in (JoinGroup, or the first ConsumerGroupHeartbeat).
    Joining,
    /// Leads the generation and waits for the partitions of the group's topics (classic only).
    Assigning,
    /// Waits for its part (SyncGroup, classic only).
    Syncing,
    /// Has its part; heartbeats keep it.
    Stable,
    /// Has told its user to give partitions up and waits for the word; heartbeats go on.
    Revoking,
    /// Left because its user took no records for `max.poll.interval.ms`; comes back when the user does.
    Away,
    /// Is saying good-bye.
    Leaving,
    /// Is out. Final.
    Left,
    /// Cannot be a member. Final.
    Failed,
}

use MemberState::{Assigning, Away, Failed, Joining, Leaving, Left, Revoking, Stable, Syncing, Unjoined};

impl MemberState {
    /// The states that may follow this one.
    pub(crate) const fn successors(self) -> &'static [Self] {
        match self {
            Unjoined => &[Joining, Revoking, Away, Leaving, Left, Failed],
            Joining => &[Unjoined, Assigning, Syncing, Stable, Revoking, Away, Leaving, Left, Failed],
            Assigning => &[Unjoined, Syncing, Away, Leaving, Left, Failed],
            Syncing => &[Unjoined, Stable, Revoking, Away, Leaving, Left, Failed],
            Stable => &[Unjoined, Revoking, Away, Leaving, Left, Failed],
            Revoking => &[Unjoined, Stable, Away, Leaving, Left, Failed],
            Away => &[Unjoined, Leaving, Left, Failed],
            Leaving => &[Left],
            Left | Failed => &[],
        }
    }

    /// Whether the step to `next` is in the table. Staying is always allowed.
    pub(crate) fn may_become(self, next: Self) -> bool {
        self == next || self.successors().contains(&next)
    }

    /// Whether nothing will follow.
    pub(crate) fn is_final(self) -> bool {
        self.successors().is_empty()
    }

    /// Whether the coordinator counts this member in, so that heartbeats are due.
    pub(crate) fn is_in_group(self) -> bool {
        matches!(self, Assigning | Syncing | Stable | Revoking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [MemberState; 10] =
        [Unjoined, Joining, Assigning, Syncing, Stable, Revoking, Away, Leaving, Left, Failed];

    #[test]
    fn every_state_that_is_not_final_can_leave() {
        for state in ALL.into_iter().filter(|state| !state.is_final()) {
            assert!(state.may_become(Left), "{state:?}");
        }
    }

    #[test]
    fn every_state_in_the_group_can_be_thrown_out_and_start_over() {
        for state in ALL.into_iter().filter(|state| state.is_in_group()) {
            assert!(state.may_become(Unjoined), "{state:?}");
        }
    }

    #[test]
    fn from_every_state_a_member_can_become_stable_unless_it_is_going() {
        let reaches = |from: MemberState| {
            let mut seen = vec![from];
            let mut at = 0;
            while at < seen.len() {
                let fresh: Vec<_> =
                    seen[at].successors().iter().filter(|next| !seen.contains(next)).copied().collect();
                seen.extend(fresh);
                at += 1;
            }
            seen.contains(&Stable)
        };
        for state in ALL {
            assert_eq!(reaches(state), !matches!(state, Leaving | Left | Failed), "{state:?}");
        }
    }
}
