//! What became of the records, counted by partition, and the sentence at the end. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use kafka_cli::Exit;
use kafka_core::ErrorKind;

/// More partitions than this are only counted at the end.
const LISTED_PARTITIONS: usize = 12;

/// How a transaction ended, as far as its producer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionEnd {
    /// Readers of committed records see it.
    Committed,
    /// They never will.
    Aborted,
    /// The coordinator was asked and gave no answer.
    Unknown,
}

/// The records of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Count {
    /// Acknowledged, and where there are transactions committed.
    sent: u64,
    /// Acknowledged in the open transaction.
    open: u64,
    failed: u64,
    possibly_written: u64,
    /// The last reason for a failure.
    reason: Option<String>,
}

/// All that is known about the records of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    partitions: BTreeMap<(String, i32), Count>,
    is_transactional: bool,
    /// Brokers do not answer (`acks=0`).
    is_unanswered: bool,
    /// Records of aborted transactions.
    aborted: u64,
    /// Records of transactions of which nobody knows how they ended.
    unknown: u64,
    /// Lines that could not be read.
    unreadable: u64,
    /// Records that the producer did not take.
    refused: u64,
    is_denied: bool,
}

impl Tally {
    /// From now on what is sent counts when its transaction is committed.
    pub(crate) fn expect_transactions(&mut self) {
        self.is_transactional = true;
    }

    /// From now on what is sent has only left this machine: no broker says that it has it.
    pub(crate) fn expect_no_answers(&mut self) {
        self.is_unanswered = true;
    }

    /// The broker has them.
    pub(crate) fn sent(&mut self, topic: &str, partition: i32, records: u64) {
        let is_transactional = self.is_transactional;
        let count = self.count(topic, partition);
        *(if is_transactional { &mut count.open } else { &mut count.sent }) += records;
    }

    /// What was sent since the last call has this fate.
    pub(crate) fn end_transaction(&mut self, end: TransactionEnd) {
        for count in self.partitions.values_mut() {
            let records = std::mem::take(&mut count.open);
            match end {
                TransactionEnd::Committed => count.sent += records,
                TransactionEnd::Aborted => self.aborted += records,
                TransactionEnd::Unknown => self.unknown += records,
            }
        }
    }

    /// The broker has them not, or perhaps.
    pub(crate) fn failed(
        &mut self,
        (topic, partition): (&str, i32),
        records: u64,
        reason: String,
        kind: ErrorKind,
        possibly_written: bool,
    ) {
        self.is_denied |= kind == ErrorKind::Denied;
        let count = self.count(topic, partition);
        count.failed += records;
        if possibly_written {
            count.possibly_written += records;
        }
        count.reason = Some(reason);
    }

    /// A line could not be read.
    pub(crate) fn unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// A record was not taken, because it is too large for example.
    pub(crate) fn refused(&mut self) {
        self.refused += 1;
    }

    fn count(&mut self, topic: &str, partition: i32) -> &mut Count {
        // Borrowed keys of pairs cannot be looked up; this runs once for each batch.
        self.partitions.entry((topic.to_owned(), partition)).or_default()
    }

    /// The records that were acknowledged, and where there are transactions committed.
    pub(crate) fn total_sent(&self) -> u64 {
        self.partitions.values().map(|count| count.sent).sum()
    }

    /// The records that were taken and not acknowledged.
    pub(crate) fn total_failed(&self) -> u64 {
        self.partitions.values().map(|count| count.failed).sum()
    }

    /// Whether everything that was read was acknowledged, and no transaction is known to have ended otherwise.
    pub(crate) fn is_clean(&self) -> bool {
        self.unreadable + self.refused + self.total_failed() + self.aborted + self.unknown == 0
    }

    /// How the run ends.
    pub(crate) fn exit(&self) -> Exit {
        match (self.is_clean(), self.is_denied) {
            (true, _) => Exit::Done,
            (false, true) => Exit::Denied,
            (false, false) => Exit::Failed,
        }
    }

