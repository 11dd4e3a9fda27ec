//! What every tool's `main` is: read the command line, do it, say what went wrong, end with the right code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue};

use crate::exit::{Exit, report};
use crate::suggest::nearest;

/// Reads the command line as `A` and runs `body` with it.
///
/// Wrong usage ends with 2 and says what was meant where that can be guessed; `--help` and `--version` with 0; errors
/// of `body` as one line with a hint and the code that fits.
pub fn run<A: Parser>(body: impl FnOnce(A) -> anyhow::Result<Exit>) -> ExitCode {
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(mut message) => {
            suggest_one(&mut message);
            // stdout or stderr may be closed; the code says it still.
            let _ = message.print();
            return if message.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let exit = body(arguments).unwrap_or_else(|error| report(&error));
    match std::io::stdout().flush() {
        // A closed stdout takes nothing away from what the run says of itself.
        Err(error) if exit == Exit::Done => {
            report(&anyhow::Error::from(error).context("writing to stdout")).into()
        }
        _ => exit.into(),
    }
}

/// Of many commands with a word in common, clap suggests all: `lst-topics` may be any of fourteen. One is meant.
fn suggest_one(message: &mut clap::Error) {
    let Some(ContextValue::String(wrong)) = message.get(ContextKind::InvalidSubcommand) else { return };
    let Some(ContextValue::Strings(known)) = message.get(ContextKind::SuggestedSubcommand) else { return };
    if let Some(near) = nearest(wrong, known.iter().map(String::as_str)) {
        let near = ContextValue::Strings(vec![near.to_owned()]);
        message.insert(ContextKind::SuggestedSubcommand, near);
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    #[test]
    fn a_mistyped_command_is_told_the_one_that_is_nearest() {
        let commands = ["list-topics", "list-offsets", "clone-topic", "list-tokens"].map(Command::new);
        let tool = Command::new("tool").subcommands(commands);
        let mut message = tool.try_get_matches_from(["tool", "lst-topics"]).unwrap_err();
        suggest_one(&mut message);
        let said = message.to_string();
        assert!(said.contains("'list-topics'") && !said.contains("clone-topic"), "{said}");
    }
}
