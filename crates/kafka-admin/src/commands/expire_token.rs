//! `expire-token`: ends a delegation token, at once or after a while.

use anyhow::Result;
use kafka_cli::Exit;

use crate::commands::renew_token::{TokenArgs, report_end};
use crate::context::Context;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    token: TokenArgs,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let (hmac, period) = args.token.read()?;
    let end = context.admin.expire_token(hmac.into(), period).await;
    report_end(context, end, "expired", "the token ends at")
}
