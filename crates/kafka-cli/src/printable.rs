//! Text from others made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with control characters as `\n`, `\t`, `\x1b`, and those that turn the writing direction as `\u{202e}`.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            '\r' => safe.push_str("\\r"),
            // Writing to a String cannot fail.
            c if is_unsafe(c) && c.is_ascii() => drop(write!(safe, "\\x{:02x}", u32::from(c))),
            c if is_unsafe(c) => drop(write!(safe, "\\u{{{:x}}}", u32::from(c))),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_passes_unchanged_and_unallocated() {
        assert!(matches!(printable("süß 世界"), Cow::Borrowed("süß 世界")));
    }

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        assert_eq!(printable("a\x1b[2Jb\r\u{9b}c\u{202e}"), r"a\x1b[2Jb\r\u{9b}c\u{202e}");
    }
}
