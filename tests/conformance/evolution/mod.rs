//! Columns are added to tables that are read and written: each handle goes on with the columns that it had.

pub(crate) mod java;
pub(crate) mod keys;
pub(crate) mod properties;
pub(crate) mod restart;
pub(crate) mod running;

use std::time::Duration;

use fluss_client::types::{DataType, Datum, Decimal, OwnedRow, Row, RowType, Schema, Timestamp};
use fluss_client::{Connection, ErrorCode, LogScanner, StartOffset, Table, TableChange};
use fluss_cluster::Spec;
use fluss_core::arrow::{ArrowRows, ColumnsBuilder, user_schema, with_schema};

use crate::{Backend, EVERYWHERE, PATIENCE, connect, create, read, run, start, tests};

tests! {
    EVERYWHERE => [
        handles_of_every_age_read_and_append_in_every_format,
        columns_that_were_added_are_projected_across_the_change,
        a_schema_that_there_is_not_is_told_at_once,
    ],
}

const FORMAT: &str = "table.log.format";
const FORMATS: [&str; 3] = ["ARROW", "INDEXED", "COMPACTED"];

fn column(name: &str, data_type: &str) -> TableChange {
    TableChange::add_column(name, data_type.parse().unwrap())
}

/// Alters a table, and asks for it anew.
async fn alter(connection: &Connection, table: &Table, changes: &[TableChange]) -> Table {
    let path = &table.info().path;
    connection
        .admin()
        .alter_table(path, changes, false)
        .await
        .unwrap();
    connection.table(path).await.unwrap()
}

/// A log in one bucket, as it stood at three times.
async fn ages(connection: &Connection, format: &str) -> [Table; 3] {
    let schema = Schema::builder()
        .column("id", DataType::big_int().not_null())
        .column("name", DataType::string());
    let first = create(connection, schema.build().unwrap(), 1, &[(FORMAT, format)]).await;
    let second = alter(connection, &first, &[column("score", "DECIMAL(10,2)")]).await;
    let nested = column("r", "ROW<x INT, y ARRAY<ROW<z BINARY(2)>>>");
    let third = alter(connection, &second, &[nested, column("at", "TIMESTAMP_LTZ(6)")]).await;
    for (table, (id, columns)) in [&first, &second, &third]
        .into_iter()
        .zip([(1, 2), (2, 3), (3, 5)])
    {
        assert_eq!(
            (table.info().schema_id.get(), table.info().row_type().len()),
            (id, columns)
        );
    }
    [first, second, third]
}

/// The row of a number, in the first so many columns.
fn row(id: i64, columns: usize) -> OwnedRow {
    let bytes = Datum::Bytes(vec![id as u8, 7].into());
    let nested = vec![
        Datum::Int(id as i32),
        Datum::Array(vec![Datum::Row(vec![bytes]), Datum::Null]),
    ];
    let row = vec![
        Datum::BigInt(id),
        Datum::from(format!("row {id}")),
        Decimal::new(id.into(), 2).into(),
        Datum::Row(nested),
        Datum::TimestampLtz(Timestamp::from_millis(id * 1_000_000)),
    ];
    row.into_iter().take(columns).collect()
}

/// A row as others see it who have these columns.
fn seen(row: &[Datum<'static>], columns: &[usize]) -> OwnedRow {
    let value = |column: &usize| row.get(*column).cloned().unwrap_or(Datum::Null);
    columns.iter().map(value).collect()
}

/// Appends rows in a batch of their own: an even number as columns.
async fn append(table: &Table, rows: &[OwnedRow]) {
    let writer = table.append_writer().unwrap();
    let row_type = table.info().row_type();
    if rows.len().is_multiple_of(2) {
        let mut columns = ColumnsBuilder::new(row_type, rows.len());
        for row in rows {
            columns.append(row).unwrap();
        }
        let batch = with_schema(&columns.finish().unwrap(), &user_schema(row_type)).unwrap();
        writer.append_arrow(&batch).await.unwrap();
    } else {
        for row in rows {
            writer.append(row).await.unwrap();
        }
    }
    writer.close().await.unwrap();
}

/// What a scan finds of these columns, read as rows and read as columns.
async fn scan(table: &Table, columns: &[usize], count: usize) -> [Vec<OwnedRow>; 2] {
    let all = table.info().row_type();
    let names: Vec<_> = columns
        .iter()
        .map(|column| all.fields()[*column].name.clone())
        .collect();
    let mut found = [Vec::new(), Vec::new()];
    for (place, found) in found.iter_mut().enumerate() {
        let scan = table.scan();
        let scan = if columns.len() < all.len() {
            scan.project(names.clone())
        } else {
            scan
        };
        let scanner = scan.log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let row_type = all.project(columns);
        if place == 0 {
            read(&scanner, count, |_, offset, row| {
                assert_eq!(usize::try_from(offset), Ok(found.len()));
                found.push(row);
            })
            .await;
        } else {
            *found = read_arrow(&scanner, &row_type, count).await;
        }
    }
    found
}

async fn read_arrow(scanner: &LogScanner, row_type: &RowType, count: usize) -> Vec<OwnedRow> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while found.len() < count {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {count} rows came",
            found.len()
        );
        for scanned in scanner.poll_arrow(Duration::from_secs(1)).await.unwrap() {
            assert_eq!(scanned.batch.schema(), *scanner.schema());
            let rows = ArrowRows::new(scanned.batch, row_type).unwrap();
            found.extend((0..rows.len()).map(|index| rows.row(index).to_owned_row()));
        }
    }
    found
}

