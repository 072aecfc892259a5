//! Reading a copy.

use std::cell::Cell;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, mpsc as std_mpsc};
use std::{io, thread};

use fluss_client::arrow::datatypes::SchemaRef;
use fluss_client::arrow::error::ArrowError;
use fluss_client::arrow::record_batch::RecordBatch;
use fluss_client::id::SchemaId;
use fluss_client::types::{Datum, OwnedRow, Row, RowType};
use fluss_client::{ArrowRows, DecodeError};
use fluss_core::arrow::{ColumnsBuilder, conform, user_schema, with_schema};
use fluss_store::copy::View;
use futures::stream::{self, Stream};
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::held::Copy;
use crate::replica::Replica;
use crate::shape::Shape;

/// How many bytes of a value, or rows, a batch of a scan has about.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_ROWS: usize = 8_192;

/// The rows of a copy at one moment.
#[expect(missing_debug_implementations, reason = "a view of a file")]
pub struct Rows<'c> {
    copy: &'c Copy,
    view: View<'c>,
    key: Vec<u8>,
    /// How many keys were read.
    reads: u64,
}

/// What tells the columns that are held from those that were held before. What was made for some columns fits as long as
/// the layout is the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    generation: u64,
    schema: SchemaId,
}

/// A row of a copy, which is looked into as it is asked.
#[derive(Clone, Copy, Debug)]
pub struct HeldRow<'r> {
    shape: &'r Shape,
    value: &'r [u8],
}

impl<'r> HeldRow<'r> {
    /// The columns.
    pub const fn row_type(&self) -> &'r RowType {
        &self.shape.row_type
    }

    /// All values, in the order of the columns, borrowed from the copy.
    ///
    /// # Errors
    ///
    /// A copy that is damaged.
    pub fn values(&self) -> Result<Vec<Datum<'r>>, DecodeError> {
        self.shape.row(self.value, |value| value)
    }

    /// As [`values`](Self::values), for whoever keeps them.
    ///
    /// # Errors
    ///
    /// A copy that is damaged.
    pub fn to_owned(&self) -> Result<OwnedRow, DecodeError> {
        self.shape.row(self.value, Datum::into_owned)
    }

    /// The value of a column, by its place; null of a place that there is not.
    ///
    /// # Errors
    ///
    /// A copy that is damaged.
    pub fn value(&self, column: usize) -> Result<Datum<'r>, DecodeError> {
        self.shape.value(self.value, column)
    }
}

/// Rows of some keys, copied out of a copy as they are there.
#[derive(Debug)]
pub struct FoundRows {
    shape: Arc<Shape>,
    values: Vec<u8>,
    /// Where the value of each key is; nothing if there is none.
    places: Vec<Option<Range<usize>>>,
}

impl FoundRows {
    /// The rows, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<HeldRow<'_>>> {
        self.places.iter().map(|place| {
            Some(HeldRow {
                shape: &self.shape,
                value: self.values.get(place.clone()?)?,
            })
        })
    }
}

thread_local! {
    /// Room for a key, which is used again by the next read of the thread.
    static KEY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        KEY.set(std::mem::take(&mut self.key));
    }
}

impl<'c> Rows<'c> {
    fn of(copy: &'c Copy) -> Result<Self> {
        Ok(Self {
            view: copy.file.view().map_err(|error| copy.fault(error))?,
            copy,
            key: KEY.take(),
            reads: 0,
        })
    }

    /// The layout of the columns.
    pub fn layout(&self) -> Layout {
        Layout {
            generation: self.copy.generation,
            schema: self.copy.shape.schema_id,
        }
    }

    /// The columns that are held.
    pub fn row_type(&self) -> &RowType {
        &self.copy.shape.row_type
    }

    /// The columns of the primary key, in its order.
    pub fn key_type(&self) -> &RowType {
        self.copy.shape.key_type()
    }

    /// The place of a column.
    ///
    /// # Errors
    ///
    /// A column that is not held.
    pub fn column(&self, name: &str) -> Result<usize> {
        column(&self.copy.shape, name)
    }

    /// The row of a key.
    ///
    /// # Errors
    ///
    /// A key that the table cannot have; a copy that is damaged.
    pub fn get(&mut self, key: &(impl Row + ?Sized)) -> Result<Option<HeldRow<'_>>> {
        let shape = &*self.copy.shape;
        self.reads += 1;
        self.key.clear();
        shape.encode_key(key, &mut self.key)?;
        let value = self.view.get(&self.key).map_err(|error| self.copy.fault(error))?;
        Ok(value.map(|value| HeldRow { shape, value }))
    }

    /// The rows of some keys, for another thread, or for when the copy is no longer read. There is none of a key that is not
    /// given.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn find<R: Row>(&mut self, keys: impl IntoIterator<Item = Option<R>>) -> Result<FoundRows> {
        let keys = keys.into_iter();
        let mut found = FoundRows {
            shape: self.copy.shape.clone(),
            values: Vec::new(),
            places: Vec::with_capacity(keys.size_hint().0),
        };
        for key in keys {
            let row = key.map(|key| self.get(&key)).transpose()?.flatten();
            found.places.push(row.map(|row| {
                let start = found.values.len();
                found.values.extend_from_slice(row.value);
                start..found.values.len()
            }));
        }
        Ok(found)
    }

    /// The number of rows.
    ///
    /// # Errors
    ///
    /// A copy that is damaged.
    pub fn count(&self) -> Result<u64> {
        self.view.count().map_err(|error| self.copy.fault(error))
    }
}

