//! A request and its answer, over a connection that is there.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kafka_cli::Failure;
use kafka_core::wire::{Connection, OpaqueRequest};

use super::{Api, Layout, Value, decode, encode};

/// Produce, which is not answered when `acks` is 0.
const PRODUCE: i16 = 0;

/// Sends `request` in this version, for at most `limit`. It is not tried again.
pub(crate) async fn ask(
    connection: &Connection,
    api: &Api,
    version: i16,
    request: &serde_json::Value,
    limit: Duration,
) -> Result<Value> {
    if !is_answered(api, request) {
        let what = "acks: brokers do not answer a Produce request with 0; write -1 or 1";
        return Err(Failure::usage(what).into());
    }
    let body = encode(&Layout::of_request(api, version)?, request).map_err(|wrong| {
        Failure::usage(wrong.to_string()).hint(format!("kafka-admin raw {} --layout", api.name))
    })?;
    let flexible = api.flexible.contain(version);
    let request = OpaqueRequest { key: api.key, name: api.name, version, flexible, body };
    let answer = connection.send_opaque(request, limit).await?;
    decode(&Layout::of_response(api, version)?, &answer)
        .with_context(|| format!("the answer to {} version {version} cannot be read", api.name))
}

fn is_answered(api: &Api, request: &serde_json::Value) -> bool {
    let acks = request.get("acks").and_then(serde_json::Value::as_i64);
    api.key != PRODUCE || acks.is_some_and(|acks| acks != 0)
}