async fn check(table: &Table, columns: &[usize], rows: &[OwnedRow]) {
    let expected: Vec<_> = rows.iter().map(|row| seen(row, columns)).collect();
    for found in scan(table, columns, rows.len()).await {
        assert_eq!(found, expected, "columns {columns:?} of {}", table.info().path);
    }
}

/// Batches under all schemas, in no order.
async fn fill(ages: &[Table; 3], batches: usize) -> Vec<OwnedRow> {
    let mut rows = Vec::new();
    for batch in 0..batches {
        let table = &ages[[0, 1, 0, 2, 2, 1, 0, 2][batch % 8]];
        let columns = table.info().row_type().len();
        let from = i64::try_from(rows.len()).unwrap();
        let ids = (from..).take(1 + batch % 3);
        let new: Vec<_> = ids.map(|id| row(id, columns)).collect();
        append(table, &new).await;
        rows.extend(new);
    }
    rows
}

fn handles_of_every_age_read_and_append_in_every_format(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for format in FORMATS {
            let ages = ages(&connection, format).await;
            let rows = fill(&ages, 16).await;
            for table in &ages {
                let all: Vec<usize> = (0..table.info().row_type().len()).collect();
                check(table, &all, &rows).await;
                // A connection that knows of no schema yet.
                let table = connect(&place).await.table(&table.info().path).await.unwrap();
                check(&table, &[0, 1, 2, 3, 4], &rows).await;
            }
        }
    });
}

fn columns_that_were_added_are_projected_across_the_change(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for format in FORMATS {
            let ages = ages(&connection, format).await;
            // At first nothing but the old, then all kinds, at last nothing but the new.
            let mut rows: Vec<_> = (0..20).map(|id| row(id, 2)).collect();
            for row in &rows {
                append(&ages[0], std::slice::from_ref(row)).await;
            }
            let mixed = fill(&ages, 12).await;
            rows.extend(mixed);
            for id in 0..20 {
                let new = row(id, 5);
                append(&ages[2], std::slice::from_ref(&new)).await;
                rows.push(new);
            }
            for columns in [&[2][..], &[1, 0], &[2, 0]] {
                check(&ages[1], columns, &rows).await;
            }
            for columns in [&[4][..], &[0], &[3, 0], &[2, 4, 1]] {
                check(&ages[2], columns, &rows).await;
            }
            check(&ages[0], &[1], &rows).await;
        }
    });
}

fn a_schema_that_there_is_not_is_told_at_once(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let [first, second, third] = ages(&connection, "ARROW").await;
        let (path, admin) = (&first.info().path, connection.admin());
        for table in [&first, &second, &third] {
            let id = table.info().schema_id;
            let (found, schema) = admin.table_schema(path, Some(id)).await.unwrap();
            assert_eq!((found, &schema), (id, table.info().schema()));
        }
        let (latest, _) = admin.table_schema(path, None).await.unwrap();
        assert_eq!(latest, third.info().schema_id);
        let asked = tokio::time::timeout(PATIENCE / 6, admin.table_schema(path, Some(99.into()))).await;
        let error = asked.expect("it is told at once").unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::SCHEMA_NOT_EXIST), "{error}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("get schema of {path} schema 99 at ")),
            "{error}"
        );
    });
}