fn column(shape: &Shape, name: &str) -> Result<usize> {
    shape.row_type.index_of(name).ok_or_else(|| {
        let held = shape.row_type.names().collect::<Vec<_>>().join(", ");
        Error::InvalidArgument(format!(
            "there is no column '{name}' in the copy of table {}: it has {held}",
            shape.table
        ))
    })
}

impl Replica {
    /// Reads the copy at one moment. It grows as long as `body` runs, while changes are applied.
    ///
    /// # Errors
    ///
    /// [`NoCopy`](Error::NoCopy) before there is a copy; [`Stale`](Error::Stale) if it is older than it may be; those of
    /// `body`.
    pub fn read<T>(&self, body: impl FnOnce(&mut Rows<'_>) -> Result<T>) -> Result<T> {
        self.shared.with_current(|copy| {
            let mut rows = Rows::of(copy)?;
            let outcome = body(&mut rows);
            self.shared.meters.reads.increment(rows.reads);
            outcome
        })
    }

    /// The row of a key.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); a key that the table cannot have.
    pub fn get(&self, key: &(impl Row + ?Sized)) -> Result<Option<OwnedRow>> {
        self.look_up(key, |row| row.to_owned())
    }

    /// What is made of the row of a key, without a copy of it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); those of `make`.
    pub fn look_up<T>(
        &self,
        key: &(impl Row + ?Sized),
        make: impl FnOnce(HeldRow<'_>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>> {
        self.read(|rows| {
            let copy = rows.copy;
            let found = rows.get(key)?.map(make).transpose();
            found.map_err(|error| copy.undecodable(&error))
        })
    }

    /// The value of a column in the row of a key; nothing if there is no such row. A value that is null is a null.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); a column that is not held.
    pub fn get_value(&self, key: &(impl Row + ?Sized), column: &str) -> Result<Option<Datum<'static>>> {
        self.read(|rows| {
            let (copy, place) = (rows.copy, rows.column(column)?);
            let value = rows.get(key)?.map(|row| row.value(place).map(Datum::into_owned));
            value.transpose().map_err(|error| copy.undecodable(&error))
        })
    }

    /// What is made of the rows of keys, in their order: all of one moment.
    ///
    /// # Errors
    ///
    /// As [`look_up`](Self::look_up): of all keys, or of none.
    pub fn look_up_many<R: Row, T>(
        &self,
        keys: impl IntoIterator<Item = R>,
        mut make: impl FnMut(Option<HeldRow<'_>>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>> {
        self.read(|rows| {
            let copy = rows.copy;
            let keys = keys.into_iter();
            let mut found = Vec::with_capacity(keys.size_hint().0);
            for key in keys {
                let of_key = make(rows.get(&key)?);
                found.push(of_key.map_err(|error| copy.undecodable(&error))?);
            }
            Ok(found)
        })
    }

    /// The rows of the keys in an Arrow batch, in their order, as one batch of the columns that are held. Where a key has no
    /// row, or a null, all are null. Columns beside those of the primary key are passed over.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); a batch without a column of the primary key.
    pub fn get_arrow(&self, keys: &RecordBatch) -> Result<RecordBatch> {
        self.read(|rows| {
            let copy = rows.copy;
            let key_type = rows.key_type().nullable();
            let schema = keys.schema();
            let places = key_type.names().filter_map(|name| schema.index_of(name).ok());
            let invalid = |error: ArrowError| Error::InvalidArgument(error.to_string());
            let keys = keys.project(&places.collect::<Vec<_>>()).map_err(invalid)?;
            let keys = conform(&keys, &key_type)?;
            let keys = ArrowRows::new(keys, &key_type)?;
            let row_type = rows.row_type().nullable();
            let all: Vec<usize> = (0..row_type.len()).collect();
            let mut columns = ColumnsBuilder::new(&row_type, keys.len());
            for index in 0..keys.len() {
                let key = keys.row(index);
                // No row has a null in its key.
                let has_null = (0..key_type.len()).any(|column| key.datum(column).is_null());
                let found = if has_null { None } else { rows.get(&key)? };
                match found {
                    Some(row) => {
                        let appended = row.shape.append(row.value, &all, &mut columns);
                        appended.map_err(|error| copy.undecodable(&error))?;
                    }
                    None => columns.append_values([]),
                }
            }
            let batch = columns.finish()?;
            with_schema(&batch, &user_schema(&row_type))
                .map_err(|error| copy.undecodable(&DecodeError::new("row", error.to_string())))
        })
    }

    /// Whether there is a row of a key.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn contains(&self, key: &(impl Row + ?Sized)) -> Result<bool> {
        self.look_up(key, |_| Ok(())).map(|found| found.is_some())
    }

    /// The number of rows.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn count(&self) -> Result<u64> {
        self.read(|rows| rows.count())
    }

