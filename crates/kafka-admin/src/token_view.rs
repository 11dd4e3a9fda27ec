//! Delegation tokens as programs and people see them.

use kafka_cli::render::{Column, Table, View};
use kafka_cli::time::format_time;
use kafka_core::admin::DelegationToken;
use serde::Serialize;

/// A token; its secret only where it was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct TokenDocument {
    token_id: String,
    owner: String,
    renewers: Vec<String>,
    issued: i64,
    expires: i64,
    max: i64,
    hmac: Option<String>,
}

impl TokenDocument {
    /// With the secret, as base64, where `secret` says so.
    pub(crate) fn new(token: &DelegationToken, secret: bool) -> Self {
        Self {
            token_id: token.id.clone(),
            owner: token.owner.to_string(),
            renewers: token.renewers.iter().map(ToString::to_string).collect(),
            issued: token.issued,
            expires: token.expires,
            max: token.max,
            hmac: secret.then(|| kafka_cli::base64::encoded(&token.hmac)),
        }
    }
}

/// Rows for people.
pub(crate) fn view(rows: &[TokenDocument]) -> View {
    let mut columns = vec![
        Column::new("TOKEN", |row: &TokenDocument| row.token_id.clone()),
        Column::new("OWNER", |row: &TokenDocument| row.owner.clone()),
        Column::new("RENEWERS", |row: &TokenDocument| row.renewers.join(",")),
        Column::new("EXPIRES", |row: &TokenDocument| format_time(row.expires)),
        Column::new("MAX", |row: &TokenDocument| format_time(row.max)),
        Column::new("ISSUED", |row: &TokenDocument| format_time(row.issued)).wide(),
    ];
    if rows.iter().any(|row| row.hmac.is_some()) {
        columns.push(Column::new("HMAC", |row: &TokenDocument| row.hmac.clone().unwrap_or_default()));
    }
    View::table(Table::of(&columns, rows)).named(rows.iter().map(|row| row.token_id.clone()))
}
