//! Queries with `EMIT CHANGES`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::util::pretty::pretty_format_batches;
use fluss_client::types::{DataType, Datum, PartitionSpec, Schema, TableDescriptor, TablePath};
use fluss_client::{Connection, Table, TableChange};
use fluss_sql::{ErrorKind, Options, Parameters, Rows, Session, StartFrom};
use futures::{StreamExt, TryStreamExt};
use tokio::time::timeout;

use crate::world::run;

macro_rules! tests {
    ($($name:ident,)+) => {
        pub(crate) const TESTS: &[(&str, fn())] = &[$((stringify!($name), || run($name())),)+];
    };
}

tests! {
    following_returns_what_a_query_of_the_same_offsets_does,
    a_primary_key_table_is_followed_as_its_changes,
    another_connection_goes_on_from_a_position_with_nothing_twice_and_nothing_lost,
    a_limit_ends_the_query_and_its_position_is_behind_the_last_row,
    a_query_tells_when_it_has_caught_up,
    a_query_begins_where_it_is_told,
    partitions_that_come_later_are_followed,
    the_columns_are_those_that_the_table_had_when_the_query_began,
    what_needs_an_end_is_refused_when_it_is_planned,
    views_are_followed_if_they_take_one_row_at_a_time,
    a_value_that_cannot_be_computed_ends_the_query,
}

const PATIENCE: Duration = Duration::from_secs(30);

/// A node of its own, by a name under which it can be connected to again.
fn node() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("embedded::memory:following-{number}")
}

async fn connect(node: &str) -> Connection {
    let builder = Connection::builder(node).option("scanner.partition-discovery-interval", "20 ms");
    builder.connect().await.unwrap()
}

fn session(connection: &Connection) -> Session {
    Session::new(connection, Options::default()).unwrap()
}

async fn make(connection: &Connection, name: &str, descriptor: TableDescriptor) -> Table {
    let path = TablePath::new("fluss", name);
    let admin = connection.admin();
    admin.create_table(&path, &descriptor, false).await.unwrap();
    connection.table(&path).await.unwrap()
}

/// A log table of `id` and `name`.
async fn log(connection: &Connection, name: &str, buckets: i32) -> Table {
    let schema = Schema::builder()
        .column("id", DataType::big_int())
        .column("name", DataType::string());
    let descriptor = TableDescriptor::builder(schema.build().unwrap()).distributed_by(buckets, ["id"]);
    make(connection, name, descriptor.build().unwrap()).await
}

/// A table of `id`, its key, and `name`.
async fn keyed(connection: &Connection, name: &str) -> Table {
    let schema = Schema::builder()
        .column("id", DataType::big_int())
        .column("name", DataType::string())
        .primary_key(["id"]);
    let descriptor = TableDescriptor::builder(schema.build().unwrap()).distributed_by(1, ["id"]);
    make(connection, name, descriptor.build().unwrap()).await
}

fn row(id: i64) -> [Datum<'static>; 2] {
    [Datum::BigInt(id), format!("n{}", id % 7).into()]
}

/// Appends rows with these numbers, a few to a batch.
async fn append(table: &Table, ids: std::ops::Range<i64>) {
    let writer = table.append_writer().unwrap();
    for id in ids {
        drop(writer.append(&row(id)).await.unwrap());
        if id % 17 == 0 {
            writer.flush().await.unwrap();
        }
    }
    writer.flush().await.unwrap();
}

async fn follow(session: &Session, text: &str, start: StartFrom) -> Rows {
    session.follow(text, Parameters::default(), start).await.unwrap()
}

async fn refused(session: &Session, text: &str) -> fluss_sql::Error {
    let outcome = session.execute(text, Parameters::default()).await;
    outcome.map(|_| format!("{text} is taken")).unwrap_err()
}

async fn next(rows: &mut Rows) -> RecordBatch {
    let Ok(batch) = timeout(PATIENCE, rows.try_next()).await else {
        panic!("nothing comes");
    };
    batch.unwrap().unwrap()
}

/// Reads until the end that the table had when the query began.
async fn catch_up(rows: &mut Rows) -> RecordBatch {
    let mut batches = Vec::new();
    let caught_up = rows.caught_up().unwrap();
    tokio::pin!(caught_up);
    while !rows.is_caught_up() {
        tokio::select! {
            () = &mut caught_up => {}
            batch = rows.next() => batches.push(batch.unwrap().unwrap()),
            () = tokio::time::sleep(PATIENCE) => panic!("it does not catch up"),
        }
    }
    concat_batches(rows.schema(), &batches).unwrap()
}

