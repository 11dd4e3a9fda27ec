//! Changes of settings as flags say them, and what they did: before and after.

use anyhow::Result;
use clap::Args;
use kafka_core::admin::{ConfigChange, ConfigEntry, ConfigQuery, ConfigResource};
use serde_json::json;

use crate::config_value::parse_pairs;
use crate::context::Context;
use crate::report::{Done, Report};
use crate::show::or_dash;

/// The flags.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Give a setting a value; times and sizes may have units; may be repeated
    #[arg(short = 'c', long = "config", alias = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Take a setting's value away, so that the default applies; may be repeated
    #[arg(long, alias = "delete-config", value_name = "NAME")]
    unset: Vec<String>,
    /// Add to a setting that is a list; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    append: Vec<String>,
    /// Take out of a setting that is a list; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    subtract: Vec<String>,
}

pub(crate) type Changes = Vec<(String, ConfigChange)>;

impl ChangeArgs {
    /// The changes, in the order set, unset, append, subtract.
    pub(crate) fn changes(&self) -> Result<Changes> {
        let pairs = |pairs: &[String], change: fn(String) -> ConfigChange| {
            Ok::<_, anyhow::Error>(
                parse_pairs(pairs)?.into_iter().map(move |(name, value)| (name, change(value))),
            )
        };
        let mut changes: Changes = pairs(&self.set, ConfigChange::Set)?.collect();
        changes.extend(self.unset.iter().map(|name| (name.clone(), ConfigChange::Unset)));
        changes.extend(pairs(&self.append, ConfigChange::Append)?);
        changes.extend(pairs(&self.subtract, ConfigChange::Subtract)?);
        Ok(changes)
    }
}

/// Applies changes to a resource, or only checks them, and reports each setting before and after.
pub(crate) async fn apply(
    context: &Context,
    resource: &ConfigResource,
    changes: Changes,
    dry_run: bool,
    report: &mut Report,
) -> Result<()> {
    let names: Vec<_> = changes.iter().map(|(name, _)| name.clone()).collect();
    let before = values(context, resource, &names).await?;
    let request = vec![(resource.clone(), changes.clone())];
    let result = context.admin.alter_configs(request, dry_run).await.remove(0).result;
    if let Err(error) = result {
        report.add(resource.to_string(), Err(error));
        return Ok(());
    }
    // The brokers hear of it a moment later; what was asked for is what they will say.
    for (name, change) in changes {
        let old = before.iter().find(|entry| entry.name == name).and_then(|entry| entry.value.clone());
        let new = match &change {
            ConfigChange::Set(value) => value.clone(),
            ConfigChange::Unset => "(default)".to_owned(),
            ConfigChange::Append(value) => format!("+{value}"),
            ConfigChange::Subtract(value) => format!("-{value}"),
        };
        let said = format!("{resource}: {name}: {} -> {new}", or_dash(old.as_ref()));
        let status = if dry_run { "would_change" } else { "changed" };
        let details = json!({"resource": resource.to_string(), "before": old, "after": new});
        report.add(name, Ok::<_, anyhow::Error>(Done::new(status, said).with(details)));
    }
    Ok(())
}

async fn values(context: &Context, resource: &ConfigResource, names: &[String]) -> Result<Vec<ConfigEntry>> {
    let query = ConfigQuery { names: Some(names.to_vec()), ..ConfigQuery::default() };
    Ok(context.admin.describe_configs(vec![resource.clone()], query).await.remove(0).result?)
}
