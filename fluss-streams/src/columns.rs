//! Events as columns.

use std::sync::{Arc, LazyLock};

use fluss_client::arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use fluss_client::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use fluss_client::arrow::error::ArrowError;
use fluss_client::arrow::record_batch::RecordBatch;

use crate::event::RecordedEvent;

/// The columns of [`to_arrow`].
pub fn arrow_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let field = |name: &str, data_type| Field::new(name, data_type, false);
        let moment = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        Arc::new(Schema::new(vec![
            field("stream_name", DataType::Utf8),
            field("version", DataType::Int64),
            field("id", DataType::Utf8),
            field("type", DataType::Utf8),
            field("data", DataType::Binary),
            field("metadata", DataType::Binary),
            field("content_type", DataType::Utf8),
            field("recorded_at", moment),
            Field::new("bucket", DataType::Int32, true),
            Field::new("commit_position", DataType::Int64, true),
        ]))
    });
    SCHEMA.clone()
}

/// Events as an Arrow batch, a row for each.
///
/// # Errors
///
/// More than 2 GiB in a column.
pub fn to_arrow(events: &[RecordedEvent]) -> Result<RecordBatch, ArrowError> {
    let texts = |text: fn(&RecordedEvent) -> &str| StringArray::from_iter_values(events.iter().map(text));
    let bytes = |bytes: fn(&RecordedEvent) -> &[u8]| BinaryArray::from_iter_values(events.iter().map(bytes));
    let ids = events.iter().map(|event| event.event.id.to_string());
    let moments = events.iter().map(|event| event.recorded_at.millis());
    let places = || events.iter().map(|event| event.place);
    let buckets = places().map(|place| place.map(|(bucket, _)| bucket.get()));
    let offsets = places().map(|place| place.map(|(_, offset)| offset));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(texts(|event| &event.stream)),
        Arc::new(Int64Array::from_iter_values(
            events.iter().map(|event| event.version),
        )),
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(texts(|event| &event.event.event_type)),
        Arc::new(bytes(|event| &event.event.data)),
        Arc::new(bytes(|event| &event.event.metadata)),
        Arc::new(texts(|event| &event.event.content_type)),
        Arc::new(TimestampMillisecondArray::from_iter_values(moments).with_timezone("UTC")),
        Arc::new(buckets.collect::<Int32Array>()),
        Arc::new(offsets.collect::<Int64Array>()),
    ];
    RecordBatch::try_new(arrow_schema(), columns)
}

#[cfg(test)]
mod tests {
    use fluss_client::id::BucketId;
    use fluss_client::types::Timestamp;

    use super::*;
    use crate::event::NewEvent;

    #[test]
    fn each_event_is_a_row() {
        let event = RecordedEvent {
            stream: "s".into(),
            version: 7,
            event: NewEvent::new("T", "data")
                .with_metadata("m")
                .with_content_type("c"),
            recorded_at: Timestamp::from_millis(5),
            place: Some((BucketId(2), 9)),
        };
        let other = RecordedEvent {
            place: None,
            ..event.clone()
        };
        let batch = to_arrow(&[event, other]).unwrap();
        assert_eq!((batch.num_rows(), batch.schema()), (2, arrow_schema()));
        assert_eq!(batch.column_by_name("commit_position").unwrap().null_count(), 1);
        assert_eq!(to_arrow(&[]).unwrap().num_rows(), 0);
    }
}
