//! What a word that is being typed may become, where that is the name of a topic or a group. The command line's own
//! definition says so: there is no list of commands here.

use clap::{Arg, ArgAction, Command};
use kafka_core::admin::ConfigKind;

/// Whose names may stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Topics,
    Groups,
}

/// Whose names the last of `words` may become; none where anything else is meant. `tool` is built, and `words` come
/// without its name.
pub(crate) fn wanted(tool: &Command, words: &[String]) -> Option<Names> {
    let (current, before) = words.split_last()?;
    let mut line = Line { command: tool, flag: None, positionals: Vec::new(), only_positionals: false };
    for word in before {
        line.take(word);
    }
    match line.flag {
        Some(flag) => named_by(flag, &[]),
        None if current.starts_with('-') && !line.only_positionals => None,
        None => {
            let next = line.command.get_positionals().nth(line.positionals.len());
            // The last one may take all that follow.
            let last = || line.command.get_positionals().last().filter(|last| takes_several(last));
            named_by(next.or_else(last)?, &line.positionals)
        }
    }
}

/// A command line as far as it was read.
struct Line<'a> {
    command: &'a Command,
    /// It waits for its value.
    flag: Option<&'a Arg>,
    positionals: Vec<&'a str>,
    only_positionals: bool,
}

impl<'a> Line<'a> {
    fn take(&mut self, word: &'a str) {
        if self.flag.take().is_some() {
            return;
        }
        if self.only_positionals || !word.starts_with('-') || word == "-" {
            match self.command.find_subcommand(word) {
                Some(command) if self.positionals.is_empty() => self.command = command,
                _ => self.positionals.push(word),
            }
        } else if word == "--" {
            self.only_positionals = true;
        } else if let Some(long) = word.strip_prefix("--") {
            // With `=` the value is there already.
            let is_it = |flag: &&Arg| {
                flag.get_long() == Some(long) || flag.get_all_aliases().is_some_and(|all| all.contains(&long))
            };
            self.flag = self.command.get_arguments().find(is_it).filter(|flag| takes_value(flag));
        } else {
            self.take_shorts(&word[1..]);
        }
    }

    /// Short flags in one word: the first that takes a value has the rest of the word for it, or else the next word.
    fn take_shorts(&mut self, shorts: &str) {
        for (at, short) in shorts.char_indices() {
            let flag = self.command.get_arguments().find(|flag| flag.get_short() == Some(short));
            if let Some(flag) = flag.filter(|flag| takes_value(flag)) {
                self.flag = (at + short.len_utf8() == shorts.len()).then_some(flag);
                return;
            }
        }
    }
}

fn takes_value(flag: &Arg) -> bool {
    let at_least = flag.get_num_args().map_or(1, |count| count.min_values());
    flag.get_action().takes_values() && at_least > 0
}

fn takes_several(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

/// The name of a value says what it is; the `NAME` of a resource is one of the `KIND` before it.
fn named_by(argument: &Arg, before: &[&str]) -> Option<Names> {
    match argument.get_value_names()?.first()?.as_str() {
        "TOPIC" | "TOPIC[:PARTITIONS]" | "FROM" => Some(Names::Topics),
        "GROUP" => Some(Names::Groups),
        "NAME" => match before.first()?.parse() {
            Ok(ConfigKind::Topic) => Some(Names::Topics),
            Ok(ConfigKind::Group) => Some(Names::Groups),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn at_the_end_of(line: &str) -> Option<Names> {
        let mut tool = Cli::command();
        tool.build();
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        wanted(&tool, &words)
    }

    #[test]
    fn names_of_topics_are_wanted_where_a_topic_is_named() {
        for line in [
            "describe-topic ",
            "describe-topic al",
            "describe-topic alpha ",
            "delete-topic --topic ",
            "-b host:1 describe-topic ",
            "describe-topic --watch 1s al",
            "elect-leaders -b host:1 -o json ",
            "-ojson list-producers ",
            "--output=json describe-topic -- -",
            "reset-offsets group --to earliest --topic ",
            "create-topic new --like ",
            "clone-topic ",
            "get-config topic ",
            "partition-for ",
        ] {
            assert_eq!(at_the_end_of(line), Some(Names::Topics), "{line}");
        }
    }

    #[test]
    fn names_of_groups_are_wanted_where_a_group_is_named() {
        for line in [
            "lag ",
            "lag a ",
            "remove-member gr",
            "reset-offsets group --from-group ",
            "check-lag --max-lag 5 ",
            "get-config group ",
            "set-config -F file group ",
        ] {
            assert_eq!(at_the_end_of(line), Some(Names::Groups), "{line}");
        }
    }

    #[test]
    fn no_names_are_wanted_anywhere_else() {
        for line in [
            "",
            "descr",
            "-b ",
            "describe-topic --und",
            "describe-topic -b ",
            "get-config ",
            "get-config broker ",
            "get-config topic t ",
            "partition-for t ",
            "clone-topic from ",
            "list-topics ",
            "remove-member group ",
            "profile ",
            "no-such-command ",
        ] {
            assert_eq!(at_the_end_of(line), None, "{line}");
        }
    }
}
