//! Changes as columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;

use super::records::ScanBatch;
use fluss_core::ValueError;
use fluss_core::record::log::ChangeType;

const UTC: &str = "UTC";

impl ScanBatch {
    /// The rows with three more columns, by which changes can be told apart: `_change_type` (`+I`, `-U`, `+U`, `-D`,
    /// and `+A` in a log table), `_offset` and `_timestamp` (when the server stored the row, to the millisecond).
    ///
    /// # Errors
    ///
    /// As many change types as there are not rows, which no scan returns.
    pub fn changelog(&self) -> Result<RecordBatch, ValueError> {
        let rows = self.batch.num_rows();
        let mut columns = self.batch.columns().to_vec();
        columns.extend(self.change_columns(rows));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(changelog_schema(self.batch.schema_ref()), columns, &options)
            .map_err(|error| ValueError::row(error.to_string()))
    }

    fn change_columns(&self, rows: usize) -> [ArrayRef; 3] {
        let changes: StringArray = match &self.change_types {
            Some(types) => types.iter().map(|change| Some(change.short())).collect(),
            None => std::iter::repeat_n(Some(ChangeType::AppendOnly.short()), rows).collect(),
        };
        let offsets = self.offsets();
        let times = TimestampMillisecondArray::from_value(self.timestamp.millis(), rows).with_timezone(UTC);
        [Arc::new(changes), Arc::new(offsets), Arc::new(times)]
    }
}

/// The schema of [`ScanBatch::changelog`], for batches of this schema.
///
/// No column comes twice: where the table has a column of that name, the added one has more `_` in front, such as
/// `__offset`.
pub fn changelog_schema(schema: &SchemaRef) -> SchemaRef {
    let free = |name: &str| {
        let mut name = name.to_owned();
        while schema.column_with_name(&name).is_some() {
            name.insert(0, '_');
        }
        name
    };
    let moment = DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()));
    let added = [
        Field::new(free("_change_type"), DataType::Utf8, false),
        Field::new(free("_offset"), DataType::Int64, false),
        Field::new(free("_timestamp"), moment, false),
    ];
    let fields = schema.fields().iter().cloned().chain(added.map(Arc::new));
    Arc::new(Schema::new_with_metadata(
        fields.collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use fluss_core::types::Timestamp;

    use super::*;
    use fluss_core::id::{BucketId, TableBucket, TableId};

    #[test]
    fn no_name_comes_twice() {
        let columns =
            ["_offset", "__offset", "_timestamp"].map(|name| Field::new(name, DataType::Int64, true));
        let schema = changelog_schema(&Arc::new(Schema::new(columns.to_vec())));
        let names: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        assert_eq!(names[3..], ["_change_type", "___offset", "__timestamp"]);
    }

    #[test]
    fn every_row_tells_its_change_and_offset() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
        let mut scanned = ScanBatch {
            bucket: TableBucket::new(TableId(1), BucketId(0)),
            base_offset: 40,
            kept: None,
            timestamp: Timestamp::from_millis(1),
            schema_id: None,
            change_types: Some([ChangeType::UpdateBefore, ChangeType::UpdateAfter].into()),
            batch: RecordBatch::try_from_iter([("n", column)]).unwrap(),
        };
        let changes = scanned.changelog().unwrap();
        assert_eq!(changes.schema(), changelog_schema(scanned.batch.schema_ref()));
        let types: Vec<_> = changes.column(1).as_string::<i32>().iter().flatten().collect();
        assert_eq!(types, ["-U", "+U"]);
        assert_eq!(changes.column(2).as_primitive::<Int64Type>().values(), &[40, 41]);
        scanned.change_types = Some([ChangeType::Delete].into());
        assert!(scanned.changelog().is_err());
    }
}
