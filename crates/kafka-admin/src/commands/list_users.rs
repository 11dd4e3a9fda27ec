//! `list-users`: SCRAM users and their mechanisms.

use anyhow::Result;
use kafka_cli::Exit;
use kafka_cli::render::{Column, Table, View};
use serde::Serialize;

use crate::context::Context;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Row {
    user: String,
    credentials: Vec<Credential>,
}

#[derive(Serialize)]
struct Credential {
    mechanism: &'static str,
    iterations: i32,
}

pub(crate) async fn run(_: Args, context: &Context) -> Result<Exit> {
    let users = context.admin.list_scram_users().await?;
    let credential = |(mechanism, iterations): (kafka_core::admin::ScramMechanism, i32)| Credential {
        mechanism: mechanism.name(),
        iterations,
    };
    let row = |user: kafka_core::admin::ScramUser| Row {
        user: user.name,
        credentials: user.credentials.into_iter().map(credential).collect(),
    };
    let rows: Vec<_> = users.into_iter().map(row).collect();
    let shown = |one: &Credential| format!("{} ({} iterations)", one.mechanism, one.iterations);
    let columns = [
        Column::new("USER", |row: &Row| row.user.clone()),
        Column::new("CREDENTIALS", move |row: &Row| {
            row.credentials.iter().map(shown).collect::<Vec<_>>().join(", ")
        }),
    ];
    let names = rows.iter().map(|row| row.user.clone());
    context.show(&rows, || View::table(Table::of(&columns, &rows)).named(names))?;
    Ok(Exit::Done)
}
