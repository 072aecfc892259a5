//! The rows that a changelog leads to.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use fluss_core::ValueError;
use fluss_core::arrow::ArrowRows;
use fluss_core::record::log::ChangeType;
use fluss_core::row::KeyEncoder;
use fluss_core::types::RowType;

/// How many changes are gathered before they are applied, so that chunks are not small.
const STAGED_ROWS: usize = 16 << 10;
/// How many batches are gathered, each of which holds on to its memory.
const STAGED_BATCHES: usize = 1 << 10;
/// How many rows a chunk has that was put together of others.
const CHUNK_ROWS: usize = 64 << 10;

/// Applies changes, and keeps the rows that are left of them.
///
/// Rows are kept in *chunks*, as columns, and found by their keys in an index. A row that is replaced or deleted stays
/// in its chunk until such rows outnumber the others; then all chunks are put together anew. So the memory is that of
/// the rows that there are, a few times at most, however many changes lead to them.
pub(super) struct Collapse {
    keys: KeyEncoder,
    row_type: RowType,
    schema: SchemaRef,
    staged: Vec<Changes>,
    staged_rows: usize,
    chunks: Vec<RecordBatch>,
    /// The rows in all chunks, dead ones too.
    rows: usize,
    index: HashMap<Box<[u8]>, Place>,
}

/// Consecutive changes.
struct Changes {
    rows: RecordBatch,
    types: Arc<[ChangeType]>,
}

/// Where a row is.
#[derive(Clone, Copy)]
struct Place {
    chunk: u32,
    row: u32,
}

impl Collapse {
    /// For rows of `row_type`, in batches of `schema`, told apart by `keys`.
    pub(super) fn new(keys: KeyEncoder, row_type: RowType, schema: SchemaRef) -> Self {
        Self {
            keys,
            row_type,
            schema,
            staged: Vec::new(),
            staged_rows: 0,
            chunks: Vec::new(),
            rows: 0,
            index: HashMap::new(),
        }
    }

    /// Applies the changes of a batch, each of which has its type.
    pub(super) fn apply(&mut self, rows: RecordBatch, types: Arc<[ChangeType]>) -> Result<(), ValueError> {
        self.staged_rows += rows.num_rows();
        self.staged.push(Changes { rows, types });
        if self.staged_rows >= STAGED_ROWS || self.staged.len() >= STAGED_BATCHES {
            self.settle()?;
        }
        Ok(())
    }

    /// The rows that are left, in the order of their last changes.
    pub(super) fn finish(mut self) -> Result<Vec<RecordBatch>, ValueError> {
        self.settle()?;
        if self.rows > self.index.len() {
            self.compact().map_err(|error| fault(&error))?;
        }
        Ok(self.chunks)
    }

    /// Applies what is gathered.
    fn settle(&mut self) -> Result<(), ValueError> {
        let staged = std::mem::take(&mut self.staged);
        self.staged_rows = 0;
        let rows = concat_batches(&self.schema, staged.iter().map(|changes| &changes.rows))
            .map_err(|error| fault(&error))?;
        let types: Vec<ChangeType> = staged
            .iter()
            .flat_map(|changes| changes.types.iter().copied())
            .collect();
        drop(staged);
        let last = LastChanges::of(&self.keys, &self.row_type, rows.clone(), &types)?;
        let mut kept = Vec::new();
        for (key, outcome) in last.in_order() {
            match outcome {
                Outcome::Gone => drop(self.index.remove(key)),
                Outcome::Row(row) => {
                    let place = Place {
                        chunk: self.chunks.len() as u32,
                        row: kept.len() as u32,
                    };
                    kept.push(row);
                    match self.index.get_mut(key) {
                        Some(known) => *known = place,
                        None => drop(self.index.insert(key.into(), place)),
                    }
                }
            }
        }
        if !kept.is_empty() {
            self.rows += kept.len();
            self.chunks
                .push(take_record_batch(&rows, &UInt32Array::from(kept)).map_err(|error| fault(&error))?);
        }
        if self.rows > 2 * self.index.len() + CHUNK_ROWS {
            self.compact().map_err(|error| fault(&error))?;
        }
        Ok(())
    }

