//! `__consumer_offsets` made readable: what groups committed, and that they have members.
//!
//! Layouts: Kafka's `OffsetCommitKey`, `OffsetCommitValue` and `GroupMetadataKey`. What is not known is shown as hex.

use std::io::Write;

use kafka_cli::PayloadFormat;
use kafka_cli::record_json::write_string;
use kafka_core::consumer::RecordView;

/// The topic in which Kafka keeps groups and their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Appends one line of JSON: what the record says about a group.
pub(crate) fn write(out: &mut Vec<u8>, record: &RecordView<'_>) {
    let start = out.len();
    if describe(out, record).is_none() {
        out.truncate(start);
        out.extend_from_slice(b"{\"unknown_key\":\"");
        PayloadFormat::Hex.write(out, record.key.unwrap_or_default());
        out.extend_from_slice(b"\"}");
    }
    out.push(b'\n');
}

fn describe(out: &mut Vec<u8>, record: &RecordView<'_>) -> Option<()> {
    let mut key = Fields(record.key?);
    let version = key.int(2)?;
    out.extend_from_slice(b"{\"group\":");
    write_string(out, key.text()?);
    match version {
        0 | 1 => {
            out.extend_from_slice(b",\"topic\":");
            write_string(out, key.text()?);
            number(out, "partition", key.int(4)?);
            match record.value {
                // A tombstone: the offset expired or was deleted.
                None => out.extend_from_slice(b",\"offset\":null"),
                Some(value) => describe_offset(out, Fields(value))?,
            }
        }
        2 => out.extend_from_slice(if record.value.is_none() {
            b",\"deleted\":true"
        } else {
            b",\"metadata\":true"
        }),
        // The records of the consumer protocol (KIP-848) have versions from 3 on.
        _ => number(out, "record_kind", version),
    }
    number(out, "timestamp", record.timestamp);
    out.push(b'}');
    Some(())
}

fn describe_offset(out: &mut Vec<u8>, mut value: Fields<'_>) -> Option<()> {
    let version = value.int(2)?;
    number(out, "offset", value.int(8)?);
    if version >= 3 {
        number(out, "leader_epoch", value.int(4)?);
    }
    // From version 4 on texts have another layout; what stands before is all that matters.
    if version < 4 {
        out.extend_from_slice(b",\"metadata\":");
        write_string(out, value.text()?);
        number(out, "committed", value.int(8)?);
    }
    Some(())
}

fn number(out: &mut Vec<u8>, name: &str, number: i64) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, ",\"{name}\":{number}");
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    /// A signed number of so many bytes.
    fn int(&mut self, width: usize) -> Option<i64> {
        let unused = 64 - 8 * u32::try_from(width).ok()?;
        let raw = self.take(width)?.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        Some((raw << unused).cast_signed() >> unused)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.int(2)?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &[u8], value: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        let mut fields = Fields(key);
        assert_eq!(fields.int(2), Some(1));
        write_string(&mut out, fields.text()?);
        describe_offset(&mut out, Fields(value))?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn a_committed_offset_is_read() {
        let key = [&[0, 1, 0, 1][..], b"g", &[0, 1], b"t", &[0, 0, 0, 7]].concat();
        let offset =
            [&[0, 3][..], &42_i64.to_be_bytes(), &(-1_i32).to_be_bytes(), &[0, 0], &5_i64.to_be_bytes()]
                .concat();
        let text = shown(&key, &offset).unwrap();
        assert_eq!(text, r#""g","offset":42,"leader_epoch":-1,"metadata":"","committed":5"#);
    }

    #[test]
    fn what_is_cut_off_is_not_guessed_at() {
        assert_eq!(shown(&[0, 1, 0, 5, b'g'], &[]), None);
        assert_eq!(shown(&[0, 1, 0, 1, b'g'], &[0, 3, 0]), None);
    }
}
