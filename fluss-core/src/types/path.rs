use std::fmt;
use std::str::FromStr;

use super::InvalidDefinition;

/// The longest database, table or partition value (`descriptors.md` §7).
const MAX_NAME_LENGTH: usize = 200;

/// Checks the name of a database, a table or a producer, or a partition value, against the protocol's naming rules
/// (`descriptors.md` §7). `what` says which of them it is.
pub fn check_name(what: &str, name: &str) -> Result<(), InvalidDefinition> {
    let reason = if name.is_empty() {
        "it is empty".to_owned()
    } else if name == "." || name == ".." {
        "'.' and '..' are not allowed".to_owned()
    } else if name.len() > MAX_NAME_LENGTH {
        format!("it has {} characters, {MAX_NAME_LENGTH} are allowed", name.len())
    } else if name.starts_with("__") {
        "names that begin with '__' are reserved".to_owned()
    } else if let Some(bad) = name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !"_-".contains(*c))
    {
        format!("'{bad}' is not an ASCII letter, a digit, '_' or '-'")
    } else {
        return Ok(());
    };
    Err(InvalidDefinition::new(format!("{what} '{name}': {reason}")))
}

/// A table's database and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TablePath {
    database: String,
    table: String,
}

impl TablePath {
    /// A path from its parts. The server checks the names when something is created.
    pub fn new(database: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            table: table.into(),
        }
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The table's name in its database.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Checks both names against the rules for new tables: 1 to 200 ASCII letters, digits, `_` or `-`.
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        check_name("database", &self.database)?;
        check_name("table", &self.table)
    }
}

impl FromStr for TablePath {
    type Err = InvalidDefinition;

    /// Reads `database.table`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((database, table)) if !database.is_empty() && !table.is_empty() && !table.contains('.') => {
                Ok(Self::new(database, table))
            }
            _ => Err(InvalidDefinition::new(format!(
                "table path '{text}': 'database.table' expected"
            ))),
        }
    }
}

impl fmt::Display for TablePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// A partition's values joined with `$` in the order of the partition keys, as in `20240101$eu`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartitionName(String);

impl PartitionName {
    /// The name made of these values.
    pub fn from_values<S: AsRef<str>>(values: &[S]) -> Self {
        Self(values.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("$"))
    }

    /// The name as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The values, in the order of the partition keys.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.split('$')
    }

    /// Checks every value against the rules for new partitions (`descriptors.md` §6).
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        self.values()
            .try_for_each(|value| check_name("partition value", value))
    }
}

impl From<String> for PartitionName {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Partition keys and their values as text, in any order.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PartitionSpec {
    /// Pairs of a partition key and its value.
    pub values: Vec<(String, String)>,
}

impl PartitionSpec {
    /// A specification of these pairs.
    pub fn new<K: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (K, V)>) -> Self {
        Self {
            values: values
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        }
    }
}

/// A table, or one partition of a partitioned table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PhysicalTablePath {
    /// The table.
    pub table: TablePath,
    /// The partition: present exactly if the table is partitioned.
    pub partition: Option<PartitionName>,
}

impl From<TablePath> for PhysicalTablePath {
    fn from(table: TablePath) -> Self {
        Self {
            table,
            partition: None,
        }
    }
}

impl fmt::Display for PhysicalTablePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)?;
        self.partition
            .as_ref()
            .map_or(Ok(()), |partition| write!(f, " partition {partition}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_two_names() {
        assert_eq!("db.t".parse::<TablePath>().unwrap().to_string(), "db.t");
        for bad in ["t", "db.", ".t", "a.b.c", ""] {
            assert!(bad.parse::<TablePath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(TablePath::new("db", "a-1_B").validate().is_ok());
        assert!(TablePath::new("db", "x".repeat(200)).validate().is_ok());
        for bad in ["", ".", "..", "__t", "a b", "ä", &"x".repeat(201)] {
            assert!(TablePath::new("db", bad).validate().is_err(), "{bad}");
        }
    }
}
