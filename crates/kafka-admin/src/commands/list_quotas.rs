//! `list-quotas`: quotas of users, client ids and addresses.

use std::collections::BTreeMap;

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use kafka_core::admin::quota_entity_name;
use serde::Serialize;

use crate::context::Context;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Row {
    entity: BTreeMap<String, Option<String>>,
    quotas: BTreeMap<String, f64>,
}

pub(crate) async fn run(_: Args, context: &Context) -> Result<Exit> {
    let quotas = context.admin.list_quotas().await?;
    let rows: Vec<_> = quotas.into_iter().map(|(entity, quotas)| Row { entity, quotas }).collect();
    let shown = |(name, value): (&String, &f64)| format!("{name}={value}");
    let columns = [
        Column::new("ENTITY", |row: &Row| quota_entity_name(&row.entity)),
        Column::new("QUOTAS", move |row: &Row| row.quotas.iter().map(shown).collect::<Vec<_>>().join(", ")),
    ];
    let names = rows.iter().map(|row| quota_entity_name(&row.entity));
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(Exit::Done)
}
