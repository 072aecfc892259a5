//! What names mean: databases, tables, changelogs, hidden columns.

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, Spanned};
use fluss_client::types::TablePath;

use crate::error::{Error, ErrorKind, Position, Result};

/// What stands behind the name of a table whose changes are meant.
const CHANGELOG: &str = "$changelog";

/// Columns that every table has, and that are there for whoever names them.
pub(crate) const OFFSET: &str = "_offset";
/// When the server stored a record.
pub(crate) const TIMESTAMP: &str = "_timestamp";
/// The number of the bucket.
pub(crate) const BUCKET: &str = "_bucket";
/// What a record of a changelog did to its key.
pub(crate) const CHANGE_TYPE: &str = "_change_type";

/// All hidden columns, in the order in which tables have them.
pub(crate) const HIDDEN: [&str; 4] = [CHANGE_TYPE, OFFSET, TIMESTAMP, BUCKET];

/// What is read of a table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct TableName {
    pub(crate) path: TablePath,
    /// Whether its changes are meant, not its rows.
    pub(crate) changelog: bool,
}

impl TableName {
    fn new(database: &str, table: &str) -> Self {
        let (table, changelog) = match table.strip_suffix(CHANGELOG) {
            Some(table) if !table.is_empty() => (table, true),
            _ => (table, false),
        };
        Self {
            path: TablePath::new(database, table),
            changelog,
        }
    }

    /// What a name in a plan means.
    pub(crate) fn of_reference(reference: &TableReference, database: &str) -> Option<Self> {
        match reference {
            TableReference::Bare { table } => Some(Self::new(database, table)),
            TableReference::Partial { schema, table } => Some(Self::new(schema, table)),
            TableReference::Full { .. } => None,
        }
    }

    /// What a name in a text means.
    ///
    /// # Errors
    ///
    /// A name of more than two parts.
    pub(crate) fn of_object(name: &ObjectName, database: &str) -> Result<Self> {
        let parts = parts(name)?;
        match parts.as_slice() {
            [table] => Ok(Self::new(database, &table.value)),
            [database, table] => Ok(Self::new(&database.value, &table.value)),
            _ => {
                let text = format!("'{name}' is no name of a table: write database.table");
                Err(Error::new(ErrorKind::NotFound, text).at(place(name)))
            }
        }
    }
}

/// The path of a table that a statement names.
///
/// # Errors
///
/// As [`TableName::of_object`]; the name of a changelog.
pub(crate) fn table_path(name: &ObjectName, database: &str) -> Result<TablePath> {
    let found = TableName::of_object(name, database)?;
    if found.changelog {
        return Err(Error::unsupported("writing to a changelog, or changing one,").at(place(name)));
    }
    Ok(found.path)
}

/// The parts of a name, as they are written.
pub(crate) fn parts(name: &ObjectName) -> Result<Vec<&Ident>> {
    let parts = name.0.iter().map(|part| part.as_ident());
    parts
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::unsupported(format!("the name '{name}'")).at(place(name)))
}

/// Where a name stands in the text.
pub(crate) fn place(name: &ObjectName) -> Option<Position> {
    Position::of(name.span().start)
}

/// Whether a column is one that every table has.
pub(crate) fn is_hidden(column: &str) -> bool {
    HIDDEN.contains(&column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(parts: &[&str]) -> Result<TableName> {
        let name = ObjectName::from(parts.iter().map(|part| Ident::new(*part)).collect::<Vec<_>>());
        TableName::of_object(&name, "shop")
    }

    #[test]
    fn a_name_is_as_it_is_written() {
        assert_eq!(named(&["Orders"]).unwrap().path, TablePath::new("shop", "Orders"));
        assert_eq!(named(&["Other", "t"]).unwrap().path, TablePath::new("Other", "t"));
        assert_eq!(named(&["a", "b", "c"]).unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_changelog_is_named_by_its_table() {
        let changes = named(&["orders$changelog"]).unwrap();
        assert!(changes.changelog);
        assert_eq!(changes.path, TablePath::new("shop", "orders"));
        assert!(!named(&["$changelog"]).unwrap().changelog);
        let name = ObjectName::from(vec![Ident::new("orders$changelog")]);
        assert_eq!(
            table_path(&name, "shop").unwrap_err().kind,
            ErrorKind::Unsupported
        );
    }
}
