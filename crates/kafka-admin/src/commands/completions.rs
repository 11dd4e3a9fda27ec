//! `completions`: a script for the shell. In bash, zsh and fish, names of topics and groups come from the cluster, within
//! half a second or not at all: the scripts run `completions --names` with the words of the line.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{CommandFactory, FromArgMatches};
use clap_complete::Shell;
use kafka_cli::render::Format;
use kafka_cli::{ConnectionArgs, Exit, Failure};

use crate::cli::Cli;
use crate::completion::{Names, wanted};
use crate::context::{Context, write};
use crate::group_state;
use crate::report::Tally;

/// How long a person who pressed a key waits.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(kafka-admin completions bash)
  kafka-admin completions zsh > ~/.zfunc/_kafka-admin
  kafka-admin completions fish > ~/.config/fish/completions/kafka-admin.fish")]
pub(crate) struct Args {
    /// Shell
    #[arg(value_enum, value_name = "SHELL", required_unless_present = "names")]
    shell: Option<Shell>,
    /// For the scripts: what the last of these words of a command line may become. Fails where it is not a name.
    #[arg(long, hide = true, value_name = "WORD", num_args = 1.., allow_hyphen_values = true)]
    names: Vec<String>,
}

const BASH: &str = include_str!("completions/names.bash");
const FISH: &str = include_str!("completions/names.fish");
const ZSH: &str = include_str!("completions/names.zsh");
/// Where clap_complete's script for zsh begins to complete.
const ZSH_BEGIN: &str = "_kafka-admin() {\n";

pub(crate) fn run(args: &Args) -> Result<Exit> {
    let Some(shell) = args.shell else { return names(&args.names) };
    let script = script(shell)?;
    write(|out| out.write_all(script.as_bytes()))?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kafka-admin", &mut script);
    let script = String::from_utf8(script)?;
    Ok(match shell {
        // clap_complete 4.6 calls a program with a hyphen by two names in one script, and so finds no subcommand's flags.
        Shell::Bash => script.replace("kafka__subcmd__admin", "kafka__admin") + BASH,
        Shell::Fish => script + FISH,
        Shell::Zsh => {
            let begin = format!("{ZSH}{ZSH_BEGIN}    _kafka_admin_names && return\n");
            script.replacen(ZSH_BEGIN, &begin, 1)
        }
        _ => script,
    })
}

/// Writes what the last word may become, a line each.
fn names(words: &[String]) -> Result<Exit> {
    let mut tool = Cli::command();
    tool.build();
    let (current, before) = words.split_last().context("no word")?;
    let names = wanted(&tool, &words[1..]);
    let names = names.ok_or_else(|| Failure::usage("this is not the place of a name"))?;
    // The line is not whole yet; of what is there only the connection counts.
    let flags = tool.ignore_errors(true).try_get_matches_from(before)?;
    let given = ConnectionArgs::from_arg_matches(&flags)?;
    // Nobody has pressed Enter: a command that a property refers to is not run.
    if given.property.iter().any(|property| property.contains("${")) {
        return Ok(Exit::Done);
    }
    let connection = ConnectionArgs { timeout: Some(PATIENCE), unattended: true, ..given };
    let context = Context::start(&connection, Format::Name)?;
    let known = async { tokio::time::timeout(PATIENCE, known(&context, names, current)).await };
    // A cluster that cannot be asked, or not in time, has no names.
    let known = context.session.runtime.block_on(known);
    let mut known = known.ok().and_then(Result::ok).unwrap_or_default();
    known.retain(|name| name.starts_with(current.as_str()) && is_plain(name));
    write(|out| known.iter().try_for_each(|name| writeln!(out, "{name}")))?;
    Ok(Exit::Done)
}

/// All names there are; of Kafka's own topics only where one is begun.
async fn known(context: &Context, names: Names, current: &str) -> Result<Vec<String>> {
    Ok(match names {
        Names::Topics => {
            let topics = context.admin.list_topics(current.starts_with('_')).await?;
            topics.iter().map(|topic| topic.name.to_string()).collect()
        }
        Names::Groups => {
            let groups = group_state::list(context, &mut Tally::default()).await?;
            groups.into_iter().map(|group| group.id).collect()
        }
    })
}

/// A name goes onto a command line as it is, and a group may be called anything: what a shell would read as more than a
/// word is not offered.
fn is_plain(name: &str) -> bool {
    !name.starts_with(['-', '='])
        && name.chars().all(|letter| letter.is_alphanumeric() || "._-:/@%+=,".contains(letter))
}
