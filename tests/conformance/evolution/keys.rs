//! Primary-key tables whose rows were written under several schemas.

use arrow::array::RecordBatch;
use fluss_client::ChangeType::{self, Delete, Insert, UpdateAfter, UpdateBefore};
use fluss_client::types::{AggregateFunction, DataType, Datum, OwnedRow, Row, RowType, Schema};
use fluss_client::{Connection, ErrorKind, Lookuper, StartOffset, Table, TableChange};
use fluss_cluster::Spec;
use fluss_core::arrow::{ArrowRows, ColumnsBuilder, user_schema, with_schema};

use super::{alter, column, read_arrow, seen};
use crate::{Backend, EVERYWHERE, connect, create_by, run, start, tests};

tests! {
    EVERYWHERE => [
        rows_are_upserted_and_found_under_every_schema,
        rows_are_updated_in_part_and_deleted_across_a_change,
        rows_are_aggregated_across_a_change,
        a_column_is_added_with_a_function_that_merges_it,
        rows_are_inserted_where_they_are_missed_under_every_schema,
    ],
}

/// Formats of rows and of changelogs. Changelogs in the INDEXED format take no rows of older schemas on a 0.9.1 server
/// (`UNKNOWN_SERVER_ERROR`): see `restart`.
pub(super) const FORMATS: [(&str, &str); 3] = [
    ("COMPACTED", "ARROW"),
    ("COMPACTED", "COMPACTED"),
    ("INDEXED", "ARROW"),
];

/// A table of rows by region and id, in a bucket for each region, as it stood at three times.
pub(super) async fn ages(connection: &Connection, (kv, log): (&str, &str)) -> [Table; 3] {
    let schema = Schema::builder()
        .column("region", DataType::string())
        .column("id", DataType::int())
        .column("name", DataType::string());
    let schema = schema.primary_key(["region", "id"]).build().unwrap();
    let formats = [("table.kv.format", kv), ("table.log.format", log)];
    let first = create_by(connection, schema, (1, &["region"]), &formats).await;
    let second = alter(connection, &first, &[column("score", "DOUBLE")]).await;
    let third = alter(connection, &second, &[column("tags", "ARRAY<STRING>")]).await;
    [first, second, third]
}

/// A row under the schema that has so many columns.
pub(super) fn row(id: i32, name: &str, columns: usize) -> OwnedRow {
    let row = [
        Datum::from("north"),
        Datum::Int(id),
        Datum::from(name.to_owned()),
        Datum::Double(f64::from(id) / 2.0),
        Datum::Array(vec![Datum::from(name.to_owned()), Datum::Null]),
    ];
    row.into_iter().take(columns).collect()
}

pub(super) async fn upsert(table: &Table, rows: &[OwnedRow]) {
    let writer = table.upsert_writer().unwrap();
    for row in rows {
        writer.upsert(row).await.unwrap();
    }
    writer.close().await.unwrap();
}

pub(super) fn key(id: i32) -> OwnedRow {
    vec![Datum::from("north"), Datum::Int(id)]
}

fn all_columns(table: &Table) -> Vec<usize> {
    (0..table.info().row_type().len()).collect()
}

fn batch(row_type: &RowType, rows: &[OwnedRow]) -> RecordBatch {
    let mut columns = ColumnsBuilder::new(row_type, rows.len());
    for row in rows {
        columns.append(row).unwrap();
    }
    with_schema(&columns.finish().unwrap(), &user_schema(row_type)).unwrap()
}

/// What is found of the keys 0, 1, … in every way, as the table's handle sees it.
pub(super) async fn check_rows(table: &Table, rows: &[Option<OwnedRow>]) {
    let columns = all_columns(table);
    let expected: Vec<_> = rows
        .iter()
        .map(|row| row.as_ref().map(|row| seen(row, &columns)))
        .collect();
    let keys: Vec<_> = (0..).take(rows.len()).map(key).collect();
    let lookuper = table.lookup().lookuper().unwrap();
    for (key, row) in keys.iter().zip(&expected) {
        assert_eq!(lookuper.lookup(key).await.unwrap(), *row);
    }
    assert_eq!(lookuper.lookup_many(&keys).await.unwrap(), expected);
    check_columns(&lookuper, &keys, &expected).await;
    let prefixes = table.lookup().prefix_lookuper(&["region"]).unwrap();
    let found = prefixes.lookup(&[Datum::from("north")]).await.unwrap();
    assert_eq!(found, expected.into_iter().flatten().collect::<Vec<_>>());
}

async fn check_columns(lookuper: &Lookuper, keys: &[OwnedRow], expected: &[Option<OwnedRow>]) {
    let found = lookuper
        .lookup_arrow(&batch(lookuper.key_type(), keys))
        .await
        .unwrap();
    let rows = ArrowRows::new(found, lookuper.table().row_type()).unwrap();
    let nothing = vec![Datum::Null; lookuper.table().row_type().len()];
    for (index, expected) in expected.iter().enumerate() {
        assert_eq!(
            rows.row(index).to_owned_row(),
            *expected.as_ref().unwrap_or(&nothing)
        );
    }
}

