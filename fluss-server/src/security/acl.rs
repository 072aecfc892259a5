//! Entries that give rights (`behaviour.md` §8.6).

use std::collections::BTreeSet;
use std::fmt;

use fluss_core::types::TablePath;
use serde::{Deserialize, Serialize};

use super::access::{Caller, Principal};

/// Anybody, any host, any resource of a kind.
const WILDCARD: &str = "*";
/// The name of the cluster as a resource.
const CLUSTER: &str = "fluss-cluster";

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Reads the number of an entry. That of "any", which only filters have, gives nothing.
            pub const fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The number on the wire.
            pub const fn number(self) -> i32 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }
        }
    };
}

numbered! {
    /// What can be done to a resource.
    Operation {
        /// Everything.
        All = 2,
        /// Reading rows.
        Read = 3,
        /// Writing rows, and creating and dropping partitions.
        Write = 4,
        /// Creating what is inside.
        Create = 5,
        /// Dropping it.
        Drop = 6,
        /// Altering it, and giving rights to it.
        Alter = 7,
        /// Seeing that it is there, and what it is.
        Describe = 8,
    }
}

numbered! {
    /// The kind of a resource. Each is inside the one before.
    ResourceKind {
        /// The cluster.
        Cluster = 2,
        /// A database.
        Database = 3,
        /// A table.
        Table = 4,
    }
}

impl Operation {
    /// Whether a right to do this is one to do `wanted` too.
    const fn covers(self, wanted: Self) -> bool {
        match self {
            Self::All => true,
            Self::Describe => matches!(wanted, Self::Describe),
            _ => matches!(wanted, Self::Describe) || self as u8 == wanted as u8,
        }
    }
}

/// What rights are about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Resource {
    /// The kind.
    pub kind: ResourceKind,
    /// The name: `fluss-cluster`, `db`, `db.table`, or `*` for all of the kind.
    pub name: String,
}

impl Resource {
    /// The cluster.
    pub fn cluster() -> Self {
        Self {
            kind: ResourceKind::Cluster,
            name: CLUSTER.to_owned(),
        }
    }

    /// A database.
    pub fn database(name: impl Into<String>) -> Self {
        Self {
            kind: ResourceKind::Database,
            name: name.into(),
        }
    }

    /// A table.
    pub fn table(path: &TablePath) -> Self {
        Self {
            kind: ResourceKind::Table,
            name: path.to_string(),
        }
    }

    /// What the resource is inside of: a table in its database, a database in the cluster.
    pub fn parent(&self) -> Option<Self> {
        match self.kind {
            ResourceKind::Cluster => None,
            ResourceKind::Database => Some(Self::cluster()),
            ResourceKind::Table => {
                let database = self
                    .name
                    .split_once('.')
                    .map_or(self.name.as_str(), |(database, _)| database);
                Some(Self::database(database))
            }
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ResourceKind::Cluster => f.write_str("the cluster"),
            ResourceKind::Database => write!(f, "database '{}'", self.name),
            ResourceKind::Table => write!(f, "table '{}'", self.name),
        }
    }
}

/// One right: somebody may do something to a resource. There are no entries that forbid.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Acl {
    /// To what.
    pub resource: Resource,
    /// Who; `*` of type `*` for everybody.
    pub principal: Principal,
    /// From where: an IP address, or `*`.
    pub host: String,
    /// What.
    pub operation: Operation,
}

impl Acl {
    fn is_for(&self, caller: &Caller) -> bool {
        let everybody = self.principal.kind == WILDCARD && self.principal.name == WILDCARD;
        (everybody || self.principal == caller.principal)
            && (self.host == WILDCARD || self.host == caller.host)
    }
}

/// Which entries are meant. What is absent matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AclFilter {
    /// The kind of the resource.
    pub kind: Option<ResourceKind>,
    /// Its name. It does not count without the kind.
    pub name: Option<String>,
    /// Who.
    pub principal: Option<Principal>,
    /// From where.
    pub host: Option<String>,
    /// What.
    pub operation: Option<Operation>,
}

impl AclFilter {
    /// Whether an entry is meant.
    pub fn matches(&self, acl: &Acl) -> bool {
        fn fits<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        let resource = self
            .kind
            .is_none_or(|kind| kind == acl.resource.kind && fits(self.name.as_ref(), &acl.resource.name));
        resource
            && fits(self.principal.as_ref(), &acl.principal)
            && fits(self.host.as_ref(), &acl.host)
            && fits(self.operation.as_ref(), &acl.operation)
    }
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
            let all = Resource {
                kind: resource.kind,
                name: WILDCARD.to_owned(),
            };
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
        entries.any(|acl| acl.operation.covers(operation) && acl.is_for(caller))
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
    use super::*;

    fn acl(resource: Resource, user: &str, operation: Operation) -> Acl {
        Acl {
            resource,
            principal: Principal::user(user),
            host: WILDCARD.to_owned(),
            operation,
        }
    }

    fn table() -> Resource {
        Resource::table(&TablePath::new("db", "t"))
    }

    fn all_of(kind: ResourceKind) -> Resource {
        Resource {
            kind,
            name: WILDCARD.to_owned(),
        }
    }

    fn allowed(given: &Acl, operation: Operation, resource: &Resource) -> bool {
        let caller = Caller::new(Principal::user("alice"), "10.0.0.1");
        Acls::from_iter([given.clone()]).allow(&caller, operation, resource)
    }

    const ALL: [Operation; 7] = [
        Operation::All,
        Operation::Read,
        Operation::Write,
        Operation::Create,
        Operation::Drop,
        Operation::Alter,
        Operation::Describe,
    ];

    #[test]
    fn an_operation_covers_itself_and_what_it_implies() {
        for given in ALL {
            for wanted in ALL {
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
            (all_of(ResourceKind::Table), true),
            (all_of(ResourceKind::Database), true),
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
        let tables = acl(all_of(ResourceKind::Table), "alice", Operation::Read);
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
            (
                AclFilter {
                    kind: Some(ResourceKind::Table),
                    ..any.clone()
                },
                true,
            ),
            (
                AclFilter {
                    kind: Some(ResourceKind::Database),
                    ..any.clone()
                },
                false,
            ),
            (
                AclFilter {
                    name: Some("other".to_owned()),
                    ..any.clone()
                },
                true,
            ),
            (
                AclFilter {
                    kind: Some(ResourceKind::Table),
                    name: Some("other".to_owned()),
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

    #[test]
    fn numbers_are_those_of_the_wire() {
        for operation in ALL {
            assert_eq!(Operation::from_number(operation.number()), Some(operation));
        }
        assert_eq!(
            (Operation::from_number(1), Operation::from_number(9)),
            (None, None)
        );
        assert_eq!(ResourceKind::from_number(4), Some(ResourceKind::Table));
        assert_eq!(ResourceKind::from_number(1), None);
    }
}
