//! Rows and batches of every type, in every format, come back as they were appended.

use std::collections::BTreeMap;

use fluss_client::id::BucketId;
use fluss_client::types::{DataType, Datum, Field, OwnedRow, Row, RowType, Schema};
use fluss_client::{Connection, OffsetSpec, StartOffset, Table};
use fluss_cluster::Spec;
use fluss_core::arrow::{ArrowRows, ColumnsBuilder, user_schema, with_schema};
use fluss_tests::arbitrary::{Options, rows};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::{Backend, EVERYWHERE, SERVERS, connect, create, extremes, note, read, run, start, tests};

tests! {
    EVERYWHERE => [
        what_is_appended_is_read_in_every_format_and_compression_from_1_to_16_buckets,
    ],
    SERVERS => [what_is_appended_is_read_by_those_who_log_in],
}

const FORMAT: &str = "table.log.format";
const COMPRESSION: &str = "table.log.arrow.compression.type";
const LEVEL: &str = "table.log.arrow.compression.zstd.level";

/// A random table and rows for it, numbered in the first column.
fn sample(runner: &mut TestRunner) -> (RowType, Vec<OwnedRow>) {
    let (row_type, rows) = rows(Options::default(), 20..40)
        .new_tree(runner)
        .unwrap()
        .current();
    let numbered = RowType::new(
        std::iter::once(Field::new("id", DataType::big_int().not_null()))
            .chain(row_type.fields().iter().cloned()),
    );
    let number = |(id, row): (i64, OwnedRow)| std::iter::once(Datum::BigInt(id)).chain(row).collect();
    (numbered, (0..).zip(rows).map(number).collect())
}

fn schema(row_type: &RowType) -> Schema {
    let add = |builder: fluss_client::types::SchemaBuilder, field: &Field| {
        builder.column(&field.name, field.data_type.clone())
    };
    row_type
        .fields()
        .iter()
        .fold(Schema::builder(), add)
        .build()
        .unwrap()
}

