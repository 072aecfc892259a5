use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::batch_write::BatchWrite;
use super::handle::WriteHandle;
use super::layout::{Change, Layout};
use super::one_batch::OneBatch;
use super::request::Api;
use super::writer::Writer;
use crate::cluster::Cluster;
use crate::error::{Context, ErrorKind, Result};
use crate::shape::Shape;
use crate::table::Table;
use fluss_core::types::{Row, TableInfo};

/// Appends to a log table. Clones share it.
///
/// Rows are collected per bucket and sent in batches, in the background. A call returns as soon as its rows are
/// collected; it waits only while the writer's memory is used up. Every write has a handle that tells its fate, and
/// [`flush`](Self::flush) waits for all.
///
/// Rows of a partitioned table go to the partitions of their values. Those that are missing are created, unless
/// [`create_partitions`](crate::WriterOptions::create_partitions) is off. If one cannot be, that is what the
/// handles of its rows tell, and of no others.
///
/// When the last clone is dropped, what was collected is still sent, as long as the runtime lives;
/// [`close`](Self::close) waits for it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};
/// # let connection = fluss_client::connect("embedded::memory:").await?;
/// # let path = TablePath::new("fluss", "people");
/// # let schema = Schema::builder().column("id", DataType::int()).column("name", DataType::string());
/// # let schema = schema.build()?;
/// # connection.admin().create_table(&path, &TableDescriptor::builder(schema).build()?, false).await?;
/// let table = connection.table(&path).await?;
/// let writer = table.append_writer()?;
/// let handle = writer.append(&[1.into(), "Ada".into()]).await?;
/// writer.append(&[2.into(), "Alan".into()]).await?;
/// // Rows are on their way; this waits until all are stored.
/// writer.flush().await?;
/// assert!(handle.is_settled());
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AppendWriter {
    pub(super) writer: Writer,
    shape: Arc<Shape>,
}

impl Table {
    /// A writer that appends to the table.
    ///
    /// # Errors
    ///
    /// A table with a primary key takes no appends.
    pub fn append_writer(&self) -> Result<AppendWriter> {
        AppendWriter::new(self.cluster(), &self.shared_info())
    }
}

impl AppendWriter {
    pub(crate) fn new(cluster: &Cluster, info: &Arc<TableInfo>) -> Result<Self> {
        let context = || Context::new("append").table(&info.path);
        let refuse = |reason: &str| Err(context().error(ErrorKind::InvalidArgument(reason.to_owned())));
        if info.has_primary_key() {
            return refuse("the table has a primary key: it takes upserts, not appends");
        }
        let writer = Writer::new(cluster, info, "append", Layout::log(info), Api::Produce);
        Ok(Self {
            writer: writer.map_err(|error| context().error(error))?,
            shape: Arc::new(Shape::whole(info.row_type())),
        })
    }

    /// The table.
    pub fn table(&self) -> &TableInfo {
        self.writer.table()
    }

    /// Collects a row.
    ///
    /// # Errors
    ///
    /// A row that the table cannot take, before anything is sent: the writer stays usable. A timeout if no memory
    /// became free in time.
    ///
    /// # Cancellation
    ///
    /// Dropping the future while it waits for memory leaves the row out.
    pub async fn append(&self, row: &(impl Row + ?Sized)) -> Result<WriteHandle> {
        self.writer.push(Change::Append, &self.shape, row).await
    }

    /// Collects a row if there is memory for it now.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn try_append(&self, row: &(impl Row + ?Sized)) -> Result<Option<WriteHandle>> {
        self.writer.try_push(Change::Append, &self.shape, row)
    }

    /// Collects the rows of an Arrow batch, which need not go through rows: its columns are matched by name, and the
    /// batch is split by bucket.
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
    pub async fn append_arrow(&self, batch: &RecordBatch) -> Result<WriteHandle> {
        let mut write = self.append_batches();
        write.add(batch).await?;
        write.finish().await
    }

    /// Begins to append Arrow batches as one: all of them, or none.
    pub fn append_batches(&self) -> BatchWrite {
        BatchWrite::new(self.writer.clone(), Change::Append, self.shape.clone())
    }

    /// Begins to append rows of one bucket as one batch, which a server stores whole or not at all.
    pub fn one_batch(&self) -> OneBatch {
        OneBatch::new(self.writer.clone(), self.shape.clone(), None)
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

impl fmt::Debug for AppendWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendWriter")
            .field("table", &self.table().path.to_string())
            .finish_non_exhaustive()
    }
}