    /// Puts the chunks together anew, of the rows that are left.
    fn compact(&mut self) -> Result<(), ArrowError> {
        let chunks = std::mem::take(&mut self.chunks);
        let mut live: Vec<Vec<bool>> = chunks.iter().map(|chunk| vec![false; chunk.num_rows()]).collect();
        for place in self.index.values() {
            if let Some(row) = live
                .get_mut(place.chunk as usize)
                .and_then(|rows| rows.get_mut(place.row as usize))
            {
                *row = true;
            }
        }
        let (chunks, places) = merge(&self.schema, chunks, &live)?;
        for place in self.index.values_mut() {
            let moved = places
                .get(place.chunk as usize)
                .and_then(|rows| rows.get(place.row as usize));
            *place = moved.copied().unwrap_or(*place);
        }
        self.chunks = chunks;
        self.rows = self.index.len();
        Ok(())
    }
}

/// Chunks of the live rows of others, in the same order, and where each row has gone.
fn merge(
    schema: &SchemaRef,
    chunks: Vec<RecordBatch>,
    live: &[Vec<bool>],
) -> Result<(Vec<RecordBatch>, Vec<Vec<Place>>), ArrowError> {
    let (mut merged, mut moves) = (Vec::new(), Vec::new());
    let (mut open, mut rows) = (Vec::new(), 0);
    for (chunk, live) in chunks.into_iter().zip(live) {
        let mut row = rows as u32;
        let chunk_number = merged.len() as u32;
        let place = |is_live: &bool| {
            let place = Place {
                chunk: chunk_number,
                row,
            };
            row += u32::from(*is_live);
            place
        };
        moves.push(live.iter().map(place).collect());
        let left = filter_record_batch(&chunk, &BooleanArray::from(live.clone()))?;
        rows += left.num_rows();
        open.push(left);
        if rows >= CHUNK_ROWS {
            merged.push(concat_batches(schema, &open)?);
            open.clear();
            rows = 0;
        }
    }
    if rows > 0 {
        merged.push(concat_batches(schema, &open)?);
    }
    Ok((merged, moves))
}

/// What became of each key in a run of changes.
struct LastChanges {
    /// All keys, one behind the other.
    bytes: Vec<u8>,
    /// Of each change but those that only tell what was before: where its key ends, and what it did.
    changes: Vec<(usize, Outcome)>,
}

/// What a change leaves of its key.
#[derive(Clone, Copy)]
enum Outcome {
    Gone,
    /// The row at this position.
    Row(u32),
}

impl LastChanges {
    fn of(
        keys: &KeyEncoder,
        row_type: &RowType,
        rows: RecordBatch,
        types: &[ChangeType],
    ) -> Result<Self, ValueError> {
        let rows = ArrowRows::new(rows, row_type)?;
        let mut bytes = Vec::new();
        let mut changes = Vec::with_capacity(types.len());
        for (row, change) in types.iter().enumerate().take(rows.len()) {
            let outcome = match change {
                ChangeType::UpdateBefore => continue,
                ChangeType::Delete => Outcome::Gone,
                ChangeType::AppendOnly | ChangeType::Insert | ChangeType::UpdateAfter => {
                    Outcome::Row(row as u32)
                }
            };
            keys.encode(&rows.row(row), &mut bytes)?;
            changes.push((bytes.len(), outcome));
        }
        Ok(Self { bytes, changes })
    }

    /// The last change of each key, in their order.
    fn in_order(&self) -> Vec<(&[u8], Outcome)> {
        let mut last: HashMap<&[u8], usize> = HashMap::with_capacity(self.changes.len());
        let mut start = 0;
        let mut all: Vec<Option<(&[u8], Outcome)>> = Vec::with_capacity(self.changes.len());
        for (position, (end, outcome)) in self.changes.iter().enumerate() {
            let key = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            all.push(Some((key, *outcome)));
            let former = last.insert(key, position);
            if let Some(former) = former.and_then(|former| all.get_mut(former)) {
                *former = None;
            }
        }
        all.into_iter().flatten().collect()
    }
}

