//! What every tool's `main` is: read the command line, do it, say what went wrong, end with the right code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::exit::{Exit, report};

/// Reads the command line as `A` and runs `body` with it.
///
/// Wrong usage ends with 2 and says what was meant where that can be guessed; `--help` and `--version` with 0; errors
/// of `body` as one line with a hint and the code that fits.
pub fn run<A: Parser>(body: impl FnOnce(A) -> anyhow::Result<Exit>) -> ExitCode {
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
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
