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

/// Before the static words: names, for commands about topics and groups. The connection flags of the line are passed on,
/// and what the cluster does not say within half a second is left out.
const BASH: &str = r#"
_kafka_admin_names() {
    local line=${COMP_LINE:0:COMP_POINT} words word flag= command= list connection=()
    # By blanks alone: COMP_WORDS cuts HOST:PORT into pieces.
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current=${words[-1]}
    for word in "${words[@]:1:${#words[@]}-2}"; do
        case "$flag" in
            -b|-F|-X|-P|--bootstrap-server|--command-config|--profile) connection+=("$flag" "$word"); flag= ;;
            -o|--output|--timeout|--color) flag= ;;
            *) flag=; if [[ $word == -* ]]; then flag=$word; else command=${command:-$word}; fi ;;
        esac
    done
    case "$command" in
        delete-topic|describe-topic|alter-topic|clone-topic|trim-topic|empty-topic|list-offsets|partition-for|reassign)
            list=list-topics ;;
        delete-group|describe-group|lag|check-lag|reset-offsets|delete-offsets|remove-member)
            list="list-groups --no-lag" ;;
    esac
    if [[ -z $list || -n $flag || $current == -* ]]; then
        _kafka__admin "$@"
        return
    fi
    local names
    names=$(timeout 1 kafka-admin "${connection[@]}" $list -o name --timeout 500ms 2>/dev/null)
    COMPREPLY=($(compgen -W "$names" -- "$current"))
}
complete -F _kafka_admin_names -o bashdefault -o default kafka-admin
"#;

const FISH: &str = r#"
complete -c kafka-admin -f -n "__fish_seen_subcommand_from delete-topic describe-topic alter-topic clone-topic trim-topic empty-topic list-offsets partition-for reassign" -a "(kafka-admin list-topics -o name --timeout 500ms 2>/dev/null)"
complete -c kafka-admin -f -n "__fish_seen_subcommand_from delete-group describe-group lag check-lag reset-offsets delete-offsets remove-member" -a "(kafka-admin list-groups --no-lag -o name --timeout 500ms 2>/dev/null)"
"#;

pub(crate) fn run(args: &Args) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kafka-admin", &mut script);
    match args.shell {
        Shell::Bash => {
            // clap_complete 4.6 calls a program with a hyphen by two names in one script, and so finds no subcommand's
            // flags.
            let text = String::from_utf8(script)?.replace("kafka__subcmd__admin", "kafka__admin");
            script = [text.as_str(), BASH].concat().into_bytes();
        }
        Shell::Fish => script.extend_from_slice(FISH.as_bytes()),
        _ => {}
    }
    std::io::stdout().lock().write_all(&script).context("writing to stdout")?;
    Ok(Exit::Done)
}
