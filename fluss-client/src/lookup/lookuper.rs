use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use tokio::time::Instant;

use super::engine::Engine;
use super::keys::{Keys, Located};
use super::query::{Get, GetByPrefix, Query};
use super::values::Values;
use crate::config::Acks;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::table::Table;
use fluss_core::ValueError;
use fluss_core::types::{InvalidDefinition, OwnedRow, Row, RowType, TableInfo};

/// Puts a lookuper together. Had from [`Table::lookup`].
#[derive(Clone, Debug)]
pub struct LookupBuilder {
    table: Table,
    insert: bool,
}

impl Table {
    /// Begins to look rows up by key.
    pub fn lookup(&self) -> LookupBuilder {
        LookupBuilder::new(self.clone())
    }
}

impl LookupBuilder {
    pub(crate) const fn new(table: Table) -> Self {
        Self { table, insert: false }
    }

    /// Inserts a row for a key that has none: null in the columns beside the key, but for an auto-increment column.
    /// However many look the same key up, it is inserted once.
    #[must_use]
    pub const fn insert_if_not_exists(mut self) -> Self {
        self.insert = true;
        self
    }

    /// A lookuper of rows by their primary key.
    ///
    /// # Errors
    ///
    /// A table without primary key. Where missing rows are to be inserted: a partitioned table, or one with columns beside
    /// the key that take no null.
    pub fn lookuper(self) -> Result<Lookuper> {
        let info = self.table.shared_info();
        check_table(&info)?;
        if self.insert {
            check_insert(&info).map_err(|error| context(&info).error(error))?;
        }
        let get = Get {
            insert: self.insert.then(|| Acks::All.number()),
        };
        let cluster = self.table.cluster();
        Ok(Lookuper {
            inner: Arc::new(Inner {
                keys: Keys::primary(&info).map_err(|error| context(&info).error(error))?,
                engine: Engine::new(cluster, &info, get),
                values: Values::new(cluster, &info, Get::OPERATION),
                info,
            }),
        })
    }

    /// A lookuper of all rows whose primary keys begin with the same values of these columns: those of the table's
    /// bucket key, which has to be a proper beginning of the primary key, and among them those that the table is
    /// partitioned by.
    ///
    /// # Errors
    ///
    /// A table without primary key, or whose bucket key is no such beginning; other columns than its.
    pub fn prefix_lookuper<S: AsRef<str>>(self, columns: &[S]) -> Result<PrefixLookuper> {
        let info = self.table.shared_info();
        check_table(&info)?;
        let refuse = |error: InvalidDefinition| context(&info).error(error);
        if self.insert {
            return Err(refuse(InvalidDefinition::new("a prefix is no row to insert")));
        }
        let cluster = self.table.cluster();
        let keys = Keys::prefix(&info, columns).map_err(refuse)?;
        Ok(PrefixLookuper {
            inner: Arc::new(Inner {
                keys,
                engine: Engine::new(cluster, &info, GetByPrefix),
                values: Values::new(cluster, &info, GetByPrefix::OPERATION),
                info,
            }),
        })
    }
}

fn context(info: &TableInfo) -> Context {
    Context::new("look up").table(&info.path)
}

/// The positions of the columns of these names, or of all.
fn columns_of(info: &TableInfo, names: Option<&[String]>) -> Result<Vec<usize>> {
    match names {
        Some(names) => info.schema().indexes_of(names),
        None => Ok((0..info.row_type().len()).collect()),
    }
    .map_err(|error| context(info).error(error))
}

fn check_table(info: &TableInfo) -> Result<()> {
    let refuse = |reason: &str| Err(context(info).error(ErrorKind::InvalidArgument(reason.to_owned())));
    if !info.has_primary_key() {
        return refuse("the table has no primary key to look rows up by");
    }
    Ok(())
}

fn check_insert(info: &TableInfo) -> Result<(), InvalidDefinition> {
    if info.is_partitioned() {
        // `behaviour.md` §5.2: it would be inserted where nobody looks.
        return Err(InvalidDefinition::new(
            "the table is partitioned: servers insert no missing rows there",
        ));
    }
    let schema = info.schema();
    let takes_no_null = schema.columns().iter().find(|column| {
        !column.data_type.is_nullable()
            && !schema.primary_key().contains(&column.name)
            && schema.auto_increment() != Some(column.name.as_str())
    });
    takes_no_null.map_or(Ok(()), |column| {
        Err(InvalidDefinition::new(format!(
            "column '{}' takes no null, so that no row can be inserted without it",
            column.name
        )))
    })
}

struct Inner<Q: Query> {
    info: Arc<TableInfo>,
    keys: Keys,
    engine: Engine<Q>,
    values: Values,
}

