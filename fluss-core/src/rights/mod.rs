//! Rights: who may do what to which resource (`behaviour.md` §8.6).

mod user;
mod wire;

pub use user::{MAX_PASSWORD_BYTES, MAX_USER_NAME_BYTES, check_password, check_user_name};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::numbered;
use crate::types::TablePath;

/// Anybody, any host, any resource of a kind.
pub const WILDCARD: &str = "*";
/// The name of the cluster as a resource.
const CLUSTER: &str = "fluss-cluster";

numbered! {
    /// What can be done to a resource.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Operation {
        /// Everything.
        All = 2 "do everything to",
        /// Reading rows.
        Read = 3 "read",
        /// Writing rows, and creating and dropping partitions.
        Write = 4 "write",
        /// Creating what is inside.
        Create = 5 "create in",
        /// Dropping it.
        Drop = 6 "drop",
        /// Altering it, and giving rights to it.
        Alter = 7 "alter",
        /// Seeing that it is there, and what it is.
        Describe = 8 "describe",
    }
}

numbered! {
    /// The kind of a resource. Each is inside the one before.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    ResourceKind {
        /// The cluster.
        Cluster = 2 "cluster",
        /// A database.
        Database = 3 "database",
        /// A table.
        Table = 4 "table",
    }
}

impl Operation {
    /// Whether a right to do this is one to do `wanted` too.
    pub const fn covers(self, wanted: Self) -> bool {
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

    /// Everything of a kind.
    pub fn all(kind: ResourceKind) -> Self {
        Self {
            kind,
            name: WILDCARD.to_owned(),
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
            kind => write!(f, "{kind} '{}'", self.name),
        }
    }
}

/// Somebody who has, or has not, rights.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Principal {
    /// `User`, or `*` with the name `*`.
    pub kind: String,
    /// The name.
    pub name: String,
}

impl Principal {
    /// A principal of a type.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
        }
    }

    /// A user.
    pub fn user(name: impl Into<String>) -> Self {
        Self::new("User", name)
    }

    /// Everybody.
    pub fn everybody() -> Self {
        Self::new(WILDCARD, WILDCARD)
    }

    /// Who has not said who they are, where nobody has to (`rpc.md` §5.2).
    pub fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }

    /// Reads `User:root;User:alice` (`rpc.md` §5.4); nothing if a part has no type or no name.
    pub fn parse_list(text: &str) -> Option<Vec<Self>> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| match part.split_once(':') {
                Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Some(Self::new(kind, name)),
                _ => None,
            })
            .collect()
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// One right: somebody may do something to a resource. There are no entries that forbid.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Acl {
    /// To what.
    pub resource: Resource,
    /// Who; see [`Principal::everybody`].
    pub principal: Principal,
    /// From where: an IP address, or `*`.
    pub host: String,
    /// What.
    pub operation: Operation,
}

impl Acl {
    /// The right of somebody to do something to a resource, from anywhere.
    pub fn new(principal: Principal, operation: Operation, resource: Resource) -> Self {
        Self {
            resource,
            principal,
            host: WILDCARD.to_owned(),
            operation,
        }
    }

    /// The same right, from one IP address only.
    #[must_use]
    pub fn from_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource,
            principal,
            host,
            operation,
        } = self;
        write!(f, "{principal} may {operation} {resource}")?;
        if host == WILDCARD {
            return Ok(());
        }
        write!(f, " from {host}")
    }
}

/// The resources of the entries that are meant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ResourceFilter {
    /// All.
    #[default]
    Any,
    /// All of a kind, whatever they are called.
    Kind(ResourceKind),
    /// This one.
    Only(Resource),
}

impl ResourceFilter {
    /// Whether a resource is meant.
    pub fn matches(&self, resource: &Resource) -> bool {
        match self {
            Self::Any => true,
            Self::Kind(kind) => *kind == resource.kind,
            Self::Only(only) => only == resource,
        }
    }
}

/// Which entries are meant. What is absent matches all; what is there matches what is equal to it: a filter for `*`
/// finds entries for `*` only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AclFilter {
    /// To what.
    pub resource: ResourceFilter,
    /// Who.
    pub principal: Option<Principal>,
    /// From where.
    pub host: Option<String>,
    /// What.
    pub operation: Option<Operation>,
}

impl AclFilter {
    /// The entries about a resource.
    pub fn of(resource: Resource) -> Self {
        Self {
            resource: ResourceFilter::Only(resource),
            ..Self::default()
        }
    }

    /// Whether an entry is meant.
    pub fn matches(&self, acl: &Acl) -> bool {
        fn fits<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        self.resource.matches(&acl.resource)
            && fits(self.principal.as_ref(), &acl.principal)
            && fits(self.host.as_ref(), &acl.host)
            && fits(self.operation.as_ref(), &acl.operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_wire() {
        for operation in Operation::ALL {
            assert_eq!(Operation::from_number(operation.number()), Some(*operation));
        }
        assert_eq!(
            (Operation::from_number(1), Operation::from_number(9)),
            (None, None)
        );
        assert_eq!(ResourceKind::from_number(4), Some(ResourceKind::Table));
        assert_eq!(ResourceKind::from_number(1), None);
    }

    #[test]
    fn lists_of_principals_have_types() {
        for bad in ["root", "User:", ":root", "User:a;b"] {
            assert_eq!(Principal::parse_list(bad), None, "{bad}");
        }
        assert_eq!(Principal::parse_list(""), Some(Vec::new()));
    }

    #[test]
    fn a_right_reads_as_a_sentence() {
        let table = Resource::table(&TablePath::new("db", "t"));
        let acl = Acl::new(Principal::user("alice"), Operation::Read, table);
        assert_eq!(acl.to_string(), "User:alice may read table 'db.t'");
        let acl = Acl::new(Principal::everybody(), Operation::All, Resource::cluster());
        assert_eq!(
            acl.from_host("10.0.0.1").to_string(),
            "*:* may do everything to the cluster from 10.0.0.1"
        );
    }
}
