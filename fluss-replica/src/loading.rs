//! Putting the rows of a table into a copy that is begun.
//!
//! Rows that come behind all others are put in fastest, and fill their pages. Servers give out each bucket in the order of its
//! keys, which is nearly always that of the copy: so buckets are read side by side, and of the rows that come next of each the
//! first is put in. Where they come in another order they are put in all the same.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fluss_client::DecodeError;
use fluss_client::arrow::record_batch::RecordBatch;
use fluss_core::record::value::value_ranges;
use fluss_store::copy::{CopyFile, Load};
use tokio::sync::mpsc::Receiver;

use crate::changes::Held;
use crate::error::Result;
use crate::held::{fault, invalid, unopened};
use crate::shape::Shape;

/// How many bytes of rows are put in together.
const AT_A_TIME: usize = 8 << 20;

/// Some rows of a bucket.
#[derive(Debug)]
pub(crate) enum Piece {
    Rows(RecordBatch),
    /// A batch of stored values.
    Stored(Bytes),
}

/// Puts rows into a copy as they come, of a few buckets at a time.
pub(crate) fn load(
    directory: &Path,
    shape: &Shape,
    mut buckets: Receiver<Vec<Receiver<Piece>>>,
) -> Result<Arc<CopyFile>> {
    let file = CopyFile::begin(directory).map_err(|error| unopened(error, &shape.table))?;
    let mut put = || -> io::Result<()> {
        while let Some(pieces) = buckets.blocking_recv() {
            let incoming = pieces.into_iter().map(|pieces| Incoming::new(shape, pieces));
            let incoming = incoming.filter_map(Result::transpose);
            let mut incoming = incoming.collect::<io::Result<Vec<_>>>()?;
            while !incoming.is_empty() {
                file.write(|batch| {
                    batch.load(|load| put_some(&mut incoming, load))?;
                    Ok::<_, io::Error>(Vec::new())
                })?;
            }
        }
        Ok(())
    };
    put().map_err(|error| fault(directory, error))?;
    Ok(file)
}

/// Puts rows in, always the first of those that come next, until that are enough for once, or none is left.
fn put_some(incoming: &mut Vec<Incoming<'_>>, load: &mut Load<'_>) -> io::Result<()> {
    let mut bytes = 0;
    while bytes < AT_A_TIME {
        let each = incoming.iter().enumerate();
        let first = each.min_by(|(_, one), (_, other)| one.order().cmp(&other.order()));
        let Some(first) = first.map(|(place, _)| place) else {
            break;
        };
        let Some(bucket) = incoming.get_mut(first) else {
            break;
        };
        let (key, value) = bucket.next();
        load.put(key, value)?;
        bytes += key.len() + value.len();
        if !bucket.advance()? {
            incoming.swap_remove(first);
        }
    }
    Ok(())
}

/// A bucket of which there are rows.
struct Incoming<'s> {
    shape: &'s Shape,
    pieces: Receiver<Piece>,
    rows: Encoded,
    /// The place of the one that comes next.
    next: usize,
    /// The first bytes of its key, as a number.
    head: u64,
}

impl<'s> Incoming<'s> {
    /// Waits for the first rows. Nothing if there are none.
    fn new(shape: &'s Shape, pieces: Receiver<Piece>) -> io::Result<Option<Self>> {
        let mut incoming = Self {
            shape,
            pieces,
            rows: Encoded::default(),
            next: 0,
            head: 0,
        };
        Ok(incoming.fill()?.then_some(incoming))
    }

    /// The key and the value of the row that comes next.
    fn next(&self) -> (&[u8], &[u8]) {
        self.rows.get(self.next)
    }

    /// By this it is first, or not.
    fn order(&self) -> (u64, &[u8]) {
        (self.head, self.next().0)
    }

    /// Goes on behind the row that comes next. Returns whether there is one more.
    fn advance(&mut self) -> io::Result<bool> {
        self.next += 1;
        if self.next < self.rows.places.len() {
            self.head = head(self.next().0);
            return Ok(true);
        }
        self.fill()
    }

    /// Waits for more rows. Returns whether there are some.
    fn fill(&mut self) -> io::Result<bool> {
        while let Some(piece) = self.pieces.blocking_recv() {
            let rows = Encoded::of(self.shape, piece).map_err(|error| invalid(&error))?;
            if !rows.places.is_empty() {
                (self.rows, self.next) = (rows, 0);
                self.head = head(self.next().0);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn head(key: &[u8]) -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    for (byte, of_key) in bytes.iter_mut().zip(key) {
        *byte = *of_key;
    }
    u64::from_be_bytes(bytes)
}

/// Rows as they are put in.
#[derive(Default)]
struct Encoded {
    keys: Vec<u8>,
    values: Bytes,
    /// Where the key of each is, and its value.
    places: Vec<(Range<usize>, Range<usize>)>,
}

impl Encoded {
    fn of(shape: &Shape, piece: Piece) -> Result<Self, DecodeError> {
        match piece {
            Piece::Rows(batch) => Self::of_rows(shape, &batch),
            Piece::Stored(values) => Self::of_stored(shape, values),
        }
    }

    fn of_rows(shape: &Shape, batch: &RecordBatch) -> Result<Self, DecodeError> {
        let rows = Held::new(shape, None).rows(batch)?;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let mut places = Vec::with_capacity(rows.len());
        for index in 0..rows.len() {
            let (row, starts) = (rows.row(index), (keys.len(), values.len()));
            let encoded = shape.encode_row_key(&row, &mut keys);
            let encoded = encoded.and_then(|()| shape.encode_value(&row, &mut values));
            encoded.map_err(|error| DecodeError::value("record batch", error))?;
            places.push((starts.0..keys.len(), starts.1..values.len()));
        }
        Ok(Self {
            keys,
            values: values.into(),
            places,
        })
    }

    fn of_stored(shape: &Shape, values: Bytes) -> Result<Self, DecodeError> {
        let ranges = value_ranges(&values)?;
        let (mut keys, mut columns) = (Vec::new(), Vec::new());
        let mut places = Vec::with_capacity(ranges.len());
        for range in ranges {
            let start = keys.len();
            let value = values.get(range.clone()).unwrap_or_default();
            shape.encode_key_of(value, &mut columns, &mut keys)?;
            places.push((start..keys.len(), range));
        }
        drop(columns);
        Ok(Self { keys, values, places })
    }

    /// The key and the value of a row.
    fn get(&self, place: usize) -> (&[u8], &[u8]) {
        let of = |(key, value): &(Range<usize>, Range<usize>)| {
            let key = self.keys.get(key.clone()).unwrap_or_default();
            (key, self.values.get(value.clone()).unwrap_or_default())
        };
        self.places.get(place).map(of).unwrap_or_default()
    }
}
