//! What a cluster is declared to be: topics, settings, ACLs, quotas, in one document. A section that a file leaves out is
//! not managed by it.

use std::collections::BTreeMap;

use anyhow::Result;
use kafka_core::ErrorCode;
use kafka_core::admin::{AclFilter, ConfigEntry, ConfigKind, ConfigQuery, ConfigResource, all_ok};
use serde::{Deserialize, Serialize};

use crate::acl_args::AclDocument;
use crate::context::Context;

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Topics, without Kafka's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) topics: Option<Vec<TopicState>>,
    /// Settings of resources that are no topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) configs: Option<Vec<ConfigState>>,
    /// ACLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acls: Option<Vec<AclDocument>>,
    /// Quotas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quotas: Option<Vec<QuotaState>>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicState {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) partitions: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replication_factor: Option<i16>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) configs: BTreeMap<String, String>,
}

/// Settings of a broker (`name: ""` for the default of all), a group or a client metrics subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigState {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) settings: BTreeMap<String, String>,
}

/// Quotas of an entity: kind (`user`, `client-id`, `ip`) to name, null for the default of that kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaState {
    pub(crate) entity: BTreeMap<String, Option<String>>,
    pub(crate) quotas: BTreeMap<String, f64>,
}

/// The state of the cluster as it is. ACLs are left out where the cluster has none switched on.
pub(crate) async fn of_cluster(context: &Context) -> Result<State> {
    let admin = &context.admin;
    let (topics, quotas, acls) =
        tokio::join!(topics(context), admin.list_quotas(), admin.list_acls(AclFilter::default()));
    let acls = match acls {
        Ok(acls) => Some(acls.iter().map(AclDocument::from).collect()),
        Err(error) if error.code() == Some(ErrorCode::SECURITY_DISABLED) => None,
        Err(error) => return Err(error.into()),
    };
    let quotas = quotas?.into_iter().map(|(entity, quotas)| QuotaState { entity, quotas }).collect();
    Ok(State { topics: Some(topics?), configs: Some(configs(context).await?), acls, quotas: Some(quotas) })
}

async fn topics(context: &Context) -> Result<Vec<TopicState>> {
    let topics = context.admin.list_topics(false).await?;
    let resources = topics.iter().map(|topic| ConfigResource::new(ConfigKind::Topic, &*topic.name)).collect();
    let entries = all_ok(context.admin.describe_configs(resources, ConfigQuery::default()).await)?;
    let mut own: BTreeMap<String, _> = entries
        .into_iter()
        .map(|(resource, entries)| (resource.name, own_settings(entries, ConfigKind::Topic)))
        .collect();
    let state = |topic: &std::sync::Arc<kafka_core::cluster::Topic>| TopicState {
        name: topic.name.to_string(),
        partitions: i32::try_from(topic.partitions.len()).ok(),
        replication_factor: topic.partitions.first().and_then(|p| i16::try_from(p.replicas.len()).ok()),
        configs: own.remove(&*topic.name).unwrap_or_default(),
    };
    Ok(topics.iter().map(state).collect())
}

/// Dynamic settings of the brokers' default; what one broker alone is told is its own affair.
async fn configs(context: &Context) -> Result<Vec<ConfigState>> {
    let resource = ConfigResource::new(ConfigKind::Broker, "");
    let entries = all_ok(context.admin.describe_configs(vec![resource], ConfigQuery::default()).await)?;
    let settings = entries.into_iter().flat_map(|(_, entries)| own_settings(entries, ConfigKind::Broker));
    let settings: BTreeMap<_, _> = settings.collect();
    let broker = ConfigState { kind: ConfigKind::Broker.name().to_owned(), name: String::new(), settings };
    Ok(Some(broker).filter(|broker| !broker.settings.is_empty()).into_iter().collect())
}

/// Secrets have no value here, and are left out.
fn own_settings(entries: Vec<ConfigEntry>, kind: ConfigKind) -> BTreeMap<String, String> {
    let own = entries.into_iter().filter(|entry| entry.source.is_own(kind));
    own.filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

/// A file, YAML or JSON.
pub(crate) fn read(path: &std::path::Path) -> Result<State> {
    use anyhow::Context as _;
    let text = if path == std::path::Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("reading stdin")?
    } else {
        std::fs::read_to_string(path).with_context(|| path.display().to_string())?
    };
    serde_saphyr::from_str(&text)
        .map_err(|error| kafka_cli::Failure::usage(format!("{}: {error}", path.display())).into())
}
