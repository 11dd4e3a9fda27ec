//! What was printed how often, and which repetitions were to be expected.
//!
//! A record that is printed may be printed again by whoever reads on where the group stands, if its member was killed or
//! frozen before it had committed it, or printed it after having been frozen without knowing that it was thrown out.
//! Such a printing is excused, and so is one by a member that said at its end that it could not commit; where brokers come
//! to harm, also one by a member that was thrown out by a coordinator that had not heard it for the length of its session.
//! Of each record, one printing at most may be without excuse, and one at least there must be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::member::{Member, Said};

/// One record printed once.
#[derive(Debug, Clone, Copy)]
struct Printing {
    partition: i32,
    offset: i64,
    number: u32,
    excused: bool,
    /// Its member had been frozen for a session, and had heard of nothing since: it had this in hand before.
    in_hand: bool,
}

/// All that the members of a storm printed.
pub(crate) struct Account {
    /// By partition and offset.
    records: BTreeMap<(i32, i64), Vec<(usize, Printing)>>,
    numbers: BTreeSet<u32>,
}

impl Account {
    pub(crate) fn of(outputs: &[Vec<Said>]) -> Self {
        Self::of_all(outputs.iter().map(Vec::as_slice))
    }

    pub(crate) fn of_members(members: &[Member]) -> Self {
        Self::of_all(members.iter().map(Member::said))
    }

    fn of_all<'a>(outputs: impl Iterator<Item = &'a [Said]>) -> Self {
        let mut records = BTreeMap::<_, Vec<_>>::new();
        for (member, said) in outputs.enumerate() {
            for printing in printings(said) {
                let key = (printing.partition, printing.offset);
                records.entry(key).or_default().push((member + 1, printing));
            }
        }
        let numbers = records.values().flatten().map(|(_, printing)| printing.number).collect();
        Self { records, numbers }
    }

    /// How many of the sent records were printed.
    pub(crate) fn numbers(&self) -> usize {
        self.numbers.len()
    }

    pub(crate) fn missing(&self, sent: u32) -> Vec<u32> {
        (0..sent).filter(|number| !self.numbers.contains(number)).take(20).collect()
    }

    /// How many records were printed only by members that could not commit them, the last ones before the storm's end.
    pub(crate) fn open(&self) -> i64 {
        let is_open =
            |printings: &&Vec<(usize, Printing)>| printings.iter().all(|(_, printing)| printing.excused);
        i64::try_from(self.records.values().filter(is_open).count()).expect("a short storm")
    }

    /// # Panics
    /// Where a record is missing, or printed again without an excuse.
    pub(crate) fn check(&self, sent: u32) {
        assert_eq!(self.missing(sent), Vec::<u32>::new(), "never printed");
        let is_wrong = |printings: &&Vec<(usize, Printing)>| {
            printings.iter().filter(|(_, printing)| !printing.excused).count() > 1
        };
        let wrong: Vec<_> = self.records.values().filter(is_wrong).collect();
        let shown: Vec<_> = wrong.iter().take(10).collect();
        assert!(
            wrong.is_empty(),
            "{} records printed again without excuse, by member: {shown:#?}",
            wrong.len()
        );
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again: usize = self.records.values().map(|printings| printings.len() - 1).sum();
        let in_hand = self.records.values().flatten().filter(|(_, printing)| printing.in_hand).count();
        write!(f, "{} records printed, {again} printings more, all excused or named; ", self.records.len())?;
        write!(f, "{in_hand} after a standstill of a session, before their members heard that they were out")
    }
}

/// What one member printed.
fn printings(said: &[Said]) -> Vec<Printing> {
    let mut all: Vec<Printing> = Vec::new();
    // Printed and not committed, as indices into `all`.
    let mut open: Vec<usize> = Vec::new();
    // Frozen at some time, and not told yet what came of it.
    let mut is_dazed = false;
    // The same, for so long that it cannot be a member any more.
    let mut has_overslept = false;
    for one in said {
        match one {
            Said::Record { partition, offset, number } => {
                let (partition, offset, number) = (*partition, *offset, *number);
                open.push(all.len());
                all.push(Printing {
                    partition,
                    offset,
                    number,
                    excused: is_dazed,
                    in_hand: is_dazed && has_overslept,
                });
            }
            Said::Committed(offsets) => {
                is_dazed = false;
                open.retain(|index| {
                    let printing = &mut all[*index];
                    let is_covered = |(partition, next): &(i32, i64)| {
                        *partition == printing.partition && printing.offset < *next
                    };
                    let covered = offsets.iter().any(is_covered);
                    // Committed by whom it was printed: no excuse for anybody to print it again.
                    printing.excused &= !covered;
                    !covered
                });
            }
            Said::Moved => is_dazed = false,
            Said::Lost { is_excused } => {
                is_dazed = false;
                for index in open.drain(..) {
                    all[index].excused |= is_excused;
                }
            }
            Said::Thawed { overslept } => has_overslept = *overslept,
            Said::Harmed => {
                for index in open.drain(..) {
                    all[index].excused = true;
                }
                is_dazed = true;
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64) -> Said {
        Said::Record { partition: 0, offset, number: u32::try_from(offset).unwrap() }
    }

    fn excused(said: &[Said]) -> Vec<bool> {
        printings(said).iter().map(|printing| printing.excused).collect()
    }

    #[test]
    fn only_what_was_not_committed_before_the_harm_is_excused() {
        let said = [record(0), record(1), Said::Committed(vec![(0, 1)]), Said::Harmed];
        assert_eq!(excused(&said), [false, true]);
    }

    #[test]
    fn what_a_thawed_member_prints_is_excused_until_it_learns_that_it_was_thrown_out_or_commits_it() {
        let said = [Said::Harmed, record(0), record(1), Said::Committed(vec![(0, 1)]), record(2)];
        assert_eq!(excused(&said), [false, true, false]);
        // What it commits later is another member's printing.
        let said = [
            Said::Harmed,
            record(0),
            Said::Lost { is_excused: false },
            record(1),
            Said::Committed(vec![(0, 2)]),
        ];
        assert_eq!(excused(&said), [true, false]);
    }

    #[test]
    fn open_is_what_was_printed_only_by_who_could_not_commit_it() {
        let lost = vec![record(0), record(1), Said::Lost { is_excused: true }];
        assert_eq!(Account::of(&[lost, vec![record(0)]]).open(), 1);
    }

    #[test]
    #[should_panic(expected = "1 records printed again without excuse")]
    fn a_repetition_without_excuse_is_found() {
        Account::of(&[vec![record(0)], vec![record(0)]]).check(1);
    }
}
