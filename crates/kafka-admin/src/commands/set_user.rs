//! `set-user`: creates a SCRAM user or changes the password, which comes from a terminal, stdin, or a file: never from
//! the command line, where `ps` and the shell's history would keep it.

use std::io::{BufRead, IsTerminal};
use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use kafka_cli::{Exit, Failure};
use kafka_core::admin::{ScramChange, ScramMechanism};

use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin set-user alice --password-file alice.password
  pass kafka/alice | kafka-admin set-user alice --mechanism SCRAM-SHA-512")]
pub(crate) struct Args {
    /// User name
    #[arg(value_name = "USER")]
    user: String,
    /// SCRAM-SHA-256 or SCRAM-SHA-512; may be repeated
    #[arg(long, value_name = "NAME", default_value = "SCRAM-SHA-512")]
    mechanism: Vec<ScramMechanism>,
    /// How often the hash is applied, 4096 to 16384
    #[arg(long, value_name = "N", default_value = "8192")]
    iterations: NonZeroU32,
    /// First line of this file [default: first line of stdin]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Say what would be done
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let mut report = Report::default();
    if args.dry_run {
        let done = Done::new("would_set", format!("would set the password of user {}", args.user));
        report.add(args.user, Ok::<_, anyhow::Error>(done));
        return report.finish(context);
    }
    let password = read_password(&args)?;
    let change = |mechanism: &ScramMechanism| ScramChange::Set {
        mechanism: *mechanism,
        iterations: args.iterations,
        password: password.clone(),
    };
    let result =
        context.admin.alter_scram_user(&args.user, args.mechanism.iter().map(change).collect()).await;
    let done = Done::new("set", format!("password of user {} set", args.user));
    report.add(&args.user, result.map(|()| done));
    report.finish(context)
}

fn read_password(args: &Args) -> Result<String> {
    let mut line = String::new();
    if let Some(path) = &args.password_file {
        let file =
            std::fs::File::open(path).with_context(|| format!("--password-file {}", path.display()))?;
        std::io::BufReader::new(file).read_line(&mut line)?;
    } else if std::io::stdin().is_terminal() {
        // Without turning the echo off it would stay on the screen.
        let failure = Failure::usage("the password must come from a pipe or from --password-file");
        return Err(failure.hint("read -rs P && printf '%s\\n' \"$P\" | kafka-admin set-user …").into());
    } else {
        std::io::stdin().lock().read_line(&mut line).context("reading the password from stdin")?;
    }
    let password = line.trim_end_matches(['\n', '\r']).to_owned();
    if password.is_empty() {
        return Err(Failure::usage("the password is empty").into());
    }
    Ok(password)
}
