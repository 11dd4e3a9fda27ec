//! Quotas (KIP-546): limits by user, client id or address, stored and told. They are not enforced: nobody shares this
//! cluster with anybody.

use std::collections::BTreeMap;
use std::io;

use crate::journal::fields::{self, Fields};
use crate::journal::{Journal, Kind};

/// Whom a quota is for: kinds (`user`, `client-id`, `ip`) and names; none is the default of its kind.
pub(crate) type Entity = BTreeMap<String, Option<String>>;

/// What a filter wants of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    Name(String),
    Default,
    Any,
}

/// All quotas.
#[derive(Debug)]
pub(crate) struct Quotas {
    limits: BTreeMap<Entity, BTreeMap<String, f64>>,
    journal: Journal,
}

impl Quotas {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { limits: BTreeMap::new(), journal }
    }

    /// Takes up what an earlier run has left.
    pub(crate) fn restore(&mut self) -> io::Result<()> {
        for (mut key, mut value) in self.journal.entries(Kind::Quota) {
            let entity = fields::list(&mut key, |from| Ok((fields::text(from)?, fields::optional(from)?)))?;
            let limit = |from: &mut bytes::Bytes| {
                Ok((fields::text(from)?, f64::from_bits(fields::long(from)?.cast_unsigned())))
            };
            let limits = fields::list(&mut value, limit)?;
            self.limits.insert(entity.into_iter().collect(), limits.into_iter().collect());
        }
        Ok(())
    }

    /// Sets limits, or takes them away where there is no value.
    pub(crate) fn alter(&mut self, entity: Entity, changes: Vec<(String, Option<f64>)>) -> io::Result<()> {
        let mut limits = self.limits.get(&entity).cloned().unwrap_or_default();
        for (name, value) in changes {
            match value {
                Some(value) => limits.insert(name, value),
                None => limits.remove(&name),
            };
        }
        let key = Fields::new().list(&entity, |out, (kind, name)| out.text(kind).optional(name.as_deref()));
        if limits.is_empty() {
            self.journal.remove(Kind::Quota, key)?;
            self.limits.remove(&entity);
            return Ok(());
        }
        let value = Fields::new()
            .list(&limits, |out, (name, value)| out.text(name).long(value.to_bits().cast_signed()));
        self.journal.put(Kind::Quota, key, value)?;
        self.limits.insert(entity, limits);
        Ok(())
    }

    /// Those whose entity has every kind asked for; with `strict` no other kind besides.
    pub(crate) fn find(
        &self,
        wanted: &[(String, Match)],
        strict: bool,
    ) -> impl Iterator<Item = (&Entity, &BTreeMap<String, f64>)> {
        let fits = move |entity: &Entity| {
            let matches = |(kind, wanted): &(String, Match)| match (entity.get(kind), wanted) {
                (Some(_), Match::Any) | (Some(None), Match::Default) => true,
                (Some(Some(name)), Match::Name(wanted)) => name == wanted,
                _ => false,
            };
            wanted.iter().all(matches) && (!strict || entity.len() == wanted.len())
        };
        self.limits.iter().filter(move |(entity, _)| fits(entity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(parts: &[(&str, Option<&str>)]) -> Entity {
        parts.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned))).collect()
    }

    #[test]
    fn quotas_are_found_by_kind_and_name_and_go_with_their_last_limit() {
        let mut quotas = Quotas::new(Journal::in_memory());
        let ann = entity(&[("user", Some("ann"))]);
        let both = entity(&[("user", Some("ann")), ("client-id", None)]);
        let rate = |value| vec![("producer_byte_rate".to_owned(), value)];
        quotas.alter(ann.clone(), rate(Some(1.0))).unwrap();
        quotas.alter(both.clone(), rate(Some(2.0))).unwrap();
        let find = |quotas: &Quotas, wanted: &[(String, Match)], strict| {
            quotas.find(wanted, strict).map(|(entity, _)| entity.clone()).collect::<Vec<_>>()
        };
        let user = |wanted| vec![("user".to_owned(), wanted)];
        let only = find(&quotas, &user(Match::Name("ann".to_owned())), true);
        assert_eq!(only, std::slice::from_ref(&ann));
        assert_eq!(find(&quotas, &user(Match::Any), false).len(), 2);
        assert_eq!(find(&quotas, &[("client-id".to_owned(), Match::Default)], false), [both]);
        assert_eq!(find(&quotas, &[], false).len(), 2);
        quotas.alter(ann, rate(None)).unwrap();
        assert_eq!(find(&quotas, &user(Match::Any), false).len(), 1);
    }
}
