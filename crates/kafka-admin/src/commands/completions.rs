//! `completions`: a script for the shell. In bash and fish, names of topics and groups come from the cluster, within half
//! a second or not at all.

use std::io::Write;

use anyhow::{Context as _, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use kafka_cli::Exit;

use crate::cli::Cli;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(kafka-admin completions bash)
  kafka-admin completions fish > ~/.config/fish/completions/kafka-admin.fish")]
pub(crate) struct Args {
    /// Shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// After the static words: names, for commands about topics and groups.
const BASH: &str = r#"
_kafka_admin_names() {
    _kafka-admin "$@"
    local kind current="${COMP_WORDS[COMP_CWORD]}"
    case "${COMP_WORDS[1]}" in
        *-topic|list-offsets|partition-for) kind=topics ;;
        *-group|lag|check-lag|reset-offsets|delete-offsets) kind=groups ;;
        *) return ;;
    esac
    [[ $current == -* ]] && return
    local names
    names=$(kafka-admin "list-$kind" -o name --timeout 500ms 2>/dev/null)
    COMPREPLY+=($(compgen -W "$names" -- "$current"))
}
complete -F _kafka_admin_names -o bashdefault -o default kafka-admin
"#;

const FISH: &str = r#"
complete -c kafka-admin -f -n "__fish_seen_subcommand_from delete-topic describe-topic alter-topic trim-topic empty-topic clone-topic list-offsets partition-for" -a "(kafka-admin list-topics -o name --timeout 500ms 2>/dev/null)"
complete -c kafka-admin -f -n "__fish_seen_subcommand_from describe-group delete-group lag check-lag reset-offsets delete-offsets remove-member" -a "(kafka-admin list-groups --no-lag -o name --timeout 500ms 2>/dev/null)"
"#;

pub(crate) fn run(args: &Args) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kafka-admin", &mut script);
    match args.shell {
        Shell::Bash => script.extend_from_slice(BASH.as_bytes()),
        Shell::Fish => script.extend_from_slice(FISH.as_bytes()),
        _ => {}
    }
    std::io::stdout().lock().write_all(&script).context("writing to stdout")?;
    Ok(Exit::Done)
}
