//! `create-token`: creates a delegation token and prints its secret, once.

use std::time::Duration;

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::time::parse_duration;
use kafka_core::admin::Principal;

use crate::acl_args::principal;
use crate::context::Context;
use crate::token_view::{TokenDocument, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whom it stands for, as User:alice [default: this user]
    #[arg(long, alias = "owner-principal", value_name = "PRINCIPAL")]
    owner: Option<String>,
    /// Who may renew it; may be repeated
    #[arg(long, alias = "renewer-principal", value_name = "PRINCIPAL")]
    renewer: Vec<String>,
    /// How long it may last at most [default: the broker's limit]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_life: Option<Duration>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let parse = |text: &String| principal(text).parse::<Principal>();
    let owner = args.owner.as_ref().map(parse).transpose()?;
    let renewers = args.renewer.iter().map(parse).collect::<Result<_, _>>()?;
    let max = args.max_life.map_or(-1, |span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    let token = context.admin.create_token(owner, renewers, max).await?;
    let rows = [TokenDocument::new(&token, true)];
    context.show(&rows, || view(&rows))?;
    Ok(Exit::Done)
}
