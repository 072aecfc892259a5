//! Logs that were written under several schemas, as a session fetches them.

use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use bytes::{Bytes, BytesMut};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::{Random, ServerAddress};
use fluss_rpc::proto::PbFetchLogRespForBucket;
use tokio::time::Instant;

use super::super::decode::Decoder;
use super::super::decode::tests::{decoder, schema};
use super::super::session::{Session, Wanted};
use super::*;
use crate::config::{RemoteOptions, ScannerOptions};
use crate::error::{Context, ErrorKind};
use fluss_core::id::{BucketId, TableId};
use fluss_core::record::log::{Append, ChangeType, LogBatches, Received, RowsBuilder};
use fluss_core::row::RowFormat;
use fluss_core::types::{Datum, PhysicalTablePath, TablePath};

const TIMEOUT: Duration = Duration::from_secs(2);
const BUCKET: TableBucket = TableBucket::new(TableId(1), BucketId(0));

/// A scan, and the log of the one bucket that it reads.
struct World {
    decoder: Decoder,
    session: Session,
    now: Instant,
    end: Offset,
}

impl World {
    fn new(decoder: Decoder) -> Self {
        let mut session = Session::new(
            ScannerOptions::default(),
            RemoteOptions::default(),
            decoder.own_forms(),
            Random::with_seed(1),
        );
        session.subscribe(BUCKET, table(), None);
        Self {
            decoder,
            session,
            now: Instant::now(),
            end: 0,
        }
    }

    fn ask(&mut self) -> Option<Wanted> {
        let (fetches, _) = self.session.fetches(self.now, |_| Some(server()), |_, _| false);
        let wanted: Vec<_> = fetches.into_iter().flat_map(|fetch| fetch.buckets).collect();
        assert!(wanted.len() <= 1);
        wanted.into_iter().next()
    }

    /// Has a fetch answered with a batch of one row under each of these schemas.
    fn answer(&mut self, wanted: &Wanted, schemas: &[i16]) {
        let mut records = BytesMut::new();
        for id in schemas {
            records.extend_from_slice(&batch(SchemaId(*id), self.end));
            self.end += 1;
        }
        let answer = PbFetchLogRespForBucket {
            records: Some(records.freeze()),
            high_watermark: Some(self.end + 1),
            ..Default::default()
        };
        let astray = self.session.on_answer(wanted, Some(answer), &server(), self.now);
        assert!(!astray);
    }

    fn refuse(&mut self, wanted: &Wanted, code: ErrorCode) {
        let answer = PbFetchLogRespForBucket {
            error_code: Some(code.number()),
            ..Default::default()
        };
        assert!(!self.session.on_answer(wanted, Some(answer), &server(), self.now));
    }

    fn learn(&mut self, id: i16) {
        let id = SchemaId(id);
        self.session.learn(id, self.decoder.forms(&schema(id)));
    }

    fn unknown(&self) -> Vec<i16> {
        let unknown = self.session.unknown_schemas(self.now);
        unknown.into_iter().map(SchemaId::get).collect()
    }

    /// The values of the next row.
    fn next(&mut self) -> Option<Vec<Option<i32>>> {
        let fetched = self.session.next_fetched()?;
        let columns = self.decoder.batch(&fetched).unwrap().batch;
        let value = |column: &arrow::array::ArrayRef| {
            let column = column.as_primitive::<Int32Type>();
            column.is_valid(0).then(|| column.value(0))
        };
        Some(columns.columns().iter().map(value).collect())
    }
}

pub(in crate::scan) fn table() -> PhysicalTablePath {
    TablePath::new("d", "t").into()
}

pub(in crate::scan) fn server() -> ServerAddress {
    ServerAddress::new("h".to_owned(), 1)
}

