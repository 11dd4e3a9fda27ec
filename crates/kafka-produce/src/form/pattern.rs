//! Lines made up as `--format` says: `%k\t%v` is a key, a tab and a value.

use kafka_cli::record_format::unescape;
use kafka_core::{Header, RecordRef};

use super::line::split;
use super::{Defaults, Draft, parse_header};

/// A part of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Key,
    Value,
    Headers,
    Partition,
    Timestamp,
    /// Read over.
    Ignored,
}

/// A format that was read, and room for what is made of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// What the line begins with.
    prefix: Vec<u8>,
    /// Each part, and the text that ends it; empty: the line's end.
    parts: Vec<(Part, Vec<u8>)>,
    headers: Vec<Header>,
}

impl Pattern {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix("\\n").unwrap_or(text);
        let mut pieces = split_at_percents(text)?.into_iter();
        let prefix = pieces.next().map(|(_, literal)| unescape(&literal)).transpose()?.unwrap_or_default();
        let mut parts = Vec::new();
        for (letter, literal) in pieces {
            parts.push((part(letter)?, unescape(&literal)?));
        }
        if !parts.iter().any(|(part, _)| *part == Part::Value) {
            return Err("there is no value in it; write for example '%k\\t%v'".into());
        }
        let last = parts.len() - 1;
        if let Some((part, _)) = parts[..last].iter().find(|(_, end)| end.is_empty()) {
            return Err(format!("nothing tells where the {part:?} ends; write for example '%k\\t%v'"));
        }
        Ok(Self { prefix, parts, headers: Vec::new() })
    }

    pub(crate) fn read<'a>(
        &'a mut self,
        piece: &'a [u8],
        defaults: &'a Defaults,
    ) -> Result<Draft<'a>, String> {
        let mut rest = piece.strip_prefix(&self.prefix[..]).ok_or("it does not begin as --format says")?;
        let mut record = RecordRef {
            key: defaults.key.as_deref(),
            value: None,
            headers: &[],
            timestamp: defaults.timestamp,
        };
        let mut partition = None;
        self.headers.clear();
        for (part, end) in &self.parts {
            let (text, behind) = if end.is_empty() {
                (rest, &rest[rest.len()..])
            } else {
                split(rest, end)
                    .ok_or_else(|| format!("no {:?} behind the {part:?}", String::from_utf8_lossy(end)))?
            };
            rest = behind;
            match part {
                Part::Key => record.key = defaults.nulls.read(text),
                Part::Value => record.value = defaults.nulls.read(text),
                Part::Headers => read_headers(text, &mut self.headers)?,
                Part::Partition => partition = Some(number(text, "partition")?),
                Part::Timestamp => record.timestamp = defaults.timestamp.or(Some(number(text, "timestamp")?)),
                Part::Ignored => {}
            }
        }
        if !rest.is_empty() {
            return Err("it goes on behind what --format says".into());
        }
        self.headers.extend_from_slice(&defaults.headers);
        record.headers = &self.headers;
        Ok(Draft { record, partition, word: record.key })
    }
}

/// The text before the first `%x`, then each letter with the text behind it. `%%` is text.
fn split_at_percents(text: &str) -> Result<Vec<(char, String)>, String> {
    let mut pieces = vec![(' ', String::new())];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, pieces.last_mut()) {
            ('%', Some((_, literal))) => match chars.next() {
                Some('%') => literal.push('%'),
                Some(letter) => pieces.push((letter, String::new())),
                None => return Err("a % at the end; write %% for a percent sign".into()),
            },
            (c, Some((_, literal))) => literal.push(c),
            (_, None) => {}
        }
    }
    Ok(pieces)
}

fn part(letter: char) -> Result<Part, String> {
    Ok(match letter {
        'k' => Part::Key,
        'v' | 's' => Part::Value,
        'h' => Part::Headers,
        'p' => Part::Partition,
        'T' => Part::Timestamp,
        't' | 'o' | 'K' | 'S' => Part::Ignored,
        _ => {
            return Err(format!(
                "unknown %{letter}; there are %k %v %h %p %T, and %t %o %K %S to be skipped"
            ));
        }
    })
}

fn number<N: std::str::FromStr>(text: &[u8], what: &str) -> Result<N, String> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| format!("the {what} is no number"))
}

/// `a=1,b=NULL`, as `%h` writes them.
fn read_headers(text: &[u8], into: &mut Vec<Header>) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|_| "the headers are not UTF-8".to_owned())?;
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let mut header = parse_header(pair)?;
        header.value = header.value.filter(|value| &value[..] != b"NULL");
        into.push(header);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_as_the_format_says() {
        let defaults = Defaults::default();
        let mut pattern = Pattern::parse(r"<%p> %k\t%v [%h] %T\n").unwrap();
        let draft = pattern.read(b"<3> key\ta b [x=1,x=NULL] 99", &defaults).unwrap();
        assert_eq!((draft.record.key, draft.record.value), (Some(&b"key"[..]), Some(&b"a b"[..])));
        assert_eq!((draft.partition, draft.record.timestamp), (Some(3), Some(99)));
        assert_eq!(draft.record.headers, [Header::new("x", Some("1")), Header::new("x", None::<&str>)]);
        for wrong in ["3> key", "<3> key value", "<x> k\tv [] 1"] {
            assert!(pattern.read(wrong.as_bytes(), &defaults).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_format_that_could_not_be_read_back_is_refused() {
        for wrong in ["%k", "%k%v", "%q%v", "%v%"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Pattern::parse("100%% %v").unwrap().prefix, b"100% ");
    }
}
