//! Entries that give rights (`behaviour.md` §8.6).

use std::collections::BTreeSet;

use fluss_core::rights::{Acl, AclFilter, Operation, Principal, Resource, WILDCARD};

use super::caller::Caller;

fn is_for(acl: &Acl, caller: &Caller) -> bool {
    (acl.principal == Principal::everybody() || acl.principal == caller.principal)
        && (acl.host == WILDCARD || acl.host == caller.host)
}

/// A set of rights, sorted by resource.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Acls(BTreeSet<Acl>);

impl Acls {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody was given any right.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = &Acl> {
        self.0.iter()
    }

    /// Removes the entries that a filter finds, and gives them back.
    pub fn remove(&mut self, filter: &AclFilter) -> Vec<Acl> {
        let entries = std::mem::take(&mut self.0).into_iter();
        let (removed, kept): (BTreeSet<_>, _) = entries.partition(|acl| filter.matches(acl));
        self.0 = kept;
        removed.into_iter().collect()
    }

    /// Whether a caller may do something to a resource: by an entry for it, for all of its kind, or for what it is
    /// inside of.
    pub fn allow(&self, caller: &Caller, operation: Operation, resource: &Resource) -> bool {
        let mut level = Some(resource.clone());
        while let Some(resource) = level {
            let all = Resource::all(resource.kind);
            if [&resource, &all]
                .into_iter()
                .any(|resource| self.allow_at(caller, operation, resource))
            {
                return true;
            }
            level = resource.parent();
        }
        false
    }

    fn allow_at(&self, caller: &Caller, operation: Operation, resource: &Resource) -> bool {
        let first = Acl {
            resource: resource.clone(),
            principal: Principal::new("", ""),
            host: String::new(),
            operation: Operation::All,
        };
        let mut entries = self.0.range(first..).take_while(|acl| acl.resource == *resource);
        entries.any(|acl| acl.operation.covers(operation) && is_for(acl, caller))
    }
}

impl FromIterator<Acl> for Acls {
    fn from_iter<I: IntoIterator<Item = Acl>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Extend<Acl> for Acls {
    fn extend<I: IntoIterator<Item = Acl>>(&mut self, entries: I) {
        self.0.extend(entries);
    }
}

#[cfg(test)]
mod tests {
    use fluss_core::rights::{ResourceFilter, ResourceKind};
    use fluss_core::types::TablePath;

    use super::*;

    fn acl(resource: Resource, user: &str, operation: Operation) -> Acl {
        Acl::new(Principal::user(user), operation, resource)
    }

    fn table() -> Resource {
        Resource::table(&TablePath::new("db", "t"))
    }

    fn allowed(given: &Acl, operation: Operation, resource: &Resource) -> bool {
        let caller = Caller::new(Principal::user("alice"), "10.0.0.1");
        Acls::from_iter([given.clone()]).allow(&caller, operation, resource)
    }

    #[test]
    fn an_operation_covers_itself_and_what_it_implies() {
        for given in Operation::ALL.iter().copied() {
            for wanted in Operation::ALL.iter().copied() {
                let expected = given == Operation::All || given == wanted || wanted == Operation::Describe;
                let found = allowed(&acl(table(), "alice", given), wanted, &table());
                assert_eq!(found, expected, "{given:?} for {wanted:?}");
            }
        }
    }

    #[test]
    fn rights_reach_inwards_only() {
        let database = Resource::database("db");
        let resources = [Resource::cluster(), database.clone(), table()];
        for (depth, given) in resources.iter().enumerate() {
            for (wanted_depth, wanted) in resources.iter().enumerate() {
                let found = allowed(
                    &acl(given.clone(), "alice", Operation::Read),
                    Operation::Read,
                    wanted,
                );
                assert_eq!(found, depth <= wanted_depth, "{given} for {wanted}");
            }
        }
        for (given, expected) in [
            (Resource::database("d"), false),
            (Resource::database("db2"), false),
            (Resource::table(&TablePath::new("db", "t2")), false),
            (Resource::all(ResourceKind::Table), true),
            (Resource::all(ResourceKind::Database), true),
        ] {
            assert_eq!(
                allowed(
                    &acl(given.clone(), "alice", Operation::Read),
                    Operation::Read,
                    &table()
                ),
                expected,
                "{given}"
            );
        }
        let tables = acl(Resource::all(ResourceKind::Table), "alice", Operation::Read);
        assert!(!allowed(&tables, Operation::Read, &database));
    }

    #[test]
    fn rights_are_somebodys_from_somewhere() {
        let given = acl(table(), "alice", Operation::Read);
        for (principal, host, expected) in [
            (Principal::user("alice"), "*", true),
            (Principal::user("alice"), "10.0.0.1", true),
            (Principal::user("alice"), "10.0.0.2", false),
            (Principal::user("bob"), "*", false),
            (Principal::new("Group", "alice"), "*", false),
            (Principal::new("*", "*"), "*", true),
            (Principal::user("*"), "*", false),
        ] {
            let given = Acl {
                principal,
                host: host.to_owned(),
                ..given.clone()
            };
            assert_eq!(allowed(&given, Operation::Read, &table()), expected, "{given:?}");
        }
    }

    #[test]
    fn filters_find_by_what_they_name() {
        let given = acl(table(), "alice", Operation::Read);
        let any = AclFilter::default();
        for (filter, expected) in [
            (any.clone(), true),
            (AclFilter::of(table()), true),
            (
                AclFilter::of(Resource::table(&TablePath::new("db", "other"))),
                false,
            ),
            (
                AclFilter {
                    resource: ResourceFilter::Kind(ResourceKind::Table),
                    ..any.clone()
                },
                true,
            ),
            (
                AclFilter {
                    resource: ResourceFilter::Kind(ResourceKind::Database),
                    ..any.clone()
                },
                false,
            ),
            (
                AclFilter {
                    resource: ResourceFilter::Only(Resource::database("db.t")),
                    ..any.clone()
                },
                false,
            ),
            (
                AclFilter {
                    principal: Some(Principal::user("alice")),
                    ..any.clone()
                },
                true,
            ),
            (
                AclFilter {
                    principal: Some(Principal::new("*", "*")),
                    ..any.clone()
                },
                false,
            ),
            (
                AclFilter {
                    host: Some("*".to_owned()),
                    ..any.clone()
                },
                true,
            ),
            (
                AclFilter {
                    host: Some("10.0.0.1".to_owned()),
                    ..any.clone()
                },
                false,
            ),
            (
                AclFilter {
                    operation: Some(Operation::Read),
                    ..any.clone()
                },
                true,
            ),
            (
                AclFilter {
                    operation: Some(Operation::All),
                    ..any
                },
                false,
            ),
        ] {
            assert_eq!(filter.matches(&given), expected, "{filter:?}");
            let mut acls = Acls::from_iter([given.clone()]);
            assert_eq!(acls.remove(&filter).len(), usize::from(expected));
            assert_eq!(acls.is_empty(), expected);
        }
    }
}