impl<Q: Query> Inner<Q> {
    fn refusal(&self, error: ValueError) -> Error {
        Context::new(Q::OPERATION).table(&self.info.path).error(error)
    }

    /// When a call that begins now has to end.
    fn deadline(&self) -> Instant {
        Instant::now() + self.engine.timeout()
    }

    fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("table", &self.info.path.to_string())
            .finish_non_exhaustive()
    }
}

/// Looks rows up by their primary key. Clones share it, as may any number of tasks.
///
/// A look-up is sent at once if nothing is on its way to its server, and otherwise with all others that have come until
/// the answer is there. Every call ends within [`request_timeout`](crate::ClientOptions::request_timeout).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};
/// # let connection = fluss_client::connect("embedded::memory:").await?;
/// # let path = TablePath::new("fluss", "people");
/// # let schema = Schema::builder().column("id", DataType::int()).column("name", DataType::string());
/// # let schema = schema.primary_key(["id"]).build()?;
/// # connection.admin().create_table(&path, &TableDescriptor::builder(schema).build()?, false).await?;
/// let table = connection.table(&path).await?;
/// table.upsert_writer()?.upsert(&[1.into(), "Ada".into()]).await?.wait().await?;
/// let lookuper = table.lookup().lookuper()?;
/// let row = lookuper.lookup(&[1.into()]).await?.expect("it is there");
/// assert_eq!(row.get(1), Some(&"Ada".into()));
/// assert_eq!(lookuper.lookup(&[2.into()]).await?, None);
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lookuper {
    inner: Arc<Inner<Get>>,
}

impl Lookuper {
    /// The table.
    pub fn table(&self) -> &TableInfo {
        &self.inner.info
    }

    /// The type of keys: the columns of the primary key, in its order.
    pub fn key_type(&self) -> &RowType {
        self.inner.keys.row_type()
    }

    /// The Arrow schema of what [`lookup_arrow`](Self::lookup_arrow) returns.
    pub fn schema(&self) -> SchemaRef {
        self.inner.values.schema()
    }

    /// The row of a key, if there is one. There is none in a partition that does not exist.
    ///
    /// # Errors
    ///
    /// A key that the table cannot have, before anything is sent; what the server refuses; a timeout.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing for other look-ups.
    pub async fn lookup(&self, key: &(impl Row + ?Sized)) -> Result<Option<OwnedRow>> {
        let key = self
            .inner
            .keys
            .locate(key)
            .map_err(|error| self.inner.refusal(error))?;
        let deadline = self.inner.deadline();
        let Some(value) = self.inner.engine.one(key, deadline).await? else {
            return Ok(None);
        };
        self.inner
            .values
            .prepare(std::iter::once(&value), deadline)
            .await?;
        self.inner.values.row(&value).map(Some)
    }

    /// The rows of many keys, in their order. Of a key with a null there is none.
    ///
    /// # Errors
    ///
    /// As [`lookup`](Self::lookup): all keys, or none. A key with a null where missing rows are inserted.
    ///
    /// # Cancellation
    ///
    /// As [`lookup`](Self::lookup).
    pub async fn lookup_many<R: Row>(&self, keys: &[R]) -> Result<Vec<Option<OwnedRow>>> {
        let located = keys.iter().map(|key| self.inner.keys.locate_any(key));
        let located: Vec<_> = located
            .collect::<Result<_, _>>()
            .map_err(|error| self.inner.refusal(error))?;
        let deadline = self.inner.deadline();
        let values = self.find(located, deadline).await?;
        self.inner
            .values
            .prepare(values.iter().flatten(), deadline)
            .await?;
        let row = |value: &Option<Bytes>| value.as_ref().map(|value| self.inner.values.row(value));
        values.iter().map(|value| row(value).transpose()).collect()
    }

    /// The rows of the keys in an Arrow batch, in their order, as one batch of all columns of the table. Where a key has
    /// no row, or a null in it, all are null. Columns beside those of the primary key are passed over.
    ///
    /// # Errors
    ///
    /// As [`lookup_many`](Self::lookup_many).
    ///
    /// # Cancellation
    ///
    /// As [`lookup`](Self::lookup).
    pub async fn lookup_arrow(&self, keys: &RecordBatch) -> Result<RecordBatch> {
        let located = self.inner.keys.locate_batch(keys);
        let located = located.map_err(|error| self.inner.refusal(error))?;
        let deadline = self.inner.deadline();
        let values = self.find(located, deadline).await?;
        self.inner
            .values
            .prepare(values.iter().flatten(), deadline)
            .await?;
        self.inner.values.columns(values.iter().map(Option::as_ref))
    }

