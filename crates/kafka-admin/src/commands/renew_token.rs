//! `renew-token` and `expire-token`: when a delegation token ends. Its secret comes from a file or stdin.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kafka_cli::time::{format_time, parse_duration};
use kafka_cli::{Exit, Failure};

use crate::context::Context;
use crate::report::{Done, Report};

/// Which token, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    /// File with the token's secret (base64) [default: stdin]
    #[arg(long, value_name = "FILE")]
    hmac_file: Option<PathBuf>,
    /// From now [default: the broker's]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    period: Option<Duration>,
}

impl TokenArgs {
    /// The secret and the period in milliseconds.
    pub(crate) fn read(&self) -> Result<(Vec<u8>, i64)> {
        let text = match &self.hmac_file {
            Some(path) => {
                std::fs::read_to_string(path).with_context(|| format!("--hmac-file {}", path.display()))?
            }
            None => std::io::read_to_string(std::io::stdin()).context("reading the token from stdin")?,
        };
        let hmac = kafka_cli::base64::decode(text.trim()).filter(|hmac| !hmac.is_empty());
        let hmac = hmac.ok_or_else(|| Failure::usage("the token's secret is not base64"))?;
        Ok((hmac, self.period.map_or(-1, |span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX))))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    token: TokenArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let (hmac, period) = args.token.read()?;
    let end = context.admin.renew_token(hmac.into(), period).await;
    report_end(context, end, "renewed", "the token lasts until")
}

/// Says when a token ends, in milliseconds since 1970, after `words`.
pub(crate) fn report_end(
    context: &Context,
    end: kafka_core::Result<i64>,
    status: &'static str,
    words: &str,
) -> Result<Exit> {
    let mut report = Report::default();
    report.add("token", end.map(|end| Done::new(status, format!("{words} {}", format_time(end)))));
    report.finish(context)
}
