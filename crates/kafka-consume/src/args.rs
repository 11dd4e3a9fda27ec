//! The command line as typed. What it means together is worked out in `plan`.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use kafka_cli::time::parse_duration;
use kafka_cli::{ConnectionArgs, PayloadFormat};

/// Read records, alone or as a member of a group.
///
/// As a member: kafka-consume GROUP [TOPIC...]. The group's committed offsets say where to begin; where it has none,
/// at the first record. Alone: kafka-consume --no-group [TOPIC...]. The topic is rider-updates where none is named.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The group, then the topics; with --no-group, -p or --tail all of them are topics
    #[arg(value_name = "GROUP] [TOPIC...")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) group: GroupArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done (also after Ctrl-C, SIGTERM and a closed pipe), 1 failed, 2 wrong usage, 3 no broker reached,
4 no such topic, 6 not allowed.";

/// What is read, and when it ends.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reading")]
pub(crate) struct Reading {
    /// Without a group: nothing is committed
    #[arg(long)]
    pub(crate) no_group: bool,
    /// These partitions only, e.g. 0,2-4; without a group
    #[arg(short, long, value_name = "LIST", value_parser = parse_partitions)]
    pub(crate) partitions: Option<Partitions>,
    /// Where to begin: earliest, latest, 42, +10, -10, 10:20, @-1h, @2026-01-31 10:00, @T1:T2 [default: earliest].
    /// With a group earliest, latest or @-AGE, and only where it has no committed offset
    #[arg(short = 'o', long = "from", alias = "offset", value_name = "OFFSET", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    #[arg(long, hide = true, conflicts_with = "from")]
    pub(crate) from_beginning: bool,
    /// Where to end, in the same language; the record there is not read
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// The last N records of all partitions in the order of their times, then end; without a group
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "until"])]
    pub(crate) tail: Option<usize>,
    /// End after so many records
    #[arg(short = 'c', long, value_name = "N", alias = "count")]
    pub(crate) max_messages: Option<u64>,
    /// End where the partitions ended when reading began
    #[arg(short, long)]
    pub(crate) exit: bool,
    /// End when nothing has come for so long
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) idle_exit: Option<Duration>,
    /// TOPIC is a regular expression; it must match the whole name
    #[arg(long)]
    pub(crate) regex: bool,
    #[arg(long, hide = true, value_name = "TOPIC")]
    pub(crate) topic: Vec<String>,
    /// read_committed leaves out aborted and unfinished transactions
    #[arg(long, value_name = "LEVEL", value_parser = ["read_uncommitted", "read_committed"])]
    pub(crate) isolation_level: Option<String>,
    /// The ends of transactions as well, as records with the key COMMIT or ABORT and no value
    #[arg(long)]
    pub(crate) control_records: bool,
}

/// How records are written.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// How each record is written [default: the tutorial's line with a group, raw without]
    #[arg(long, value_name = "FORM", value_enum)]
    pub(crate) output: Option<Form>,
    /// A format per record: %t topic %p partition %o offset %T time (ms) %k key %v value %h headers %K %S lengths
    /// %{json} %{time} %%, with \n \t \xHH
    #[arg(short, long, conflicts_with = "output")]
    pub(crate) format: Option<String>,
    /// JSON values over several lines
    #[arg(long)]
    pub(crate) pretty: bool,
    /// How keys are shown: utf8, json, hex, base64, uuid, msgpack, int, long, float, double, or a pack such as >iq
    #[arg(long, value_name = "FORMAT")]
    pub(crate) key_format: Option<PayloadFormat>,
    /// How values are shown, as for keys
    #[arg(long, value_name = "FORMAT")]
    pub(crate) value_format: Option<PayloadFormat>,
    /// Progress on stderr every so often: records, rate, lag
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) stats: Option<Duration>,
    /// More on stderr: commits as they are made; lag, fetches and heartbeats at the end
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Nothing on stderr but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// Ready-made forms of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    #[value(help = "GROUP: [TOPIC]: PART:P: VALUE")]
    #[allow(missing_docs, reason = "the help is the documentation; in a doc comment it would be a link")]
    Line,
    /// The value and a line end
    Raw,
    /// A JSON object per record, one line each
    #[value(alias = "json")]
    Jsonl,
    /// Offset, key and value as hexadecimal digits and text
    Hex,
}

/// Which records are written.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Values that match this regular expression
    #[arg(long, value_name = "REGEX")]
    pub(crate) grep: Option<String>,
    /// Records with this key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Records with this header, or with this value of it; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) header: Vec<String>,
    /// Records of this time or later
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
}

/// How the group works.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Group")]
pub(crate) struct GroupArgs {
    #[arg(long, hide = true, value_name = "GROUP", conflicts_with = "no_group")]
    pub(crate) group: Option<String>,
    /// When offsets are committed: every few seconds, after each batch, at the end, never
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    pub(crate) commit: Commit,
    /// Who shares the partitions out: the members (classic) or the broker (consumer, KIP-848)
    #[arg(long, value_name = "PROTOCOL", value_parser = ["auto", "classic", "consumer"])]
    pub(crate) group_protocol: Option<String>,
    /// A name to come back under without a rebalance (KIP-345)
    #[arg(long, value_name = "NAME")]
    pub(crate) instance_id: Option<String>,
    /// Assignors, the preferred first: range, roundrobin, sticky, cooperative-sticky; uniform or range with the
    /// consumer protocol
    #[arg(long, value_name = "LIST")]
    pub(crate) assignor: Option<String>,
}

/// `--commit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Commit {
    /// Every auto.commit.interval.ms, when partitions move, at the end
    Auto,
    /// After each batch, before the next one is taken
    Each,
    /// At the end, and when partitions move
    End,
    /// Never
    None,
}

/// Partition numbers and ranges of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partitions(Vec<(i32, i32)>);

impl Partitions {
    pub(crate) fn contains(&self, partition: i32) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&partition))
    }

    /// The numbers that were named one by one or as the ends of ranges.
    pub(crate) fn named(&self) -> impl Iterator<Item = i32> {
        self.0.iter().flat_map(|(first, last)| [*first, *last])
    }
}

fn parse_partitions(text: &str) -> Result<Partitions, String> {
    let wrong = || format!("{text:?} names no partitions; write 0,2-4");
    let number = |digits: &str| digits.trim().parse::<i32>().ok().filter(|number| *number >= 0);
    let part = |part: &str| match part.split_once('-') {
        None => number(part).map(|number| (number, number)),
        Some((first, last)) => number(first).zip(number(last)).filter(|(first, last)| first <= last),
    };
    text.split(',').map(part).collect::<Option<Vec<_>>>().map(Partitions).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn partitions_are_numbers_and_ranges() {
        let partitions = parse_partitions("0, 2-4").unwrap();
        let within: Vec<_> = (0..6).filter(|partition| partitions.contains(*partition)).collect();
        assert_eq!(within, [0, 2, 3, 4]);
        for wrong in ["", "a", "-1", "4-2", "1,,2"] {
            assert!(parse_partitions(wrong).is_err(), "{wrong}");
        }
    }
}
