//! Access rules (KIP-11, 290 prefixes): which principal may do what with which resource. Pure.

use std::collections::BTreeSet;
use std::io;

use bytes::Bytes;

use crate::journal::fields::{self, Fields};
use crate::journal::{Journal, Kind};

/// The protocol's numbers of operations, resources, patterns and permissions. 1 stands for any in a filter.
pub(crate) const ANY: i8 = 1;
/// A filter that also finds the prefixes and wildcards that apply to a name.
const MATCH: i8 = 2;
pub(crate) const LITERAL: i8 = 3;
pub(crate) const PREFIXED: i8 = 4;
const DENY: i8 = 2;
const ALLOW: i8 = 3;
const WILDCARD: &str = "*";

/// Kinds of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Resource {
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
}

/// What is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Operation {
    All = 2,
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
}

impl Operation {
    /// Operations whose permission includes this one.
    fn implied_by(self) -> &'static [Self] {
        match self {
            Self::Describe => &[Self::Read, Self::Write, Self::Delete, Self::Alter],
            Self::DescribeConfigs => &[Self::AlterConfigs],
            _ => &[],
        }
    }
}

/// The name of the only resource of its kind.
pub(crate) const CLUSTER: &str = "kafka-cluster";

/// One need of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) resource: Resource,
    pub(crate) name: String,
    pub(crate) operation: Operation,
}

impl Access {
    pub(crate) fn new(operation: Operation, resource: Resource, name: &str) -> Self {
        Self { resource, name: name.to_owned(), operation }
    }

    /// The same with each of these topics.
    pub(crate) fn to_topics(operation: Operation, topics: Vec<String>) -> Vec<Self> {
        topics.into_iter().map(|name| Self { resource: Resource::Topic, name, operation }).collect()
    }