fn numbers(batch: &RecordBatch, column: usize) -> Vec<i64> {
    batch.column(column).as_primitive::<Int64Type>().values().to_vec()
}

fn texts(batch: &RecordBatch, column: usize) -> Vec<&str> {
    batch.column(column).as_string::<i32>().iter().flatten().collect()
}

/// The rows as lines, in an order of their own.
fn lines(batches: &[RecordBatch]) -> BTreeSet<String> {
    let shown = pretty_format_batches(batches).unwrap().to_string();
    shown.lines().map(str::to_owned).collect()
}

async fn following_returns_what_a_query_of_the_same_offsets_does() {
    let connection = connect(&node()).await;
    let table = log(&connection, "t", 3).await;
    let session = session(&connection);
    append(&table, 0..2000).await;
    for query in [
        "SELECT * FROM t",
        "SELECT id, name FROM t WHERE id % 3 = 1 AND name <> 'n2'",
        "SELECT id * 2 AS twice, upper(name) AS name, _offset, _bucket, _change_type FROM t WHERE id > 1500",
        "SELECT CASE WHEN id < 10 THEN 'few' ELSE name END AS kind, id FROM t WHERE name IN ('n1', 'n3') OR id < 5",
        "SELECT s.big FROM (SELECT id + 1000000 AS big, name FROM t WHERE id BETWEEN 10 AND 900) AS s WHERE s.name = 'n4'",
        "WITH s AS (SELECT id FROM t WHERE _offset < 100) SELECT id FROM s WHERE id IS NOT NULL",
        "SELECT id FROM t WHERE id = 1 AND id = 2",
        "SELECT 'here' AS what FROM t WHERE id < 7",
    ] {
        let mut rows = follow(&session, &format!("{query} EMIT CHANGES"), StartFrom::Earliest).await;
        let followed = catch_up(&mut rows).await;
        let outcome = session.execute(query, Parameters::default()).await.unwrap();
        let rows = outcome.into_rows().unwrap();
        let names = |schema: &arrow::datatypes::Schema| {
            let fields = schema.fields().iter();
            let types = fields.map(|field| (field.name().clone(), field.data_type().clone()));
            types.collect::<Vec<_>>()
        };
        assert_eq!(names(&followed.schema()), names(rows.schema()), "{query}");
        let whole = rows.fetch_all().await.unwrap();
        let counted: usize = whole.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(followed.num_rows(), counted, "{query}");
        if counted > 0 {
            assert_eq!(lines(&[followed]), lines(&whole), "{query}");
        }
    }
    connection.shut_down().await.unwrap();
}

async fn a_primary_key_table_is_followed_as_its_changes() {
    let connection = connect(&node()).await;
    let table = keyed(&connection, "k").await;
    let session = session(&connection);
    let writer = table.upsert_writer().unwrap();
    drop(writer.upsert(&row(1)).await.unwrap());
    writer.flush().await.unwrap();
    for name in ["k", "k$changelog"] {
        let query = format!("SELECT _change_type, id, name FROM \"{name}\" EMIT CHANGES");
        let mut rows = follow(&session, &query, StartFrom::Latest).await;
        assert!(rows.is_caught_up());
        for (name, expected) in [(Some("b"), ["-U n1", "+U b"]), (Some("n1"), ["-U b", "+U n1"])] {
            let changed = [Datum::BigInt(1), name.into()];
            drop(writer.upsert(&changed).await.unwrap());
            writer.flush().await.unwrap();
            let batch = next(&mut rows).await;
            let seen: Vec<_> = texts(&batch, 0).into_iter().zip(texts(&batch, 2)).collect();
            let seen: Vec<_> = seen
                .iter()
                .map(|(change, name)| format!("{change} {name}"))
                .collect();
            assert_eq!(seen, expected);
        }
        let key = [Datum::BigInt(1)];
        drop(writer.delete(&key).await.unwrap());
        drop(writer.upsert(&row(1)).await.unwrap());
        writer.flush().await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let batch = next(&mut rows).await;
            seen.extend(texts(&batch, 0).into_iter().map(str::to_owned));
        }
        assert_eq!(seen, ["-D", "+I"]);
    }
    connection.shut_down().await.unwrap();
}

