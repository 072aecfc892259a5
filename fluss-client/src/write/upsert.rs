use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::batch_write::BatchWrite;
use super::handle::WriteHandle;
use super::layout::{Change, Layout};
use super::one_batch::OneBatch;
use super::request::Api;
use super::writer::Writer;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::shape::Shape;
use crate::table::Table;
use fluss_core::types::{InvalidDefinition, Row, TableInfo};

/// How the rows of a key are merged, if not the last one stays.
const MERGE_ENGINE: &str = "table.merge-engine";
/// Whether deletes are obeyed.
const DELETE_BEHAVIOR: &str = "table.delete.behavior";
/// The merge engines that take whole rows only (`behaviour.md` §3.4).
const WHOLE_ROWS: [&str; 2] = ["first_row", "versioned"];

/// Puts a writer of a primary-key table together. Had from [`Table::upsert`].
#[derive(Clone, Debug)]
pub struct UpsertBuilder {
    table: Table,
    columns: Option<Vec<String>>,
    overwrite: bool,
}

impl Table {
    /// Begins to upsert and delete rows by key.
    pub fn upsert(&self) -> UpsertBuilder {
        UpsertBuilder::new(self.clone())
    }

    /// A writer that upserts and deletes whole rows: short for `upsert().writer()`.
    ///
    /// # Errors
    ///
    /// As [`UpsertBuilder::writer`].
    pub fn upsert_writer(&self) -> Result<UpsertWriter> {
        self.upsert().writer()
    }
}

impl UpsertBuilder {
    pub(crate) const fn new(table: Table) -> Self {
        Self {
            table,
            columns: None,
            overwrite: false,
        }
    }

