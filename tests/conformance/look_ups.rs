//! Look-ups share what is on its way to a server, but neither each other's failures nor each other's delays.

use std::time::Duration;

use arrow::array::{Array, RecordBatch};
use fluss_client::types::{DataType, Datum, OwnedRow, PartitionSpec, Schema, TableDescriptor, TablePath};
use fluss_client::{Connection, ErrorCode, ErrorKind, Lookuper, Table};
use fluss_cluster::{Server, Spec};
use fluss_core::arrow::{ColumnsBuilder, user_schema, with_schema};
use futures::poll;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::{
    Backend, CLUSTER, EVERYWHERE, PATIENCE, Place, connect, create_table, options, run, start, start_alone,
    tests,
};

tests! {
    EVERYWHERE => [
        cancelled_and_held_up_look_ups_disturb_no_others,
        a_look_up_in_a_table_that_is_gone_fails_at_once,
        look_ups_find_rows_in_their_partitions,
        a_partition_that_is_dropped_has_no_rows_until_there_are_new_ones,
    ],
    CLUSTER => [
        look_ups_go_on_when_a_leader_that_stopped_is_replaced,
    ],
}

const ROWS: i64 = 1_000;

/// A table of numbers and their squares, filled.
async fn squares(connection: &Connection, buckets: i32) -> Table {
    let schema = Schema::builder()
        .column("id", DataType::big_int().not_null())
        .column("square", DataType::big_int())
        .primary_key(["id"])
        .build()
        .unwrap();
    let descriptor = TableDescriptor::builder(schema).distributed_by(buckets, ["id"]);
    let path = TablePath::new("fluss", format!("squares_{buckets}"));
    create_table(connection, &path, &descriptor.build().unwrap()).await;
    let table = connection.table(&path).await.unwrap();
    let writer = table.upsert_writer().unwrap();
    for id in 0..ROWS {
        writer.upsert(&square(id)).await.unwrap();
    }
    writer.flush().await.unwrap();
    table
}

fn square(id: i64) -> OwnedRow {
    vec![Datum::BigInt(id), Datum::BigInt(id * id)]
}

/// Looks numbers up, each in a task of its own, of which some are cancelled.
async fn look_up_at_once(lookuper: &Lookuper, cancelled: impl Fn(i64) -> bool) {
    let mut tasks = JoinSet::new();
    for id in 0..ROWS + 100 {
        let lookuper = lookuper.clone();
        let task = tasks.spawn(async move { (id, lookuper.lookup(&[Datum::BigInt(id)]).await) });
        if cancelled(id) {
            task.abort();
        }
    }
    while let Some(joined) = tasks.join_next().await {
        let Ok((id, found)) = joined else { continue };
        let expected = (id < ROWS).then(|| square(id));
        assert_eq!(found.unwrap(), expected, "{id}");
    }
}

fn cancelled_and_held_up_look_ups_disturb_no_others(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        for buckets in [1, 3, 7] {
            let lookuper = squares(&connection, buckets).await.lookup().lookuper().unwrap();
            look_up_at_once(&lookuper, |_| false).await;
            look_up_at_once(&lookuper, |id| id % 3 == 0).await;
            // Each is begun, and waits for its answer while nobody looks at it.
            let key = [Datum::BigInt(7)];
            let mut held_up = Vec::new();
            while held_up.len() < 3 {
                let mut look_up = Box::pin(lookuper.lookup(&key));
                // An answer out of the same process may be there at once.
                if poll!(&mut look_up).is_pending() {
                    held_up.push(look_up);
                }
            }
            timeout(PATIENCE / 3, look_up_at_once(&lookuper, |_| false))
                .await
                .expect("nobody waits for those that are held up");
            for look_up in held_up {
                assert_eq!(look_up.await.unwrap(), Some(square(7)));
            }
        }
    });
}

