//! Documents: the rows of a primary-key table, changed field by field.

mod columns;
mod order;
mod sweep;
#[cfg(test)]
mod tests;
mod writers;

use std::sync::Arc;

use fluss_client::arrow::datatypes::SchemaRef;
use fluss_client::arrow::record_batch::RecordBatch;
use fluss_client::types::{Datum, Row, TablePath};
use fluss_client::{Acks, Connection, Lookuper, Table, WriteHandle};

use self::columns::{ColumnSet, Columns};
use self::order::Order;
use self::writers::{Writer, Writers};
use crate::error::{Error, Result};

/// The documents of a primary-key table: its rows, whose fields are set and deleted one by one. Clones share it.
///
/// Writes are collected and sent in the background. Those to one key take effect in the order of the calls, whichever
/// columns they write. A write that follows one of other columns to the same key waits until that one is
/// acknowledged; writes to different keys, and of the same columns, do not wait for each other. Calls that run at the
/// same time, for the same key, have no order.
///
/// Every set of columns that is written has a writer of its own, with the memory that the client's options give one. The
/// 16 used last are kept.
///
/// All waits end by the timeouts of the client: for memory and acknowledgements the delivery timeout of writes, for
/// look-ups and scans the request timeout. Columns that are added to the table later are known once it is opened anew.
///
/// In a table with the merge engine `aggregation`, upserted fields are aggregated as the table says; whatever sets
/// columns to null passes over the merge engine.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fluss_client::types::{DataType, Schema, TableDescriptor};
/// use fluss_replica::Documents;
///
/// let connection = fluss_client::connect("embedded::memory:").await?;
/// let path = connection.path("fluss.profiles")?;
/// # let text = DataType::string;
/// # let schema = Schema::builder().column("firstname", text()).column("age", text()).column("city", text());
/// # let descriptor = TableDescriptor::builder(schema.primary_key(["firstname"]).build()?).build()?;
/// # connection.admin().create_table(&path, &descriptor, false).await?;
/// let profiles = Documents::open(&connection, &path).await?;
///
/// profiles.upsert_fields(&[("firstname", "Alice".into()), ("age", "22".into())]).await?;
/// profiles.upsert_fields(&[("firstname", "Alice".into()), ("city", "San Francisco".into())]).await?;
/// profiles.upsert_fields(&[("firstname", "Bob".into()), ("age", "25".into())]).await?;
/// profiles.flush().await?;
///
/// let table = profiles.table();
/// let alice = table.lookup().lookuper()?.lookup(&["Alice".into()]).await?;
/// assert_eq!(alice, Some(vec!["Alice".into(), "22".into(), "San Francisco".into()]));
///
/// profiles.delete_document(&["Bob".into()]).await?.wait().await?;
/// assert_eq!(profiles.clear_columns(&["age"]).await?, 1);
/// assert_eq!(profiles.truncate().await?, 1);
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Documents {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Table,
    columns: Columns,
    lookuper: Lookuper,
    writers: Writers,
    order: Order,
}