    /// Writes only these columns, in this order; the others stay as they are, or null in a row that is new. Deletes
    /// set them to null, and remove a row of which nothing else is left.
    ///
    /// Without it rows are whole; those of a table with an auto-increment column are given without that column.
    #[must_use]
    pub fn columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Replaces what is there, whatever the table's merge engine would make of it.
    #[must_use]
    pub const fn overwrite(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// The writer.
    ///
    /// # Errors
    ///
    /// A table without primary key; columns that do not exist, come twice, lack the primary key or leave out one that
    /// takes no null; a merge engine that takes whole rows only, or none to pass over.
    pub fn writer(self) -> Result<UpsertWriter> {
        let info = self.table.shared_info();
        let context = || Context::new("upsert").table(&info.path);
        let refuse = |reason: &str| Err(context().error(ErrorKind::InvalidArgument(reason.to_owned())));
        if !info.has_primary_key() {
            return refuse("the table has no primary key: it takes appends, not upserts");
        }
        let engine = info.descriptor.properties().get(MERGE_ENGINE);
        if self.overwrite && engine.is_none() {
            return refuse("the table has no merge engine to pass over");
        }
        let columns = self.targets(&info).map_err(|error| context().error(error))?;
        if columns.is_some() && engine.is_some_and(|engine| takes_whole_rows(engine)) {
            return refuse("the table's merge engine takes whole rows only");
        }
        UpsertWriter::new(&self.table, columns.as_deref(), self.overwrite)
            .map_err(|error| context().error(error))
    }

    /// The positions of the columns that are written; nothing for all.
    fn targets(&self, info: &TableInfo) -> Result<Option<Vec<usize>>, InvalidDefinition> {
        let schema = info.schema();
        let columns = match (&self.columns, schema.auto_increment()) {
            (Some(columns), _) => schema.indexes_of(columns)?,
            (None, Some(counter)) => {
                let counter = schema.row_type().index_of(counter);
                (0..schema.row_type().len())
                    .filter(|column| Some(*column) != counter)
                    .collect()
            }
            (None, None) => return Ok(None),
        };
        check_targets(info, &columns)?;
        Ok(Some(columns))
    }
}

fn takes_whole_rows(engine: &str) -> bool {
    WHOLE_ROWS.iter().any(|other| engine.eq_ignore_ascii_case(other))
}

/// What the server would refuse a partial update for (`behaviour.md` §3.3).
fn check_targets(info: &TableInfo, columns: &[usize]) -> Result<(), InvalidDefinition> {
    let (schema, row_type) = (info.schema(), info.row_type());
    let fault = |reason: String| Err(InvalidDefinition::new(reason));
    for (index, field) in row_type.fields().iter().enumerate() {
        let (name, nullable) = (&field.name, field.data_type.is_nullable());
        let is_key = schema.primary_key().contains(name);
        let times = columns.iter().filter(|column| **column == index).count();
        if times > 1 {
            return fault(format!("column '{name}' is named twice"));
        }
        if is_key && times == 0 {
            return fault(format!("the columns lack '{name}' of the primary key"));
        }
        if !is_key && !nullable {
            return fault(format!(
                "column '{name}' takes no null, so that its table takes whole rows only"
            ));
        }
        if times == 1 && schema.auto_increment() == Some(name.as_str()) {
            return fault(format!("column '{name}' is filled in by the server"));
        }
    }
    Ok(())
}

/// Upserts and deletes rows of a primary-key table. Clones share it.
///
/// As [`AppendWriter`](crate::AppendWriter) it collects rows and sends them in the background, in the order of
/// the calls for each key. What an acknowledged write has done is seen by look-ups.
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
/// let writer = table.upsert_writer()?;
/// writer.upsert(&[1.into(), "Ada".into()]).await?;
/// writer.upsert(&[1.into(), "Ada Lovelace".into()]).await?;
/// writer.delete(&[2.into()]).await?;
/// writer.flush().await?;
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct UpsertWriter {
    writer: Writer,
    rows: Arc<Shape>,
    keys: Arc<Shape>,
    deletes: bool,
}

impl UpsertWriter {
    fn new(table: &Table, columns: Option<&[usize]>, overwrite: bool) -> Result<Self, InvalidDefinition> {
        let info = table.shared_info();
        let row_type = info.row_type();
        let rows = columns.map_or_else(|| Shape::whole(row_type), |columns| Shape::of(row_type, columns));
        let keys = Shape::named(row_type, info.schema().primary_key())?;
        let api = Api::Put {
            columns: columns
                .unwrap_or_default()
                .iter()
                .map(|column| *column as i32)
                .collect(),
            overwrite,
        };
        let behavior = info.descriptor.properties().get(DELETE_BEHAVIOR);
        Ok(Self {
            writer: Writer::new(table.cluster(), &info, "upsert", Layout::keyed(&info)?, api)?,
            rows: Arc::new(rows),
            keys: Arc::new(keys),
            deletes: behavior.is_none_or(|behavior| !behavior.eq_ignore_ascii_case("disable")),
        })
    }

    /// The table.
    pub fn table(&self) -> &TableInfo {
        self.writer.table()
    }

    /// The type of the rows that are upserted: the table's, or that of the columns that were named.
    pub fn row_type(&self) -> &fluss_core::types::RowType {
        self.rows.row_type()
    }

    /// The type of the keys that are deleted: the columns of the primary key, in its order.
    pub fn key_type(&self) -> &fluss_core::types::RowType {
        self.keys.row_type()
    }

    /// Collects a row to be stored under its key.
    ///
    /// # Errors
    ///
    /// A row that the table cannot take, before anything is sent: the writer stays usable.
    /// [`NoMemory`](ErrorKind::NoMemory) if no memory became free in time.
    ///
    /// # Cancellation
    ///
    /// Dropping the future while it waits for memory leaves the row out.
    pub async fn upsert(&self, row: &(impl Row + ?Sized)) -> Result<WriteHandle> {
        self.writer.push(Change::Upsert, &self.rows, row).await
    }

    /// Collects a row if there is memory for it now.
    ///
    /// # Errors
    ///
    /// As [`upsert`](Self::upsert).
    pub fn try_upsert(&self, row: &(impl Row + ?Sized)) -> Result<Option<WriteHandle>> {
        self.writer.try_push(Change::Upsert, &self.rows, row)
    }

