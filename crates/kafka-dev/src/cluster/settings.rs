//! The settings of topics and brokers that this broker knows: name, kind, default, accepted values, one sentence.
//! Source: <https://kafka.apache.org/41/configuration/topic-configs/> and `broker-configs`. The names and defaults are
//! Kafka's, also where the setting has no effect here, so that tools show what they show elsewhere.

/// The kinds of `DescribeConfigs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Words out of these, separated by commas.
    List(&'static [&'static str]),
    /// A number not below this.
    Int(i64),
    Long(i64),
    Double,
    Text,
}

impl Kind {
    /// Its number in `DescribeConfigs`.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Choice(_) | Self::Text => 2,
            Self::Int(_) => 3,
            Self::Long(_) => 5,
            Self::Double => 6,
            Self::List(_) => 7,
        }
    }

    /// Why a value is not acceptable.
    fn objection(self, value: &str) -> Option<String> {
        let number = |minimum: i64, maximum: i64| match value.trim().parse::<i64>() {
            Ok(number) if (minimum..=maximum).contains(&number) => None,
            Ok(number) => Some(format!("Value {number} must be at least {minimum} and at most {maximum}")),
            Err(_) => Some("Not a number of the right type".to_owned()),
        };
        match self {
            Self::Boolean => {
                let known = matches!(value.to_ascii_lowercase().as_str(), "true" | "false");
                (!known).then(|| "Expected value to be either true or false".to_owned())
            }
            Self::Choice(words) => {
                (!words.contains(&value)).then(|| format!("String must be one of: {}", words.join(", ")))
            }
            Self::List(words) => {
                let known = value.split(',').all(|word| words.is_empty() || words.contains(&word.trim()));
                (!known).then(|| format!("must be one of: {}", words.join(", ")))
            }
            Self::Int(minimum) => number(minimum, i64::from(i32::MAX)),
            Self::Long(minimum) => number(minimum, i64::MAX),
            Self::Double => match value.parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => None,
                _ => Some("Value must be between 0 and 1".to_owned()),
            },
            Self::Text => None,
        }
    }
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
    pub(crate) about: &'static str,
}

