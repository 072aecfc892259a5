//! From fetched batches to columns.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType as ArrowType, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use fluss_rpc::proto::PbPredicate;

use super::arrivals::Fetched;
use super::form::{Form, Forms};
use super::records::{Run, ScanBatch};
use crate::config::ScannerOptions;
use crate::log_target;
use fluss_core::arrow::{ColumnsBuilder, arrow_schema, user_schema};
use fluss_core::filter::{Filter, Predicate, Pushed};
use fluss_core::id::{Offset, SchemaId, TableBucket};
use fluss_core::record::log::{ChangeType, LogBatch, decode_arrow_within, decode_rows};
use fluss_core::row::RowFormat;
use fluss_core::types::{KvFormat, LogFormat, PartitionName, Places, RowType, Schema, TableInfo, Timestamp};
use fluss_core::{DecodeError, ValueError};

/// What each row did to its key; nothing in a log table.
type Changes = Option<Arc<[ChangeType]>>;

/// Turns fetched batches into the rows and columns that the consumer asked for, under whatever schema they were written.
#[derive(Debug)]
pub(super) struct Decoder {
    info: Arc<TableInfo>,
    /// The positions of the columns that are needed: those that the consumer sees, in its order, and behind them those
    /// that only the filter looks at.
    columns: Vec<usize>,
    wire_schema: SchemaRef,
    /// The positions of the columns that are enough to fetch, ascending; nothing for all.
    projection: Option<Vec<usize>>,
    filter: Option<RowFilter>,
    /// What of the filter the statistics of batches can be compared with, and as a server is told it, so that it leaves
    /// batches out.
    pushed: Option<(Pushed, PbPredicate)>,
    shown_type: RowType,
    shown_schema: SchemaRef,
    check_crc: bool,
    /// The batches that are passed over, each by its bucket and the offset of its first record.
    skipped: BTreeSet<(TableBucket, Offset)>,
    /// The most bytes of a batch that is decoded.
    max_batch_bytes: usize,
}

/// A filter on the rows of a table.
#[derive(Debug)]
struct RowFilter {
    /// On rows of the columns that are needed.
    of_batches: Filter,
    /// On rows of the table.
    of_table: Filter,
}

/// The part of a condition by which batches can be left out. Only those of columns in the log of a table without a primary
/// key tell what is in them (`v1_0.md` §8.3).
fn pushed(info: &TableInfo, predicate: &Predicate) -> Option<(Pushed, PbPredicate)> {
    let tells = !info.has_primary_key() && info.properties.log_format == LogFormat::Arrow;
    let pushed = Pushed::new(predicate, info.row_type()).filter(|_| tells)?;
    let message = pushed.encode(info.row_type())?;
    Some((pushed, message))
}

impl Decoder {
    /// `columns` are the positions that the consumer wants, in its order.
    ///
    /// # Errors
    ///
    /// A predicate that does not fit the table.
    pub(super) fn new(
        info: &Arc<TableInfo>,
        columns: Option<&[usize]>,
        predicate: Option<&Predicate>,
        options: &ScannerOptions,
    ) -> Result<Self, ValueError> {
        let all = || (0..info.row_type().len()).collect();
        let mut columns: Vec<usize> = columns.map_or_else(all, <[_]>::to_vec);
        let shown_type = info.row_type().project(&columns);
        let filter = predicate
            .map(|predicate| RowFilter::new(predicate, info.row_type(), &mut columns))
            .transpose()?;
        Ok(Self {
            projection: projection(info, &columns),
            wire_schema: arrow_schema(&info.row_type().project(&columns)),
            columns,
            filter,
            pushed: predicate.and_then(|predicate| pushed(info, predicate)),
            shown_schema: user_schema(&shown_type),
            shown_type,
            check_crc: options.check_crc,
            max_batch_bytes: options.max_batch_bytes,
            info: info.clone(),
            skipped: BTreeSet::new(),
        })
    }

    /// The same, passing over these batches: buckets and offsets of their first records.
    pub(super) fn skipping(mut self, batches: &[(TableBucket, Offset)]) -> Self {
        self.skipped = batches.iter().copied().collect();
        self
    }

