//! Rows of comma-separated values (RFC 4180) under a header row.
//!
//! Columns named `key`, `value`, `partition`, `timestamp` and `header:NAME` are that. Without a `value` column the
//! columns with other names make a JSON object of strings.

use std::io::Write as _;

use kafka_core::{Header, RecordRef};

use super::{Defaults, Draft};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Key,
    Value,
    Partition,
    Timestamp,
    Header(String),
    Other(String),
}

/// Reads rows, the first of which names the columns.
#[derive(Debug, Default)]
pub(crate) struct Csv {
    columns: Option<Vec<Column>>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
}

impl Csv {
    pub(crate) fn read<'a>(
        &'a mut self,
        row: &[u8],
        defaults: &'a Defaults,
    ) -> Result<Option<Draft<'a>>, String> {
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        if row.is_empty() {
            return Ok(None);
        }
        let cells = cells(row)?;
        let Some(columns) = &self.columns else {
            self.columns = Some(columns(&cells)?);
            return Ok(None);
        };
        if cells.len() != columns.len() {
            return Err(format!("{} columns where the header row names {}", cells.len(), columns.len()));
        }
        (self.key, self.value) = (defaults.key.clone(), None);
        self.headers.clear();
        let (mut partition, mut timestamp, mut object) = (None, None, Vec::new());
        for (column, cell) in columns.iter().zip(cells) {
            match column {
                Column::Key => self.key = defaults.nulls.read(&cell).map(<[u8]>::to_vec),
                Column::Value => self.value = defaults.nulls.read(&cell).map(<[u8]>::to_vec),
                Column::Partition => partition = number(&cell, "partition")?,
                Column::Timestamp => timestamp = number(&cell, "timestamp")?,
                Column::Header(name) => self.headers.push(Header::new(name.clone(), Some(cell))),
                Column::Other(name) => write_member(&mut object, name, &cell)?,
            }
        }
        if !columns.contains(&Column::Value) {
            object.push(b'}');
            self.value = Some(object);
        }
        self.headers.extend_from_slice(&defaults.headers);
        let key = self.key.as_deref();
        let record = RecordRef {
            key,
            value: self.value.as_deref(),
            headers: &self.headers,
            timestamp: defaults.timestamp.or(timestamp),
        };
        Ok(Some(Draft { record, partition, word: key }))
    }
}

fn columns(cells: &[Vec<u8>]) -> Result<Vec<Column>, String> {
    let column = |cell: &Vec<u8>| {
        let name = std::str::from_utf8(cell).map_err(|_| "the header row is not UTF-8".to_owned())?.trim();
        Ok(match name.trim_start_matches('\u{feff}') {
            "key" => Column::Key,
            "value" => Column::Value,
            "partition" => Column::Partition,
            "timestamp" => Column::Timestamp,
            name => match name.strip_prefix("header:") {
                Some(header) => Column::Header(header.to_owned()),
                None => Column::Other(name.to_owned()),
            },
        })
    };
    let columns = cells.iter().map(column).collect::<Result<Vec<_>, String>>()?;
    let others = columns.iter().any(|column| matches!(column, Column::Other(_)));
    match (columns.contains(&Column::Value), others) {
        (true, true) => {
            Err("beside a value column there may only be key, partition, timestamp and header:NAME".into())
        }
        (false, false) => Err("no column of the header row makes a value".into()),
        _ => Ok(columns),
    }
}

fn number<N: std::str::FromStr>(cell: &[u8], what: &str) -> Result<Option<N>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    let number = std::str::from_utf8(cell).ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| format!("the {what} is no number"))
}

fn write_member(object: &mut Vec<u8>, name: &str, cell: &[u8]) -> Result<(), String> {
    let cell = std::str::from_utf8(cell).map_err(|_| format!("column {name} is not UTF-8"))?;
    object.push(if object.is_empty() { b'{' } else { b',' });
    // Writing strings to memory cannot fail.
    let _ = serde_json::to_writer(&mut *object, name);
    let _ = object.write_all(b":");
    let _ = serde_json::to_writer(&mut *object, cell);
    Ok(())
}

/// The cells of a row, out of their quotation marks.
fn cells(row: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let (mut cells, mut cell) = (Vec::new(), Vec::new());
    let (mut in_quotes, mut bytes) = (false, row.iter().copied().peekable());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if in_quotes && bytes.peek() == Some(&b'"') => {
                bytes.next();
                cell.push(b'"');
            }
            b'"' if in_quotes => in_quotes = false,
            b'"' if cell.is_empty() => in_quotes = true,
            b',' if !in_quotes => cells.push(std::mem::take(&mut cell)),
            byte => cell.push(byte),
        }
    }
    if in_quotes {
        return Err("a quotation mark is not closed".into());
    }
    cells.push(cell);
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Option<&[u8]>) -> Option<&str> {
        bytes.map(|bytes| std::str::from_utf8(bytes).unwrap())
    }

    #[test]
    fn named_columns_are_the_parts_of_a_record() {
        let (mut csv, defaults) = (Csv::default(), Defaults::default());
        assert_eq!(csv.read(b"key,value,partition,timestamp,header:trace\r", &defaults), Ok(None));
        let draft = csv.read(b"k,\"a, \"\"b\"\"\nc\",1,99,t1\r", &defaults).unwrap().unwrap();
        assert_eq!((text(draft.record.key), text(draft.record.value)), (Some("k"), Some("a, \"b\"\nc")));
        assert_eq!((draft.partition, draft.record.timestamp), (Some(1), Some(99)));
        assert_eq!(draft.record.headers, [Header::new("trace", Some("t1"))]);
        assert!(csv.read(b"k,v", &defaults).is_err());
        assert!(csv.read(b"k,v,x,,", &defaults).is_err());
        assert_eq!(csv.read(b"k,v,,,", &defaults).unwrap().unwrap().partition, None);
    }

    #[test]
    fn other_columns_make_a_json_object() {
        let (mut csv, defaults) = (Csv::default(), Defaults::default());
        csv.read("\u{feff}name,key,location".as_bytes(), &defaults).unwrap();
        let draft = csv.read(b"tony,k1,\"no\"\"rth\"", &defaults).unwrap().unwrap();
        assert_eq!(text(draft.record.value), Some(r#"{"name":"tony","location":"no\"rth"}"#));
        assert_eq!(text(draft.record.key), Some("k1"));
    }

    #[test]
    fn rows_that_contradict_are_refused() {
        for header in ["value,other", "key", "\"open"] {
            assert!(Csv::default().read(header.as_bytes(), &Defaults::default()).is_err(), "{header}");
        }
    }
}
