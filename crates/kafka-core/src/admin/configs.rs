//! Configuration of topics, brokers, loggers, groups and client metrics: reading with origins, changing one by one.

use std::fmt;
use std::str::FromStr;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
};

use super::names::{check, some_text, text};
use super::stage::{Lookup, Stage};
use super::{Admin, Outcome};
use crate::error::{Error, Result};
use crate::wire::Api;

/// What kind of thing is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigKind {
    /// A topic.
    Topic,
    /// A broker by node id; the empty name stands for the default of all brokers.
    Broker,
    /// A broker's log levels.
    BrokerLogger,
    /// A client metrics subscription (KIP-714).
    ClientMetrics,
    /// A group (KIP-848).
    Group,
}

impl ConfigKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group];

    fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// As users write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Broker => "broker",
            Self::BrokerLogger => "broker-logger",
            Self::ClientMetrics => "client-metrics",
            Self::Group => "group",
        }
    }
}

impl FromStr for ConfigKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wanted = text.trim_end_matches('s');
        let kind = Self::ALL.into_iter().find(|kind| kind.name().trim_end_matches('s') == wanted);
        kind.ok_or_else(|| {
            Error::Config(format!(
                "no such kind of resource: {text:?}; one of {}",
                Self::ALL.map(Self::name).join(", ")
            ))
        })
    }
}

/// A thing that is configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigResource {
    /// Its kind.
    pub kind: ConfigKind,
    /// Its name; a node id for brokers and their loggers.
    pub name: String,
}

impl ConfigResource {
    /// The resource `name` of that kind.
    pub fn new(kind: ConfigKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// Brokers answer for themselves only.
    fn broker(&self) -> Option<i32> {
        matches!(self.kind, ConfigKind::Broker | ConfigKind::BrokerLogger).then(|| self.name.parse().ok())?
    }
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "{} (default)", self.kind.name()),
            name => write!(f, "{} {name}", self.kind.name()),
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The names say it.
pub enum ConfigSource {
    Unknown,
    Topic,
    Broker,
    DefaultBroker,
    Static,
    Default,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl ConfigSource {
    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::DefaultBroker,
            4 => Self::Static,
            5 => Self::Default,
            6 => Self::BrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
            _ => Self::Unknown,
        }
    }

    /// A short name in snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Topic => "topic",
            Self::Broker => "broker",
            Self::DefaultBroker => "default_broker",
            Self::Static => "static",
            Self::Default => "default",
            Self::BrokerLogger => "broker_logger",
            Self::ClientMetrics => "client_metrics",
            Self::Group => "group",
        }
    }

    /// Whether it was set on the resource of that kind itself, rather than inherited.
    #[must_use]
    pub fn is_own(self, kind: ConfigKind) -> bool {
        matches!(
            (self, kind),
            (Self::Topic, ConfigKind::Topic)
                | (Self::Broker | Self::DefaultBroker, ConfigKind::Broker)
                | (Self::BrokerLogger, ConfigKind::BrokerLogger)
                | (Self::ClientMetrics, ConfigKind::ClientMetrics)
                | (Self::Group, ConfigKind::Group)
        )
    }
}

/// A value that would apply if the ones before it were taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// Its name there.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Where it is set.
    pub source: ConfigSource,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Name.
    pub name: String,
    /// Value; `None` where it is not set, or secret.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Whether its value is secret.
    pub sensitive: bool,
    /// Where the value and its fallbacks come from, the one that applies first. Only where asked for.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it means, in the broker's words. Only where asked for.
    pub documentation: Option<String>,
}

/// One change of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// Give it this value.
    Set(String),
    /// Take its value away, so that the default applies.
    Unset,
    /// Add these elements to a list.
    Append(String),
    /// Take these elements out of a list.
    Subtract(String),
}

impl ConfigChange {
    fn code_and_value(&self) -> (i8, Option<&str>) {
        match self {
            Self::Set(value) => (0, Some(value)),
            Self::Unset => (1, None),
            Self::Append(value) => (2, Some(value)),
            Self::Subtract(value) => (3, Some(value)),
        }
    }
}

/// How much of the configuration is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigQuery {
    /// Only these names; `None`: all.
    pub names: Option<Vec<String>>,
    /// With the synonyms of each value.
    pub synonyms: bool,
    /// With the documentation of each name.
    pub documentation: bool,
}