    /// Whether a partition may have rows that are wanted.
    pub(super) fn may_match(&self, partition: &PartitionName) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        let keys = self
            .info
            .schema()
            .indexes_of(self.info.descriptor.partition_keys());
        keys.map_or(true, |keys| {
            filter.of_table.may_match(self.info.row_type(), &keys, partition)
        })
    }

    /// What of the filter a server is told, under the table's schema.
    pub(super) fn pushed(&self) -> Option<(&PbPredicate, SchemaId)> {
        match &self.pushed {
            Some((_, message)) => Some((message, self.info.schema_id)),
            None => None,
        }
    }

    /// The positions of the columns that are enough to fetch, ascending; nothing for all.
    pub(super) fn projection(&self) -> Option<&[usize]> {
        self.projection.as_deref()
    }

    /// The table's schema as it was when the table was asked for, and how its batches are laid out.
    pub(super) fn own_forms(&self) -> (SchemaId, Forms) {
        (self.info.schema_id, self.forms(self.info.schema()))
    }

    /// How batches are laid out that were written under a schema.
    pub(super) fn forms(&self, schema: &Schema) -> Forms {
        let places = self.info.schema().places_in(schema);
        let needed = |place: &dyn Fn(usize) -> Option<usize>| {
            let columns = self.columns.iter();
            columns.map(|column| place(*column)).collect::<Places>()
        };
        let is_there = |column: &usize| places.get(*column) == Some(*column);
        let projection = self.projection.as_ref().filter(|all| all.iter().all(is_there));
        Forms {
            whole: Form::new(
                schema.row_type().clone(),
                &needed(&|column| places.get(column)),
                true,
            ),
            projected: projection.map(|projection| {
                let place = |column| projection.iter().position(|fetched| *fetched == column);
                Form::new(schema.row_type().project(projection), &needed(&place), false)
            }),
        }
    }

    /// The Arrow schema of what the consumer sees.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.shown_schema
    }

    /// The wanted rows of a batch as columns.
    pub(super) fn batch(&self, fetched: &Fetched) -> Result<ScanBatch, DecodeError> {
        if self
            .skipped
            .contains(&(fetched.bucket, fetched.batch.base_offset()))
        {
            return Ok(self.passed_over(fetched));
        }
        if self.rules_out(fetched)? {
            return Ok(self.nothing_of(fetched));
        }
        let (batch, change_types) = self.columns(fetched)?;
        let base = fetched.batch.base_offset();
        let place = |offset: Offset| {
            let rows = offset.saturating_sub(base);
            usize::try_from(rows).unwrap_or(0).min(batch.num_rows())
        };
        let skip = place(fetched.from);
        let end = place(fetched.to).max(skip);
        let change_types = change_types.map(|types| types.get(skip..end).unwrap_or_default().into());
        let batch = batch.slice(skip, end - skip);
        let all = ScanBatch {
            bucket: fetched.bucket,
            base_offset: base + skip as i64,
            kept: None,
            timestamp: Timestamp::from_millis(fetched.batch.commit_timestamp()),
            schema_id: Some(fetched.batch.schema_id()),
            change_types,
            batch: self.show(&batch).map_err(fault)?,
        };
        match &self.filter {
            Some(filter) => filter.of_batches.matches(&batch).and_then(|held| all.keep(&held)),
            None => Ok(all),
        }
        .map_err(fault)
    }

    /// The wanted rows of a batch as rows.
    pub(super) fn run(&self, fetched: &Fetched) -> Result<Run, DecodeError> {
        self.rows(self.batch(fetched)?)
    }

    /// The rows of decoded columns.
    pub(super) fn rows(&self, batch: ScanBatch) -> Result<Run, DecodeError> {
        Run::of_batch(batch, &self.shown_type)
    }

    /// What is left of a batch that is passed over.
    fn passed_over(&self, fetched: &Fetched) -> ScanBatch {
        let batch = &fetched.batch;
        tracing::warn!(
            target: log_target::SCANNER,
            table = %self.info.path,
            bucket = fetched.bucket.bucket.get(),
            offset = batch.base_offset(),
            records = batch.record_count(),
            "a batch is passed over, as was asked"
        );
        self.nothing_of(fetched)
    }

    /// Whether the statistics of a batch say that no row of it is wanted. A server leaves such batches out, if it understands
    /// the filter; those from the remote storage come all the same.
    fn rules_out(&self, fetched: &Fetched) -> Result<bool, DecodeError> {
        let (Some((condition, _)), Some(form)) = (&self.pushed, &fetched.form) else {
            return Ok(false);
        };
        let batch = &fetched.batch;
        // A server takes the statistics off what it projects. Those that cannot be read tell nothing.
        let Some(statistics) = batch
            .statistics(&form.held)
            .ok()
            .flatten()
            .filter(|_| form.is_whole)
        else {
            return Ok(false);
        };
        let condition = condition.carried_over(self.info.row_type(), &form.held);
        let is_ruled_out =
            condition.is_some_and(|condition| !condition.may_hold(batch.record_count(), &statistics));
        if is_ruled_out && self.check_crc {
            batch.verify_checksum()?;
        }
        Ok(is_ruled_out)
    }

    /// A batch of which no row is wanted.
    fn nothing_of(&self, fetched: &Fetched) -> ScanBatch {
        let batch = &fetched.batch;
        ScanBatch {
            bucket: fetched.bucket,
            base_offset: batch.base_offset(),
            kept: Some(Arc::default()),
            timestamp: Timestamp::from_millis(batch.commit_timestamp()),
            schema_id: Some(batch.schema_id()),
            change_types: (!batch.header().append_only).then(Arc::default),
            batch: RecordBatch::new_empty(self.shown_schema.clone()),
        }
    }

    fn columns(&self, fetched: &Fetched) -> Result<(RecordBatch, Changes), DecodeError> {
        let misplaced = || DecodeError::new("log batch", "it does not have the columns that were asked for");
        let (batch, form) = (&fetched.batch, fetched.form.as_ref().ok_or_else(misplaced)?);
        if self.check_crc && form.is_whole {
            batch.verify_checksum()?;
        }
        let (held, changes) = match self.info.properties.log_format {
            LogFormat::Arrow => (
                self.unpadded(
                    form,
                    decode_arrow_within(batch, &form.wire_schema, &form.decoded, self.max_batch_bytes)?,
                )?,
                batch.change_types()?,
            ),
            LogFormat::Indexed => columns_of_rows(batch, RowFormat::Indexed, form)?,
            LogFormat::Compacted => columns_of_rows(batch, RowFormat::Compacted, form)?,
        };
        Ok((self.gather(form, &held).map_err(fault)?, changes))
    }

    /// The columns without the zeros that indexed rows fill CHAR values up with: a cluster of 0.9 writes them into the
    /// changelog as they stand in its rows, of which every other reader takes them off.
    fn unpadded(&self, form: &Form, batch: RecordBatch) -> Result<RecordBatch, DecodeError> {
        if !self.info.has_primary_key() || self.info.properties.kv_format != KvFormat::Indexed {
            return Ok(batch);
        }
        fluss_core::arrow::trim_chars(&batch, &form.held.project(&form.decoded)).map_err(fault)
    }

    /// The columns that are needed. No bytes are copied.
    fn gather(&self, form: &Form, held: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = held.num_rows();
        let missing = form.places.iter().zip(self.wire_schema.fields());
        let missing = missing.filter(|(place, _)| place.is_none());
        let bytes_of_a_row: usize = missing.map(|(_, field)| null_bytes(field.data_type())).sum();
        if rows.saturating_mul(bytes_of_a_row) > self.max_batch_bytes {
            let reason = format!("{rows} nulls in the columns that it lacks are too large");
            return Err(ArrowError::InvalidArgumentError(reason));
        }
        let column = |(place, field): (Option<usize>, &FieldRef)| {
            let held = place.and_then(|place| held.columns().get(place));
            held.map_or_else(|| new_null_array(field.data_type(), rows), Clone::clone)
        };
        let columns = form.places.iter().zip(self.wire_schema.fields()).map(column);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.wire_schema.clone(), columns.collect(), &options)
    }

    /// The columns that the consumer sees. No bytes are copied.
    fn show(&self, needed: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let shown: Vec<usize> = (0..self.shown_type.len()).collect();
        fluss_core::arrow::with_schema(&needed.project(&shown)?, &self.shown_schema)
    }
}

