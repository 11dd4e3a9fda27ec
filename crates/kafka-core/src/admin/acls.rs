//! Access control lists: list, create, delete.

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};

use super::names::{check, some_text, text};
use super::security_names::{AclOperation, AclPattern, AclPermission, AclResourceKind};
use super::stage::{Lookup, Stage};
use super::{Admin, Outcome};
use crate::error::Result;
use crate::wire::Api;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acl {
    /// What is protected.
    pub resource: AclResourceKind,
    /// Its name, `*` for all.
    pub name: String,
    /// How the name is compared.
    pub pattern: AclPattern,
    /// Who, as `User:alice`; `User:*` for everybody.
    pub principal: String,
    /// From where, an IP address; `*` for everywhere.
    pub host: String,
    /// What is done.
    pub operation: AclOperation,
    /// Whether it is allowed.
    pub permission: AclPermission,
}

/// Which rules are meant; `None` and `Any` leave a part open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AclFilter {
    /// What is protected.
    pub resource: AclResourceKind,
    /// Its name.
    pub name: Option<String>,
    /// How the name is compared.
    pub pattern: AclPattern,
    /// Who.
    pub principal: Option<String>,
    /// From where.
    pub host: Option<String>,
    /// What is done.
    pub operation: AclOperation,
    /// Whether it is allowed.
    pub permission: AclPermission,
}

impl Default for AclFilter {
    /// Every rule there is.
    fn default() -> Self {
        Self {
            resource: AclResourceKind::Any,
            name: None,
            pattern: AclPattern::Any,
            principal: None,
            host: None,
            operation: AclOperation::Any,
            permission: AclPermission::Any,
        }
    }
}

impl From<&Acl> for AclFilter {
    /// That rule and no other.
    fn from(acl: &Acl) -> Self {
        Self {
            resource: acl.resource,
            name: Some(acl.name.clone()),
            pattern: acl.pattern,
            principal: Some(acl.principal.clone()),
            host: Some(acl.host.clone()),
            operation: acl.operation,
            permission: acl.permission,
        }
    }
}

impl Admin {
    /// The rules that a filter matches, sorted.
    ///
    /// # Errors
    /// No permission, no authorizer configured, or no answer in time.
    pub async fn list_acls(&self, filter: AclFilter) -> Result<Vec<Acl>> {
        let build = move |_: i16| {
            Ok(DescribeAclsRequest::default()
                .with_resource_type_filter(filter.resource.code())
                .with_resource_name_filter(some_text(filter.name.as_deref()))
                .with_pattern_type_filter(filter.pattern.code())
                .with_principal_filter(some_text(filter.principal.as_deref()))
                .with_host_filter(some_text(filter.host.as_deref()))
                .with_operation(filter.operation.code())
                .with_permission_type(filter.permission.code()))
        };
        let read = |answer: <DescribeAclsRequest as Api>::Response| {
            check::<DescribeAclsRequest>("ACLs", answer.error_code, answer.error_message.as_ref())?;
            let mut acls = Vec::new();
            for resource in &answer.resources {
                acls.extend(resource.acls.iter().filter_map(|acl| {
                    let place = (resource.resource_type, &*resource.resource_name, resource.pattern_type);
                    read_acl(place, &acl.principal, &acl.host, (acl.operation, acl.permission_type))
                }));
            }
            acls.sort();
            Ok(acls)
        };
        self.ask("listing ACLs", build, read).await
    }

    /// Adds rules. One that is there already is no failure.
    pub async fn create_acls(&self, acls: Vec<Acl>) -> Vec<Outcome<Acl>> {
        let build = |acls: &[Acl], _| {
            let creation = |acl: &Acl| {
                AclCreation::default()
                    .with_resource_type(acl.resource.code())
                    .with_resource_name(text(&acl.name))
                    .with_resource_pattern_type(acl.pattern.code())
                    .with_principal(text(&acl.principal))
                    .with_host(text(&acl.host))
                    .with_operation(acl.operation.code())
                    .with_permission_type(acl.permission.code())
            };
            Ok(CreateAclsRequest::default().with_creations(acls.iter().map(creation).collect()))
        };
        let read = |acls: &[Acl], answer: <CreateAclsRequest as Api>::Response| {
            let read = |(acl, result): (&Acl, AclCreationResult)| {
                let (code, message) = (result.error_code, result.error_message.as_ref());
                let created = check::<CreateAclsRequest>(format!("ACL for {}", acl.principal), code, message);
                (acl.clone(), created)
            };
            acls.iter().zip(answer.results).map(read).collect()
        };
        self.call("creating ACLs").run(Stage::new(Lookup::Controller, build, read).changing(), acls).await
    }

    /// Deletes the rules that filters match; the results are what each filter deleted.
    pub async fn delete_acls(&self, filters: Vec<AclFilter>) -> Vec<Outcome<AclFilter, Vec<Acl>>> {
        let build = |filters: &[AclFilter], _| {
            let filter = |filter: &AclFilter| {
                DeleteAclsFilter::default()
                    .with_resource_type_filter(filter.resource.code())
                    .with_resource_name_filter(some_text(filter.name.as_deref()))
                    .with_pattern_type_filter(filter.pattern.code())
                    .with_principal_filter(some_text(filter.principal.as_deref()))
                    .with_host_filter(some_text(filter.host.as_deref()))
                    .with_operation(filter.operation.code())
                    .with_permission_type(filter.permission.code())
            };
            Ok(DeleteAclsRequest::default().with_filters(filters.iter().map(filter).collect()))
        };
        let read = |filters: &[AclFilter], answer: <DeleteAclsRequest as Api>::Response| {
            let results = answer.filter_results.into_iter().map(read_deleted);
            filters.iter().cloned().zip(results).collect()
        };
        self.call("deleting ACLs").run(Stage::new(Lookup::Controller, build, read).changing(), filters).await
    }
}

fn read_deleted(result: DeleteAclsFilterResult) -> Result<Vec<Acl>> {
    check::<DeleteAclsRequest>("ACLs", result.error_code, result.error_message.as_ref())?;
    let mut deleted = Vec::new();
    for acl in result.matching_acls {
        check::<DeleteAclsRequest>(
            format!("ACL for {}", &*acl.principal),
            acl.error_code,
            acl.error_message.as_ref(),
        )?;
        let place = (acl.resource_type, &*acl.resource_name, acl.pattern_type);
        deleted.extend(read_acl(place, &acl.principal, &acl.host, (acl.operation, acl.permission_type)));
    }
    Ok(deleted)
}

/// `None` for a rule that uses numbers newer than this client.
fn read_acl(
    (resource, name, pattern): (i8, &str, i8),
    principal: &str,
    host: &str,
    (operation, permission): (i8, i8),
) -> Option<Acl> {
    Some(Acl {
        resource: AclResourceKind::from_code(resource)?,
        name: name.to_owned(),
        pattern: AclPattern::from_code(pattern)?,
        principal: principal.to_owned(),
        host: host.to_owned(),
        operation: AclOperation::from_code(operation)?,
        permission: AclPermission::from_code(permission)?,
    })
}