const fn setting(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Setting {
    Setting { name, kind, default, about }
}

/// Of topics, in order of name.
pub(crate) const TOPIC: &[Setting] = &[
    setting(
        "cleanup.policy",
        Kind::List(&["delete", "compact"]),
        "delete",
        "How old records are discarded: delete by age and size, compact by key, or both.",
    ),
    setting(
        "compression.type",
        Kind::Choice(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        "The codec of stored batches; this broker keeps what the producer sent.",
    ),
    setting("delete.retention.ms", Kind::Long(0), "86400000", "How long compaction keeps tombstones."),
    setting(
        "file.delete.delay.ms",
        Kind::Long(0),
        "60000",
        "How long a file is kept after its segment was deleted; here none.",
    ),
    setting("flush.messages", Kind::Long(1), "9223372036854775807", "After how many records to fsync."),
    setting("flush.ms", Kind::Long(0), "9223372036854775807", "After which time to fsync."),
    setting("index.interval.bytes", Kind::Int(0), "4096", "Bytes between two entries of the offset index."),
    setting(
        "max.compaction.lag.ms",
        Kind::Long(1),
        "9223372036854775807",
        "How long a record may stay uncompacted.",
    ),
    setting(
        "max.message.bytes",
        Kind::Int(0),
        "1048588",
        "The largest record batch accepted, after compression.",
    ),
    setting(
        "message.timestamp.after.max.ms",
        Kind::Long(0),
        "3600000",
        "How far in the future a record's timestamp may be.",
    ),
    setting(
        "message.timestamp.before.max.ms",
        Kind::Long(0),
        "9223372036854775807",
        "How far in the past a record's timestamp may be.",
    ),
    setting(
        "message.timestamp.type",
        Kind::Choice(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "Whether records carry the producer's time or the broker's.",
    ),
    setting(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        "0.5",
        "The share of uncompacted bytes from which compaction starts.",
    ),
    setting("min.compaction.lag.ms", Kind::Long(0), "0", "How long a record stays uncompacted at least."),
    setting("min.insync.replicas", Kind::Int(1), "1", "How many replicas must be up for acks=all."),
    setting("preallocate", Kind::Boolean, "false", "Whether segment files are preallocated; here never."),
    setting(
        "retention.bytes",
        Kind::Long(-1),
        "-1",
        "The size a partition may have before old segments are deleted; -1 for any.",
    ),
    setting(
        "retention.ms",
        Kind::Long(-1),
        "604800000",
        "The age at which segments are deleted; -1 for never.",
    ),
    setting("segment.bytes", Kind::Int(14), "1073741824", "The size at which a new segment is begun."),
    setting(
        "segment.index.bytes",
        Kind::Int(4),
        "10485760",
        "The size of the index of a segment; here unbounded.",
    ),
    setting("segment.jitter.ms", Kind::Long(0), "0", "A random part of segment.ms; here none."),
    setting("segment.ms", Kind::Long(1), "604800000", "The age at which a new segment is begun."),
    setting(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        "Whether a replica that is behind may lead; replicas here never are.",
    ),
];

/// Of brokers, in order of name.
pub(crate) const BROKER: &[Setting] = &[
    setting(
        "auto.create.topics.enable",
        Kind::Boolean,
        "true",
        "Whether asking for the metadata of a topic may create it.",
    ),
    setting(
        "compression.type",
        Kind::Text,
        "producer",
        "The codec of stored batches; this broker keeps what the producer sent.",
    ),
    setting("default.replication.factor", Kind::Int(1), "1", "Replicas of topics created without a number."),
    setting("delete.topic.enable", Kind::Boolean, "true", "Whether topics can be deleted."),
    setting(
        "group.initial.rebalance.delay.ms",
        Kind::Int(0),
        "0",
        "How long the first rebalance of a group waits for more members.",
    ),
    setting(
        "group.max.session.timeout.ms",
        Kind::Int(0),
        "1800000",
        "The longest session a group member may ask for.",
    ),
    setting(
        "group.min.session.timeout.ms",
        Kind::Int(0),
        "6000",
        "The shortest session a group member may ask for.",
    ),
    setting(
        "log.cleanup.policy",
        Kind::List(&["delete", "compact"]),
        "delete",
        "The default of cleanup.policy.",
    ),
    setting("log.retention.bytes", Kind::Long(-1), "-1", "The default of retention.bytes."),
    setting("log.retention.hours", Kind::Int(-1), "168", "The default of retention.ms, in hours."),
    setting("log.segment.bytes", Kind::Int(14), "1073741824", "The default of segment.bytes."),
    setting("message.max.bytes", Kind::Int(0), "1048588", "The default of max.message.bytes."),
    setting("min.insync.replicas", Kind::Int(1), "1", "The default of min.insync.replicas of topics."),
    setting("num.partitions", Kind::Int(1), "1", "Partitions of topics created without a number."),
    setting(
        "offsets.retention.minutes",
        Kind::Int(1),
        "10080",
        "How long an empty group keeps its offsets; here for ever.",
    ),
];

/// The topic setting of this name.
pub(crate) fn topic(name: &str) -> Option<&'static Setting> {
    TOPIC.iter().find(|setting| setting.name == name)
}

/// The broker setting of this name.
pub(crate) fn broker(name: &str) -> Option<&'static Setting> {
    BROKER.iter().find(|setting| setting.name == name)
}

/// Why a topic setting cannot have this value.
pub(crate) fn objection(table: &[Setting], name: &str, value: &str) -> Option<String> {
    let Some(setting) = table.iter().find(|setting| setting.name == name) else {
        return Some(format!("Unknown topic config name: {name}"));
    };
    let why = setting.kind.objection(value)?;
    Some(format!("Invalid value {value} for configuration {name}: {why}"))
}
