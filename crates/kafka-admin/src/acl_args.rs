//! ACLs as flags say them, for commands that list, create and delete them.

use anyhow::Result;
use clap::Args;
use kafka_cli::Failure;
use kafka_cli::render::{Column, Table, View};
use kafka_core::admin::{Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResourceKind};
use serde::{Deserialize, Serialize};

/// What an ACL is about.
#[derive(Debug, Args)]
pub(crate) struct ResourceArgs {
    /// A topic, * for all; may be repeated
    #[arg(long, value_name = "NAME")]
    topic: Vec<String>,
    /// A group, * for all; may be repeated
    #[arg(long, value_name = "NAME")]
    group: Vec<String>,
    /// The cluster itself
    #[arg(long)]
    cluster: bool,
    /// A transactional id, * for all; may be repeated
    #[arg(long, value_name = "NAME")]
    transactional_id: Vec<String>,
    /// A delegation token; may be repeated
    #[arg(long, value_name = "NAME")]
    delegation_token: Vec<String>,
    /// A user whose tokens others handle; may be repeated
    #[arg(long, value_name = "NAME")]
    user_principal: Vec<String>,
    /// The names are beginnings of names
    #[arg(long)]
    prefixed: bool,
    /// literal, prefixed, any or match
    #[arg(long, alias = "resource-pattern-type", value_name = "KIND", conflicts_with = "prefixed")]
    pattern: Option<AclPattern>,
}

impl ResourceArgs {
    /// Kind and name of each resource.
    pub(crate) fn resources(&self) -> Vec<(AclResourceKind, String)> {
        let named =
            |kind, names: &[String]| names.iter().map(|name| (kind, name.clone())).collect::<Vec<_>>();
        let mut resources = named(AclResourceKind::Topic, &self.topic);
        resources.extend(named(AclResourceKind::Group, &self.group));
        if self.cluster {
            resources.push((AclResourceKind::Cluster, "kafka-cluster".to_owned()));
        }
        resources.extend(named(AclResourceKind::TransactionalId, &self.transactional_id));
        resources.extend(named(AclResourceKind::DelegationToken, &self.delegation_token));
        resources.extend(named(AclResourceKind::User, &self.user_principal));
        resources
    }

    /// How names are compared, where the flags say so.
    pub(crate) fn pattern(&self) -> Option<AclPattern> {
        if self.prefixed { Some(AclPattern::Prefixed) } else { self.pattern }
    }
}

/// Who, from where, what, and whether.
#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    /// Who is allowed, as User:alice (or alice); may be repeated
    #[arg(long, alias = "allow-principal", value_name = "PRINCIPAL")]
    allow: Vec<String>,
    /// Who is forbidden; may be repeated
    #[arg(long, alias = "deny-principal", value_name = "PRINCIPAL")]
    deny: Vec<String>,
    /// From where, an IP address [default: everywhere]
    #[arg(long, alias = "allow-host", alias = "deny-host", value_name = "IP")]
    host: Option<String>,
    /// read, write, create, delete, alter, describe, all, …; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    operation: Vec<AclOperation>,
    /// What a producer to the topics needs: write, describe, create
    #[arg(long)]
    producer: bool,
    /// What a consumer of the topics in the groups needs: read, describe
    #[arg(long)]
    consumer: bool,
}

/// `alice` is short for `User:alice`.
pub(crate) fn principal(text: &str) -> String {
    if text.contains(':') { text.to_owned() } else { format!("User:{text}") }
}

impl RuleArgs {
    /// Every rule that the flags spell out together.
    pub(crate) fn acls(&self, resources: &ResourceArgs) -> Result<Vec<Acl>> {
        let allow = self.allow.iter().map(|who| (principal(who), AclPermission::Allow));
        let deny = self.deny.iter().map(|who| (principal(who), AclPermission::Deny));
        let who: Vec<_> = allow.chain(deny).collect();
        let of = resources.resources();
        if who.is_empty() || of.is_empty() {
            return Err(Failure::usage(
                "an ACL needs --allow or --deny, and --topic, --group, --cluster or the like",
            )
            .into());
        }
        let mut acls = Vec::new();
        for (kind, name) in &of {
            let operations = self.operations(*kind);
            if operations.is_empty() {
                return Err(Failure::usage(format!("which --operation on the {kind}?")).into());
            }
            for (principal, permission) in &who {
                acls.extend(operations.iter().map(|operation| Acl {
                    resource: *kind,
                    name: name.clone(),
                    pattern: resources.pattern().unwrap_or(AclPattern::Literal),
                    principal: principal.clone(),
                    host: self.host.clone().unwrap_or_else(|| "*".to_owned()),
                    operation: *operation,
                    permission: *permission,
                }));
            }
        }
        Ok(acls)
    }

