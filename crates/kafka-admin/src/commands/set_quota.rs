//! `set-quota`: sets or removes quotas of a user, a client id, an address, or their defaults.

use std::collections::BTreeMap;

use anyhow::Result;
use kafka_cli::time::parse_size;
use kafka_cli::{Exit, Failure};
use kafka_core::admin::{QuotaEntity, quota_entity_name};

use crate::context::Context;
use crate::report::{Done, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kafka-admin set-quota --user alice producer_byte_rate=1MiB
  kafka-admin set-quota --user-default --client-id app consumer_byte_rate=10MiB
  kafka-admin set-quota --user alice --remove producer_byte_rate")]
pub(crate) struct Args {
    /// Of this user
    #[arg(long, value_name = "NAME", conflicts_with = "user_default")]
    user: Option<String>,
    /// Of every user without quotas of its own
    #[arg(long)]
    user_default: bool,
    /// Of this client id
    #[arg(long, value_name = "NAME", conflicts_with = "client_id_default")]
    client_id: Option<String>,
    /// Of every client id without quotas of its own
    #[arg(long)]
    client_id_default: bool,
    /// Of this address
    #[arg(long, value_name = "IP", conflicts_with = "ip_default")]
    ip: Option<String>,
    /// Of every address without quotas of its own
    #[arg(long)]
    ip_default: bool,
    /// producer_byte_rate, consumer_byte_rate, request_percentage, controller_mutation_rate, connection_creation_rate
    #[arg(value_name = "QUOTA=VALUE")]
    quotas: Vec<String>,
    /// Take a quota away; may be repeated
    #[arg(long, value_name = "QUOTA")]
    remove: Vec<String>,
    /// Let the broker check it without changing anything
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let entity = entity(&args);
    let mut values: BTreeMap<String, Option<f64>> =
        args.remove.iter().map(|name| (name.clone(), None)).collect();
    for pair in &args.quotas {
        let (name, value) =
            parse(pair).ok_or_else(|| Failure::usage(format!("{pair}: write QUOTA=VALUE")))?;
        values.insert(name, Some(value));
    }
    if entity.is_empty() || values.is_empty() {
        return Err(Failure::usage(
            "whose quota? --user, --client-id or --ip; and which? QUOTA=VALUE or --remove",
        )
        .into());
    }
    let shown = |(name, value): (&String, &Option<f64>)| match value {
        Some(value) => format!("{name}={value}"),
        None => format!("{name} removed"),
    };
    let said = values.iter().map(shown).collect::<Vec<_>>().join(", ");
    let mut report = Report::default();
    for outcome in context.admin.alter_quotas(BTreeMap::from([(entity, values)]), args.dry_run).await {
        let name = quota_entity_name(&outcome.key);
        let (status, verb) = if args.dry_run { ("would_set", "could be set") } else { ("set", "set") };
        report.add(
            &name,
            outcome.result.map(|()| Done::new(status, format!("quota of {name} {verb}: {said}"))),
        );
    }
    report.finish(context)
}

fn entity(args: &Args) -> QuotaEntity {
    let parts = [
        ("user", &args.user, args.user_default),
        ("client-id", &args.client_id, args.client_id_default),
        ("ip", &args.ip, args.ip_default),
    ];
    let chosen = parts.into_iter().filter(|(_, name, default)| name.is_some() || *default);
    chosen.map(|(kind, name, _)| (kind.to_owned(), name.clone())).collect()
}

/// A rate may be a size: `1MiB`.
#[allow(clippy::cast_precision_loss, reason = "rates above 2^53 bytes per second do not occur")]
fn parse(pair: &str) -> Option<(String, f64)> {
    let (name, value) = pair.split_once('=')?;
    let value = value.parse().ok().or_else(|| parse_size(value).ok().map(|bytes| bytes as f64))?;
    Some((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_or_a_size() {
        assert_eq!(parse("producer_byte_rate=1MiB"), Some(("producer_byte_rate".to_owned(), 1_048_576.0)));
        assert_eq!(parse("request_percentage=12.5"), Some(("request_percentage".to_owned(), 12.5)));
        assert_eq!(parse("request_percentage"), None);
    }
}
