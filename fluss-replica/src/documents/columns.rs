//! Which columns of a table can be changed by themselves, and the names that programs give them.

use fluss_client::types::{Datum, RowType, TableInfo, TablePath, did_you_mean};
use fluss_client::{Context, ValueError};
use fluss_core::row::{KeyEncoder, KeyFormat, check};

use crate::error::{Error, Result};

/// How the rows of a key are merged, if not the last one stays.
const MERGE_ENGINE: &str = "table.merge-engine";
/// Whether deletes are obeyed.
const DELETE_BEHAVIOR: &str = "table.delete.behavior";

/// The columns that a writer writes, and how.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ColumnSet {
    /// Their positions in the table, ascending; nothing for all.
    pub(super) columns: Option<Vec<usize>>,
    /// Whether values take the place of what is there, whatever the table's merge engine would make of them.
    pub(super) overwrite: bool,
}

impl ColumnSet {
    /// Whole rows, which is what deletes are written with.
    pub(super) const WHOLE: Self = Self {
        columns: None,
        overwrite: false,
    };
}

/// The columns of a table, as far as changes of documents depend on them.
#[derive(Debug)]
pub(super) struct Columns {
    table: TablePath,
    row_type: RowType,
    /// The positions of the primary key, in its order.
    key: Vec<usize>,
    key_type: RowType,
    encoder: KeyEncoder,
    /// The column that the server fills in.
    counter: Option<usize>,
    /// A column beside the key that takes no null, for which rows are written whole.
    required: Option<usize>,
    /// Whether the values of a key are aggregated.
    is_aggregated: bool,
    delete_behavior: Option<String>,
}

impl Columns {
    /// Those of a table.
    ///
    /// # Errors
    ///
    /// A table without primary key, or whose merge engine takes whole rows only.
    pub(super) fn of(info: &TableInfo) -> Result<Self> {
        let (schema, row_type) = (info.schema(), info.row_type());
        let property = |name: &str| {
            let value = info.descriptor.properties().get(name);
            value.map(|value| value.to_ascii_lowercase())
        };
        if !info.has_primary_key() {
            return refuse(format!(
                "table {} has no primary key, by which documents are told apart",
                info.path
            ));
        }
        let engine = property(MERGE_ENGINE);
        if let Some(engine) = engine.as_deref().filter(|engine| *engine != "aggregation") {
            return refuse(format!(
                "the merge engine of table {} is '{engine}': its documents cannot be changed in part",
                info.path
            ));
        }
        let key = schema.indexes_of(schema.primary_key())?;
        let key_type = row_type.project(&key);
        let whole_key: Vec<usize> = (0..key.len()).collect();
        let mut fields = row_type.fields().iter().enumerate();
        let required = fields.find(|(column, field)| !key.contains(column) && !field.data_type.is_nullable());
        Ok(Self {
            table: info.path.clone(),
            encoder: KeyEncoder::new(KeyFormat::Fluss, &key_type, &whole_key)?,
            counter: schema.auto_increment().and_then(|name| row_type.index_of(name)),
            required: required.map(|(column, _)| column),
            is_aggregated: engine.is_some(),
            delete_behavior: property(DELETE_BEHAVIOR).filter(|behavior| behavior != "allow"),
            row_type: row_type.clone(),
            key_type,
            key,
        })
    }

    /// The positions of the primary key, in its order.
    pub(super) fn key(&self) -> &[usize] {
        &self.key
    }

    /// The names of the primary key's columns, in its order.
    pub(super) fn key_names(&self) -> Vec<String> {
        self.key_type.names().map(str::to_owned).collect()
    }

    /// The name of a column.
    pub(super) fn name(&self, column: usize) -> &str {
        let field = self.row_type.field(column);
        field.map_or("", |field| field.name.as_str())
    }