    /// Collects a key whose row is to be deleted: the values of the primary key's columns, in its order.
    ///
    /// # Errors
    ///
    /// As [`upsert`](Self::upsert); a table that refuses deletes.
    ///
    /// # Cancellation
    ///
    /// As [`upsert`](Self::upsert).
    pub async fn delete(&self, key: &(impl Row + ?Sized)) -> Result<WriteHandle> {
        self.check_deletes()?;
        self.writer.push(Change::Delete, &self.keys, key).await
    }

    /// Collects a key if there is memory for it now.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete).
    pub fn try_delete(&self, key: &(impl Row + ?Sized)) -> Result<Option<WriteHandle>> {
        self.check_deletes()?;
        self.writer.try_push(Change::Delete, &self.keys, key)
    }

    /// Collects the rows of an Arrow batch, whose columns are matched by name: all of [`row_type`](Self::row_type) and
    /// no others.
    ///
    /// # Errors
    ///
    /// A missing or unknown column, a type that does not fit, or a value that the table cannot take, before anything
    /// is sent: the writer stays usable. [`NoMemory`](ErrorKind::NoMemory) if no memory became free in time. Of a batch
    /// that is larger than the writer's memory some rows may then be sent: see
    /// [`Context::rows_taken`](crate::Context::rows_taken).
    ///
    /// # Cancellation
    ///
    /// Dropping the future while it waits for memory leaves the batch out; of one that is larger than the writer's memory,
    /// what is not sent by then.
    pub async fn upsert_arrow(&self, batch: &RecordBatch) -> Result<WriteHandle> {
        let mut write = self.upsert_batches();
        write.add(batch).await?;
        write.finish().await
    }

    /// Begins to upsert the rows of Arrow batches as one: all of them, or none.
    pub fn upsert_batches(&self) -> BatchWrite {
        BatchWrite::new(self.writer.clone(), Change::Upsert, self.rows.clone())
    }

    /// Collects the keys of an Arrow batch, whose rows are to be deleted. Columns beside those of the primary key are
    /// passed over.
    ///
    /// # Errors
    ///
    /// As [`upsert_arrow`](Self::upsert_arrow); a table that refuses deletes.
    ///
    /// # Cancellation
    ///
    /// As [`upsert_arrow`](Self::upsert_arrow).
    pub async fn delete_arrow(&self, batch: &RecordBatch) -> Result<WriteHandle> {
        let mut write = self.delete_batches()?;
        write.add(batch).await?;
        write.finish().await
    }

    /// Begins to delete by the keys of Arrow batches as one: all of them, or none.
    ///
    /// # Errors
    ///
    /// A table that refuses deletes.
    pub fn delete_batches(&self) -> Result<BatchWrite> {
        self.check_deletes()?;
        Ok(BatchWrite::new(
            self.writer.clone(),
            Change::Delete,
            self.keys.clone(),
        ))
    }

    /// Begins to change rows of one bucket by one batch, which a server stores whole or not at all.
    ///
    /// # Errors
    ///
    /// A table that refuses deletes, if there are `deletes` among the changes.
    pub fn one_batch(&self, deletes: bool) -> Result<OneBatch> {
        if deletes {
            self.check_deletes()?;
        }
        Ok(OneBatch::new(
            self.writer.clone(),
            self.rows.clone(),
            Some(self.keys.clone()),
        ))
    }

    fn check_deletes(&self) -> Result<(), Error> {
        if self.deletes {
            return Ok(());
        }
        let reason = format!("{DELETE_BEHAVIOR} is 'disable'");
        let context = Context::new("delete").table(&self.table().path);
        Err(context.error(ErrorKind::InvalidArgument(reason)))
    }

    /// Sends what is collected, and waits until everything written before this call is acknowledged or has failed.
    ///
    /// # Errors
    ///
    /// The first failure of a write of this writer since the last flush.
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn flush(&self) -> Result<()> {
        self.writer.flush().await
    }

    /// Flushes, and takes no more rows.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting, and leaves the writer open.
    pub async fn close(&self) -> Result<()> {
        self.writer.close().await
    }
}

impl fmt::Debug for UpsertWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpsertWriter")
            .field("table", &self.table().path.to_string())
            .finish_non_exhaustive()
    }
}
