//! Words with names: `tony north` becomes `{"name":"tony","location":"north"}`.

use kafka_core::RecordRef;

use super::{Defaults, Draft};

/// The field that routes look at, where there is one of that name; else the last one.
const ROUTED: &str = "location";

/// The names of a line's words, and room for one value.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    names: Vec<String>,
    /// `{"name":`, `,"location":`
    leads: Vec<Vec<u8>>,
    routed: usize,
    value: Vec<u8>,
}

impl Fields {
    /// # Errors
    /// A name is empty.
    pub(crate) fn new(names: &[String]) -> Result<Self, String> {
        if names.iter().any(|name| name.trim().is_empty()) {
            return Err("--fields: a name is empty; write --fields name,location".into());
        }
        let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        let lead = |(index, name): (usize, &String)| {
            let mut lead = if index == 0 { b"{".to_vec() } else { b",".to_vec() };
            write_json(&mut lead, name);
            lead.push(b':');
            lead
        };
        let routed = names.iter().position(|name| name == ROUTED).unwrap_or(names.len() - 1);
        Ok(Self { leads: names.iter().enumerate().map(lead).collect(), names, routed, value: Vec::new() })
    }

    /// Whether there is a field that the tutorial's own route is about.
    pub(crate) fn has_location(&self) -> bool {
        self.names.iter().any(|name| name == ROUTED)
    }

    /// The number of the word that routes look at.
    pub(crate) fn routed(&self) -> usize {
        self.routed
    }

    /// How a line looks that can be read, with an example.
    pub(crate) fn usage(&self) -> String {
        let example = if self.names == ["name", "location"] { ", for example: tony north" } else { "" };
        format!("a line is {}{example}", self.names.join(" "))
    }

    pub(crate) fn read<'a>(
        &'a mut self,
        piece: &'a [u8],
        defaults: &'a Defaults,
    ) -> Result<Option<Draft<'a>>, String> {
        let line = std::str::from_utf8(piece).map_err(|_| "not UTF-8 text".to_owned())?;
        let words: usize = line.split_whitespace().count();
        if words == 0 {
            return Ok(None);
        }
        if words != self.names.len() {
            return Err(format!("{} where {} are needed: {}", count(words), self.names.len(), self.usage()));
        }
        self.value.clear();
        for (lead, word) in self.leads.iter().zip(line.split_whitespace()) {
            self.value.extend_from_slice(lead);
            write_json(&mut self.value, word);
        }
        self.value.push(b'}');
        let word = line.split_whitespace().nth(self.routed).map(str::as_bytes);
        let record = RecordRef {
            key: defaults.key.as_deref(),
            value: Some(&self.value),
            headers: &defaults.headers,
            timestamp: defaults.timestamp,
        };
        Ok(Some(Draft { record, partition: None, word }))
    }
}

fn count(words: usize) -> String {
    if words == 1 { "one word".to_owned() } else { format!("{words} words") }
}

/// As `JSON.stringify` writes it: nothing is escaped that need not be.
fn write_json(out: &mut Vec<u8>, text: &str) {
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tutorial() -> Fields {
        Fields::new(&["name".into(), "location".into()]).unwrap()
    }

    fn value(line: &str) -> String {
        let defaults = Defaults::default();
        let mut fields = tutorial();
        let draft = fields.read(line.as_bytes(), &defaults).unwrap().unwrap();
        String::from_utf8(draft.record.value.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn two_words_become_the_tutorials_json_byte_for_byte() {
        assert_eq!(value("tony north"), r#"{"name":"tony","location":"north"}"#);
        assert_eq!(value("  Tony \t NORTH \r"), r#"{"name":"Tony","location":"NORTH"}"#);
        assert_eq!(value(r#"to"n\y süd"#), r#"{"name":"to\"n\\y","location":"süd"}"#);
        assert_eq!(value("a\u{1}\u{7f} b"), "{\"name\":\"a\\u0001\u{7f}\",\"location\":\"b\"}");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_answered_with_an_example() {
        let defaults = Defaults::default();
        for line in ["tony", "tony north now"] {
            let hint = tutorial().read(line.as_bytes(), &defaults).unwrap_err();
            assert!(hint.contains("tony north"), "{hint}");
        }
        assert!(tutorial().read(&[b'a', 0xff], &defaults).is_err());
        assert_eq!(tutorial().read(b"  \r", &defaults), Ok(None));
    }

    #[test]
    fn routes_look_at_the_location_and_else_at_the_last_word() {
        let defaults = Defaults::default();
        let mut fields = Fields::new(&["location".into(), "name".into()]).unwrap();
        assert_eq!(fields.read(b"north tony", &defaults).unwrap().unwrap().word, Some(&b"north"[..]));
        let mut others = Fields::new(&["a".into(), "b".into(), "c".into()]).unwrap();
        assert_eq!(others.read(b"1 2 3", &defaults).unwrap().unwrap().word, Some(&b"3"[..]));
        assert!(!others.has_location());
        assert!(Fields::new(&["a".into(), String::new()]).is_err());
    }
}