impl Documents {
    /// Opens the documents of a table.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a table without primary key, or with a merge engine that takes whole rows only
    /// (`first_row`, `versioned`), and for a connection whose writes are not acknowledged by all replicas, with which they
    /// could not be put in an order; those of the client.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn open(connection: &Connection, path: &TablePath) -> Result<Self> {
        if connection.options().writer.acks != Acks::All {
            let reason = "documents need writes that all replicas acknowledge (`acks` is `all`)";
            return Err(Error::InvalidArgument(reason.to_owned()));
        }
        let table = connection.table(path).await?;
        let columns = Columns::of(table.info())?;
        Ok(Self {
            shared: Arc::new(Shared {
                columns,
                lookuper: table.lookup().lookuper()?,
                writers: Writers::new(&table),
                order: Order::new(),
                table,
            }),
        })
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.shared.table
    }

    /// Sets fields of a document, which has all columns of the primary key among them. Its other fields stay as they are;
    /// those of a document that is new are null.
    ///
    /// # Errors
    ///
    /// Before anything is sent: [`Error::InvalidArgument`] for a column that does not exist, is given twice or is filled in
    /// by the server, for a missing column of the primary key, and for a document without some columns in a table where a
    /// column beside the key takes no null; an error of the client for a value that its column does not take. Later calls
    /// succeed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it has a handle leaves the write out.
    pub async fn upsert_fields(&self, fields: &[(&str, Datum<'_>)]) -> Result<WriteHandle> {
        let Shared { columns, order, .. } = &*self.shared;
        let (set, row) = columns.document(fields)?;
        let key = columns.key_of(&set, &row);
        let identity = columns.identity("upsert", &key)?;
        let writer = self.writer(&set).await?;
        let mut turn = order.turn(identity).await;
        turn.after_others(writer.number).await;
        let handle = writer.upserts.upsert(&row).await?;
        turn.note(writer.number, &handle);
        Ok(handle)
    }

    /// Sets columns of a document to null, if there is one of this key: the values of the primary key, in its order. The
    /// document stays, even if all its fields are null then.
    ///
    /// Whether there is a document is looked up first, after earlier writes of this program to the key. If another program
    /// deletes it between the look-up and the write, it is there again, with its key alone. Where there is no document, or
    /// all these columns are null, nothing is written; the handle has no rows then.
    ///
    /// # Errors
    ///
    /// Before anything is sent: [`Error::InvalidArgument`] for a column that does not exist, is of the primary key, takes no
    /// null or is filled in by the server, or a table where another column beside the key takes no null; an error of the
    /// client for values that are no key. Those of a look-up.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it has a handle leaves the write out.
    pub async fn delete_fields<S: AsRef<str>>(
        &self,
        key: &(impl Row + ?Sized),
        names: &[S],
    ) -> Result<WriteHandle> {
        let Shared { columns, order, .. } = &*self.shared;
        let key = key.to_owned_row();
        let lost = columns.lost(names)?;
        let set = columns.clearing(&lost)?;
        let identity = columns.identity("delete fields", &key)?;
        let writer = self.writer(&set).await?;
        let mut turn = order.turn(identity).await;
        turn.after_all().await;
        let found = self.shared.lookuper.lookup(&key).await?;
        let has_any = |row: &Vec<Datum<'_>>| lost.iter().any(|column| !row.datum(*column).is_null());
        if !found.as_ref().is_some_and(has_any) {
            return self.nothing(&writer, &set).await;
        }
        let value = |column: usize| {
            let place = columns.key().iter().position(|other| *other == column);
            place.map_or(Datum::Null, |place| key.datum(place))
        };
        let row: Vec<Datum<'_>> = columns.written(&set).into_iter().map(value).collect();
        let handle = writer.upserts.upsert(&row).await?;
        turn.note(writer.number, &handle);
        Ok(handle)
    }

    /// Deletes the document of this key, if there is one: the values of the primary key, in its order.
    ///
    /// # Errors
    ///
    /// Before anything is sent: [`Error::InvalidArgument`] for a table that ignores or refuses deletes, or that has a column
    /// which the server fills in; an error of the client for values that are no key.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it has a handle leaves the write out.
    pub async fn delete_document(&self, key: &(impl Row + ?Sized)) -> Result<WriteHandle> {
        let Shared { columns, order, .. } = &*self.shared;
        columns.check_deletes()?;
        let key = key.to_owned_row();
        let identity = columns.identity("delete", &key)?;
        let writer = self.writer(&ColumnSet::WHOLE).await?;
        let mut turn = order.turn(identity).await;
        turn.after_others(writer.number).await;
        let handle = writer.upserts.delete(&key).await?;
        turn.note(writer.number, &handle);
        Ok(handle)
    }

    /// Sends what is collected, and waits until all that was written before is acknowledged or has failed.
    ///
    /// # Errors
    ///
    /// The first failure of a write since the last flush.
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn flush(&self) -> Result<()> {
        let writers = &self.shared.writers;
        writers.settle().await;
        writers.take_failure().map_or(Ok(()), |error| Err(error.into()))
    }

    async fn writer(&self, set: &ColumnSet) -> Result<Arc<Writer>> {
        self.shared.writers.get(&self.shared.columns, set).await
    }

    /// The handle of a write of no rows.
    async fn nothing(&self, writer: &Writer, set: &ColumnSet) -> Result<WriteHandle> {
        let none = RecordBatch::new_empty(self.schema(set)?);
        Ok(writer.upserts.upsert_arrow(&none).await?)
    }

    /// The Arrow schema of the columns of a set.
    fn schema(&self, set: &ColumnSet) -> Result<SchemaRef> {
        let all = self.shared.table.arrow_schema();
        let schema = all.project(&self.shared.columns.written(set));
        let schema = schema.map_err(|error| Error::InvalidArgument(error.to_string()))?;
        Ok(Arc::new(schema))
    }
}