async fn another_connection_goes_on_from_a_position_with_nothing_twice_and_nothing_lost() {
    const ROWS: i64 = 3000;
    let node = node();
    let connection = connect(&node).await;
    let table = log(&connection, "t", 3).await;
    let writing = tokio::spawn(async move {
        for first in (0..ROWS).step_by(500) {
            append(&table, first..first + 500).await;
        }
    });
    let query = "SELECT id FROM t WHERE id % 2 = 0 AND name <> 'n6' EMIT CHANGES";
    let expected: Vec<i64> = (0..ROWS).filter(|id| id % 2 == 0 && id % 7 != 6).collect();
    let (mut seen, mut position) = (Vec::new(), StartFrom::Earliest);
    let mut stops = 0;
    while seen.len() < expected.len() {
        let other = connect(&node).await;
        let mut rows = follow(&session(&other), query, position).await;
        for _ in 0..=stops % 3 {
            if seen.len() < expected.len() {
                seen.extend(numbers(&next(&mut rows).await, 0));
            }
        }
        // What is computed ahead of the reader is not passed.
        if stops % 4 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if stops % 2 == 0 {
            rows.cancel();
        }
        position = StartFrom::Position(rows.position().unwrap());
        drop(rows);
        other.shut_down().await.unwrap();
        stops += 1;
    }
    writing.await.unwrap();
    seen.sort_unstable();
    assert_eq!(seen, expected);
    connection.shut_down().await.unwrap();
}

async fn a_limit_ends_the_query_and_its_position_is_behind_the_last_row() {
    let connection = connect(&node()).await;
    let table = log(&connection, "t", 1).await;
    let session = session(&connection);
    append(&table, 0..200).await;
    let query = "SELECT id FROM t WHERE id % 3 <> 0 EMIT CHANGES LIMIT ?";
    let (mut seen, mut start) = (Vec::new(), StartFrom::Earliest);
    for limit in [7_i64, 1, 30, 2, 60] {
        let mut rows = session.follow(query, [limit], start).await.unwrap();
        let mut limited = Vec::new();
        while let Some(batch) = timeout(PATIENCE, rows.try_next()).await.unwrap().unwrap() {
            limited.extend(numbers(&batch, 0));
        }
        assert_eq!(limited.len(), usize::try_from(limit).unwrap());
        assert!(rows.has_ended());
        seen.extend(limited);
        start = StartFrom::Position(rows.position().unwrap());
    }
    let expected: Vec<i64> = (0..200).filter(|id| id % 3 != 0).take(100).collect();
    assert_eq!(seen, expected);
    let nothing = session.follow(query, [0_i64], StartFrom::Earliest).await.unwrap();
    assert!(nothing.fetch_all().await.unwrap().is_empty());
    let error = session
        .follow(query, [-1_i64], StartFrom::Earliest)
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Type);
    connection.shut_down().await.unwrap();
}

async fn a_query_tells_when_it_has_caught_up() {
    let connection = connect(&node()).await;
    let table = log(&connection, "t", 3).await;
    let session = session(&connection);
    let empty = follow(&session, "SELECT id FROM t EMIT CHANGES", StartFrom::Earliest).await;
    assert!(empty.is_caught_up());
    append(&table, 0..300).await;
    let mut rows = follow(&session, "SELECT id FROM t EMIT CHANGES", StartFrom::Earliest).await;
    assert!(!rows.is_caught_up());
    assert_eq!(catch_up(&mut rows).await.num_rows(), 300);
    // Filters may leave out the last rows, or all: by the scanner, or by an expression.
    for (condition, left) in [
        ("id < 10", 10),
        ("id < 0", 0),
        ("abs(id) < 10", 10),
        ("id + 1 < 0", 0),
    ] {
        let query = format!("SELECT id FROM t WHERE {condition} EMIT CHANGES");
        let mut rows = follow(&session, &query, StartFrom::Earliest).await;
        assert_eq!(catch_up(&mut rows).await.num_rows(), left, "{condition}");
    }
    // Whoever waits for a query that ends before is told as well.
    let mut rows = follow(&session, "SELECT id FROM t EMIT CHANGES", StartFrom::Earliest).await;
    let caught_up = rows.caught_up().unwrap();
    rows.cancel();
    timeout(PATIENCE, caught_up).await.unwrap();
    assert!(!rows.is_caught_up());
    assert!(rows.next().await.is_none());
    connection.shut_down().await.unwrap();
}

