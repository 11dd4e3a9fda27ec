//! The text of a properties file, Java's and librdkafka's alike: names and values, line by line. What they mean is in
//! [`super::property`].

/// A name and its value, with the number of the line that it starts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counted from 1.
    pub line: usize,
    /// As written.
    pub name: String,
    /// As written, escapes read.
    pub value: String,
}

/// Reads a file's text as `java.util.Properties` does: `#` and `!` begin comment lines, `=`, `:` or a blank ends the
/// name, a backslash at the end of a line continues it, and `\t \n \r \f \\ \uHHHH` stand for what they do in Java.
pub fn entries(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = line.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, more)) => logical.push_str(more.trim_start()),
                None => break,
            }
        }
        let (name, value) = split(&logical);
        found.push(Entry { line: index + 1, name: unescape(name), value: unescape(value) });
    }
    found
}

/// An odd number of backslashes: an even one stands for backslashes.
fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The name ends at the first `=`, `:` or blank that no backslash stands before.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = !escaped && (matches!(c, '=' | ':') || c.is_whitespace());
        escaped = *c == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else { return (line, "") };
    let rest = line[end..].trim_start();
    (&line[..end], rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start())
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => out.push(utf16_escape(&mut chars)),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// The character of `HHHH` after `\u`; characters beyond the first plane are two such escapes.
fn utf16_escape(chars: &mut std::str::Chars<'_>) -> char {
    let Some(first) = hex4(chars) else { return char::REPLACEMENT_CHARACTER };
    let mut units = vec![first];
    let mut ahead = chars.clone();
    if (0xd800..0xdc00).contains(&first)
        && ahead.next() == Some('\\')
        && ahead.next() == Some('u')
        && let Some(second) = hex4(&mut ahead)
    {
        units.push(second);
        *chars = ahead;
    }
    char::decode_utf16(units).next().and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn hex4(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    let digits = chars.as_str().get(..4)?;
    let unit = u16::from_str_radix(digits, 16).ok()?;
    *chars = chars.as_str()[4..].chars();
    Some(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        entries(text).into_iter().map(|entry| (entry.name, entry.value)).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn every_separator_of_java_ends_the_name() {
        let expected = pair("acks", "all");
        for text in ["acks=all", "acks: all", "acks all", "  acks = all", "acks\tall", "acks=all\r\n"] {
            assert_eq!(pairs(text), std::slice::from_ref(&expected), "{text:?}");
        }
    }

    #[test]
    fn a_jaas_line_over_several_lines_becomes_one_value() {
        let text = "sasl.jaas.config=org.example.PlainLoginModule required \\\n    username=\"a\" \\\n    password=\"b=c:d\";\n";
        let value = "org.example.PlainLoginModule required username=\"a\" password=\"b=c:d\";";
        assert_eq!(pairs(text), [pair("sasl.jaas.config", value)]);
    }

    #[test]
    fn comments_blank_lines_and_a_byte_order_mark_are_passed_over_and_lines_still_count() {
        let found = entries("\u{feff}# one\n! two\n\n   \nacks=1 # not a comment\n");
        assert_eq!(found, [Entry { line: 5, name: "acks".into(), value: "1 # not a comment".into() }]);
    }

    #[test]
    fn escapes_stand_for_what_they_do_in_java() {
        assert_eq!(pairs(r"a\=b=\u0041\t\\x\uD83D\uDE00\q"), [pair("a=b", "A\t\\x\u{1f600}q")]);
        assert_eq!(pairs("a=even\\\\\nb=c"), [pair("a", "even\\"), pair("b", "c")]);
    }

    #[test]
    fn a_broken_escape_or_a_continuation_at_the_end_does_no_harm() {
        assert_eq!(pairs("a=\\uZZ"), [pair("a", "\u{fffd}ZZ")]);
        assert_eq!(pairs("a=b\\"), [pair("a", "b")]);
        assert_eq!(pairs("a=\\u00é9"), [pair("a", "\u{fffd}00é9")]);
    }

    proptest! {
        #[test]
        fn no_text_whatever_makes_it_panic(text: String) {
            let _ = entries(&text);
        }
    }
}
