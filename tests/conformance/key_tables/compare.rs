//! What is found, beside what is expected.

use arrow::record_batch::RecordBatch;
use fluss_client::Lookuper;
use fluss_client::types::{Datum, OwnedRow, Row, RowType};
use fluss_core::arrow::ArrowRows;

use super::model::Model;
use super::trial::batch;

/// In an order of their own, for there is none among rows that are found by a prefix.
pub fn sorted(mut rows: Vec<OwnedRow>) -> Vec<OwnedRow> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

/// Looks all keys up in every way.
pub async fn check_lookups(lookuper: &Lookuper, keys: &[OwnedRow], model: &Model) {
    let expected: Vec<_> = keys.iter().map(|key| model.row(key).cloned()).collect();
    let masked = |row: Option<OwnedRow>| row.map(|row| mask(row, model));
    let many = lookuper.lookup_many(keys).await.unwrap();
    assert_same(&many.into_iter().map(masked).collect::<Vec<_>>(), &expected);

    let mut singly = Vec::new();
    for key in keys {
        singly.push(masked(lookuper.lookup(key).await.unwrap()));
    }
    assert_same(&singly, &expected);

    let found = lookuper
        .lookup_arrow(&batch(lookuper.key_type(), keys))
        .await
        .unwrap();
    let fields = lookuper.table().row_type().fields().iter().cloned();
    let nullable = RowType::new(fields.map(|mut field| {
        field.data_type = field.data_type.with_nullable(true);
        field
    }));
    let found = ArrowRows::new(found, &nullable).unwrap();
    let row = |index| {
        let row = found.row(index).to_owned_row();
        (!row.iter().all(Datum::is_null)).then_some(row)
    };
    let found: Vec<_> = (0..found.len()).map(row).map(masked).collect();
    assert_same(&found, &expected);

    let there: Vec<OwnedRow> = expected.into_iter().flatten().collect();
    let keys = batch(lookuper.key_type(), keys);
    let found = lookuper.find_arrow(&keys, None).await.unwrap();
    assert_same(&rows(found, lookuper.table().row_type(), model), &there);
    let fields = lookuper.table().row_type().fields();
    let (first, last) = (&fields[0], &fields[fields.len() - 1]);
    let columns = [last.name.clone(), first.name.clone()];
    let found = lookuper.find_arrow(&keys, Some(&columns)).await.unwrap();
    let found = ArrowRows::new(found, &RowType::new([last.clone(), first.clone()])).unwrap();
    let of_first = |row: usize| found.row(row).to_owned_row().swap_remove(1);
    let expected: Vec<_> = there.iter().map(|row| row[0].clone()).collect();
    // A number that the server has given is not known, in whatever column.
    if model.counter() != Some(0) {
        assert_same(&(0..found.len()).map(of_first).collect::<Vec<_>>(), &expected);
    }
}

/// The rows of a batch of all columns.
pub fn rows(found: RecordBatch, row_type: &RowType, model: &Model) -> Vec<OwnedRow> {
    let found = ArrowRows::new(found, row_type).unwrap();
    let row = |index| mask(found.row(index).to_owned_row(), model);
    (0..found.len()).map(row).collect()
}

/// A row without what only the server knows.
pub fn mask(mut row: OwnedRow, model: &Model) -> OwnedRow {
    if let Some(counter) = model.counter()
        && !row[counter].is_null()
    {
        row[counter] = Model::COUNTED;
    }
    row
}

pub fn assert_same<T: std::fmt::Debug>(found: &[T], expected: &[T]) {
    for (index, pair) in found.iter().zip(expected).enumerate() {
        let (found, expected) = (format!("{:?}", pair.0), format!("{:?}", pair.1));
        assert_eq!(found, expected, "number {index}");
    }
    assert_eq!(found.len(), expected.len());
}