fn fault(error: &ArrowError) -> ValueError {
    ValueError::row(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use fluss_core::arrow::{ColumnsBuilder, user_schema, with_schema};
    use fluss_core::row::KeyFormat;
    use fluss_core::types::{DataType, Datum, Field, Row};

    fn row_type() -> RowType {
        RowType::new([
            Field::new("value", DataType::string()),
            Field::new("key", DataType::int().not_null()),
        ])
    }

    fn collapse() -> Collapse {
        let keys = KeyEncoder::new(KeyFormat::Fluss, &row_type(), &[1]).unwrap();
        Collapse::new(keys, row_type(), user_schema(&row_type()))
    }

    fn batch(rows: &[(i32, String)]) -> RecordBatch {
        let mut columns = ColumnsBuilder::new(&row_type(), rows.len());
        for (key, value) in rows {
            columns
                .append(&[Datum::from(value.as_str()), Datum::Int(*key)])
                .unwrap();
        }
        with_schema(&columns.finish().unwrap(), &user_schema(&row_type())).unwrap()
    }

    fn rows(batches: &[RecordBatch]) -> Vec<(i32, String)> {
        let mut found = Vec::new();
        for batch in batches {
            let rows = ArrowRows::new(batch.clone(), &row_type()).unwrap();
            for index in 0..rows.len() {
                let row = rows.row(index);
                let (Datum::String(value), Datum::Int(key)) = (row.datum(0), row.datum(1)) else {
                    panic!("a text and a number")
                };
                found.push((key, value.to_string()));
            }
        }
        found
    }

    /// A table in memory that tells its changes.
    #[derive(Default)]
    struct Model {
        rows: BTreeMap<i32, String>,
        changes: Vec<(ChangeType, i32, String)>,
    }

    impl Model {
        fn write(&mut self, key: i32, value: Option<String>) {
            let old = self.rows.remove(&key);
            let change = match (&old, &value) {
                (None, None) => return,
                (None, Some(_)) => ChangeType::Insert,
                (Some(_), None) => ChangeType::Delete,
                (Some(_), Some(_)) => ChangeType::UpdateAfter,
            };
            if let (Some(old), Some(_)) = (&old, &value) {
                self.changes.push((ChangeType::UpdateBefore, key, old.clone()));
            }
            let told = value.clone().or(old).unwrap_or_default();
            self.changes.push((change, key, told));
            self.rows.extend(value.map(|value| (key, value)));
        }

        /// Applies the changes in batches of these sizes, over and over.
        fn collapsed(&self, sizes: &[usize], settle: bool) -> Vec<(i32, String)> {
            let mut collapse = collapse();
            let mut left = self.changes.as_slice();
            for size in sizes.iter().cycle() {
                if left.is_empty() {
                    break;
                }
                let (now, later) = left.split_at((*size).min(left.len()));
                left = later;
                let told: Vec<_> = now.iter().map(|(_, key, value)| (*key, value.clone())).collect();
                let types = now.iter().map(|(change, ..)| *change).collect();
                collapse.apply(batch(&told), types).unwrap();
                if settle {
                    collapse.settle().unwrap();
                    collapse.compact().unwrap();
                }
            }
            rows(&collapse.finish().unwrap())
        }
    }

    #[test]
    fn rows_come_in_the_order_of_their_last_changes() {
        let mut model = Model::default();
        for (key, value) in [
            (1, Some("a")),
            (2, Some("b")),
            (3, Some("c")),
            (1, Some("d")),
            (2, None),
        ] {
            model.write(key, value.map(str::to_owned));
        }
        for settle in [false, true] {
            let found = model.collapsed(&[1], settle);
            assert_eq!(found, [(3, "c".to_owned()), (1, "d".to_owned())]);
        }
        assert_eq!(Model::default().collapsed(&[1], false), []);
    }

    #[test]
    fn dead_rows_do_not_stay() {
        let mut collapse = collapse();
        let updates: Vec<_> = (0..1_000)
            .map(|number| (number % 10, number.to_string()))
            .collect();
        let types: Arc<[_]> = vec![ChangeType::UpdateAfter; updates.len()].into();
        let updates = batch(&updates);
        for _ in 0..1_000 {
            collapse.apply(updates.clone(), types.clone()).unwrap();
        }
        assert!(collapse.rows <= CHUNK_ROWS + 20, "{} rows", collapse.rows);
        assert_eq!(rows(&collapse.finish().unwrap()).len(), 10);
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_a_table_holds(
            writes in prop::collection::vec((0..20_i32, any::<Option<u8>>()), 0..300),
            sizes in prop::collection::vec(1..40_usize, 1..5),
            settle in any::<bool>(),
        ) {
            let mut model = Model::default();
            for (key, value) in writes {
                model.write(key, value.map(|value| value.to_string()));
            }
            let mut found = model.collapsed(&sizes, settle);
            found.sort_unstable();
            prop_assert_eq!(found, model.rows.into_iter().collect::<Vec<_>>());
        }
    }
}
