//! From the rows that are looked up to the bytes that servers know them by.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::arrow::ArrowRows;
use crate::client::shape::Shape;
use crate::error::ValueError;
use crate::id::TableBucket;
use crate::row::{BucketFunction, KeyEncoder};
use crate::types::{InvalidDefinition, Row, RowType, TableInfo};

/// A key and where it is.
pub(super) type Located = (TableBucket, Bytes);

/// Finds the buckets of keys.
#[derive(Debug)]
pub(super) struct Keys {
    shape: Shape,
    key: KeyEncoder,
    bucket: KeyEncoder,
    function: BucketFunction,
    table: TableBucket,
    buckets: i32,
}

impl Keys {
    /// Whole primary keys.
    pub(super) fn primary(info: &TableInfo) -> Result<Self, InvalidDefinition> {
        let key = KeyEncoder::primary_key(info, info.row_type())?;
        Self::new(info, info.schema().primary_key(), key)
    }

    /// The columns of the bucket key, with which primary keys begin.
    pub(super) fn prefix<S: AsRef<str>>(info: &TableInfo, columns: &[S]) -> Result<Self, InvalidDefinition> {
        let key = KeyEncoder::prefix(info, info.row_type())?;
        let expected = info.descriptor.bucket_keys();
        let given: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
        if given != expected {
            return Err(InvalidDefinition::new(format!(
                "rows are looked up by the bucket key ({}), not by ({})",
                expected.join(", "),
                given.join(", ")
            )));
        }
        Self::new(info, expected, key)
    }

    fn new(info: &TableInfo, columns: &[String], key: KeyEncoder) -> Result<Self, InvalidDefinition> {
        let bucket = KeyEncoder::bucket_key(info, info.row_type())?
            .ok_or_else(|| InvalidDefinition::new("the table has no bucket key"))?;
        Ok(Self {
            shape: Shape::named(info.row_type(), columns)?,
            key,
            bucket,
            function: info.lake_format().into(),
            table: TableBucket::new(info.id, crate::id::BucketId(0)),
            buckets: info.bucket_count,
        })
    }

    /// The type of the rows that are looked up.
    pub(super) const fn row_type(&self) -> &RowType {
        self.shape.row_type()
    }

    /// The bytes of a key, and its bucket.
    pub(super) fn locate(&self, key: &(impl Row + ?Sized)) -> Result<Located, ValueError> {
        self.shape.check(key)?;
        let row = self.shape.spread(key);
        let mut bytes = Vec::new();
        self.bucket.encode(&row, &mut bytes)?;
        let bucket = self.function.bucket(&bytes, self.buckets)?;
        if self.bucket != self.key {
            bytes.clear();
            self.key.encode(&row, &mut bytes)?;
        }
        Ok((TableBucket { bucket, ..self.table }, bytes.into()))
    }

    /// The keys in the columns of a batch. Other columns are passed over.
    pub(super) fn locate_batch(&self, batch: &RecordBatch) -> Result<Vec<Located>, ValueError> {
        let schema = batch.schema();
        let is_key = |column: &usize| self.row_type().index_of(schema.field(*column).name()).is_some();
        let columns: Vec<usize> = (0..schema.fields().len()).filter(is_key).collect();
        let keys = batch
            .project(&columns)
            .map_err(|error| ValueError::row(error.to_string()))?;
        let keys = crate::arrow::conform(&keys, self.row_type())?;
        let rows = ArrowRows::new(keys, self.row_type())?;
        (0..rows.len())
            .map(|index| self.locate(&rows.row(index)))
            .collect()
    }
}