    fn operations(&self, kind: AclResourceKind) -> Vec<AclOperation> {
        use AclOperation::{Create, Describe, Read, Write};
        let mut operations = self.operation.clone();
        match kind {
            AclResourceKind::Topic if self.producer => operations.extend([Write, Describe, Create]),
            AclResourceKind::TransactionalId if self.producer => operations.extend([Write, Describe]),
            _ => {}
        }
        match kind {
            AclResourceKind::Topic if self.consumer => operations.extend([Read, Describe]),
            AclResourceKind::Group if self.consumer => operations.push(Read),
            _ => {}
        }
        operations.sort();
        operations.dedup();
        operations
    }

    /// The filters that the flags spell out together; what is not said is left open.
    pub(crate) fn filters(&self, resources: &ResourceArgs) -> Vec<AclFilter> {
        let allow = self.allow.iter().map(|who| (Some(principal(who)), AclPermission::Allow));
        let deny = self.deny.iter().map(|who| (Some(principal(who)), AclPermission::Deny));
        let mut who: Vec<_> = allow.chain(deny).collect();
        if who.is_empty() {
            who.push((None, AclPermission::Any));
        }
        let mut of: Vec<_> =
            resources.resources().into_iter().map(|(kind, name)| (kind, Some(name))).collect();
        if of.is_empty() {
            of.push((AclResourceKind::Any, None));
        }
        let mut filters = Vec::new();
        for (kind, name) in &of {
            let mut operations = self.operations(*kind);
            if operations.is_empty() {
                operations.push(AclOperation::Any);
            }
            for (principal, permission) in &who {
                filters.extend(operations.iter().map(|operation| AclFilter {
                    resource: *kind,
                    name: name.clone(),
                    pattern: resources.pattern().unwrap_or(AclPattern::Any),
                    principal: principal.clone(),
                    host: self.host.clone(),
                    operation: *operation,
                    permission: *permission,
                }));
            }
        }
        filters
    }
}

/// An ACL as programs see it, and as files hold it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AclDocument {
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) pattern: String,
    pub(crate) principal: String,
    pub(crate) host: String,
    pub(crate) operation: String,
    pub(crate) permission: String,
}

impl From<&Acl> for AclDocument {
    fn from(acl: &Acl) -> Self {
        Self {
            resource: acl.resource.to_string(),
            name: acl.name.clone(),
            pattern: acl.pattern.to_string(),
            principal: acl.principal.clone(),
            host: acl.host.clone(),
            operation: acl.operation.to_string(),
            permission: acl.permission.to_string(),
        }
    }
}

impl TryFrom<&AclDocument> for Acl {
    type Error = kafka_core::Error;

    fn try_from(document: &AclDocument) -> Result<Self, kafka_core::Error> {
        Ok(Self {
            resource: document.resource.parse()?,
            name: document.name.clone(),
            pattern: document.pattern.parse()?,
            principal: document.principal.clone(),
            host: document.host.clone(),
            operation: document.operation.parse()?,
            permission: document.permission.parse()?,
        })
    }
}

/// One line: `allow User:alice read topic orders from *`.
pub(crate) fn line(acl: &Acl) -> String {
    let pattern = if acl.pattern == AclPattern::Prefixed { "*" } else { "" };
    let (permission, principal, operation) = (acl.permission, &acl.principal, acl.operation);
    format!("{permission} {principal} {operation} {} {}{pattern} from {}", acl.resource, acl.name, acl.host)
}

/// Rows for people.
pub(crate) fn view(rows: &[AclDocument]) -> View {
    let columns = [
        Column::new("PRINCIPAL", |row: &AclDocument| row.principal.clone()),
        Column::new("PERMISSION", |row: &AclDocument| row.permission.clone()),
        Column::new("OPERATION", |row: &AclDocument| row.operation.clone()),
        Column::new("RESOURCE", |row: &AclDocument| row.resource.clone()),
        Column::new("NAME", |row: &AclDocument| row.name.clone()),
        Column::new("PATTERN", |row: &AclDocument| row.pattern.clone()),
        Column::new("HOST", |row: &AclDocument| row.host.clone()),
    ];
    View::table(Table::of(&columns, rows))
        .named(rows.iter().map(|row| format!("{} {}", row.resource, row.name)))
}
