//! Which records are written: `--grep`, `--key`, `--header`, `--since`. What is filtered out counts as read.

use kafka_cli::Failure;
use kafka_cli::time::{now_ms, parse_time};
use kafka_core::consumer::RecordView;
use regex::bytes::Regex;

use crate::args::FilterArgs;

/// The filters together; a record has to pass all of them.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    grep: Option<Regex>,
    key: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    since: Option<i64>,
}

impl Filter {
    /// Reads the flags.
    pub(crate) fn new(args: &FilterArgs) -> anyhow::Result<Self> {
        let grep = args.grep.as_deref().map(Regex::new).transpose();
        let since = args.since.as_deref().map(|text| parse_time(text, now_ms())).transpose();
        let header = |text: &String| match text.split_once('=') {
            Some((name, value)) => (name.into(), Some(value.into())),
            None => (text.as_bytes().to_vec(), None),
        };
        Ok(Self {
            grep: grep.map_err(|error| Failure::usage(format!("--grep: {error}")))?,
            key: args.key.as_ref().map(|key| key.as_bytes().to_vec()),
            headers: args.header.iter().map(header).collect(),
            since: since.map_err(|error| Failure::usage(format!("--since: {error}")))?,
        })
    }

    /// Whether every record passes.
    pub(crate) fn is_open(&self) -> bool {
        self.grep.is_none() && self.key.is_none() && self.headers.is_empty() && self.since.is_none()
    }

    /// Whether the record is written.
    pub(crate) fn passes(&self, record: &RecordView<'_>) -> bool {
        self.since.is_none_or(|since| record.timestamp >= since)
            && self.key.as_deref().is_none_or(|key| record.key == Some(key))
            && self.headers.iter().all(|wanted| has_header(record, wanted))
            && self.grep.as_ref().is_none_or(|grep| record.value.is_some_and(|value| grep.is_match(value)))
    }
}

fn has_header(record: &RecordView<'_>, (name, wanted): &(Vec<u8>, Option<Vec<u8>>)) -> bool {
    record.headers().any(|(header, value)| {
        header == name.as_slice() && wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
    })
}
