use std::collections::BTreeMap;

use arrow::array::{Array, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::record_batch::RecordBatch;

use crate::error::ValueError;

/// The rows of a batch by where they go, in their order; `targets` names it for each row. A batch that goes to one place
/// is passed on as it is, and so are rows of one place that follow one another; others are copied once.
///
/// # Errors
///
/// A batch that Arrow cannot take rows from.
pub fn split<T: Copy + Ord>(batch: &RecordBatch, targets: &[T]) -> Result<Vec<(T, RecordBatch)>, ValueError> {
    let mut rows: BTreeMap<T, Vec<u32>> = BTreeMap::new();
    for (row, target) in (0..).zip(targets) {
        rows.entry(*target).or_default().push(row);
    }
    let take = |rows: Vec<u32>| match (rows.first(), rows.last()) {
        (Some(first), Some(last)) if (last - first) as usize + 1 == rows.len() => {
            Ok(batch.slice(*first as usize, rows.len()))
        }
        _ => take_record_batch(batch, &UInt32Array::from(rows)),
    };
    let parts = rows
        .into_iter()
        .map(|(target, rows)| take(rows).map(|part| (target, part)));
    parts
        .collect::<Result<_, _>>()
        .map_err(|error| ValueError::row(error.to_string()))
}

/// The bytes that the rows of a batch take; those of a slice, not of what it was cut from.
pub fn data_bytes(batch: &RecordBatch) -> usize {
    let bytes = |column: &arrow::array::ArrayRef| {
        column
            .to_data()
            .get_slice_memory_size()
            .unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::id::BucketId;

    #[test]
    fn every_row_is_in_its_bucket() {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..6));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let buckets = [2, 0, 2, 2, 0, 1].map(BucketId);
        let parts = split(&batch, &buckets).unwrap();
        let values: Vec<_> = parts
            .iter()
            .map(|(bucket, part)| {
                (
                    bucket.get(),
                    part.column(0).as_primitive::<Int64Type>().values().to_vec(),
                )
            })
            .collect();
        assert_eq!(values, [(0, vec![1, 4]), (1, vec![5]), (2, vec![0, 2, 3])]);
    }
}
