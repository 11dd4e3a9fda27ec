//! What is said on stderr: the story of the group's rebalances, notices about partitions, statistics.

use std::io::Write;
use std::time::Duration;

use kafka_cli::printable;
use kafka_cli::render::write_json_line;
use kafka_core::TopicPartition;
use kafka_core::consumer::{Notice, Rebalance};

use crate::event::{Event, Figures, Line, Partition};

/// How much is said, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Story {
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    /// One JSON object per line, for machines.
    pub(crate) json: bool,
}

impl Story {
    fn say(self, event: &Event<'_>, text: &str) {
        if self.quiet {
            return;
        }
        let mut out = std::io::stderr().lock();
        // A closed stderr is no reason to stop.
        let _ = if self.json {
            write_json_line(&mut out, &Line { event, text })
        } else {
            out.write_all(format!("{}\n", printable(text)).as_bytes())
        };
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
            &Event::rebalance(rebalance),
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
        let (name, offsets, text) = match notice {
            Notice::OutOfRange { wanted, now_at } => (
                "out_of_range",
                Some((*wanted, *now_at)),
                format!("{partition}: offset {wanted} is not there any more; going on at {now_at}"),
            ),
            Notice::Truncated { wanted, now_at } => (
                "truncated",
                Some((*wanted, *now_at)),
                format!(
                    "{partition}: the log was cut off at {now_at} by a new leader, {} records that were read are gone; going on there",
                    wanted - now_at
                ),
            ),
            Notice::Recreated => (
                "recreated",
                None,
                format!("{partition}: the topic was created anew; reading it from its first record"),
            ),
            Notice::Gone => ("gone", None, format!("{partition}: not there at the moment; waiting for it")),
            _ => return,
        };
        let (wanted, now_at) = offsets.unzip();
        let place = Partition::of(partition);
        self.say(&Event::Notice { place, notice: name, wanted, now_at }, &text);
    }

    /// Partitions that were not there when reading began.
    pub(crate) fn appeared(self, partitions: &[TopicPartition]) {
        let event = Event::New { partitions: Partition::all(partitions) };
        self.say(&event, &format!("{} is new; reading it from its first record", list(partitions)));
    }

    /// Partitions were taken away.
    pub(crate) fn lost(self, partitions: &[TopicPartition]) {
        let event = Event::Lost { partitions: Partition::all(partitions) };
        let what = list(partitions);
        self.say(&event, &format!("lost {what}: another member may be reading on from the last commit"));
    }

    /// Offsets were committed.
    pub(crate) fn committed(self, offsets: &[(TopicPartition, i64)]) {
        if self.verbose {
            let all: Vec<_> =
                offsets.iter().map(|(partition, offset)| format!("{partition} @{offset}")).collect();
            self.say(&Event::commit(offsets), &format!("committed {}", all.join(" ")));
        }
    }

    /// Something failed and is tried again.
    pub(crate) fn trouble(self, line: &str) {
        self.say(&Event::Trouble, line);
    }

    /// Where things stand.
    pub(crate) fn stats(self, figures: Figures) {
        let pace = format!("{}/s, lag {}", figures.records_per_second, figures.lag);
        let text = match &figures.run {
            None => format!("{} records, {pace}", figures.records),
            Some(run) => format!(
                "{} records in {:.1?}, {pace}; {} fetches, {} heartbeats, {} commits",
                figures.records, run.elapsed, run.fetches, run.heartbeats, run.commits,
            ),
        };
        self.say(&Event::Stats(figures), &text);
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

fn duration(duration: Duration) -> String {
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