    pub(crate) fn to_cluster(operation: Operation) -> Self {
        Self::new(operation, Resource::Cluster, CLUSTER)
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Acl {
    pub(crate) resource: i8,
    pub(crate) name: String,
    pub(crate) pattern: i8,
    pub(crate) principal: String,
    pub(crate) host: String,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

impl Acl {
    fn covers(&self, resource: i8, name: &str) -> bool {
        let fits = match self.pattern {
            PREFIXED => name.starts_with(&self.name),
            _ => self.name == WILDCARD || self.name == name,
        };
        self.resource == resource && fits
    }

    fn is_about(&self, principal: &str, host: &str) -> bool {
        let principal_fits = self.principal == principal || self.principal == "User:*";
        principal_fits && (self.host == WILDCARD || self.host == host)
    }

    fn grants(&self, operation: Operation) -> bool {
        self.operation == Operation::All as i8
            || self.operation == operation as i8
            || operation.implied_by().iter().any(|wider| self.operation == *wider as i8)
    }

    fn fields(&self) -> Fields {
        Fields::new()
            .long(self.resource)
            .text(&self.name)
            .long(self.pattern)
            .text(&self.principal)
            .text(&self.host)
            .long(self.operation)
            .long(self.permission)
    }

    fn read(mut from: Bytes) -> io::Result<Self> {
        let number = |from: &mut Bytes| i8::try_from(fields::long(from)?).map_err(io::Error::other);
        Ok(Self {
            resource: number(&mut from)?,
            name: fields::text(&mut from)?,
            pattern: number(&mut from)?,
            principal: fields::text(&mut from)?,
            host: fields::text(&mut from)?,
            operation: number(&mut from)?,
            permission: number(&mut from)?,
        })
    }
}

/// Which rules are meant; none stands for any.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) resource: i8,
    pub(crate) name: Option<String>,
    pub(crate) pattern: i8,
    pub(crate) principal: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

impl Filter {
    fn matches(&self, acl: &Acl) -> bool {
        let number = |wanted: i8, has: i8| wanted == ANY || wanted == has;
        let text = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|wanted| wanted == has);
        let by_name = match (&self.name, self.pattern) {
            (Some(name), MATCH) => acl.covers(acl.resource, name),
            (name, pattern) => text(name, &acl.name) && (pattern == MATCH || number(pattern, acl.pattern)),
        };
        by_name
            && number(self.resource, acl.resource)
            && text(&self.principal, &acl.principal)
            && text(&self.host, &acl.host)
            && number(self.operation, acl.operation)
            && number(self.permission, acl.permission)
    }
}

/// All rules.
#[derive(Debug)]
pub(crate) struct Acls {
    rules: BTreeSet<Acl>,
    journal: Journal,
}

impl Acls {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { rules: BTreeSet::new(), journal }
    }

    /// Takes up what an earlier run has left.
    pub(crate) fn restore(&mut self) -> io::Result<()> {
        for (key, _) in self.journal.entries(Kind::Acl) {
            self.rules.insert(Acl::read(key)?);
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, acl: Acl) -> io::Result<()> {
        self.journal.put(Kind::Acl, acl.fields(), Fields::new())?;
        self.rules.insert(acl);
        Ok(())
    }

    pub(crate) fn find(&self, filter: &Filter) -> Vec<Acl> {
        self.rules.iter().filter(|acl| filter.matches(acl)).cloned().collect()
    }

    /// Removes what the filter matches; what was removed.
    pub(crate) fn remove(&mut self, filter: &Filter) -> io::Result<Vec<Acl>> {
        let found = self.find(filter);
        for acl in &found {
            self.journal.remove(Kind::Acl, acl.fields())?;
            self.rules.remove(acl);
        }
        Ok(found)
    }

    /// Whether a principal may do this. A denial wins; a resource without any rule is open to all, as with Kafka's
    /// `allow.everyone.if.no.acl.found=true`.
    pub(crate) fn allows(&self, principal: &str, host: &str, access: &Access) -> bool {
        let here = || self.rules.iter().filter(|acl| acl.covers(access.resource as i8, &access.name));
        if here().next().is_none() {
            return true;
        }
        let mine = || here().filter(|acl| acl.is_about(principal, host));
        let denies = |acl: &Acl| {
            let covered = acl.operation == Operation::All as i8 || acl.operation == access.operation as i8;
            acl.permission == DENY && covered
        };
        !mine().any(denies) && mine().any(|acl| acl.permission == ALLOW && acl.grants(access.operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, pattern: i8, operation: Operation, permission: i8) -> Acl {
        Acl {
            resource: Resource::Topic as i8,
            name: name.to_owned(),
            pattern,
            principal: "User:ann".to_owned(),
            host: WILDCARD.to_owned(),
            operation: operation as i8,
            permission,
        }
    }

    fn rules(rules: &[Acl]) -> Acls {
        let mut acls = Acls::new(Journal::in_memory());
        rules.iter().for_each(|rule| acls.add(rule.clone()).unwrap());
        acls
    }

    fn may(acls: &Acls, who: &str, operation: Operation, topic: &str) -> bool {
        acls.allows(who, "127.0.0.1", &Access::new(operation, Resource::Topic, topic))
    }

    #[test]
    fn a_rule_admits_whom_it_names_and_shuts_out_the_others() {
        let acls = rules(&[rule("t", LITERAL, Operation::Read, ALLOW)]);
        assert!(may(&acls, "User:ann", Operation::Read, "t"));
        assert!(may(&acls, "User:ann", Operation::Describe, "t"), "reading implies describing");
        assert!(!may(&acls, "User:ann", Operation::Write, "t"));
        assert!(!may(&acls, "User:bob", Operation::Read, "t"));
        assert!(may(&acls, "User:bob", Operation::Write, "unruled"));
    }

    #[test]
    fn a_denial_wins_over_a_permission() {
        let allow = rule("t", PREFIXED, Operation::All, ALLOW);
        let acls = rules(&[allow, rule("t1", LITERAL, Operation::Write, DENY)]);
        assert!(may(&acls, "User:ann", Operation::Write, "t2"));
        assert!(!may(&acls, "User:ann", Operation::Write, "t1"));
    }

    #[test]
    fn a_match_filter_finds_the_prefixes_and_wildcards_that_apply() {
        let acls = rules(&[
            rule("orders-", PREFIXED, Operation::Read, ALLOW),
            rule(WILDCARD, LITERAL, Operation::Read, ALLOW),
            rule("other", LITERAL, Operation::Read, ALLOW),
        ]);
        let filter = Filter {
            resource: Resource::Topic as i8,
            name: Some("orders-eu".to_owned()),
            pattern: MATCH,
            principal: None,
            host: None,
            operation: ANY,
            permission: ANY,
        };
        assert_eq!(acls.find(&filter).len(), 2);
    }
}
