//! `expire-token`: ends a delegation token, at once or after a while.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::time::format_time;

use crate::commands::renew_token::TokenArgs;
use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    token: TokenArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let (hmac, period) = args.token.read()?;
    let mut report = Report::default();
    let result = context.admin.expire_token(hmac.into(), period).await;
    report.add(
        "token",
        result.map(|end| Done::new("expired", format!("the token ends at {}", format_time(end)))),
    );
    report.finish(context)
}