/// A batch with a row that counts up from its offset.
fn batch(id: SchemaId, offset: Offset) -> Bytes {
    let mut rows = RowsBuilder::new(RowFormat::Indexed, id, true);
    let row: Vec<_> = (0..id.get())
        .map(|column| Datum::Int(offset as i32 + i32::from(column)))
        .collect();
    rows.append(schema(id).row_type(), ChangeType::AppendOnly, &row)
        .unwrap();
    let sealed = rows.finish().unwrap().seal(None);
    let received = Received::check(sealed).unwrap();
    let place = Append {
        next_offset: offset,
        commit_timestamp: 0,
        leader_epoch: None,
    };
    received.place(&place).bytes
}

#[test]
fn a_batch_waits_for_its_schema_and_holds_up_those_behind_it() {
    let mut world = World::new(decoder(SchemaId(2), None, "INDEXED"));
    let wanted = world.ask().unwrap();
    world.answer(&wanted, &[2, 1, 2, 3]);
    assert_eq!(world.next(), Some(vec![Some(0), Some(1)]));
    assert_eq!(world.next(), None);
    assert_eq!(world.unknown(), [1]);
    world.learn(1);
    assert_eq!(world.next(), Some(vec![Some(1), None]));
    assert_eq!(world.next(), Some(vec![Some(2), Some(3)]));
    assert_eq!(world.next(), None);
    assert_eq!(world.unknown(), [3]);
    world.learn(3);
    assert_eq!(
        world.next(),
        Some(vec![Some(3), Some(4)]),
        "the third is left out"
    );
    assert!(world.unknown().is_empty());
}

#[test]
fn batches_that_wait_count_as_fetched_until_they_are_dropped() {
    let mut world = World::new(decoder(SchemaId(1), None, "INDEXED"));
    let wanted = world.ask().unwrap();
    world.answer(&wanted, &[2, 2]);
    assert!(!world.session.has_fetched());
    world.session.unsubscribe(BUCKET);
    assert!(world.unknown().is_empty());
    world.learn(2);
    assert_eq!(world.next(), None);
    let mut arrivals = Arrivals::default();
    let records = LogBatches::new(batch(SchemaId(1), 0));
    for batch in records {
        arrivals.push(Arrival {
            bucket: BUCKET,
            subscription: 1,
            batch: batch.unwrap(),
            from: 0,
            to: Offset::MAX,
            projected: false,
            segment: None,
            hold: None,
        });
    }
    assert!(arrivals.bytes() > 0);
    arrivals.forget(1);
    assert_eq!(arrivals.bytes(), 0);
}

#[test]
fn what_lacks_a_column_is_fetched_whole_until_all_that_comes_has_it() {
    let mut world = World::new(decoder(SchemaId(2), Some(&[1]), "ARROW"));
    let wanted = world.ask().unwrap();
    assert!(wanted.projected);
    world.refuse(&wanted, ErrorCode::INVALID_COLUMN_PROJECTION);
    let wanted = world.ask().expect("at once");
    assert!(!wanted.projected);
    world.answer(&wanted, &[1, 2]);
    let wanted = world.ask().unwrap();
    assert!(!wanted.projected, "more of the old may come");
    world.answer(&wanted, &[3]);
    let wanted = world.ask().unwrap();
    assert!(!wanted.projected, "schema 3 is not known yet");
    world.answer(&wanted, &[2, 2]);
    let wanted = world.ask().unwrap();
    assert!(wanted.projected);
    world.refuse(&wanted, ErrorCode::INVALID_COLUMN_PROJECTION);
    let wanted = world.ask().unwrap();
    world.refuse(&wanted, ErrorCode::INVALID_COLUMN_PROJECTION);
    let error = world.session.error(world.now, TIMEOUT).unwrap();
    assert_eq!(
        error.code(),
        Some(ErrorCode::INVALID_COLUMN_PROJECTION),
        "nobody asked for columns"
    );
}

fn failure(kind: ErrorKind) -> crate::Error {
    Context::new("get schema of").error(kind)
}

