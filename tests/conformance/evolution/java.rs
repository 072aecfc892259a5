//! The Java client reads what we write under several schemas, and we what it writes. Of logs in the ARROW format: in the
//! others it fails at batches of other schemas (0.9.1: a `NullPointerException`).

use super::keys::{check_changes, check_rows, upsert};
use super::{ages, append, check, fill, keys, row};
use crate::java::client::Java;
use crate::{Backend, JAVA, connect, run, start, tests};
use fluss_client::ChangeType::{Insert, UpdateAfter, UpdateBefore};
use fluss_client::types::{Datum, OwnedRow};
use fluss_cluster::Spec;

tests! {
    JAVA => [
        the_java_client_and_we_read_logs_of_several_schemas_alike,
        the_java_client_and_we_find_rows_of_several_schemas_alike,
    ],
}

/// A row as it is under the latest schema.
fn widened(row: &[Datum<'static>]) -> OwnedRow {
    super::seen(row, &[0, 1, 2, 3, 4])
}

fn the_java_client_and_we_read_logs_of_several_schemas_alike(backend: Backend) {
    let place = start(backend, Spec::new());
    let mut java = Java::connect(&place);
    run(async {
        let connection = connect(&place).await;
        let ages = ages(&connection, "ARROW").await;
        let mut rows = fill(&ages, 8).await;
        // It always knows the latest schema.
        rows.push(row(100, 5));
        java.store("append", &ages[2], &rows[rows.len() - 1..]);
        rows.push(row(101, 2));
        append(&ages[0], &rows[rows.len() - 1..]).await;
        for table in &ages {
            let all: Vec<usize> = (0..table.info().row_type().len()).collect();
            check(table, &all, &rows).await;
        }
        let found = java.read(&ages[2], rows.len()).into_values().flatten();
        let found: Vec<_> = found.map(|change| change.record.1).collect();
        let expected: Vec<_> = rows.iter().map(|row| widened(row)).collect();
        assert_eq!(found, expected);
    });
}

fn the_java_client_and_we_find_rows_of_several_schemas_alike(backend: Backend) {
    let place = start(backend, Spec::new());
    let mut java = Java::connect(&place);
    run(async {
        let connection = connect(&place).await;
        for kv_format in ["COMPACTED", "INDEXED"] {
            let formats = (kv_format, "ARROW");
            let ages = keys::ages(&connection, formats).await;
            let (mut rows, mut changes) = (Vec::new(), Vec::new());
            for (id, table) in (0..).zip(&ages) {
                let new = keys::row(id, "ours", table.info().row_type().len());
                upsert(table, std::slice::from_ref(&new)).await;
                changes.push((Insert, new.clone()));
                rows.push(Some(new));
            }
            for id in 0..2 {
                let new = keys::row(id, "theirs", 5);
                java.store("upsert", &ages[2], std::slice::from_ref(&new));
                let old = rows[id as usize].replace(new.clone()).unwrap();
                changes.extend([(UpdateBefore, old), (UpdateAfter, new)]);
            }
            for table in &ages {
                check_rows(table, &rows).await;
                check_changes(table, &changes).await;
            }
            let ids: Vec<_> = (0..3).map(keys::key).collect();
            let found = java.look_up(&ages[2], &ids);
            let expected: Vec<_> = rows
                .iter()
                .map(|row| row.as_ref().map(|row| widened(row)))
                .collect();
            assert_eq!(found, expected, "{formats:?}");
            let found = java.read(&ages[2], changes.len()).into_values().flatten();
            let found: Vec<_> = found.map(|change| change.record).collect();
            let expected: Vec<_> = changes
                .iter()
                .map(|(change, row)| (*change, widened(row)))
                .collect();
            assert_eq!(found, expected, "{formats:?}");
        }
    });
}
