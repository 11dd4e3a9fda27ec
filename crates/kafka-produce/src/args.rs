//! The command line as it is typed. What it means stands in `job`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, ValueEnum};
use kafka_cli::ConnectionArgs;
use kafka_cli::time::parse_duration;
use kafka_core::producer::{Partitioner, Routes};

/// The topic of the tutorial.
pub(crate) const DEFAULT_TOPIC: &str = "rider-updates";

/// Lines from a prompt, a pipe or files become records
///
/// A line such as "tony north" becomes {"name":"tony","location":"north"}; --raw sends lines as they are, --input and
/// --format read other forms. At a terminal there is a prompt; /help there says what it can do.
#[derive(Debug, Parser)]
#[command(name = "kafka-produce", version, after_help = EXAMPLES, override_usage = "kafka-produce [TOPIC] [OPTIONS]")]
pub(crate) struct Args {
    /// Topic to write to [default: rider-updates]
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    #[arg(short = 't', long = "topic", value_name = "TOPIC", hide = true, conflicts_with = "topic")]
    pub(crate) topic_flag: Option<String>,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    #[command(flatten)]
    pub(crate) sending: SendingArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) apache: ApacheArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

const EXAMPLES: &str = "\
Examples:
  kafka-produce                                         the prompt: tony north
  kafka-produce rides --route south=0,*=1 --fields name,location
  kafka-produce logs --raw -k web-1 < access.log        lines as they are, with a key
  kafka-produce users --raw -K :                        alice:{...} has the key alice
  kafka-produce copy --input jsonl < topic.jsonl        what kafka-consume -o jsonl wrote
  kafka-produce logs --raw --file a.log b.log -z lz4

Exit codes: 0 all acknowledged, 1 something was not sent (it is named), 2 usage, 3 cannot connect, 4 no such topic,
6 not authorised.";

/// Where lines come from and how they are read.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// Send lines as they are
    #[arg(long)]
    pub(crate) raw: bool,
    /// Names of a line's words, which become a JSON object [default: name,location]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', conflicts_with_all = ["raw", "format", "input"])]
    pub(crate) fields: Vec<String>,
    /// Read these files, one after the other; - is stdin
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) file: Vec<PathBuf>,
    /// What the input is
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) input: Option<InputForm>,
    /// How a line is made up: %k key, %v value, %h headers, %p partition, %T timestamp, e.g. '%k\t%v'
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["input", "key_separator"])]
    pub(crate) format: Option<String>,
    /// What ends a record [default: \n]
    #[arg(short = 'D', long, value_name = "TEXT")]
    pub(crate) delimiter: Option<String>,
    /// What stands between key and value
    #[arg(short = 'K', long, value_name = "TEXT")]
    pub(crate) key_separator: Option<String>,
    /// Stop after so many records
    #[arg(short = 'c', long, value_name = "N")]
    pub(crate) count: Option<u64>,
}

/// `--input`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputForm {
    /// A value on each line
    Lines,
    /// Records as kafka-consume -o json writes them, with any spacing
    Json,
    /// The same, one on each line
    Jsonl,
    /// A header row names the columns: key, value, partition, timestamp, header:NAME; without value the others make a
    /// JSON object
    Csv,
    /// Values (and keys before -K) as hexadecimal digits
    Hex,
    /// Values (and keys before -K) as base64
    Base64,
}

/// What every record gets.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Records")]
pub(crate) struct RecordArgs {
    /// Key of records that bring none [default: location-update, with --raw none]
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Header NAME=VALUE (may be repeated; NAME alone: null)
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    pub(crate) headers: Vec<String>,
    /// Partition of all records
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), conflicts_with = "route")]
    pub(crate) partition: Option<i32>,
    /// Which partition by a word, e.g. south=0,*=1 (the location; with --raw the key) [default: north=0,*=1]
    #[arg(long, value_name = "WORD=N,...")]
    pub(crate) route: Option<Routes>,
    /// How a key decides its partition: murmur2, crc32, fnv1a, or without it: sticky, roundrobin, random
    #[arg(long, value_name = "NAME", conflicts_with_all = ["route", "partition"])]
    pub(crate) partitioner: Option<Partitioner>,
    /// Time of all records: now, -1h, 2026-01-31T10:00:00Z, epoch milliseconds [default: when it is read]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) timestamp: Option<String>,
    /// Empty values (tombstones) and keys become null
    #[arg(short = 'Z', long)]
    pub(crate) empty_as_null: bool,
    /// Values and keys that are this text become null
    #[arg(long, value_name = "TEXT")]
    pub(crate) null_marker: Option<String>,
}

