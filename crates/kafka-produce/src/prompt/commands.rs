//! What begins with a slash. Pure.

use kafka_core::Header;

use crate::form::parse_header;

/// What `/help` says of them.
pub(super) const HELP: &str = "\
/topic NAME         write to another topic
/key KEY            key of the records from now on; /key alone: none
/partition N        partition of the records from now on; /partition alone: by key
/header NAME=VALUE  one more header; /header alone: none
//...               a line that begins with a slash
Tab completes, Ctrl-R searches what was typed, Ctrl-D ends.";

const NAMES: [&str; 5] = ["/topic", "/key", "/partition", "/header", "/help"];

/// A command that was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Topic(Option<String>),
    Key(Option<String>),
    Partition(Option<i32>),
    Header(Option<Header>),
    Help,
}

impl Command {
    /// The names, for completion.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter()
    }

    /// The command of a line; `None` where the line is to be sent.
    ///
    /// # Errors
    /// What to type instead.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, String> {
        if !line.starts_with('/') || line.starts_with("//") {
            return Ok(None);
        }
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = Some(argument.trim()).filter(|argument| !argument.is_empty()).map(str::to_owned);
        Ok(Some(match name {
            "/topic" => Self::Topic(argument),
            "/key" => Self::Key(argument),
            "/partition" => {
                let number = |text: String| text.parse().ok().filter(|partition| *partition >= 0);
                match argument.map(number) {
                    None => Self::Partition(None),
                    Some(Some(partition)) => Self::Partition(Some(partition)),
                    Some(None) => return Err("/partition N, a number from 0".into()),
                }
            }
            "/header" => Self::Header(argument.map(|text| parse_header(&text)).transpose()?),
            "/help" => Self::Help,
            _ => {
                let near = kafka_cli::nearest(name, NAMES);
                let near = near.map_or_else(|| "/help".to_owned(), |near| format!("{near} or /help"));
                return Err(format!("no command {name}; {near}? a line that begins with / is typed /{line}"));
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sent_unless_they_begin_with_one_slash() {
        for line in ["tony north", "", "a /topic", "//etc"] {
            assert_eq!(Command::parse(line), Ok(None), "{line}");
        }
        assert_eq!(Command::parse("/topic  rides "), Ok(Some(Command::Topic(Some("rides".into())))));
        assert_eq!(Command::parse("/key"), Ok(Some(Command::Key(None))));
        assert_eq!(Command::parse("/key a b"), Ok(Some(Command::Key(Some("a b".into())))));
        assert_eq!(Command::parse("/partition 3"), Ok(Some(Command::Partition(Some(3)))));
        let header = Header::new("a", Some("1"));
        assert_eq!(Command::parse("/header a=1"), Ok(Some(Command::Header(Some(header)))));
    }

    #[test]
    fn a_mistyped_command_is_not_sent_and_its_neighbour_is_named() {
        assert!(Command::parse("/topc x").unwrap_err().contains("/topic"));
        assert!(Command::parse("/partition x").is_err());
        assert!(Command::parse("/etc/passwd").unwrap_err().contains("//etc/passwd"));
    }
}