async fn a_query_begins_where_it_is_told() {
    let connection = connect(&node()).await;
    let table = log(&connection, "t", 1).await;
    append(&table, 0..10).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let now = jiff::Timestamp::now().as_millisecond();
    tokio::time::sleep(Duration::from_millis(20)).await;
    append(&table, 10..20).await;
    let query = "SELECT id FROM t EMIT CHANGES";
    let local = jiff::Zoned::now()
        .time_zone()
        .to_datetime(jiff::Timestamp::from_millisecond(now).unwrap());
    for (text, first) in [
        ("earliest".to_owned(), 0),
        (now.to_string(), 10),
        (local.to_string(), 10),
        ("latest".to_owned(), 20),
    ] {
        let options = Options::default().with_offset_reset(text.parse().unwrap());
        let session = Session::new(&connection, options).unwrap();
        let outcome = session.execute(query, Parameters::default()).await.unwrap();
        let mut rows = outcome.into_rows().unwrap();
        if first == 20 {
            append(&table, 20..21).await;
        }
        assert_eq!(numbers(&next(&mut rows).await, 0)[0], first, "{text}");
    }
    let session = session(&connection);
    let start = StartFrom::from_properties([("auto.offset.reset", "latest")])
        .unwrap()
        .unwrap();
    let position = follow(&session, query, start).await.position().unwrap();
    log(&connection, "other", 1).await;
    let other = "SELECT id FROM other EMIT CHANGES";
    let elsewhere = session
        .follow(other, Parameters::default(), StartFrom::Position(position))
        .await;
    assert!(
        elsewhere
            .unwrap_err()
            .message
            .contains("the positions are in table fluss.t")
    );
    let no_query = session
        .follow("DROP TABLE other", Parameters::default(), StartFrom::Latest)
        .await;
    assert_eq!(no_query.unwrap_err().kind, ErrorKind::Unsupported);
    connection.shut_down().await.unwrap();
}

async fn partitions_that_come_later_are_followed() {
    let connection = connect(&node()).await;
    let schema = Schema::builder()
        .column("id", DataType::big_int())
        .column("day", DataType::string());
    let descriptor = TableDescriptor::builder(schema.build().unwrap())
        .partitioned_by(["day"])
        .distributed_by(2, ["id"]);
    let table = make(&connection, "p", descriptor.build().unwrap()).await;
    let session = session(&connection);
    let admin = connection.admin();
    let writer = table.append_writer().unwrap();
    let query = "SELECT id, day FROM p WHERE day <> 'b' EMIT CHANGES";
    let mut rows = follow(&session, query, StartFrom::Earliest).await;
    assert!(rows.is_caught_up());
    let mut seen = BTreeSet::new();
    for (id, day) in [(1, "a"), (2, "b"), (3, "c"), (4, "a"), (5, "d")] {
        let spec = PartitionSpec::new([("day", day)]);
        admin
            .create_partition(&table.info().path, &spec, true)
            .await
            .unwrap();
        drop(writer.append(&[Datum::BigInt(id), day.into()]).await.unwrap());
        writer.flush().await.unwrap();
        if day != "b" {
            seen.extend(numbers(&next(&mut rows).await, 0));
        }
        if id == 3 {
            let position = StartFrom::Position(rows.position().unwrap());
            rows = follow(&session, query, position).await;
        }
    }
    assert_eq!(seen, [1, 3, 4, 5].into());
    connection.shut_down().await.unwrap();
}

async fn the_columns_are_those_that_the_table_had_when_the_query_began() {
    let connection = connect(&node()).await;
    let table = log(&connection, "t", 1).await;
    let session = session(&connection);
    append(&table, 0..3).await;
    let query = "SELECT * FROM t EMIT CHANGES";
    let mut before = follow(&session, query, StartFrom::Earliest).await;
    assert_eq!(catch_up(&mut before).await.num_rows(), 3);
    let change = TableChange::add_column("more", DataType::int());
    let admin = connection.admin();
    admin
        .alter_table(&table.info().path, &[change], false)
        .await
        .unwrap();
    let altered = connection.table(&table.info().path).await.unwrap();
    let writer = altered.append_writer().unwrap();
    let [id, name] = row(3);
    drop(writer.append(&[id, name, Datum::Int(9)]).await.unwrap());
    writer.flush().await.unwrap();
    let batch = next(&mut before).await;
    assert_eq!((numbers(&batch, 0), batch.num_columns()), (vec![3], 2));
    let mut after = follow(&session, query, StartFrom::Earliest).await;
    let rows = catch_up(&mut after).await;
    let more = rows.column(2).as_primitive::<Int32Type>();
    assert_eq!((more.null_count(), more.value(3)), (3, 9));
    connection.shut_down().await.unwrap();
}