    /// The rows of the keys in an Arrow batch that are there, in the order of their keys, as one batch of some columns of the
    /// table, of all if none are named. A key with a null in it has none.
    ///
    /// # Errors
    ///
    /// As [`lookup_many`](Self::lookup_many); a column that the table does not have.
    ///
    /// # Cancellation
    ///
    /// As [`lookup`](Self::lookup).
    pub async fn find_arrow(&self, keys: &RecordBatch, columns: Option<&[String]>) -> Result<RecordBatch> {
        let columns = columns_of(&self.inner.info, columns)?;
        let located = self.inner.keys.locate_batch(keys);
        let located = located.map_err(|error| self.inner.refusal(error))?;
        let deadline = self.inner.deadline();
        let values = self.find(located, deadline).await?;
        let found = || values.iter().flatten();
        self.inner.values.prepare(found(), deadline).await?;
        self.inner.values.project(found(), &columns)
    }

    /// The values of keys, in their order.
    async fn find(&self, keys: Vec<Option<Located>>, deadline: Instant) -> Result<Vec<Option<Bytes>>> {
        let mut found = vec![None; keys.len()];
        let is_there = |(place, key): (usize, Option<Located>)| Some((place, key?));
        let (places, keys): (Vec<_>, Vec<_>) = keys.into_iter().enumerate().filter_map(is_there).unzip();
        if self.inner.engine.writes()
            && let Some(place) = (0..found.len()).find(|place| places.binary_search(place).is_err())
        {
            let reason = format!("the key at {place} has a null, no row can be inserted for it");
            return Err(self.inner.refusal(ValueError::row(reason)));
        }
        for (place, value) in places
            .into_iter()
            .zip(self.inner.engine.many(keys, deadline).await?)
        {
            if let Some(slot) = found.get_mut(place) {
                *slot = value;
            }
        }
        Ok(found)
    }
}

impl fmt::Debug for Lookuper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt("Lookuper", f)
    }
}

/// Looks up all rows whose primary keys begin with the same values. Clones share it.
#[derive(Clone)]
pub struct PrefixLookuper {
    inner: Arc<Inner<GetByPrefix>>,
}

impl PrefixLookuper {
    /// The table.
    pub fn table(&self) -> &TableInfo {
        &self.inner.info
    }

    /// The type of prefixes.
    pub fn key_type(&self) -> &RowType {
        self.inner.keys.row_type()
    }

    /// The rows of a prefix, in the order of their keys' bytes.
    ///
    /// # Errors
    ///
    /// As [`Lookuper::lookup`].
    ///
    /// # Cancellation
    ///
    /// As [`Lookuper::lookup`].
    pub async fn lookup(&self, prefix: &(impl Row + ?Sized)) -> Result<Vec<OwnedRow>> {
        let prefix = self.inner.keys.locate(prefix);
        let prefix = prefix.map_err(|error| self.inner.refusal(error))?;
        let deadline = self.inner.deadline();
        let values = self.inner.engine.one(prefix, deadline).await?;
        self.inner.values.prepare(values.iter(), deadline).await?;
        values.iter().map(|value| self.inner.values.row(value)).collect()
    }

    /// The rows of the prefixes in an Arrow batch, as one batch of some columns of the table, of all if none are named: those
    /// of one prefix after another, each in the order of their keys' bytes. A prefix with a null in it has none.
    ///
    /// # Errors
    ///
    /// As [`Lookuper::lookup`]; a column that the table does not have.
    ///
    /// # Cancellation
    ///
    /// As [`Lookuper::lookup`].
    pub async fn lookup_arrow(
        &self,
        prefixes: &RecordBatch,
        columns: Option<&[String]>,
    ) -> Result<RecordBatch> {
        let columns = columns_of(&self.inner.info, columns)?;
        let located = self.inner.keys.locate_batch(prefixes);
        let located = located.map_err(|error| self.inner.refusal(error))?;
        let deadline = self.inner.deadline();
        let located = located.into_iter().flatten().collect();
        let found = self.inner.engine.many(located, deadline).await?;
        let values = || found.iter().flatten();
        self.inner.values.prepare(values(), deadline).await?;
        self.inner.values.project(values(), &columns)
    }
}

impl fmt::Debug for PrefixLookuper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt("PrefixLookuper", f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluss_core::types::Datum;

    fn spawnable<T: Send>(_: impl FnOnce(&'static Lookuper, &'static PrefixLookuper) -> T) {}

    #[test]
    fn look_ups_run_in_tasks() {
        static KEY: [Datum<'_>; 1] = [Datum::Int(1)];
        spawnable(|lookuper, _| lookuper.lookup(&KEY));
        spawnable(|lookuper, _| lookuper.lookup_many(std::slice::from_ref(&KEY)));
        spawnable(|_, prefixes| prefixes.lookup(&KEY));
    }
}