impl RowFilter {
    /// Adds the columns that it looks at to those that are needed.
    fn new(predicate: &Predicate, row_type: &RowType, columns: &mut Vec<usize>) -> Result<Self, ValueError> {
        let of_table = Filter::new(predicate, row_type)?;
        for column in of_table.columns() {
            if !columns.contains(column) {
                columns.push(*column);
            }
        }
        let of_batches = Filter::new(predicate, &row_type.project(columns))?;
        Ok(Self { of_batches, of_table })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what a result is mapped by")]
fn fault(error: ArrowError) -> DecodeError {
    DecodeError::new("record batch", error.to_string())
}

/// How many bytes a null has in a column, about.
fn null_bytes(column: &ArrowType) -> usize {
    match column {
        ArrowType::FixedSizeBinary(width) => usize::try_from(*width).unwrap_or_default(),
        ArrowType::Struct(fields) => fields.iter().map(|field| null_bytes(field.data_type())).sum(),
        other => other.primitive_width().unwrap_or(size_of::<i32>()),
    }
}

/// The least that a record of a batch of rows has: its length and its change.
const RECORD_BYTES: usize = 5;

/// The columns of a batch of rows, each of which has its change before it.
fn columns_of_rows(
    batch: &LogBatch,
    format: RowFormat,
    form: &Form,
) -> Result<(RecordBatch, Changes), DecodeError> {
    let fault = |error: crate::ValueError| DecodeError::value("log record", error);
    let row_type = &form.held;
    // The count is only what the batch says.
    let most = batch.len() / RECORD_BYTES;
    let mut columns = ColumnsBuilder::new(row_type, batch.record_count().min(most));
    let mut changes = Vec::new();
    for record in decode_rows(batch, format, row_type) {
        let (change, mut row) = record?;
        fluss_core::row::pad(row_type, &mut row);
        columns.append(&row).map_err(fault)?;
        changes.push(change);
    }
    let changes = (!batch.header().append_only).then(|| changes.into());
    let columns = columns.finish().map_err(fault)?;
    Ok((columns.project(&form.decoded).map_err(self::fault)?, changes))
}

/// The columns to fetch, ascending; nothing for all. Only columns of Arrow batches can be fetched by themselves.
fn projection(info: &TableInfo, columns: &[usize]) -> Option<Vec<usize>> {
    let mut fetched = columns.to_vec();
    if fetched.is_empty() {
        // There is no batch without a column, and rows are counted in any.
        fetched.push(0);
    }
    fetched.sort_unstable();
    fetched.dedup();
    let is_less = fetched.len() < info.row_type().len();
    (is_less && info.properties.log_format == LogFormat::Arrow).then_some(fetched)
}

#[cfg(test)]
pub(super) mod tests {
    use arrow::array::{ArrayRef, Int32Array};
    use fluss_core::filter::col;
    use fluss_core::id::{BucketId, TableId};
    use fluss_core::record::log::{
        Append, LogBatches, Received, StatisticsColumns, encode_arrow_with_statistics,
    };
    use fluss_core::types::{Column, Compression, DataType, TableDescriptor, TablePath, TableProperties};

    use super::*;

    /// The version of a schema that has so many columns: `a`, and each later one with one more.
    pub(in crate::scan) fn schema(id: SchemaId) -> Schema {
        let first = Schema::builder().column("a", DataType::int()).build().unwrap();
        ["b", "c", "d"]
            .iter()
            .take(id.get() as usize - 1)
            .fold(first, |schema, name| {
                let column = Column {
                    name: (*name).to_owned(),
                    data_type: DataType::int(),
                    comment: None,
                    aggregate: None,
                    id: -1,
                };
                schema.with_column(column).unwrap()
            })
    }

    /// Of a table that had this version of the schema when it was asked for.
    pub(in crate::scan) fn decoder(id: SchemaId, columns: Option<&[usize]>, format: &str) -> Decoder {
        decoder_of(schema(id), id, columns, format)
    }

    /// The schema of one text.
    pub(in crate::scan) fn text_schema() -> Schema {
        Schema::builder().column("s", DataType::string()).build().unwrap()
    }

    /// Of a table of that.
    pub(in crate::scan) fn text_decoder() -> Decoder {
        decoder_of(text_schema(), SchemaId(1), None, "ARROW")
    }

    fn decoder_of(schema: Schema, id: SchemaId, columns: Option<&[usize]>, format: &str) -> Decoder {
        let info = table(schema, id, format);
        Decoder::new(&info, columns, None, &ScannerOptions::default()).unwrap()
    }

    fn table(schema: Schema, id: SchemaId, format: &str) -> Arc<TableInfo> {
        let descriptor = TableDescriptor::builder(schema).property("table.log.format", format);
        let descriptor = descriptor.build().unwrap();
        Arc::new(TableInfo {
            path: TablePath::new("d", "t"),
            id: TableId(1),
            schema_id: id,
            properties: TableProperties::parse(descriptor.properties()).unwrap(),
            descriptor,
            bucket_count: 2,
            created_time: 0,
            modified_time: 0,
            bucket_count_epoch: 0,
        })
    }

    #[test]
    fn a_schema_that_lacks_a_column_is_read_whole() {
        let decoder = decoder(SchemaId(3), Some(&[2, 0]), "ARROW");
        assert_eq!(decoder.projection(), Some(&[0, 2][..]));
        let forms = |id| decoder.forms(&schema(SchemaId(id)));
        let places = |form: &Form| (form.decoded.clone(), form.places.iter().collect::<Vec<_>>());
        let first = forms(2);
        assert_eq!(places(&first.whole), (vec![0], vec![None, Some(0)]));
        assert!(first.projected.is_none());
        for later in [3, 4] {
            let Forms { whole, projected } = forms(later);
            assert_eq!(places(&whole), (vec![0, 2], vec![Some(1), Some(0)]));
            let fetched = projected.unwrap();
            assert_eq!(places(&fetched), (vec![0, 1], vec![Some(1), Some(0)]));
        }
    }

    /// A batch of the numbers from 1 to 3, each often, with statistics of them, at the beginning of its log.
    fn numbers(schema: &Schema) -> LogBatch {
        let columns = RecordBatch::try_from_iter([(
            "a",
            Arc::new(Int32Array::from([1, 2, 3].repeat(1000))) as ArrayRef,
        )]);
        let statistics = StatisticsColumns::parse("*", schema.row_type()).unwrap();
        let lz4 = Compression::Lz4Frame;
        let encoded = encode_arrow_with_statistics(&columns.unwrap(), None, lz4, SchemaId(1), &statistics);
        let received = Received::check(encoded.unwrap().seal(None)).unwrap();
        let place = Append {
            next_offset: 0,
            commit_timestamp: 0,
            leader_epoch: None,
        };
        let mut batches = LogBatches::new(received.place(&place).bytes);
        batches.next().unwrap().unwrap()
    }

    #[test]
    fn a_batch_that_its_statistics_rule_out_is_not_decoded() {
        let schema = schema(SchemaId(1));
        let info = table(schema.clone(), SchemaId(1), "ARROW");
        let options = ScannerOptions {
            // Whatever is decoded is too large.
            max_batch_bytes: 1,
            ..ScannerOptions::default()
        };
        let read = |predicate: &Predicate| {
            let decoder = Decoder::new(&info, None, Some(predicate), &options).unwrap();
            let fetched = Fetched {
                bucket: TableBucket::new(TableId(1), BucketId(0)),
                subscription: 0,
                from: 0,
                to: Offset::MAX,
                batch: numbers(&schema),
                form: Some(decoder.forms(&schema).whole),
                segment: None,
                hold: None,
            };
            decoder.batch(&fetched)
        };
        assert!(read(&col("a").gt(3)).unwrap().is_filtered_out());
        assert!(read(&col("a").ge(3)).is_err(), "one of them is wanted");
    }

    #[test]
    fn only_columns_of_arrow_batches_are_fetched_by_themselves() {
        assert_eq!(decoder(SchemaId(2), Some(&[1]), "INDEXED").projection(), None);
        assert_eq!(decoder(SchemaId(2), Some(&[1, 0]), "ARROW").projection(), None);
    }
}
