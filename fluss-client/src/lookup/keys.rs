//! From the rows that are looked up to the bytes that servers know them by.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::shape::Shape;
use fluss_core::ValueError;
use fluss_core::arrow::ArrowRows;
use fluss_core::id::{BucketId, PartitionId, TableBucket};
use fluss_core::row::{BucketFunction, KeyEncoder, partition_name};
use fluss_core::types::{InvalidDefinition, PartitionName, Row, RowType, TableInfo};

/// A key and where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Located {
    /// Its partition by name, in a partitioned table.
    pub(super) partition: Option<PartitionName>,
    /// Its bucket. In a partitioned table it is found out later, in `places`: partitions have their own numbers of buckets.
    pub(super) bucket: TableBucket,
    /// Among how many buckets that was chosen.
    pub(super) count: Option<i32>,
    /// Its bytes.
    pub(super) key: Bytes,
    /// The bytes that choose the bucket, if they are others.
    bucket_key: Option<Bytes>,
}

impl Located {
    /// Chooses the bucket in a partition of so many.
    pub(super) fn put(
        &mut self,
        function: BucketFunction,
        partition: PartitionId,
        count: i32,
    ) -> Result<(), ValueError> {
        let bytes = self.bucket_key.as_ref().unwrap_or(&self.key);
        self.bucket.bucket = function.bucket(bytes, count)?;
        (self.bucket.partition, self.count) = (Some(partition), Some(count));
        Ok(())
    }
}

/// Finds the buckets of keys.
#[derive(Debug)]
pub(super) struct Keys {
    shape: Shape,
    /// The type of the table's rows, and the positions of its partition keys.
    partition: (RowType, Vec<usize>),
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

    /// The columns of the bucket key, with which primary keys begin, in their order; among them, anywhere, those that
    /// the table is partitioned by (`behaviour.md` §5.3).
    pub(super) fn prefix<S: AsRef<str>>(info: &TableInfo, columns: &[S]) -> Result<Self, InvalidDefinition> {
        let key = KeyEncoder::prefix(info, info.row_type())?;
        let (partition, bucket) = (info.descriptor.partition_keys(), info.descriptor.bucket_keys());
        let is_partition = |column: &&String| partition.contains(column);
        let given: Vec<String> = columns.iter().map(|column| column.as_ref().to_owned()).collect();
        let rest = given.iter().filter(|column| !is_partition(column));
        if given.iter().filter(is_partition).count() != partition.len() || !rest.eq(bucket) {
            let expected: Vec<_> = partition.iter().chain(bucket).map(String::as_str).collect();
            return Err(InvalidDefinition::new(format!(
                "rows are looked up by the partition and bucket keys ({}), not by ({})",
                expected.join(", "),
                given.join(", ")
            )));
        }
        Self::new(info, &given, key)
    }

    fn new(info: &TableInfo, columns: &[String], key: KeyEncoder) -> Result<Self, InvalidDefinition> {
        let bucket = KeyEncoder::bucket_key(info, info.row_type())?
            .ok_or_else(|| InvalidDefinition::new("the table has no bucket key"))?;
        Ok(Self {
            shape: Shape::named(info.row_type(), columns)?,
            partition: (
                info.row_type().clone(),
                info.schema().indexes_of(info.descriptor.partition_keys())?,
            ),
            key,
            bucket,
            function: info.lake_format().into(),
            table: TableBucket::new(info.id, BucketId(0)),
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
        let mut bucket_key = None;
        let (row_type, partition) = &self.partition;
        let is_partitioned = !partition.is_empty();
        let count = (!is_partitioned).then_some(self.buckets);
        let bucket = match count {
            Some(count) => self.function.bucket(&bytes, count)?,
            None => BucketId(0),
        };
        if self.bucket != self.key {
            bucket_key = Some(Bytes::copy_from_slice(&bytes));
            bytes.clear();
            self.key.encode(&row, &mut bytes)?;
        }
        Ok(Located {
            partition: is_partitioned
                .then(|| partition_name(row_type, partition, &row))
                .transpose()?,
            bucket: TableBucket { bucket, ..self.table },
            count,
            key: bytes.into(),
            bucket_key: bucket_key.filter(|_| is_partitioned),
        })
    }

    /// As [`locate`](Self::locate); nothing of a key that has a null, which no row has.
    pub(super) fn locate_any(&self, key: &(impl Row + ?Sized)) -> Result<Option<Located>, ValueError> {
        let is_whole = key.len() == self.row_type().len();
        if is_whole && (0..key.len()).any(|index| key.datum(index).is_null()) {
            return Ok(None);
        }
        self.locate(key).map(Some)
    }

    /// The keys in the columns of a batch; nothing of a key that has a null. Other columns are passed over.
    pub(super) fn locate_batch(&self, batch: &RecordBatch) -> Result<Vec<Option<Located>>, ValueError> {
        let schema = batch.schema();
        let is_key = |column: &usize| self.row_type().index_of(schema.field(*column).name()).is_some();
        let columns: Vec<usize> = (0..schema.fields().len()).filter(is_key).collect();
        let keys = batch
            .project(&columns)
            .map_err(|error| ValueError::row(error.to_string()))?;
        let row_type = self.row_type().nullable();
        let keys = fluss_core::arrow::conform(&keys, &row_type)?;
        let rows = ArrowRows::new(keys, &row_type)?;
        (0..rows.len())
            .map(|index| self.locate_any(&rows.row(index)))
            .collect()
    }
}
