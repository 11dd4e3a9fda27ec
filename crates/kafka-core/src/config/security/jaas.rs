//! `sasl.jaas.config`: a login module's class, `required`, options, a semicolon.

use std::collections::HashMap;

use crate::config::Secret;

/// The first entry of a JAAS line. `Debug` shows no option: the password is one.
pub(super) struct Entry {
    class: String,
    options: HashMap<String, Secret>,
}

impl Entry {
    /// The class without its package: `PlainLoginModule`.
    pub(super) fn module(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or_default()
    }

    pub(super) fn option(&self, name: &str) -> Option<Secret> {
        self.options.get(name).cloned()
    }

    /// Options whose names begin with `prefix`, without it, in order.
    pub(super) fn options_after(&self, prefix: &str) -> Vec<(String, Secret)> {
        let mut found: Vec<_> = self
            .options
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone())))
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found
    }
}

/// Reads a JAAS line; the error says what is missing and repeats nothing of the line.
pub(super) fn parse(line: &str) -> Result<Entry, String> {
    let mut words = Words(line.chars().peekable());
    let class = words.word().ok_or("it is empty; expected a login module's class")?;
    let flag = words.word().unwrap_or_default();
    if !["required", "requisite", "sufficient", "optional"].contains(&flag.to_ascii_lowercase().as_str()) {
        return Err("expected 'required' after the class of the login module".to_owned());
    }
    let mut options = HashMap::new();
    loop {
        match words.next_sign() {
            Some(';') => return Ok(Entry { class, options }),
            None => return Err("a semicolon is missing at the end".to_owned()),
            Some(_) => {}
        }
        let name = words.word().ok_or("expected name=\"value\" or a semicolon")?;
        if words.next_sign() != Some('=') {
            return Err(format!("the option {name} has no value"));
        }
        words.0.next();
        let value = words
            .word()
            .ok_or_else(|| format!("the option {name} has no value, or its quote is not closed"))?;
        options.insert(name, value.into());
    }
}

struct Words<'a>(std::iter::Peekable<std::str::Chars<'a>>);

impl Words<'_> {
    /// The next character that is no blank, left where it is.
    fn next_sign(&mut self) -> Option<char> {
        while self.0.next_if(|c| c.is_whitespace()).is_some() {}
        self.0.peek().copied()
    }

    /// The next word, quoted or bare. `None` at the end, at a sign, and where a quote is not closed.
    fn word(&mut self) -> Option<String> {
        let quote = self.next_sign()?;
        if quote == '"' || quote == '\'' {
            self.0.next();
            return self.quoted(quote);
        }
        let mut word = String::new();
        while let Some(c) = self.0.next_if(|c| !c.is_whitespace() && !matches!(c, '=' | ';' | '"' | '\'')) {
            word.push(c);
        }
        (!word.is_empty()).then_some(word)
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut word = String::new();
        loop {
            match self.0.next()? {
                '\\' => word.push(self.0.next()?),
                c if c == quote => return Some(word),
                c => word.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_as_java_writes_it_is_read() {
        let line = r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="al=i;ce" password="p\"\\w d" tokenauth=true;"#;
        let entry = parse(line).unwrap();
        assert_eq!(entry.module(), "ScramLoginModule");
        assert_eq!(entry.option("username").unwrap().expose(), "al=i;ce");
        assert_eq!(entry.option("password").unwrap().expose(), r#"p"\w d"#);
        assert_eq!(entry.option("tokenauth").unwrap().expose(), "true");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (line, expected) in [
            ("", "it is empty; expected a login module's class"),
            ("x.PlainLoginModule username=\"a\";", "expected 'required' after the class of the login module"),
            ("x.PlainLoginModule required password=\"hunter2\"", "a semicolon is missing at the end"),
            ("x.PlainLoginModule required username;", "the option username has no value"),
            (
                "x.PlainLoginModule required password=\"hunter2;",
                "the option password has no value, or its quote is not closed",
            ),
        ] {
            assert_eq!(parse(line).err().as_deref(), Some(expected), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_whatever_makes_it_panic(line: String) {
            let _ = parse(&line);
        }
    }
}
