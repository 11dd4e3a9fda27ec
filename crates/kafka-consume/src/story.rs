//! What is said on stderr: the story of the group's rebalances, notices about partitions, statistics.

use std::io::Write;

use kafka_cli::printable;
use kafka_cli::record_json::write_string;
use kafka_core::TopicPartition;
use kafka_core::consumer::{Notice, Rebalance};

/// How much is said, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Story {
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    /// One JSON object per line, for machines.
    pub(crate) json: bool,
}

impl Story {
    fn say(self, kind: &str, text: &str) {
        if self.quiet {
            return;
        }
        let mut line = Vec::new();
        if self.json {
            line.extend_from_slice(b"{\"event\":");
            write_string(&mut line, kind);
            line.extend_from_slice(b",\"text\":");
            write_string(&mut line, text);
            line.push(b'}');
        } else {
            line.extend_from_slice(printable(text).as_bytes());
        }
        line.push(b'\n');
        // A closed stderr is no reason to stop.
        let _ = std::io::stderr().write_all(&line);
    }

    /// One line per rebalance.
    pub(crate) fn rebalance(self, rebalance: &Rebalance) {
        let member = match rebalance.position {
            Some((number, of)) => format!(", member {number} of {of}"),
            None => String::new(),
        };
        let assignor = rebalance.assignor.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
        let number = if rebalance.protocol == "classic" { "generation" } else { "epoch" };
        self.say(
            "rebalance",
            &format!(
                "{}: {number} {} ({}{assignor}){member}: assigned {}; revoked {}; kept {}; took {}",
                rebalance.group,
                rebalance.generation,
                rebalance.protocol,
                list(&rebalance.came),
                list(&rebalance.went),
                list(&rebalance.stayed),
                duration(rebalance.took),
            ),
        );
    }

    /// A partition's position changed.
    pub(crate) fn notice(self, partition: &TopicPartition, notice: &Notice) {
        let text = match notice {
            Notice::OutOfRange { wanted, now_at } => {
                format!("{partition}: offset {wanted} is not there any more; going on at {now_at}")
            }
            Notice::Truncated { wanted, now_at } => format!(
                "{partition}: the log was cut off at {now_at} by a new leader, {} records that were read are gone; going on there",
                wanted - now_at
            ),
            Notice::Recreated => {
                format!("{partition}: the topic was created anew; reading it from its first record")
            }
            Notice::Gone => format!("{partition}: not there at the moment; waiting for it"),
            _ => return,
        };
        self.say("notice", &text);
    }

    /// Partitions that were not there when reading began.
    pub(crate) fn appeared(self, partitions: &[TopicPartition]) {
        self.say("new", &format!("{} is new; reading it from its first record", list(partitions)));
    }

    /// Partitions were taken away.
    pub(crate) fn lost(self, partitions: &[TopicPartition]) {
        self.say("lost", &format!("lost {}: another member may be reading them", list(partitions)));
    }

    /// Offsets were committed.
    pub(crate) fn committed(self, offsets: &[(TopicPartition, i64)]) {
        if self.verbose {
            let all: Vec<_> =
                offsets.iter().map(|(partition, offset)| format!("{partition} @{offset}")).collect();
            self.say("commit", &format!("committed {}", all.join(" ")));
        }
    }

    /// Something failed and is tried again.
    pub(crate) fn trouble(self, line: &str) {
        self.say("trouble", line);
    }

    /// Where things stand.
    pub(crate) fn stats(self, text: &str) {
        self.say("stats", text);
    }
}

/// `a[0-2,5] b[1]`, or a dash.
fn list(partitions: &[TopicPartition]) -> String {
    let mut sorted: Vec<_> = partitions.iter().collect();
    sorted.sort();
    let mut text = String::new();
    let mut rest = sorted.as_slice();
    while let Some(first) = rest.first() {
        let same_topic = rest.iter().take_while(|partition| partition.topic == first.topic).count();
        let (of_topic, others) = rest.split_at(same_topic);
        rest = others;
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("{}[{}]", first.topic, ranges(of_topic)));
    }
    if text.is_empty() { "-".to_owned() } else { text }
}

fn ranges(sorted: &[&TopicPartition]) -> String {
    let mut parts: Vec<(i32, i32)> = Vec::new();
    for partition in sorted {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == partition.partition => *last = partition.partition,
            _ => parts.push((partition.partition, partition.partition)),
        }
    }
    let part = |(first, last): &(i32, i32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

fn duration(duration: std::time::Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        millis => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_listed_by_topic_in_ranges() {
        let of = |topic: &str, numbers: &[i32]| -> Vec<_> {
            numbers.iter().map(|number| TopicPartition::new(topic, *number)).collect()
        };
        let all = [of("b", &[1]), of("a", &[5, 0, 2, 1])].concat();
        assert_eq!(list(&all), "a[0-2,5] b[1]");
        assert_eq!(list(&[]), "-");
    }
}
