//! Records as `kafka-consume -o json` writes them.

use kafka_cli::record_json::{JsonRecord, parse_record};

use super::{Defaults, Draft};

/// Reads them, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Json {
    current: JsonRecord,
}

impl Json {
    pub(crate) fn read<'a>(
        &'a mut self,
        piece: &[u8],
        defaults: &'a Defaults,
    ) -> Result<Option<Draft<'a>>, String> {
        // The objects of a list come with what stands between them.
        let start =
            piece.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'[' | b',' | b']'));
        let Some(object) = start.and_then(|start| piece.get(start..)) else { return Ok(None) };
        self.current = parse_record(object)?;
        let record = &mut self.current.record;
        record.headers.extend_from_slice(&defaults.headers);
        record.timestamp = defaults.timestamp.or(record.timestamp);
        let mut borrowed = record.as_ref();
        borrowed.key = borrowed.key.or(defaults.key.as_deref());
        Ok(Some(Draft { record: borrowed, partition: self.current.partition, word: borrowed.key }))
    }
}

#[cfg(test)]
mod tests {
    use kafka_core::Header;

    use super::*;

    #[test]
    fn a_record_keeps_its_parts_and_gets_what_it_lacks() {
        let header = |name: &'static str| Header::new(name, Some("1"));
        let defaults =
            Defaults { key: Some(b"d".to_vec()), headers: vec![header("z")], ..Defaults::default() };
        let mut json = Json::default();
        let line =
            br#" ,{"partition":2,"timestamp":5,"key":"k","value":null,"headers":[["a","1"],["a","1"]]}"#;
        let draft = json.read(line, &defaults).unwrap().unwrap();
        assert_eq!((draft.partition, draft.record.key, draft.record.value), (Some(2), Some(&b"k"[..]), None));
        assert_eq!(draft.record.timestamp, Some(5));
        assert_eq!(draft.record.headers, [header("a"), header("a"), header("z")]);
        let draft = json.read(br#"{"value":""}"#, &defaults).unwrap().unwrap();
        assert_eq!((draft.record.key, draft.record.value), (Some(&b"d"[..]), Some(&b""[..])));
    }

    #[test]
    fn what_stands_between_the_objects_of_a_list_is_no_record() {
        for between in ["\n", " ]\n", ""] {
            assert_eq!(Json::default().read(between.as_bytes(), &Defaults::default()), Ok(None));
        }
        assert!(Json::default().read(b"[1]", &Defaults::default()).is_err());
    }
}
