//! The names a command is given: literal, or by a regular expression that lists what it matches and asks.

use anyhow::Result;
use clap::Args;
use kafka_cli::Failure;

use crate::context::Context;

/// Topics by name.
#[derive(Debug, Args)]
pub(crate) struct TopicNames {
    /// Topics, taken literally
    #[arg(value_name = "TOPIC")]
    names: Vec<String>,
    /// Apache's spelling of the same.
    #[arg(long = "topic", value_name = "TOPIC", hide = true)]
    flagged: Vec<String>,
}

impl TopicNames {
    /// The names as given; there may be none.
    pub(crate) fn given(&self) -> Vec<String> {
        self.names.iter().chain(&self.flagged).cloned().collect()
    }

    /// The names as given, at least one.
    pub(crate) fn required(&self) -> Result<Vec<String>> {
        let given = self.given();
        if given.is_empty() {
            return Err(Failure::usage("which topic? name at least one").into());
        }
        Ok(given)
    }
}

/// Topics by name, or all that a pattern matches.
#[derive(Debug, Args)]
pub(crate) struct TopicChoice {
    #[command(flatten)]
    names: TopicNames,
    /// The names are regular expressions for whole names; lists what they match and asks
    #[arg(long)]
    regex: bool,
}

impl TopicChoice {
    /// The topics meant. Patterns match whole names, and never internal topics.
    pub(crate) async fn resolve(&self, context: &Context) -> Result<Vec<String>> {
        let given = self.names.required()?;
        if !self.regex {
            return Ok(given);
        }
        let patterns = compile(&given)?;
        let known = context.admin.list_topics(false).await?;
        let names = known.iter().map(|topic| topic.name.to_string());
        matching(&given, &patterns, names, "topic")
    }
}

/// Whole-name patterns.
pub(crate) fn compile(patterns: &[String]) -> Result<Vec<regex_lite::Regex>> {
    let compile = |pattern: &String| {
        regex_lite::Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| Failure::usage(format!("--regex {pattern}: {error}")).into())
    };
    patterns.iter().map(compile).collect()
}

/// The names that a pattern matches, said on stderr; none is an error.
pub(crate) fn matching(
    given: &[String],
    patterns: &[regex_lite::Regex],
    names: impl Iterator<Item = String>,
    noun: &str,
) -> Result<Vec<String>> {
    let found: Vec<String> =
        names.filter(|name| patterns.iter().any(|pattern| pattern.is_match(name))).collect();
    if found.is_empty() {
        let message = format!("no {noun} matches {}", given.join(", "));
        return Err(Failure::new(kafka_cli::Exit::NotFound, message).into());
    }
    let list = found.join(", ");
    crate::context::note(&format!("{} match: {list}", crate::show::count(found.len() as i64, noun)));
    Ok(found)
}

/// Groups by name.
#[derive(Debug, Args)]
pub(crate) struct GroupNames {
    /// Groups, taken literally
    #[arg(value_name = "GROUP")]
    names: Vec<String>,
    /// Apache's spelling of the same.
    #[arg(long = "group", value_name = "GROUP", hide = true)]
    flagged: Vec<String>,
}

impl GroupNames {
    /// The names as given; there may be none.
    pub(crate) fn given(&self) -> Vec<String> {
        self.names.iter().chain(&self.flagged).cloned().collect()
    }

    /// The names as given, at least one.
    pub(crate) fn required(&self) -> Result<Vec<String>> {
        let given = self.given();
        if given.is_empty() {
            return Err(Failure::usage("which group? name at least one").into());
        }
        Ok(given)
    }

    /// The one name that was given.
    pub(crate) fn one(&self) -> Result<String> {
        match self.required()?.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(Failure::usage("one group at a time, please").into()),
        }
    }
}