impl Admin {
    /// The configuration of resources, as it applies, sorted by name.
    pub async fn describe_configs(
        &self,
        resources: Vec<ConfigResource>,
        query: ConfigQuery,
    ) -> Vec<Outcome<ConfigResource, Vec<ConfigEntry>>> {
        let build = move |resources: &[ConfigResource], _| {
            let resource = |resource: &ConfigResource| {
                DescribeConfigsResource::default()
                    .with_resource_type(resource.kind.code())
                    .with_resource_name(text(&resource.name))
                    .with_configuration_keys(
                        query.names.as_ref().map(|names| names.iter().map(|name| text(name)).collect()),
                    )
            };
            Ok(DescribeConfigsRequest::default()
                .with_resources(resources.iter().map(resource).collect())
                .with_include_synonyms(query.synonyms)
                .with_include_documentation(query.documentation))
        };
        let read = |_: &[ConfigResource], answer: <DescribeConfigsRequest as Api>::Response| {
            let read =
                |result: kafka_protocol::messages::describe_configs_response::DescribeConfigsResult| {
                    let key = resource_of(result.resource_type, &result.resource_name)?;
                    let (code, message) = (result.error_code, result.error_message.as_ref());
                    let checked = check::<DescribeConfigsRequest>(key.to_string(), code, message);
                    Some((
                        key,
                        checked.map(|()| read_entries(result.configs)).map_err(super::topics::never_there),
                    ))
                };
            answer.results.into_iter().filter_map(read).collect()
        };
        let stage = Stage::new(Lookup::Broker(ConfigResource::broker), build, read);
        self.call("reading configurations").run(stage, resources).await
    }

    /// Changes single settings and leaves the others alone (KIP-339), or only checks whether they could be changed.
    pub async fn alter_configs(
        &self,
        changes: Vec<(ConfigResource, Vec<(String, ConfigChange)>)>,
        validate_only: bool,
    ) -> Vec<Outcome<ConfigResource>> {
        let keys: Vec<_> = changes.iter().map(|(resource, _)| resource.clone()).collect();
        let build = move |keys: &[ConfigResource], _| {
            let chosen = changes.iter().filter(|(resource, _)| keys.contains(resource));
            Ok(IncrementalAlterConfigsRequest::default()
                .with_resources(chosen.map(|(resource, changes)| altered(resource, changes)).collect())
                .with_validate_only(validate_only))
        };
        let read = |_: &[ConfigResource], answer: <IncrementalAlterConfigsRequest as Api>::Response| {
            let mut results = Vec::new();
            for result in answer.responses {
                let Some(key) = resource_of(result.resource_type, &result.resource_name) else { continue };
                let (code, message) = (result.error_code, result.error_message.as_ref());
                let checked = check::<IncrementalAlterConfigsRequest>(key.to_string(), code, message);
                results.push((key, checked.map_err(super::topics::never_there)));
            }
            results
        };
        let stage = Stage::new(Lookup::Broker(ConfigResource::broker), build, read).changing();
        self.call("changing configurations").run(stage, keys).await
    }

    /// The names of all resources of a kind that have a configuration of their own (KIP-1142).
    ///
    /// # Errors
    /// Where no broker answered in time, or there is no permission.
    pub async fn list_config_resources(&self, kind: ConfigKind) -> Result<Vec<String>> {
        let build = move |version: i16| {
            let request = ListConfigResourcesRequest::default();
            Ok(if version >= 1 { request.with_resource_types(vec![kind.code()]) } else { request })
        };
        let read = move |answer: <ListConfigResourcesRequest as Api>::Response| {
            check::<ListConfigResourcesRequest>("configurations", answer.error_code, None)?;
            let wanted =
                answer.config_resources.into_iter().filter(move |one| one.resource_type == kind.code());
            let mut names: Vec<_> = wanted.map(|one| one.resource_name.to_string()).collect();
            names.sort();
            Ok(names)
        };
        self.ask("listing configurations", build, read).await
    }
}

fn resource_of(code: i8, name: &str) -> Option<ConfigResource> {
    let kind = ConfigKind::ALL.into_iter().find(|kind| kind.code() == code)?;
    Some(ConfigResource::new(kind, name))
}

fn read_entries(configs: Vec<DescribeConfigsResourceResult>) -> Vec<ConfigEntry> {
    let entry = |config: DescribeConfigsResourceResult| ConfigEntry {
        name: config.name.to_string(),
        value: config.value.map(|value| value.to_string()),
        source: ConfigSource::from_code(config.config_source),
        read_only: config.read_only,
        sensitive: config.is_sensitive,
        synonyms: config
            .synonyms
            .into_iter()
            .map(|synonym| ConfigSynonym {
                name: synonym.name.to_string(),
                value: synonym.value.map(|value| value.to_string()),
                source: ConfigSource::from_code(synonym.source),
            })
            .collect(),
        documentation: config.documentation.map(|text| text.to_string()),
    };
    let mut entries: Vec<_> = configs.into_iter().map(entry).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

fn altered(resource: &ConfigResource, changes: &[(String, ConfigChange)]) -> AlterConfigsResource {
    let change = |(name, change): &(String, ConfigChange)| {
        let (code, value) = change.code_and_value();
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(code)
            .with_value(some_text(value))
    };
    AlterConfigsResource::default()
        .with_resource_type(resource.kind.code())
        .with_resource_name(text(&resource.name))
        .with_configs(changes.iter().map(change).collect())
}