/// What the changelog tells, as the table's handle sees it.
pub(super) async fn check_changes(table: &Table, changes: &[(ChangeType, OwnedRow)]) {
    let columns = all_columns(table);
    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    let mut found = Vec::new();
    let deadline = tokio::time::Instant::now() + crate::PATIENCE;
    while found.len() < changes.len() {
        assert!(tokio::time::Instant::now() < deadline, "{found:?}");
        let records = scanner.poll(std::time::Duration::from_secs(1)).await.unwrap();
        for (_, record) in records.iter() {
            found.push((record.change_type, record.row.to_owned_row()));
        }
    }
    let expected: Vec<_> = changes
        .iter()
        .map(|(change, row)| (*change, seen(row, &columns)))
        .collect();
    assert_eq!(found, expected, "{}", table.info().path);
    // One column that may be new, by itself.
    let last = columns.len() - 1;
    let fields = table.info().row_type().fields();
    let scanner = table.scan().project([&fields[last].name]).log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    let found = read_arrow(&scanner, &table.info().row_type().project(&[last]), changes.len()).await;
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(_, row)| vec![row[last].clone()])
        .collect();
    assert_eq!(found, expected);
}

fn rows_are_upserted_and_found_under_every_schema(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for formats in FORMATS {
            let ages = ages(&connection, formats).await;
            let (mut rows, mut changes) = (vec![None; 6], Vec::new());
            // Each row is replaced by those who know fewer and more columns.
            for (step, id) in [
                (0, 1),
                (1, 2),
                (2, 3),
                (0, 2),
                (0, 3),
                (1, 3),
                (2, 1),
                (1, 1),
                (2, 4),
            ] {
                let new = row(id, &format!("{step} {id}"), 3 + step);
                upsert(&ages[step], std::slice::from_ref(&new)).await;
                let old = rows[id as usize].replace(new.clone());
                match old {
                    None => changes.push((Insert, new)),
                    Some(old) => changes.extend([(UpdateBefore, old), (UpdateAfter, new)]),
                }
            }
            for table in &ages {
                check_rows(table, &rows).await;
                check_changes(table, &changes).await;
            }
        }
    });
}

/// An update of these columns, whose names and values are given.
async fn update(table: &Table, columns: &[&str], row: &[Datum<'static>]) {
    let writer = table.upsert().columns(columns.iter().copied()).writer().unwrap();
    writer.upsert(row).await.unwrap();
    writer.close().await.unwrap();
}

async fn delete(table: &Table, columns: &[&str], id: i32) {
    let upsert = table.upsert();
    let upsert = if columns.is_empty() {
        upsert
    } else {
        upsert.columns(columns.iter().copied())
    };
    let writer = upsert.writer().unwrap();
    writer.delete(&key(id)).await.unwrap();
    writer.close().await.unwrap();
}

fn rows_are_updated_in_part_and_deleted_across_a_change(backend: Backend) {
    const NAME: [&str; 3] = ["region", "id", "name"];
    const SCORE: [&str; 3] = ["region", "id", "score"];
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for formats in FORMATS {
            let [first, second, third] = ages(&connection, formats).await;
            let part = |id: i32, value: Datum<'static>| [key(id), vec![value]].concat();
            let whole = |id: i32, name: Datum<'static>, score: Datum<'static>| -> OwnedRow {
                [key(id), vec![name, score, Datum::Null]].concat()
            };
            let name = |text: &'static str| Datum::from(text);
            upsert(&first, &[row(1, "a", 3), row(2, "b", 3)]).await;
            update(&second, &SCORE, &part(1, Datum::Double(0.5))).await;
            update(&first, &NAME, &part(1, name("c"))).await;
            update(&third, &SCORE, &part(3, Datum::Double(1.5))).await;
            update(&first, &NAME, &part(3, name("d"))).await;
            // What old writers do not know of stays; what is left of nothing goes.
            delete(&first, &NAME, 3).await;
            delete(&first, &NAME, 2).await;
            delete(&second, &SCORE, 3).await;
            upsert(&third, &[row(2, "e", 5)]).await;
            delete(&first, &[], 2).await;
            let null = || Datum::Null;
            let changes = [
                (Insert, whole(1, name("a"), null())),
                (Insert, whole(2, name("b"), null())),
                (UpdateBefore, whole(1, name("a"), null())),
                (UpdateAfter, whole(1, name("a"), Datum::Double(0.5))),
                (UpdateBefore, whole(1, name("a"), Datum::Double(0.5))),
                (UpdateAfter, whole(1, name("c"), Datum::Double(0.5))),
                (Insert, whole(3, null(), Datum::Double(1.5))),
                (UpdateBefore, whole(3, null(), Datum::Double(1.5))),
                (UpdateAfter, whole(3, name("d"), Datum::Double(1.5))),
                (UpdateBefore, whole(3, name("d"), Datum::Double(1.5))),
                (UpdateAfter, whole(3, null(), Datum::Double(1.5))),
                (Delete, whole(2, name("b"), null())),
                (Delete, whole(3, null(), Datum::Double(1.5))),
                (Insert, row(2, "e", 5)),
                (Delete, row(2, "e", 5)),
            ];
            let rows = [None, Some(whole(1, name("c"), Datum::Double(0.5))), None, None];
            for table in [&first, &second, &third] {
                check_changes(table, &changes).await;
                check_rows(table, &rows).await;
            }
        }
    });
}