/// How records are sent.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Sending")]
pub(crate) struct SendingArgs {
    /// none, gzip, snappy, lz4 or zstd; gzip has levels 1 to 9: gzip:9
    #[arg(short = 'z', long, value_name = "CODEC[:LEVEL]")]
    pub(crate) compression: Option<String>,
    /// At most so many records a second
    #[arg(long, value_name = "N/s")]
    pub(crate) rate: Option<String>,
    /// All records in one transaction of this id: readers of committed records see all of them, or none
    #[arg(long, value_name = "ID")]
    pub(crate) transactional_id: Option<String>,
    /// A transaction for each N records, or for each DURATION
    #[arg(long, value_name = "N|DURATION", value_parser = parse_commit_rule)]
    pub(crate) commit_every: Option<CommitRule>,
    /// Create the topic where it does not exist
    #[arg(long)]
    pub(crate) allow_create: bool,
    /// Only show where each record would go
    #[arg(long, conflicts_with_all = ["transactional_id", "tee", "allow_create"])]
    pub(crate) explain: bool,
}

/// `--commit-every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitRule {
    /// After so many records.
    Records(u64),
    /// After so long.
    Time(Duration),
}

/// What is said about it.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Report")]
pub(crate) struct ReportArgs {
    /// Say where each record went, on stderr
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Write where each record went to stdout
    #[arg(short, long, value_enum, value_name = "json")]
    pub(crate) output: Option<OutputForm>,
    /// Write what is sent to stdout as well
    #[arg(short = 'T', long, conflicts_with = "output")]
    pub(crate) tee: bool,
    /// Where records go that were not acknowledged, as --input jsonl takes them [default: stderr]
    #[arg(long, value_name = "FILE")]
    pub(crate) failed_file: Option<PathBuf>,
    /// Neither progress nor a report where all went well
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// `-o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    /// One object for each record
    #[value(alias = "jsonl")]
    Json,
}

/// What Apache's console producer calls things.
#[derive(Debug, ClapArgs)]
pub(crate) struct ApacheArgs {
    #[arg(
        long = "property",
        id = "reader_property",
        alias = "reader-property",
        value_name = "NAME=VALUE",
        hide = true
    )]
    pub(crate) reader_property: Vec<String>,
    #[arg(long = "producer-property", alias = "command-property", value_name = "NAME=VALUE", hide = true)]
    pub(crate) producer_property: Vec<String>,
    #[arg(long = "producer.config", value_name = "FILE", hide = true, conflicts_with = "command_config")]
    pub(crate) producer_config: Option<PathBuf>,
    #[arg(long, value_name = "CODEC", num_args = 0..=1, default_missing_value = "gzip", hide = true)]
    #[arg(conflicts_with = "compression")]
    pub(crate) compression_codec: Option<String>,
    #[arg(long, value_name = "ACKS", hide = true)]
    pub(crate) request_required_acks: Option<String>,
}

fn parse_commit_rule(text: &str) -> Result<CommitRule, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("at least one record".into()),
        Ok(records) => Ok(CommitRule::Records(records)),
        Err(_) => match parse_duration(text) {
            Ok(time) if !time.is_zero() => Ok(CommitRule::Time(time)),
            _ => Err(format!("{text:?} is neither a number of records nor a duration such as 5s")),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_has_no_contradiction() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_transaction_ends_after_records_or_after_time() {
        assert_eq!(parse_commit_rule("100"), Ok(CommitRule::Records(100)));
        assert_eq!(parse_commit_rule("5s"), Ok(CommitRule::Time(Duration::from_secs(5))));
        for wrong in ["0", "0s", "often"] {
            assert!(parse_commit_rule(wrong).is_err(), "{wrong}");
        }
    }
}