    /// The fields of a document as a row of those columns, in the table's order.
    ///
    /// # Errors
    ///
    /// A column that does not exist, comes twice or is filled in by the server; a missing column of the primary key, or
    /// one that takes no null.
    pub(super) fn document<'d>(
        &self,
        fields: &'d [(&str, Datum<'d>)],
    ) -> Result<(ColumnSet, Vec<Datum<'d>>)> {
        let mut given = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            given.push((self.position(name)?, value.borrowed()));
        }
        given.sort_by_key(|(column, _)| *column);
        let (columns, row): (Vec<usize>, Vec<_>) = given.into_iter().unzip();
        let twice = columns.iter().zip(columns.iter().skip(1));
        if let Some((column, _)) = twice.into_iter().find(|(one, next)| one == next) {
            return refuse(format!("column '{}' is given twice", self.name(*column)));
        }
        if let Some(column) = self.key.iter().find(|column| !columns.contains(column)) {
            return refuse(format!(
                "the document lacks '{}' of the primary key of table {}",
                self.name(*column),
                self.table
            ));
        }
        self.check_counter(&columns)?;
        let written = ColumnSet {
            columns: self.part(columns)?,
            overwrite: false,
        };
        Ok((written, row))
    }

    /// The columns of these names, which a document is to lose.
    ///
    /// # Errors
    ///
    /// A column that does not exist, is of the primary key, takes no null or is filled in by the server.
    pub(super) fn lost<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<usize>> {
        let columns = self.positions(names)?;
        if let Some(column) = columns.iter().find(|column| self.key.contains(column)) {
            return refuse(format!(
                "column '{}' is of the primary key: a document always has it",
                self.name(*column)
            ));
        }
        self.check_clearable(&columns)?;
        Ok(columns)
    }

    /// The columns of these names, which all documents are to lose. Those of the primary key are passed over.
    ///
    /// # Errors
    ///
    /// A column that does not exist, takes no null or is filled in by the server.
    pub(super) fn cleared<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<usize>> {
        let mut columns = self.positions(names)?;
        columns.retain(|column| !self.key.contains(column));
        self.check_clearable(&columns)?;
        Ok(columns)
    }

    /// The columns whose names begin so, as [`cleared`](Self::cleared).
    pub(super) fn cleared_by_prefix<S: AsRef<str>>(&self, prefixes: &[S]) -> Result<Vec<usize>> {
        let begins_so = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix.as_ref()));
        let names: Vec<&str> = self.row_type.names().filter(begins_so).collect();
        self.cleared(&names)
    }

    /// What is written to set these columns to null: they, and the key. The positions come in the table's order.
    ///
    /// # Errors
    ///
    /// A table whose rows are written whole.
    pub(super) fn clearing(&self, columns: &[usize]) -> Result<ColumnSet> {
        let mut written: Vec<usize> = self.key.iter().chain(columns).copied().collect();
        written.sort_unstable();
        Ok(ColumnSet {
            columns: self.part(written)?,
            overwrite: self.is_aggregated,
        })
    }

    /// The columns of a set, in the table's order.
    pub(super) fn written(&self, set: &ColumnSet) -> Vec<usize> {
        let all = || (0..self.row_type.len()).collect();
        set.columns.clone().unwrap_or_else(all)
    }

    /// What the writes of a key are known by.
    ///
    /// # Errors
    ///
    /// Values that are no key of the table.
    pub(super) fn identity(&self, operation: &'static str, key: &[Datum<'_>]) -> Result<Vec<u8>> {
        let context = |error: ValueError| Context::new(operation).table(&self.table).error(error);
        check(&self.key_type, key).map_err(context)?;
        let mut bytes = Vec::new();
        self.encoder.encode(key, &mut bytes).map_err(context)?;
        Ok(bytes)
    }

    /// The values of the key in a row of these columns, in the key's order.
    pub(super) fn key_of<'r>(&self, set: &ColumnSet, row: &'r [Datum<'_>]) -> Vec<Datum<'r>> {
        let place = |column: &usize| match &set.columns {
            Some(columns) => columns.iter().position(|other| other == column),
            None => Some(*column),
        };
        let values = self
            .key
            .iter()
            .map(|column| place(column).and_then(|place| row.get(place)));
        values
            .map(|value| value.map_or(Datum::Null, Datum::borrowed))
            .collect()
    }

    /// Refuses to delete where deletes do not remove rows.
    ///
    /// # Errors
    ///
    /// A table that ignores or refuses deletes, or has a column that the server fills in.
    pub(super) fn check_deletes(&self) -> Result<()> {
        if let Some(behavior) = &self.delete_behavior {
            return refuse(format!(
                "table {} deletes no rows: its {DELETE_BEHAVIOR} is '{behavior}'",
                self.table
            ));
        }
        if let Some(counter) = self.counter {
            return refuse(format!(
                "table {} deletes no rows: its column '{}' is filled in by the server, and stays",
                self.table,
                self.name(counter)
            ));
        }
        Ok(())
    }

    /// These columns, if rows of them can be written; nothing for all.
    fn part(&self, columns: Vec<usize>) -> Result<Option<Vec<usize>>> {
        if columns.len() == self.row_type.len() {
            return Ok(None);
        }
        if let Some(required) = self.required {
            return refuse(format!(
                "column '{}' takes no null, so that table {} takes documents with all columns only",
                self.name(required),
                self.table
            ));
        }
        Ok(Some(columns))
    }

    fn check_clearable(&self, columns: &[usize]) -> Result<()> {
        let takes_null = |column: usize| {
            let field = self.row_type.field(column);
            field.is_some_and(|field| field.data_type.is_nullable())
        };
        self.check_counter(columns)?;
        match columns.iter().find(|column| !takes_null(**column)) {
            Some(column) => refuse(format!("column '{}' takes no null", self.name(*column))),
            None => Ok(()),
        }
    }

    fn check_counter(&self, columns: &[usize]) -> Result<()> {
        match self.counter.filter(|counter| columns.contains(counter)) {
            Some(counter) => refuse(format!(
                "column '{}' is filled in by the server",
                self.name(counter)
            )),
            None => Ok(()),
        }
    }

    /// The positions of the columns of these names, each once, ascending.
    fn positions<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<usize>> {
        let positions = names.iter().map(|name| self.position(name.as_ref()));
        let mut positions = positions.collect::<Result<Vec<_>>>()?;
        positions.sort_unstable();
        positions.dedup();
        Ok(positions)
    }

    fn position(&self, name: &str) -> Result<usize> {
        self.row_type.index_of(name).ok_or_else(|| {
            let near = did_you_mean(name, self.row_type.names());
            Error::InvalidArgument(format!("table {} has no column '{name}'{near}", self.table))
        })
    }
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(Error::InvalidArgument(reason))
}
