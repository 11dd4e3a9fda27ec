//! Where one piece of input ends and the next begins. Pure: it looks at bytes in memory.

/// How input is cut into pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// After every such byte.
    Byte(u8),
    /// After every occurrence of these bytes, of which there are two or more.
    Text(Vec<u8>),
    /// A JSON object each, whatever stands around them: line ends, or the brackets and commas of a list.
    Json(JsonScan),
    /// A line each, but for line ends within quotation marks.
    Csv {
        /// Whether what was looked at ends within quotation marks.
        in_quotes: bool,
    },
}

/// What is known of an object whose end was not seen yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct JsonScan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

/// A piece within the bytes that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its length.
    pub(crate) length: usize,
    /// Its length with what separates it from the next.
    pub(crate) with_separator: usize,
}

impl Cut {
    /// Lines.
    pub(crate) const LINES: Self = Self::Byte(b'\n');

    /// JSON objects.
    pub(crate) fn json() -> Self {
        Self::Json(JsonScan::default())
    }

    /// After every `delimiter`; empty: the whole input is one piece.
    pub(crate) fn after(delimiter: Vec<u8>) -> Self {
        match delimiter[..] {
            [byte] => Self::Byte(byte),
            _ => Self::Text(delimiter),
        }
    }

    /// The first piece of `bytes`, of which the first `seen` held no end when they were looked at before.
    #[inline]
    pub(crate) fn find(&mut self, bytes: &[u8], seen: usize) -> Option<Found> {
        let unseen = &bytes[seen..];
        match self {
            Self::Byte(byte) => {
                let length = seen + memchr::memchr(*byte, unseen)?;
                Some(Found { length, with_separator: length + 1 })
            }
            Self::Text(text) if text.is_empty() => None,
            Self::Text(text) => {
                // The delimiter may have begun in the part that was seen.
                let from = seen.saturating_sub(text.len() - 1);
                let length = from + memchr::memmem::find(&bytes[from..], text)?;
                Some(Found { length, with_separator: length + text.len() })
            }
            Self::Json(scan) => {
                let end = scan.end(unseen)?;
                *scan = JsonScan::default();
                Some(Found { length: seen + end, with_separator: seen + end })
            }
            Self::Csv { in_quotes } => {
                for at in memchr::memchr2_iter(b'\n', b'"', unseen) {
                    if unseen[at] == b'"' {
                        *in_quotes = !*in_quotes;
                    } else if !*in_quotes {
                        return Some(Found { length: seen + at, with_separator: seen + at + 1 });
                    }
                }
                None
            }
        }
    }
}

impl JsonScan {
    /// The end of the object, where it is there.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.in_string {
                self.in_string = self.is_escaped || *byte != b'"';
                self.is_escaped = !self.is_escaped && *byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' => self.depth += 1,
                b'}' if self.depth <= 1 => return Some(at + 1),
                b'}' => self.depth -= 1,
                // Outside of any object a line end ends what is none, so that the next line has its chance.
                b'\n' if self.depth == 0 => return Some(at + 1),
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pieces of `input` when `step` bytes more are seen at a time.
    fn pieces(mut cut: Cut, input: &str, step: usize) -> Vec<String> {
        let (mut pieces, mut rest, mut visible, mut seen) = (Vec::new(), input.as_bytes(), 0, 0);
        while visible < rest.len() {
            visible = (visible + step).min(rest.len());
            while let Some(found) = cut.find(&rest[..visible], seen) {
                pieces.push(String::from_utf8_lossy(&rest[..found.length]).into_owned());
                rest = &rest[found.with_separator..];
                (visible, seen) = (visible - found.with_separator, 0);
            }
            seen = visible;
        }
        pieces
    }

    proptest! {
        #[test]
        fn how_input_arrives_changes_nothing(step in 1_usize..9) {
            let lines = "a\n\nbc\nd";
            prop_assert_eq!(pieces(Cut::LINES, lines, step), ["a", "", "bc"]);
            let text = Cut::after(b"--".to_vec());
            prop_assert_eq!(pieces(text, "a-b--c----d", step), ["a-b", "c", ""]);
            let csv = "k,\"two\nlines \"\"q\"\"\"\nx,y\n";
            prop_assert_eq!(pieces(Cut::Csv { in_quotes: false }, csv, step), ["k,\"two\nlines \"\"q\"\"\"", "x,y"]);
            let json = "[{\"a\":\"}\\\"\"},{\"b\":{}}]{\"c\":\n1}";
            prop_assert_eq!(pieces(Cut::Json(JsonScan::default()), json, step),
                ["[{\"a\":\"}\\\"\"}", ",{\"b\":{}}", "]{\"c\":\n1}"]);
        }
    }
}