#[test]
fn a_schema_that_is_not_to_be_had_now_is_told_once_and_asked_for_again() {
    let mut world = World::new(decoder(SchemaId(1), None, "INDEXED"));
    let wanted = world.ask().unwrap();
    world.answer(&wanted, &[2]);
    let missing = failure(ErrorKind::server(ErrorCode::SCHEMA_NOT_EXIST, None));
    world.session.unlearned(SchemaId(2), &missing, world.now);
    assert!(world.unknown().is_empty(), "after a pause");
    let error = |world: &mut World| world.session.error(world.now, TIMEOUT);
    assert_eq!(
        error(&mut world).unwrap().code(),
        Some(ErrorCode::SCHEMA_NOT_EXIST)
    );
    assert!(error(&mut world).is_none());
    world.now = world.session.next_wake(world.now).unwrap();
    assert_eq!(world.unknown(), [2]);
    world.learn(2);
    assert_eq!(world.next(), Some(vec![Some(0)]));
}

#[test]
fn a_schema_that_is_never_to_be_had_ends_the_buckets_that_need_it() {
    let mut world = World::new(decoder(SchemaId(1), None, "INDEXED"));
    let wanted = world.ask().unwrap();
    world.answer(&wanted, &[1, 2, 1]);
    let gone = failure(ErrorKind::server(ErrorCode::TABLE_NOT_EXIST, None));
    world.session.unlearned(SchemaId(2), &gone, world.now);
    assert_eq!(world.next(), Some(vec![Some(0)]));
    assert_eq!(world.next(), None);
    for _ in 0..2 {
        let error = world.session.error(world.now, TIMEOUT).unwrap();
        assert!(
            error.to_string().starts_with("poll d.t schema 2 bucket 0: "),
            "{error}"
        );
    }
    assert!(world.ask().is_none());
}

/// A batch in the ARROW format of one row with a text that is none.
#[expect(unsafe_code, reason = "text that is none is what this is about")]
fn unreadable(offset: Offset) -> Bytes {
    use arrow::array::{ArrayRef, BinaryArray, RecordBatch, make_array};
    use arrow::datatypes::DataType as ArrowType;

    let bytes = BinaryArray::from(vec![b"caf\xe9".as_slice()])
        .to_data()
        .into_builder();
    // SAFETY: nobody reads it as text but the decoder, which checks it.
    let text: ArrayRef = make_array(unsafe { bytes.data_type(ArrowType::Utf8).build_unchecked() });
    let columns = RecordBatch::try_from_iter_with_nullable([("s", text, true)]).unwrap();
    let mut sealed = fluss_core::record::log::encode_arrow(
        &columns,
        None,
        fluss_core::types::Compression::None,
        SchemaId(1),
    )
    .unwrap();
    let received = Received::check(sealed.seal(None)).unwrap();
    let place = Append {
        next_offset: offset,
        commit_timestamp: 0,
        leader_epoch: None,
    };
    received.place(&place).bytes
}

#[test]
fn a_batch_that_cannot_be_read_names_its_column_and_is_passed_over_by_name() {
    let decoder = || super::super::decode::tests::text_decoder();
    let fetched = || {
        let form = decoder().forms(&super::super::decode::tests::text_schema()).whole;
        let batch = LogBatches::new(unreadable(7)).next().unwrap().unwrap();
        Fetched {
            bucket: BUCKET,
            subscription: 0,
            from: 7,
            to: Offset::MAX,
            batch,
            form: Some(form),
            segment: None,
            hold: None,
        }
    };
    let error = decoder().batch(&fetched()).unwrap_err();
    assert_eq!(error.column(), Some("s"));
    assert!(error.to_string().contains("column 's'"), "{error}");
    // Another batch of the bucket is none of those that are passed over.
    assert!(decoder().skipping(&[(BUCKET, 6)]).batch(&fetched()).is_err());
    let passed = decoder().skipping(&[(BUCKET, 7)]).batch(&fetched()).unwrap();
    assert!(passed.is_filtered_out());
    assert_eq!((passed.base_offset, passed.batch.num_rows()), (7, 0));
    assert_eq!(
        decoder().skipping(&[(BUCKET, 7)]).run(&fetched()).unwrap().range,
        0..0
    );
}