fn rows_are_aggregated_across_a_change(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let sum = AggregateFunction {
            name: "sum".to_owned(),
            parameters: std::collections::BTreeMap::default(),
        };
        let schema = Schema::builder()
            .column("id", DataType::int())
            .column("total", DataType::big_int())
            .aggregate(sum);
        let schema = schema.primary_key(["id"]).build().unwrap();
        let engine = [("table.merge-engine", "aggregation")];
        let first = create_by(&connection, schema, (1, &["id"]), &engine).await;
        let row = |total: i64, note: Option<&'static str>| -> OwnedRow {
            vec![Datum::Int(1), Datum::BigInt(total), note.into()]
        };
        upsert(&first, &[row(1, None)[..2].to_vec()]).await;
        let second = alter(&connection, &first, &[column("note", "STRING")]).await;
        upsert(&second, &[row(10, Some("x"))]).await;
        // A column that its writer does not know of is as good as null, which is passed over.
        upsert(&first, &[row(100, None)[..2].to_vec()]).await;
        upsert(&second, &[row(1_000, None)]).await;
        let changes = [
            (Insert, row(1, None)),
            (UpdateBefore, row(1, None)),
            (UpdateAfter, row(11, Some("x"))),
            (UpdateBefore, row(11, Some("x"))),
            (UpdateAfter, row(111, Some("x"))),
            (UpdateBefore, row(111, Some("x"))),
            (UpdateAfter, row(1_111, Some("x"))),
        ];
        for table in [&first, &second] {
            check_changes(table, &changes).await;
            let found = table
                .lookup()
                .lookuper()
                .unwrap()
                .lookup(&[Datum::Int(1)])
                .await
                .unwrap();
            assert_eq!(found, Some(seen(&row(1_111, Some("x")), &all_columns(table))));
        }
    });
}

fn a_column_is_added_with_a_function_that_merges_it(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let schema = Schema::builder().column("id", DataType::int());
        let schema = schema.primary_key(["id"]).build().unwrap();
        let engine = [("table.merge-engine", "aggregation")];
        let first = create_by(&connection, schema, (1, &["id"]), &engine).await;
        let added = |function: &str| TableChange::AddColumn {
            name: "most".to_owned(),
            data_type: DataType::int(),
            comment: None,
            aggregate: Some(AggregateFunction {
                name: function.to_owned(),
                parameters: std::collections::BTreeMap::default(),
            }),
        };
        let (admin, path) = (connection.admin(), &first.info().path);
        let altered = admin.alter_table(path, &[added("max")], false).await;
        if backend == Backend::Cluster {
            // It would add the column, and merge it otherwise.
            let error = altered.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
            assert!(error.to_string().contains("ALTER_TABLE"), "{error}");
            return;
        }
        altered.unwrap();
        let second = connection.table(path).await.unwrap();
        for most in [3, 7, 5] {
            upsert(&second, &[vec![Datum::Int(1), Datum::Int(most)]]).await;
        }
        let found = second.lookup().lookuper().unwrap().lookup(&[Datum::Int(1)]).await;
        assert_eq!(found.unwrap(), Some(vec![Datum::Int(1), Datum::Int(7)]));
    });
}

fn rows_are_inserted_where_they_are_missed_under_every_schema(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for formats in FORMATS {
            let ages = ages(&connection, formats).await;
            upsert(&ages[1], &[row(0, "there", 4)]).await;
            let mut rows = vec![Some(row(0, "there", 4))];
            for (id, table) in (1..).zip(&ages) {
                let lookuper = table.lookup().insert_if_not_exists().lookuper().unwrap();
                let columns = all_columns(table);
                let found = lookuper.lookup(&key(0)).await.unwrap().unwrap();
                assert_eq!(found, seen(&row(0, "there", 4), &columns));
                let found = lookuper.lookup(&key(id)).await.unwrap().unwrap();
                assert_eq!(found, seen(&key(id), &columns));
                rows.push(Some(key(id)));
            }
            for table in &ages {
                check_rows(table, &rows).await;
            }
        }
    });
}