async fn what_needs_an_end_is_refused_when_it_is_planned() {
    let connection = connect(&node()).await;
    log(&connection, "t", 1).await;
    keyed(&connection, "k").await;
    let session = session(&connection);
    for (text, what, place) in [
        (
            "SELECT count(*) FROM t",
            "the aggregate count",
            "line 1, column 8",
        ),
        (
            "SELECT name, sum(id)\nFROM t\nGROUP BY name",
            "GROUP BY",
            "line 3, column 10",
        ),
        (
            "SELECT id FROM t ORDER BY id DESC",
            "ORDER BY",
            "line 1, column 27",
        ),
        ("SELECT DISTINCT name FROM t", "DISTINCT", "line 1, column 1"),
        (
            "SELECT t.id FROM t JOIN k ON t.id = k.id",
            "a join",
            "line 1, column 25",
        ),
        ("SELECT t.id FROM t, k", "a join", "line 1, column 21"),
        (
            "SELECT id, lag(id) OVER (ORDER BY id) FROM t",
            "the window function lag",
            "line 1, column 12",
        ),
        (
            "SELECT id FROM t UNION SELECT id FROM k",
            "UNION",
            "line 1, column 1",
        ),
        (
            "SELECT id FROM (SELECT id FROM t LIMIT 2) AS s",
            "LIMIT within the query",
            "line 1, column 40",
        ),
        (
            "SELECT id FROM t WHERE id IN (SELECT id FROM k)",
            "a subquery in an expression",
            "line 1, column 24",
        ),
        ("SELECT id FROM t LIMIT 2 OFFSET 1", "OFFSET", "line 1, column 24"),
    ] {
        let error = refused(&session, &format!("{text} EMIT CHANGES")).await;
        let expected = format!("{what} is not supported with EMIT CHANGES: changes have no end ({place})");
        assert_eq!(error.to_string(), expected, "{text}");
        assert_eq!(error.kind, ErrorKind::Unsupported);
    }
    for (text, kind) in [
        ("SELECT 1", ErrorKind::Unsupported),
        ("VALUES (1)", ErrorKind::Unsupported),
        ("SELECT id FROM generate_series(1, 3)", ErrorKind::Unsupported),
        ("INSERT INTO t VALUES (1, 'a')", ErrorKind::Unsupported),
        ("SELECT id FROM missing", ErrorKind::NotFound),
        ("SELECT nothing FROM t", ErrorKind::NotFound),
    ] {
        let error = refused(&session, &format!("{text} EMIT CHANGES")).await;
        assert_eq!(error.kind, kind, "{text}: {error}");
    }
    connection.shut_down().await.unwrap();
}

async fn views_are_followed_if_they_take_one_row_at_a_time() {
    let connection = connect(&node()).await;
    let table = log(&connection, "t", 1).await;
    let session = session(&connection);
    append(&table, 0..10).await;
    for text in [
        "CREATE VIEW late AS SELECT id AS number FROM t WHERE id > 6",
        "CREATE VIEW many AS SELECT count(*) AS n FROM t",
    ] {
        session.execute(text, Parameters::default()).await.unwrap();
    }
    let query = "SELECT number FROM late WHERE number <> 8 EMIT CHANGES";
    let mut rows = follow(&session, query, StartFrom::Earliest).await;
    assert_eq!(numbers(&catch_up(&mut rows).await, 0), [7, 9]);
    let error = refused(&session, "SELECT n FROM many EMIT CHANGES").await;
    assert_eq!(
        error.to_string(),
        "the aggregate count in the view 'many' is not supported with EMIT CHANGES: changes have no end \
         (line 1, column 15)"
    );
    connection.shut_down().await.unwrap();
}

async fn a_value_that_cannot_be_computed_ends_the_query() {
    let connection = connect(&node()).await;
    let table = log(&connection, "t", 1).await;
    let session = session(&connection);
    append(&table, 1..2).await;
    let query = "SELECT 10 / (id - 5) AS n FROM t EMIT CHANGES";
    let mut rows = follow(&session, query, StartFrom::Earliest).await;
    assert_eq!(next(&mut rows).await.num_rows(), 1);
    let position = rows.position().unwrap();
    append(&table, 5..6).await;
    let error = timeout(PATIENCE, rows.try_next()).await.unwrap().unwrap_err();
    assert!(
        error.to_string().to_lowercase().contains("divide by zero"),
        "{error}"
    );
    assert!(timeout(PATIENCE, rows.next()).await.unwrap().is_none());
    // The rows that it could not compute are not passed.
    assert_eq!(rows.position().unwrap(), position);
    connection.shut_down().await.unwrap();
}