    /// The columns that are held.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn row_type(&self) -> Result<RowType> {
        self.shared.with_current(|copy| Ok(copy.shape.row_type.clone()))
    }

    /// The columns of the primary key, in its order.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn key_type(&self) -> Result<RowType> {
        self.shared.with_current(|copy| Ok(copy.shape.key_type().clone()))
    }

    /// All rows, or those whose keys begin with these values of the first columns of the primary key, all of one moment; of
    /// them these columns, all if none are named. They come in no order that means anything. The copy grows until the scan
    /// has ended, or is dropped, while changes are applied.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); a column that is not held; values that the key cannot have.
    pub fn scan(&self, prefix: &[Datum<'_>], columns: Option<&[String]>) -> Result<Scan> {
        let copy = self.shared.with_current(|copy| Ok(copy.clone()))?;
        let shape = &copy.shape;
        let mut key = Vec::new();
        shape.encode_prefix(prefix, &mut key)?;
        let places = match columns {
            None => (0..shape.row_type.len()).collect(),
            Some(names) => {
                let places = names.iter().map(|name| column(shape, name));
                places.collect::<Result<Vec<usize>>>()?
            }
        };
        let schema = user_schema(&shape.row_type.project(&places));
        let (sender, batches) = mpsc::channel(2);
        let (tell, begun) = std_mpsc::sync_channel(1);
        let scanning = {
            let schema = schema.clone();
            move || {
                let view = copy.file.view().map_err(|error| copy.fault(error));
                // Nobody asks for a scan who does not wait for its beginning.
                let _ = tell.send(());
                let scanned = view.and_then(|view| scan(&copy, &view, &key, &places, &schema, &sender));
                if let Err(error) = scanned {
                    // Whoever has dropped the scan needs no error.
                    let _ = sender.blocking_send(Err(error));
                }
            }
        };
        // It has a view of its own, which is its thread's.
        let thread = thread::Builder::new().name("fluss-replica-scan".to_owned());
        thread.spawn(scanning).map_err(Error::storage(self.directory()))?;
        // The moment of the scan is this call's, which a thread that is started does not put off for long.
        let _ = begun.recv();
        Ok(Scan { schema, batches })
    }
}

/// Rows of a copy as they are read.
#[derive(Debug)]
pub struct Scan {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch>>,
}

impl Scan {
    /// The Arrow schema of the batches.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch; nothing once all have come. An error is the last.
    ///
    /// # Errors
    ///
    /// A copy that is damaged.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        self.batches.recv().await.transpose()
    }

    /// As a stream. An error is the last item.
    pub fn into_stream(self) -> impl Stream<Item = Result<RecordBatch>> + Send {
        stream::unfold(self, |mut scan| async move {
            let next = scan.next_batch().await.transpose()?;
            Some((next, scan))
        })
    }
}

/// Reads rows, and hands them over until nobody wants any more.
fn scan(
    copy: &Copy,
    view: &View<'_>,
    prefix: &[u8],
    places: &[usize],
    schema: &SchemaRef,
    sender: &mpsc::Sender<Result<RecordBatch>>,
) -> Result<()> {
    let shape = &copy.shape;
    let mut ascending = places.to_vec();
    ascending.sort_unstable();
    ascending.dedup();
    let row_type = shape.row_type.project(&ascending);
    let order: Vec<usize> = places
        .iter()
        .filter_map(|place| ascending.binary_search(place).ok())
        .collect();
    let invalid = |error: DecodeError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut columns = ColumnsBuilder::new(&row_type, 0);
    let finish = |columns: ColumnsBuilder| {
        let batch = columns
            .finish()
            .map_err(|error| invalid(DecodeError::value("value", error)))?;
        let shown = batch
            .project(&order)
            .and_then(|batch| with_schema(&batch, schema));
        shown.map_err(|error| invalid(DecodeError::new("value", error.to_string())))
    };
    let mut visit = |_: &[u8], value: &[u8]| {
        shape.append(value, &ascending, &mut columns).map_err(invalid)?;
        if columns.len() < BATCH_ROWS && columns.estimated_bytes() < BATCH_BYTES {
            return Ok(ControlFlow::Continue(()));
        }
        let full = std::mem::replace(&mut columns, ColumnsBuilder::new(&row_type, 0));
        Ok(match sender.blocking_send(Ok(finish(full)?)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        })
    };
    let scanned = view.scan(prefix, &mut visit);
    scanned.map_err(|error| copy.fault(error))?;
    if !columns.is_empty() {
        let last = finish(columns).map_err(|error| copy.fault(error))?;
        // If nobody wants it, that is that.
        let _ = sender.blocking_send(Ok(last));
    }
    Ok(())
}
