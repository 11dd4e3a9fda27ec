//! Results in the form the user asked for, written to any writer. People read tables; programs read the same documents
//! as JSON, YAML or CSV. What a document holds is the command's business.

mod table;

use std::io::{self, Write};

use serde::Serialize;

use crate::printable::is_unsafe;
use crate::record_json::write_escaped;

pub use table::{Block, Column, Table, View};

/// What `-o` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Columns for people
    #[default]
    Table,
    /// Table with more columns
    Wide,
    /// One JSON document
    Json,
    /// One JSON document per line
    Jsonl,
    /// One YAML document
    Yaml,
    /// Comma-separated values with a header line (RFC 4180)
    Csv,
    /// Names only, one per line
    Name,
}

impl Format {
    /// Whether it is read by programs: then nothing but data goes to stdout.
    #[must_use]
    pub fn is_for_programs(self) -> bool {
        !matches!(self, Self::Table | Self::Wide)
    }
}

/// Writes `documents`; `view` says how people see them.
///
/// # Errors
/// Those of the writer.
pub fn write_all<D: Serialize>(
    out: &mut dyn Write,
    format: Format,
    documents: &[D],
    view: impl FnOnce() -> View,
) -> io::Result<()> {
    match format {
        Format::Json => write_json(out, &documents),
        Format::Jsonl => documents.iter().try_for_each(|document| write_json_line(out, document)),
        Format::Yaml => write_yaml(out, &documents),
        _ => view().write(out, format),
    }
}

/// Writes one document that stands for itself, such as the state of the cluster.
///
/// # Errors
/// Those of the writer.
pub fn write_one<D: Serialize>(
    out: &mut dyn Write,
    format: Format,
    document: &D,
    view: impl FnOnce() -> View,
) -> io::Result<()> {
    match format {
        Format::Json => write_json(out, document),
        Format::Jsonl => write_json_line(out, document),
        Format::Yaml => write_yaml(out, document),
        _ => view().write(out, format),
    }
}

fn write_json<D: Serialize>(out: &mut dyn Write, document: &D) -> io::Result<()> {
    write_safe(out, &serde_json::to_string_pretty(document)?)
}

/// Writes a document as JSON on one line, with what could steer a terminal escaped.
///
/// # Errors
/// `out` takes nothing more.
pub fn write_json_line<D: Serialize>(out: &mut dyn Write, document: &D) -> io::Result<()> {
    write_safe(out, &serde_json::to_string(document)?)
}

/// Writes JSON with what could steer a terminal escaped: but for ends of lines, that stands in strings only.
fn write_safe(out: &mut dyn Write, json: &str) -> io::Result<()> {
    let mut safe = Vec::with_capacity(json.len() + 1);
    let mut plain_from = 0;
    for (at, c) in json.char_indices().filter(|(_, c)| *c != '\n' && is_unsafe(*c)) {
        safe.extend_from_slice(&json.as_bytes()[plain_from..at]);
        write_escaped(&mut safe, c);
        plain_from = at + c.len_utf8();
    }
    safe.extend_from_slice(&json.as_bytes()[plain_from..]);
    safe.push(b'\n');
    out.write_all(&safe)
}

fn write_yaml<D: Serialize>(out: &mut dyn Write, document: &D) -> io::Result<()> {
    let text = serde_saphyr::to_string(document).map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Topic {
        name: String,
        partitions: u32,
        id: Option<String>,
    }

    fn written(format: Format) -> String {
        let topics = [
            Topic { name: "a".into(), partitions: 12, id: None },
            Topic { name: "b,\"c\u{1b}".into(), partitions: 1, id: Some("x".into()) },
        ];
        let columns = vec![
            Column::new("TOPIC", |topic: &Topic| topic.name.clone()),
            Column::new("PARTITIONS", |topic: &Topic| topic.partitions.to_string()).right(),
            Column::new("ID", |topic: &Topic| topic.id.clone().unwrap_or_default()).wide(),
        ];
        let mut out = Vec::new();
        let view = || View::table(Table::of(&columns, &topics)).named(topics.iter().map(|t| t.name.clone()));
        write_all(&mut out, format, &topics, view).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_aligns_its_columns_and_cannot_steer_the_terminal() {
        assert_eq!(
            written(Format::Table),
            "TOPIC     PARTITIONS\na                 12\nb,\"c\\x1b           1\n"
        );
    }

    #[test]
    fn wide_shows_more_columns() {
        let first = written(Format::Wide).lines().next().map(str::to_owned);
        assert_eq!(first.as_deref(), Some("TOPIC     PARTITIONS  ID"));
    }

    #[test]
    fn csv_quotes_where_it_must_and_has_every_column() {
        assert_eq!(written(Format::Csv), "topic,partitions,id\na,12,\n\"b,\"\"c\u{1b}\",1,x\n");
    }

    #[test]
    fn json_is_one_document_and_jsonl_one_a_line() {
        let json: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
        assert_eq!(json[0]["partitions"], 12);
        assert!(json[0]["id"].is_null());
        assert_eq!(written(Format::Jsonl).lines().count(), 2);
    }

    #[test]
    fn yaml_quotes_what_would_be_read_as_something_else() {
        assert_eq!(
            written(Format::Yaml),
            "- name: a\n  partitions: 12\n  id: null\n- name: \"b,\\\"c\\e\"\n  partitions: 1\n  id: x\n"
        );
    }

    #[test]
    fn name_is_one_name_a_line() {
        assert_eq!(written(Format::Name), "a\nb,\"c\\x1b\n");
    }

    #[test]
    fn no_form_lets_through_what_could_steer_a_terminal() {
        let name = "a\u{1b}[31m\u{9b}31m\u{202e}z";
        for format in [Format::Table, Format::Json, Format::Jsonl, Format::Yaml] {
            let topic = Topic { name: name.into(), partitions: 1, id: None };
            let columns = [Column::new("TOPIC", |topic: &Topic| topic.name.clone())];
            let mut out = Vec::new();
            let topics = [topic];
            write_all(&mut out, format, &topics, || View::table(Table::of(&columns, &topics))).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{format:?}: {text:?}");
            if format == Format::Jsonl {
                assert!(text.contains("\\u009b31m\\u202ez"), "{text:?}");
                let read: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(read["name"], name);
            }
        }
    }
}