fn id(row: &[Datum<'_>]) -> i64 {
    let Datum::BigInt(id) = row[0] else {
        panic!("{row:?}")
    };
    id
}

/// Half of the rows by themselves, the others as an Arrow batch.
async fn append(table: &Table, rows: &[OwnedRow]) {
    let writer = table.append_writer().unwrap();
    let (single, batch) = rows.split_at(rows.len() / 2);
    for row in single {
        writer.append(row).await.unwrap();
    }
    let mut columns = ColumnsBuilder::new(table.info().row_type(), batch.len());
    for row in batch {
        columns.append(row).unwrap();
    }
    let batch = with_schema(&columns.finish().unwrap(), &user_schema(table.info().row_type())).unwrap();
    let handle = writer.append_arrow(&batch).await.unwrap();
    writer.flush().await.unwrap();
    assert!(handle.is_settled());
    writer.close().await.unwrap();
}

/// A table of every type, with a row of nulls and rows of the least and greatest values.
fn extremes() -> (RowType, Vec<OwnedRow>) {
    let columns = extremes::columns();
    let data_type = |(text, _): &(&str, _)| text.parse::<DataType>().unwrap();
    let fields = columns.iter().enumerate();
    let fields = fields.map(|(index, column)| Field::new(format!("c{index}"), data_type(column)));
    let number = Field::new("id", DataType::big_int().not_null());
    let most = columns.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let row = |index: usize| {
        columns
            .iter()
            .map(move |(_, values)| values[index % values.len()].clone())
    };
    let mut rows: Vec<OwnedRow> = (0..most).map(|index| row(index).collect()).collect();
    rows.push(vec![Datum::Null; columns.len()]);
    let number_row = |(id, row): (i64, OwnedRow)| std::iter::once(Datum::BigInt(id)).chain(row).collect();
    // Twice, for the first half is appended as rows and the other as a batch.
    let rows = rows.clone().into_iter().chain(rows);
    (
        RowType::new(std::iter::once(number).chain(fields)),
        (0..).zip(rows).map(number_row).collect(),
    )
}

async fn check(
    connection: &Connection,
    (row_type, rows): &(RowType, Vec<OwnedRow>),
    buckets: i32,
    properties: &[(&str, &str)],
) {
    let table = create(connection, schema(row_type), buckets, properties).await;
    append(&table, rows).await;

    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    let mut found: Vec<OwnedRow> = Vec::new();
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    read(&scanner, rows.len(), |bucket, offset, row| {
        let end = ends.entry(bucket).or_default();
        assert_eq!(offset, *end, "offsets follow one another");
        *end += 1;
        found.push(row);
    })
    .await;
    found.sort_by_key(|row| id(row));
    assert_eq!(
        format!("{found:?}"),
        format!("{rows:?}"),
        "{row_type} {properties:?}"
    );
    check_offsets(connection, &table, &ends).await;
    check_projection(&table, rows).await;
}

async fn check_offsets(connection: &Connection, table: &Table, ends: &BTreeMap<i32, i64>) {
    let buckets: Vec<BucketId> = (0..table.info().bucket_count).map(BucketId).collect();
    let admin = connection.admin();
    let latest = admin
        .list_offsets(&table.info().path, &buckets, OffsetSpec::Latest)
        .await
        .unwrap();
    for bucket in &buckets {
        assert_eq!(latest[bucket], ends.get(&bucket.get()).copied().unwrap_or(0));
    }
    assert_eq!(
        admin.row_count(&table.info().path).await.unwrap(),
        ends.values().sum::<i64>()
    );
}

/// The last column and the first, in this order, as Arrow.
async fn check_projection(table: &Table, rows: &[OwnedRow]) {
    let fields = table.info().row_type().fields();
    let last = fields.len() - 1;
    let names = [fields[last].name.as_str(), "id"];
    let scanner = table.scan().project(names).log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    let shown = table.info().row_type().project(&[last, 0]);
    let mut found = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + crate::PATIENCE;
    while found.len() < rows.len() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {} rows came",
            found.len(),
            rows.len()
        );
        for scanned in scanner
            .poll_arrow(std::time::Duration::from_secs(1))
            .await
            .unwrap()
        {
            let columns = ArrowRows::new(scanned.batch, &shown).unwrap();
            for index in 0..columns.len() {
                let row = columns.row(index).to_owned_row();
                found.insert(id(&row[1..]), row);
            }
        }
    }
    for row in rows {
        assert_eq!(format!("{:?}", found[&id(row)][0]), format!("{:?}", row[last]));
    }
}

/// Every format, compression and number of buckets with random tables and with one of extremes.
fn check_all(backend: Backend, spec: Spec) {
    let place = start(backend, spec);
    let mut runner = TestRunner::deterministic();
    let formats: [&[(&str, &str)]; 6] = [
        &[],
        &[(COMPRESSION, "NONE")],
        &[(COMPRESSION, "LZ4_FRAME")],
        &[(COMPRESSION, "ZSTD"), (LEVEL, "19")],
        &[(FORMAT, "INDEXED")],
        &[(FORMAT, "COMPACTED")],
    ];
    let (mut tables, mut columns) = (0, 0);
    run(async {
        let connection = connect(&place).await;
        for properties in formats {
            for buckets in [1, 3, 16] {
                for sample in [sample(&mut runner), extremes()] {
                    check(&connection, &sample, buckets, properties).await;
                    tables += 1;
                    columns += sample.0.len();
                }
            }
        }
    });
    note(&format_args!("{tables} tables, {columns} columns"));
    assert_eq!(tables, 36);
}

fn what_is_appended_is_read_in_every_format_and_compression_from_1_to_16_buckets(backend: Backend) {
    check_all(backend, Spec::new().tablet_servers(3));
}

fn what_is_appended_is_read_by_those_who_log_in(backend: Backend) {
    check_all(backend, Spec::new().tablet_servers(3).sasl());
}
