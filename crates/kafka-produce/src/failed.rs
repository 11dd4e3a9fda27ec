//! The records that were not acknowledged, each on a line that `--input jsonl` takes: into a file, or to stderr.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use kafka_cli::record_json::{write_bytes, write_string};
use kafka_core::consumer::RecordView;
use kafka_core::{RecordRef, TopicPartition};

use crate::voice::Voice;

/// Where they go.
#[derive(Debug)]
pub(crate) enum Failed {
    /// `--failed-file`; made when the first one comes.
    File {
        /// Its name.
        path: std::path::PathBuf,
        /// The file, once it was made.
        file: Option<BufWriter<File>>,
    },
    /// Said to the user.
    Voice(Voice),
}

impl Failed {
    pub(crate) fn new(path: Option<&Path>, voice: &Voice) -> Self {
        match path {
            Some(path) => Self::File { path: path.to_owned(), file: None },
            None => Self::Voice(voice.clone()),
        }
    }

    /// A record that the broker does not have, or of which that is not known.
    pub(crate) fn write_view(&mut self, partition: &TopicPartition, record: &RecordView<'_>) -> Result<()> {
        let line = json(
            &partition.topic,
            Some(partition.partition),
            Some(record.timestamp),
            (record.key, record.value),
            record.headers(),
        );
        self.write(&line)
    }

    /// A record that was never taken.
    pub(crate) fn write_record(
        &mut self,
        topic: &str,
        partition: Option<i32>,
        record: &RecordRef<'_>,
    ) -> Result<()> {
        let headers = record.headers.iter().map(|header| (&header.name[..], header.value.as_deref()));
        let line = json(topic, partition, record.timestamp, (record.key, record.value), headers);
        self.write(&line)
    }

    fn write(&mut self, line: &str) -> Result<()> {
        match self {
            Self::Voice(voice) => voice.say(&format!("not acknowledged: {line}")),
            Self::File { path, file } => {
                let shown = path.display();
                let file = match file {
                    Some(file) => file,
                    None => {
                        let made = OpenOptions::new().create(true).append(true).open(&path);
                        file.insert(BufWriter::new(made.with_context(|| format!("--failed-file {shown}"))?))
                    }
                };
                writeln!(file, "{line}").with_context(|| format!("--failed-file {shown}"))?;
            }
        }
        Ok(())
    }

    /// Writes what lies in memory.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if let Self::File { path, file: Some(file) } = self {
            file.flush().with_context(|| format!("--failed-file {}", path.display()))?;
        }
        Ok(())
    }
}

/// A record as `kafka-consume -o json` writes it, but for the offset that it never got.
fn json<'a>(
    topic: &str,
    partition: Option<i32>,
    timestamp: Option<i64>,
    (key, value): (Option<&[u8]>, Option<&[u8]>),
    headers: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> String {
    let mut line = b"{\"topic\":".to_vec();
    write_string(&mut line, topic);
    let number = |line: &mut Vec<u8>, name: &str, number: i64| {
        line.extend_from_slice(format!(",\"{name}\":{number}").as_bytes());
    };
    if let Some(partition) = partition {
        number(&mut line, "partition", partition.into());
    }
    if let Some(timestamp) = timestamp {
        number(&mut line, "timestamp", timestamp);
    }
    line.extend_from_slice(b",\"key\":");
    write_bytes(&mut line, key);
    line.extend_from_slice(b",\"value\":");
    write_bytes(&mut line, value);
    line.extend_from_slice(b",\"headers\":[");
    for (index, (name, value)) in headers.enumerate() {
        line.extend_from_slice(if index == 0 { b"[" } else { b",[" });
        write_bytes(&mut line, Some(name));
        line.push(b',');
        write_bytes(&mut line, value);
        line.push(b']');
    }
    line.extend_from_slice(b"]}");
    // What was written is UTF-8 in all its parts.
    String::from_utf8(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kafka_cli::record_json::parse_record;
    use kafka_core::Header;

    use super::*;

    #[test]
    fn a_failed_record_can_be_sent_again_with_all_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failed.jsonl");
        let headers = [Header::new("a", Some("1")), Header::new("a", None::<&str>)];
        let record =
            RecordRef { key: None, value: Some(&[0xff, b'"']), headers: &headers, timestamp: Some(5) };
        let mut failed = Failed::new(Some(&path), &Voice::stderr());
        assert!(!path.exists());
        failed.write_record("t", Some(3), &record).unwrap();
        failed.write_record("t", None, &RecordRef { value: Some(b""), ..RecordRef::default() }).unwrap();
        failed.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let read: Vec<_> = text.lines().map(|line| parse_record(line.as_bytes()).unwrap()).collect();
        assert_eq!((read[0].partition, &read[0].record), (Some(3), &record.to_owned()));
        assert_eq!((read[1].partition, read[1].record.value.as_deref()), (None, Some(&b""[..])));
    }
}
