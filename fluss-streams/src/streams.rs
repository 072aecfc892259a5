//! The streams of a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use fluss_client::id::{BucketId, Offset};
use fluss_client::types::{TableDescriptor, TablePath};
use fluss_client::{Acks, Connection, ErrorCode, OffsetSpec, Table, UpsertWriter};
use fluss_rpc::sync::Mutex;

use crate::commit::{self, Commit, Head, KEY};
use crate::commits::Commits;
use crate::error::{Error, Result};
use crate::version::CurrentVersion;

const ENGINE: &str = "table.merge-engine";
/// Of so many streams it is remembered where they end.
const REMEMBERED: usize = 1 << 16;

/// How a table of streams is opened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StreamsOptions {
    /// Whether the table is created if there is none.
    pub create: bool,
    /// How many buckets it gets. With one, all events of all streams are in one order; with more, servers share the work,
    /// and only the events of each stream are in order.
    pub buckets: i32,
    /// How long an append may go on trying.
    pub timeout: Duration,
}

impl Default for StreamsOptions {
    /// Create a table of one bucket; 30 seconds for an append.
    fn default() -> Self {
        Self {
            create: true,
            buckets: 1,
            timeout: Duration::from_secs(30),
        }
    }
}

/// The streams of a table: what appends to them and reads them. Clones share it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use fluss_streams::{Error, NewEvent, StreamState, Streams, StreamsOptions};
///
/// let connection = fluss_client::connect("embedded::memory:").await?;
/// let table = connection.path("fluss.orders")?;
/// let streams = Streams::open(&connection, &table, StreamsOptions::default()).await?;
///
/// let created = NewEvent::new("OrderCreated", r#"{"name": "Greg"}"#);
/// let appended = streams.append("order:123", vec![created], StreamState::NoStream).await?;
/// assert_eq!(appended.version, 0);
///
/// let again = NewEvent::new("OrderCreated", "{}");
/// let refused = streams.append("order:123", vec![again], StreamState::NoStream).await.unwrap_err();
/// assert!(matches!(refused, Error::WrongCurrentVersion { .. }));
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Streams {
    pub(crate) shared: Arc<Shared>,
    /// How long an append may go on trying.
    pub(crate) timeout: Duration,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) connection: Connection,
    pub(crate) table: Table,
    pub(crate) commits: Commits,
    pub(crate) writer: UpsertWriter,
    heads: Mutex<HashMap<Arc<str>, Slot>>,
}

/// What is remembered of a stream. Whoever appends to it holds it.
pub(crate) type Slot = Arc<tokio::sync::Mutex<End>>;

/// Where a stream ended when it was last looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub(crate) head: Option<Head>,
    /// Whether an append is under way, or was given up.
    pub(crate) is_unsettled: bool,
}

impl Streams {
    /// Opens a table of streams, which is created if there is none and the options say so.
    ///
    /// # Errors
    ///
    /// A table that is no table of streams; a connection whose writes are not acknowledged by all replicas, with which
    /// appends could be lost; those of the client.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the table created.
    pub async fn open(connection: &Connection, path: &TablePath, options: StreamsOptions) -> Result<Self> {
        if connection.options().writer.acks != Acks::All {
            let reason = "streams need writes that all replicas acknowledge (`acks` is `all`)";
            return Err(Error::InvalidArgument(reason.to_owned()));
        }
        if options.buckets < 1 {
            return Err(Error::InvalidArgument(
                "a table has at least one bucket".to_owned(),
            ));
        }
        let descriptor = Self::descriptor(options.buckets)?;
        let table = match connection.table(path).await {
            Err(error) if options.create && error.code() == Some(ErrorCode::TABLE_NOT_EXIST) => {
                connection.admin().create_table(path, &descriptor, true).await?;
                connection.table(path).await?
            }
            table => table?,
        };
        check(&table, descriptor.schema())?;
        Ok(Self {
            shared: Arc::new(Shared {
                connection: connection.clone(),
                commits: Commits::new(&table)?,
                writer: table.upsert_writer()?,
                table,
                heads: Mutex::default(),
            }),
            timeout: options.timeout,
        })
    }

    /// What a table of streams is, for whoever creates it with properties of their own.
    ///
    /// # Errors
    ///
    /// A number of buckets that no table has.
    pub fn descriptor(buckets: i32) -> Result<TableDescriptor> {
        let descriptor = TableDescriptor::builder(commit::schema()?)
            .distributed_by(buckets, ["stream"])
            .property(ENGINE, "first_row")
            .build()?;
        Ok(descriptor)
    }

    /// The same streams, where an append may go on trying for so long.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            shared: self.shared.clone(),
            timeout,
        }
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.shared.table
    }

    /// The version of the last event of a stream.
    ///
    /// # Errors
    ///
    /// Those of the client.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn current_version(&self, stream: &str) -> Result<CurrentVersion> {
        let head = self.shared.look(stream).await?;
        Ok(head.map_or(CurrentVersion::NoStream, |head| head.current_version()))
    }

    /// Where the buckets of the table's changelog end: how many appends each has taken.
    ///
    /// # Errors
    ///
    /// Those of the client.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn ends(&self) -> Result<BTreeMap<BucketId, Offset>> {
        let path = &self.shared.table.info().path;
        let admin = self.shared.connection.admin();
        let ends = admin.list_table_offsets(path, OffsetSpec::Latest).await?;
        Ok(ends
            .into_iter()
            .map(|(bucket, end)| (bucket.bucket, end))
            .collect())
    }
}

impl Shared {
    /// What is remembered of a stream.
    pub(crate) fn slot(&self, stream: &str) -> Slot {
        let mut heads = self.heads.lock();
        if let Some(slot) = heads.get(stream) {
            return slot.clone();
        }
        if heads.len() >= REMEMBERED {
            heads.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        heads.entry(stream.into()).or_default().clone()
    }

    /// Where a stream ends now.
    pub(crate) async fn look(&self, stream: &str) -> Result<Option<Head>> {
        // Whoever appends may hold it for long, and is not waited for.
        let slot = self.slot(stream);
        let known = slot.try_lock().ok().and_then(|end| end.head.clone());
        let head = self.find_head(stream, known).await?;
        if let (Some(head), Ok(mut end)) = (&head, slot.try_lock())
            && end.head.as_ref().is_none_or(|known| known.number < head.number)
        {
            end.head = Some(head.clone());
        }
        Ok(head)
    }

    /// Where a stream ends now that ended here before.
    pub(crate) async fn find_head(&self, stream: &str, known: Option<Head>) -> Result<Option<Head>> {
        let last = self
            .commits
            .last(stream, known.as_ref().map(|head| head.number))
            .await?;
        Ok(last.as_ref().map(Commit::head).or(known))
    }
}

/// Refuses a table that is no table of streams.
fn check(table: &Table, schema: &fluss_client::types::Schema) -> Result<()> {
    let info = table.info();
    let wrong = |reason: &str| {
        Err(Error::WrongTable {
            table: info.path.clone(),
            reason: reason.to_owned(),
        })
    };
    if info.schema().primary_key() != KEY {
        return wrong("its primary key is not (stream, commit_number)");
    }
    if info.row_type().nullable() != schema.row_type().nullable() {
        return wrong("its columns are others");
    }
    if info.descriptor.bucket_keys() != ["stream"] {
        return wrong("its buckets are not by the stream");
    }
    let engine = info.descriptor.properties().get(ENGINE);
    if !engine.is_some_and(|engine| engine.eq_ignore_ascii_case("first_row")) {
        return wrong("its merge engine is not first_row");
    }
    Ok(())
}