fn a_look_up_in_a_table_that_is_gone_fails_at_once(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = squares(&connection, 3).await;
        let lookuper = table.lookup().lookuper().unwrap();
        assert_eq!(
            lookuper.lookup(&[Datum::BigInt(3)]).await.unwrap(),
            Some(square(3))
        );
        let path = &table.info().path;
        connection.admin().drop_table(path, false).await.unwrap();
        let gone = async {
            loop {
                // The server takes a moment to drop it.
                match lookuper.lookup(&[Datum::BigInt(3)]).await {
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) => return error,
                }
            }
        };
        let error = timeout(PATIENCE / 3, gone).await.expect("it is told at once");
        assert_eq!(error.code(), Some(ErrorCode::TABLE_NOT_EXIST), "{error}");
        assert!(
            error.to_string().starts_with(&format!("look up {path} bucket ")),
            "{error}"
        );
    });
}

/// A cluster in which a stopped server is soon replaced, and options of which no call is patient.
async fn impatient(place: &Place) -> Connection {
    let mut options = options(place);
    options.request_timeout = Duration::from_secs(2);
    Connection::open(options).await.unwrap()
}

fn look_ups_go_on_when_a_leader_that_stopped_is_replaced(backend: Backend) {
    let place = start_alone(backend, Spec::new().tablet_servers(3));
    let cluster = place.cluster();
    run(async {
        let table = squares(&connect(&place).await, 3).await;
        let connection = impatient(&place).await;
        let table = connection.table(&table.info().path).await.unwrap();
        let lookuper = table.lookup().lookuper().unwrap();
        look_up_at_once(&lookuper, |_| false).await;
        let server = cluster.tablet_server(1).unwrap();
        server.stop().unwrap();
        expect_timeouts(&lookuper, server).await;
        expect_replacement(&lookuper).await;
        server.resume().unwrap();
        look_up_at_once(&lookuper, |_| false).await;
    });
}

/// Those whose leader is stopped are told so; the others find their rows.
async fn expect_timeouts(lookuper: &Lookuper, stopped: &Server) {
    let mut late = 0;
    for id in 0..20 {
        match lookuper.lookup(&[Datum::BigInt(id)]).await {
            Ok(found) => assert_eq!(found, Some(square(id))),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
                let context = error.context();
                assert_eq!(context.operation, "look up");
                assert!(context.table.is_some() && context.bucket.is_some(), "{error}");
                let asked = context.server.as_ref().map(|server| server.port);
                assert_eq!(asked, Some(stopped.address().port()), "{error}");
                late += 1;
                break;
            }
        }
    }
    assert_eq!(late, 1, "no look-up noticed that a server was stopped");
}

