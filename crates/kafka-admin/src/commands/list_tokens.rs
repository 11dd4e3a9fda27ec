//! `list-tokens`: delegation tokens; their secrets only when asked for.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_core::admin::Principal;

use crate::acl_args::principal;
use crate::context::Context;
use crate::token_view::{TokenDocument, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tokens of these principals; may be repeated
    #[arg(long, alias = "owner-principal", value_name = "PRINCIPAL")]
    owner: Vec<String>,
    /// With the secrets
    #[arg(long)]
    show_hmac: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let owners = args.owner.iter().map(|text| principal(text).parse::<Principal>());
    let owners = owners.collect::<Result<Vec<_>, _>>()?;
    let tokens = context.admin.list_tokens(Some(owners).filter(|owners| !owners.is_empty())).await?;
    let rows: Vec<_> = tokens.iter().map(|token| TokenDocument::new(token, args.show_hmac)).collect();
    context.show(&rows, || view(&rows))?;
    Ok(Exit::Done)
}