    /// What there is to say at the end, one line each. `topic` is the one that records went to if there were any.
    pub(crate) fn report(&self, topic: &str) -> Vec<String> {
        let mut lines = vec![self.sent_line(topic)];
        for ((topic, partition), count) in self.partitions.iter().filter(|(_, count)| count.failed > 0) {
            let mut line = format!("not acknowledged: {} of {topic}[{partition}]", records(count.failed));
            if count.possibly_written > 0 {
                // Writing to a String cannot fail.
                let _ = write!(line, ", {} possibly written", count.possibly_written);
            }
            let _ = write!(line, ": {}", count.reason.as_deref().unwrap_or("unknown"));
            lines.push(line);
        }
        if self.aborted > 0 {
            lines.push(format!(
                "aborted: {}, never seen by readers of committed records",
                records(self.aborted)
            ));
        }
        if self.unknown > 0 {
            lines.push(format!("not known to be committed: {}", records(self.unknown)));
        }
        if self.refused > 0 {
            lines.push(format!("not sent: {}", records(self.refused)));
        }
        if self.unreadable > 0 {
            let lines_word = if self.unreadable == 1 { "line" } else { "lines" };
            lines.push(format!("not read: {} {lines_word}", self.unreadable));
        }
        lines
    }

    fn sent_line(&self, topic: &str) -> String {
        let sent: Vec<_> = self.partitions.iter().filter(|(_, count)| count.sent > 0).collect();
        let is_one_topic = sent.iter().all(|((name, _), _)| name == topic);
        let verb = if self.is_transactional { "committed" } else { "sent" };
        let mut line = format!("{verb} {}", records(self.total_sent()));
        if is_one_topic {
            let _ = write!(line, " to {topic}");
        }
        if self.is_unanswered {
            line.push_str(", not acknowledged (acks=0)");
        }
        if sent.len() > LISTED_PARTITIONS {
            let _ = write!(line, ", {} partitions", sent.len());
            return line;
        }
        for (index, ((name, partition), count)) in sent.iter().enumerate() {
            let separator = if index == 0 { ": " } else { ", " };
            let name = if is_one_topic { "" } else { name };
            let _ = write!(line, "{separator}{name}[{partition}] {}", count.sent);
        }
        line
    }
}

fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_how_many_went_where() {
        let mut tally = Tally::default();
        assert_eq!(tally.report("t"), ["sent 0 records to t"]);
        tally.sent("t", 1, 1);
        tally.sent("t", 0, 3);
        tally.sent("t", 1, 1);
        assert_eq!(tally.report("t"), ["sent 5 records to t: [0] 3, [1] 2"]);
        assert_eq!(tally.exit(), Exit::Done);
        tally.sent("u", 0, 1);
        assert_eq!(tally.report("t"), ["sent 6 records: t[0] 3, t[1] 2, u[0] 1"]);
        (0..20).for_each(|partition| tally.sent("t", partition, 1));
        assert!(tally.report("t")[0].ends_with(", 21 partitions"));
    }

    #[test]
    fn the_end_does_not_claim_that_a_broker_has_what_none_acknowledged() {
        let mut tally = Tally::default();
        tally.expect_no_answers();
        tally.sent("t", 1, 2);
        assert_eq!(tally.report("t"), ["sent 2 records to t, not acknowledged (acks=0): [1] 2"]);
    }

    #[test]
    fn records_of_a_transaction_count_as_committed_only_when_it_was() {
        let mut tally = Tally::default();
        tally.expect_transactions();
        tally.sent("t", 0, 2);
        assert_eq!(tally.report("t"), ["committed 0 records to t"]);
        tally.end_transaction(TransactionEnd::Committed);
        assert_eq!(
            (tally.report("t"), tally.exit()),
            (vec!["committed 2 records to t: [0] 2".into()], Exit::Done)
        );
        tally.sent("t", 0, 3);
        tally.end_transaction(TransactionEnd::Aborted);
        tally.sent("t", 0, 1);
        tally.end_transaction(TransactionEnd::Unknown);
        assert_eq!(
            tally.report("t"),
            [
                "committed 2 records to t: [0] 2",
                "aborted: 3 records, never seen by readers of committed records",
                "not known to be committed: 1 record"
            ]
        );
        assert_eq!(tally.exit(), Exit::Failed);
    }

    #[test]
    fn what_was_not_sent_is_told_with_its_reason_and_the_exit_code_is_true() {
        let mut tally = Tally::default();
        tally.failed(("t", 2), 4, "no answer".into(), ErrorKind::Unreachable, true);
        tally.unreadable();
        assert_eq!(
            tally.report("t"),
            [
                "sent 0 records to t",
                "not acknowledged: 4 records of t[2], 4 possibly written: no answer",
                "not read: 1 line"
            ]
        );
        assert_eq!(tally.exit(), Exit::Failed);
        tally.failed(("t", 0), 1, "no".into(), ErrorKind::Denied, false);
        assert_eq!(tally.exit(), Exit::Denied);
        let mut refused = Tally::default();
        refused.refused();
        assert_eq!(refused.exit(), Exit::Failed);
    }
}