/// Soon every row is found again, though the stopped server still holds its connections open.
async fn expect_replacement(lookuper: &Lookuper) {
    let deadline = Instant::now() + PATIENCE;
    let keys: Vec<[Datum<'_>; 1]> = (0..ROWS).map(|id| [Datum::BigInt(id)]).collect();
    let rows = loop {
        match lookuper.lookup_many(&keys).await {
            Ok(rows) => break rows,
            Err(error) => assert!(Instant::now() < deadline && error.is_retriable(), "{error}"),
        }
    };
    for (id, row) in (0..).zip(rows) {
        assert_eq!(row, Some(square(id)));
    }
}

/// Visits of a page by day and land: partitioned by the land, looked up by day too.
async fn visits(connection: &Connection) -> Table {
    let schema = Schema::builder()
        .column("day", DataType::int())
        .column("land", DataType::string())
        .column("page", DataType::string())
        .column("count", DataType::big_int())
        .primary_key(["day", "land", "page"])
        .build()
        .unwrap();
    let descriptor = TableDescriptor::builder(schema)
        .partitioned_by(["land"])
        .distributed_by(3, ["day"]);
    let path = TablePath::new("fluss", "visits");
    create_table(connection, &path, &descriptor.build().unwrap()).await;
    connection.table(&path).await.unwrap()
}

fn visit(day: i32, land: &'static str, page: &'static str) -> OwnedRow {
    vec![
        Datum::Int(day),
        land.into(),
        page.into(),
        Datum::BigInt(i64::from(day) * 7),
    ]
}

fn look_ups_find_rows_in_their_partitions(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = visits(&connection).await;
        let writer = table.upsert_writer().unwrap();
        let rows = || {
            (0..20).flat_map(|day| ["de", "fr"].map(|land| [visit(day, land, "a"), visit(day, land, "b")]))
        };
        for row in rows().flatten() {
            writer.upsert(&row).await.unwrap();
        }
        writer.flush().await.unwrap();
        // A connection that knows of no partition yet.
        let connection = connect(&place).await;
        let table = connection.table(&table.info().path).await.unwrap();

        let lookuper = table.lookup().lookuper().unwrap();
        let wanted = || rows().flatten().chain((0..20).map(|day| visit(day, "it", "a")));
        let keys: Vec<OwnedRow> = wanted().map(|row| row[..3].to_vec()).collect();
        let expected: Vec<_> = wanted()
            .map(|row| (row[1] != Datum::from("it")).then_some(row))
            .collect();
        assert_eq!(lookuper.lookup_many(&keys).await.unwrap(), expected);
        for (key, row) in keys.iter().zip(&expected) {
            assert_eq!(lookuper.lookup(key).await.unwrap(), *row);
        }
        let found = lookuper.lookup_arrow(&key_batch(&lookuper, &keys)).await.unwrap();
        assert_eq!((found.num_rows(), found.column(3).null_count()), (keys.len(), 20));

        for columns in [["land", "day"], ["day", "land"]] {
            let prefixes = table.lookup().prefix_lookuper(&columns).unwrap();
            let by = |day: i32, land: &'static str| match columns {
                ["land", _] => [land.into(), Datum::Int(day)],
                _ => [Datum::Int(day), land.into()],
            };
            let found = prefixes.lookup(&by(7, "fr")).await.unwrap();
            assert_eq!(found, [visit(7, "fr", "a"), visit(7, "fr", "b")]);
            assert!(prefixes.lookup(&by(7, "it")).await.unwrap().is_empty());
            assert!(prefixes.lookup(&by(99, "fr")).await.unwrap().is_empty());
        }
        let refused = table.lookup().prefix_lookuper(&["day"]).unwrap_err().to_string();
        assert!(refused.contains("(land, day), not by (day)"), "{refused}");
        let refused = table.lookup().insert_if_not_exists().lookuper().unwrap_err();
        assert!(refused.to_string().contains("partitioned"), "{refused}");
        let refused = lookuper
            .lookup(&[Datum::Int(1), Datum::Null, "a".into()])
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("'land'"), "{refused}");
    });
}

fn key_batch(lookuper: &Lookuper, keys: &[OwnedRow]) -> RecordBatch {
    let mut columns = ColumnsBuilder::new(lookuper.key_type(), keys.len());
    for key in keys {
        columns.append(key).unwrap();
    }
    with_schema(&columns.finish().unwrap(), &user_schema(lookuper.key_type())).unwrap()
}

fn a_partition_that_is_dropped_has_no_rows_until_there_are_new_ones(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = visits(&connection).await;
        let writer = table.upsert_writer().unwrap();
        let lookuper = table.lookup().lookuper().unwrap();
        let key = |land| [Datum::Int(3), Datum::from(land), Datum::from("a")];
        for round in 0..3 {
            for land in ["de", "fr"] {
                assert_eq!(
                    lookuper.lookup(&key(land)).await.unwrap().is_some(),
                    round > 0 && land == "fr"
                );
                writer.upsert(&visit(3, land, "a")).await.unwrap();
            }
            writer.flush().await.unwrap();
            for land in ["de", "fr"] {
                assert_eq!(
                    lookuper.lookup(&key(land)).await.unwrap(),
                    Some(visit(3, land, "a"))
                );
            }
            let spec = PartitionSpec::new([("land", "de")]);
            let admin = connection.admin();
            admin
                .drop_partition(&table.info().path, &spec, false)
                .await
                .unwrap();
            let gone = async {
                // The server takes a moment to drop it.
                while lookuper.lookup_many(&[key("de"), key("fr")]).await.unwrap()
                    != [None, Some(visit(3, "fr", "a"))]
                {
                    tokio::task::yield_now().await;
                }
            };
            timeout(PATIENCE / 3, gone)
                .await
                .expect("it is found out at once");
        }
    });
}
