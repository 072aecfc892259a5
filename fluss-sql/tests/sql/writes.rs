//! Statements that write, transactions, and definitions: what records of statements cannot tell.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use fluss_sql::{ErrorKind, OnDuplicate, Options, Outcome, Parameters, Session, TransactionMode, Value};

use crate::world::{World, run};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("what_does_not_fit_is_not_sent", what_does_not_fit_is_not_sent),
    ("columns_left_out_stay", columns_left_out_stay),
    (
        "columns_left_out_stay_where_others_take_no_null",
        columns_left_out_stay_where_others_take_no_null,
    ),
    (
        "a_key_that_exists_may_be_refused",
        a_key_that_exists_may_be_refused,
    ),
    (
        "rows_of_parameters_are_one_write",
        rows_of_parameters_are_one_write,
    ),
    (
        "a_row_of_parameters_that_does_not_fit_is_told",
        a_row_of_parameters_that_does_not_fit_is_told,
    ),
    (
        "parameters_are_in_all_that_writes",
        parameters_are_in_all_that_writes,
    ),
    (
        "defaults_are_properties_of_the_table",
        defaults_are_properties_of_the_table,
    ),
    (
        "the_present_time_fits_any_column",
        the_present_time_fits_any_column,
    ),
    ("an_update_from_another_table", an_update_from_another_table),
    ("a_write_tells_its_plan", a_write_tells_its_plan),
    (
        "changes_at_the_same_time_may_be_lost",
        changes_at_the_same_time_may_be_lost,
    ),
    ("a_transaction_is_one_batch", a_transaction_is_one_batch),
    ("a_transaction_apart_is_refused", a_transaction_apart_is_refused),
    (
        "a_transaction_may_be_sent_in_order",
        a_transaction_may_be_sent_in_order,
    ),
    (
        "a_transaction_sees_what_it_has_written",
        a_transaction_sees_what_it_has_written,
    ),
    ("a_failed_copy_leaves_no_table", a_failed_copy_leaves_no_table),
    (
        "a_table_is_what_its_definition_says",
        a_table_is_what_its_definition_says,
    ),
];

fn in_world(name: &'static str, options: Options, test: impl AsyncFnOnce(&World)) {
    run(async {
        let world = World::new(name, options).await;
        test(&world).await;
        world.shut_down().await;
    });
}

async fn changed(world: &World, text: &str) -> u64 {
    match world.did(text).await {
        Outcome::Changed(rows) => rows,
        other => panic!("{text}: {other:?}"),
    }
}

const KEYED: &str = "CREATE TABLE k (id INT, v STRING, n INT, PRIMARY KEY (id) NOT ENFORCED)";

fn what_does_not_fit_is_not_sent() {
    in_world("misfits", Options::default(), async |world| {
        world
            .did("CREATE TABLE t (a TINYINT NOT NULL, c CHAR(2), d DECIMAL(4,1))")
            .await;
        for (values, kind, text) in [
            (
                "(1, 'x', 1), (200, 'x', 1)",
                ErrorKind::Type,
                "column 'a': 200 does not fit TINYINT (row 2)",
            ),
            (
                "(1, 'xyz', 1)",
                ErrorKind::Type,
                "column 'c': 'xyz' is longer than CHAR(2) (row 1)",
            ),
            (
                "(1, 'x', 1.25)",
                ErrorKind::Type,
                "column 'd': 1.25 has more digits than DECIMAL(4,1) (row 1)",
            ),
            (
                "(1, 'x', 1), (NULL, 'x', 1)",
                ErrorKind::Constraint,
                "column 'a': NULL, and the column is NOT NULL (row 2)",
            ),
            (
                "(1 + 199, 'x', 1)",
                ErrorKind::Type,
                "column 'a': 200 does not fit TINYINT (row 1)",
            ),
        ] {
            let error = world.refusal(&format!("INSERT INTO t VALUES {values}")).await;
            assert_eq!((error.kind, error.message.as_str()), (kind, text), "{values}");
            assert_eq!(error.written, None, "{values}");
        }
        assert_eq!(world.rows("SELECT count(*) FROM t").await, ["0"]);
    });
}

fn columns_left_out_stay() {
    in_world("parts", Options::default(), async |world| {
        world.did(KEYED).await;
        assert_eq!(changed(world, "INSERT INTO k VALUES (1, 'a', 10)").await, 1);
        let before = world.requests("LOOKUP");
        assert_eq!(
            changed(world, "INSERT INTO k (id, n) VALUES (1, 11), (2, 20)").await,
            2
        );
        assert_eq!(world.requests("LOOKUP"), before, "it is a partial update");
        assert_eq!(world.rows("SELECT * FROM k").await, ["1 a 11", "2  20"]);
    });
}

fn columns_left_out_stay_where_others_take_no_null() {
    in_world("whole", Options::default(), async |world| {
        world
            .did("CREATE TABLE k (id INT PRIMARY KEY, v STRING, n INT NOT NULL)")
            .await;
        changed(world, "INSERT INTO k VALUES (1, 'a', 10)").await;
        assert_eq!(
            changed(world, "INSERT INTO k (id, n) VALUES (1, 11), (2, 20)").await,
            2
        );
        assert_eq!(world.rows("SELECT * FROM k").await, ["1 a 11", "2  20"]);
        assert_eq!(changed(world, "UPDATE k SET v = 'b' WHERE id = 2").await, 1);
        assert_eq!(changed(world, "INSERT INTO k (id, v) VALUES (1, 'c')").await, 1);
        assert_eq!(world.rows("SELECT * FROM k").await, ["1 c 11", "2 b 20"]);
        let error = world
            .refusal("INSERT INTO k (id, v) VALUES (1, 'x'), (3, 'x')")
            .await;
        assert_eq!(error.kind, ErrorKind::Constraint, "{error}");
        assert_eq!(world.rows("SELECT * FROM k").await, ["1 c 11", "2 b 20"]);
    });
}

fn a_key_that_exists_may_be_refused() {
    let options = Options::default().with_on_duplicate(OnDuplicate::Error);
    in_world("duplicates", options, async |world| {
        world.did(KEYED).await;
        assert_eq!(
            changed(world, "INSERT INTO k VALUES (1, 'a', 1), (2, 'b', 2)").await,
            2
        );
        let error = world
            .refusal("INSERT INTO k VALUES (3, 'c', 3), (2, 'x', 0)")
            .await;
        assert_eq!(error.kind, ErrorKind::Constraint);
        assert_eq!(error.message, "fluss.k: the key (id = 2) exists already");
        let error = world
            .refusal("INSERT INTO k VALUES (3, 'c', 3), (3, 'x', 0)")
            .await;
        assert_eq!(
            error.message,
            "fluss.k: the key (id = 3) is there twice in the statement"
        );
        assert_eq!(world.rows("SELECT * FROM k").await, ["1 a 1", "2 b 2"]);
        let taken = "INSERT INTO k VALUES (2, 'B', 0) ON CONFLICT (id) DO UPDATE SET v = excluded.v";
        assert_eq!(changed(world, taken).await, 1);
        assert_eq!(
            changed(world, "INSERT INTO k SELECT id + 10, v, n FROM k").await,
            2
        );
        assert_eq!(world.rows("SELECT count(*) FROM k").await, ["4"]);
        // A log table has no keys.
        world.did("CREATE TABLE log (id INT)").await;
        assert_eq!(changed(world, "INSERT INTO log VALUES (1), (1)").await, 2);
    });
}

fn numbers(rows: std::ops::Range<i64>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(rows.map(|id| format!("v{id}"))));
    RecordBatch::try_from_iter([("a", ids), ("b", names)]).unwrap()
}

fn rows_of_parameters_are_one_write() {
    in_world("many", Options::default(), async |world| {
        world.did("CREATE TABLE k (id INT, v STRING, n INT, PRIMARY KEY (id) NOT ENFORCED) DISTRIBUTED INTO 1 BUCKETS").await;
        let prepared = world
            .session
            .prepare("INSERT INTO k VALUES (?, ?, 7)")
            .await
            .unwrap();
        let before = world.requests("PUT_KV");
        assert_eq!(prepared.execute_many(numbers(0..1_000)).await.unwrap(), 1_000);
        assert_eq!(world.requests("PUT_KV") - before, 1);
        assert_eq!(
            world
                .rows("SELECT count(*), sum(id), min(n), max(v) FROM k")
                .await,
            ["1000 499500 7 v999"]
        );
        let rows = (1_000_i64..1_100).map(|id| Parameters::from([Value::from(id), Value::from("x")]));
        let before = world.requests("PUT_KV");
        assert_eq!(prepared.execute_rows(rows.collect()).await.unwrap(), 100);
        assert_eq!(world.requests("PUT_KV") - before, 1);
        let changing = world
            .session
            .prepare("UPDATE k SET v = $2 WHERE id = $1")
            .await
            .unwrap();
        assert_eq!(changing.execute_many(numbers(5..8)).await.unwrap(), 3);
        let deleting = world
            .session
            .prepare("DELETE FROM k WHERE id >= $least")
            .await
            .unwrap();
        let rows = vec![
            Parameters::named([("least", 1_050_i64)]),
            Parameters::named([("least", 1_000_i64)]),
        ];
        assert_eq!(deleting.execute_rows(rows).await.unwrap(), 100);
        let error = prepared
            .execute_many(numbers(0..1).project(&[0]).unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Type, "{error}");
        let query = world
            .session
            .prepare("SELECT * FROM k WHERE id = ?")
            .await
            .unwrap();
        assert!(
            query
                .execute_many(numbers(0..1).project(&[0]).unwrap())
                .await
                .is_err()
        );
    });
}

fn a_row_of_parameters_that_does_not_fit_is_told() {
    in_world("many_misfits", Options::default(), async |world| {
        world.did("CREATE TABLE t (id TINYINT, v STRING)").await;
        let prepared = world
            .session
            .prepare("INSERT INTO t VALUES (?, ?)")
            .await
            .unwrap();
        let error = prepared.execute_many(numbers(120..130)).await.unwrap_err();
        assert_eq!(error.message, "column 'id': 128 does not fit TINYINT (row 9)");
        assert_eq!(world.rows("SELECT count(*) FROM t").await, ["0"]);
        // Expressions that are planned are carried out row by row.
        let computed = world
            .session
            .prepare("INSERT INTO t VALUES (? + 0, upper(?))")
            .await
            .unwrap();
        let error = computed.execute_many(numbers(126..130)).await.unwrap_err();
        assert_eq!(error.written, Some(2), "{error}");
        assert_eq!(world.rows("SELECT * FROM t").await, ["126 V126", "127 V127"]);
    });
}

fn parameters_are_in_all_that_writes() {
    in_world("parameters_of_writes", Options::default(), async |world| {
        world.did(KEYED).await;
        let execute =
            async |text: &str, parameters: Parameters| match world.session.execute(text, parameters).await {
                Ok(Outcome::Changed(rows)) => rows,
                other => panic!("{text}: {other:?}"),
            };
        let parameters = Parameters::from([Value::from(1_i64), Value::Null, Value::from(2_i64)]);
        assert_eq!(
            execute("INSERT INTO k VALUES (?, ?, ? * 10)", parameters).await,
            1
        );
        let parameters = Parameters::from([Value::from("x"), Value::from(1_i64)]);
        assert_eq!(execute("UPDATE k SET v = ? WHERE id = ?", parameters).await, 1);
        let parameters = Parameters::named([("more", Value::from(5_i64)), ("least", Value::from(1_i64))]);
        let text = "INSERT INTO k SELECT id, 'y', 0 FROM k \
                    ON CONFLICT (id) DO UPDATE SET n = k.n + $more, v = excluded.v WHERE k.n > $least";
        assert_eq!(execute(text, parameters).await, 1);
        assert_eq!(world.rows("SELECT * FROM k").await, ["1 y 25"]);
        assert_eq!(
            execute("DELETE FROM k WHERE n = ?", Parameters::from([25_i64])).await,
            1
        );
    });
}

fn defaults_are_properties_of_the_table() {
    in_world("defaults", Options::default(), async |world| {
        world
            .did("CREATE TABLE d (id INT PRIMARY KEY, state STRING DEFAULT 'new', n INT DEFAULT -1, at TIMESTAMP(3) DEFAULT now())")
            .await;
        let path = "fluss.d".parse().unwrap();
        let info = world.connection.admin().table_info(&path).await.unwrap();
        let properties = info.descriptor.custom_properties();
        assert_eq!(properties.get("sql.default.state").unwrap(), "'new'");
        assert_eq!(properties.get("sql.default.n").unwrap(), "-1");
        changed(world, "INSERT INTO d (id) VALUES (1)").await;
        changed(world, "INSERT INTO d VALUES (2, DEFAULT, 5, DEFAULT)").await;
        changed(world, "INSERT INTO d (id, state) SELECT 3, 'old'").await;
        changed(world, "UPDATE d SET state = DEFAULT WHERE id = 3").await;
        let rows = world
            .rows("SELECT id, state, n FROM d WHERE at IS NOT NULL")
            .await;
        assert_eq!(rows, ["1 new -1", "2 new 5", "3 new -1"]);
        world.did("ALTER TABLE d ALTER COLUMN n SET DEFAULT 9").await;
        world.did("ALTER TABLE d ALTER COLUMN state DROP DEFAULT").await;
        changed(world, "INSERT INTO d (id) VALUES (4)").await;
        assert_eq!(
            world.rows("SELECT id, state, n FROM d WHERE id = 4").await,
            ["4  9"]
        );
    });
}

fn the_present_time_fits_any_column() {
    in_world("now", Options::default(), async |world| {
        world
            .did("CREATE TABLE t (id INT PRIMARY KEY, a TIMESTAMP(0), b TIMESTAMP, c TIMESTAMP_LTZ(3), d TIMESTAMP_LTZ(9))")
            .await;
        let now = "CURRENT_TIMESTAMP";
        changed(
            world,
            &format!("INSERT INTO t VALUES (1, now(), {now}, now(), {now})"),
        )
        .await;
        changed(world, "UPDATE t SET a = now(), c = CURRENT_TIMESTAMP").await;
        changed(
            world,
            "INSERT INTO t SELECT 2, now(), now() - INTERVAL '3 days', now(), now()",
        )
        .await;
        changed(
            world,
            "INSERT INTO t (id, a) VALUES (2, now() - INTERVAL '3 days')",
        )
        .await;
        changed(world, "DELETE FROM t WHERE b < now() - INTERVAL '2 days'").await;
        changed(
            world,
            "INSERT INTO t (id) VALUES (1) ON CONFLICT DO UPDATE SET a = now(), d = now()",
        )
        .await;
        let near = "SELECT count(*) FROM t WHERE c > now() - INTERVAL '1 minute' AND d > now() - INTERVAL '1 minute'";
        assert_eq!(world.rows(near).await, ["1"]);
        let local = jiff::Zoned::now().datetime();
        let text = format!(
            "SELECT count(*) FROM t WHERE b BETWEEN TIMESTAMP '{local}' - INTERVAL '1 minute' AND TIMESTAMP '{local}' + INTERVAL '1 minute'"
        );
        assert_eq!(world.rows(&text).await, ["1"], "without a zone it is local time");
    });
}

fn an_update_from_another_table() {
    in_world("update_from", Options::default(), async |world| {
        world.did(KEYED).await;
        world.did("CREATE TABLE o (id INT, w STRING)").await;
        changed(
            world,
            "INSERT INTO k VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)",
        )
        .await;
        changed(
            world,
            "INSERT INTO o VALUES (1, 'one'), (3, 'three'), (3, 'drei')",
        )
        .await;
        let text = "UPDATE k SET v = o.w FROM o WHERE o.id = k.id AND o.w <> 'drei'";
        assert_eq!(changed(world, text).await, 2);
        let error = world
            .refusal("UPDATE k SET v = o.w FROM o WHERE o.id = k.id")
            .await;
        assert_eq!(error.kind, ErrorKind::Constraint);
        assert!(error.message.contains("(id = 3)"), "{error}");
        assert_eq!(
            world.rows("SELECT * FROM k").await,
            ["1 one 1", "2 b 2", "3 three 3"]
        );
        let error = world.refusal("UPDATE k SET id = 9 WHERE id = 1").await;
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.contains("'id'"), "{error}");
    });
}

fn a_write_tells_its_plan() {
    in_world("explained", Options::default(), async |world| {
        world.did(KEYED).await;
        let told = world
            .rows("EXPLAIN UPDATE k SET v = 'x' WHERE n > 1")
            .await
            .join("\n");
        assert!(told.contains("Update: fluss.k (id, v)"), "{told}");
        assert!(told.contains("FlussScan"), "{told}");
        let told = world.rows("EXPLAIN DELETE FROM k WHERE id = 1").await.join("\n");
        assert!(told.contains("Delete: fluss.k by (id)"), "{told}");
        let told = world
            .rows("EXPLAIN INSERT INTO k (id, v) VALUES (1, 'x')")
            .await
            .join("\n");
        assert!(
            told.contains("Insert: fluss.k (id, v): upsert, other columns stay, 1 rows of values"),
            "{told}"
        );
        assert_eq!(world.rows("SELECT count(*) FROM k").await, ["0"]);
    });
}

/// What the pages say: UPDATE reads, and writes afterwards.
fn changes_at_the_same_time_may_be_lost() {
    in_world("lost", Options::default(), async |world| {
        world.did(KEYED).await;
        changed(world, "INSERT INTO k VALUES (1, 'stock', 100)").await;
        let sessions = (0..8).map(|_| {
            let session = Session::new(&world.connection, Options::default()).unwrap();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let text = "UPDATE k SET n = n - 1 WHERE id = 1";
                    session.execute(text, Parameters::default()).await.unwrap();
                }
            })
        });
        futures::future::join_all(sessions).await;
        let left: i64 = world.rows("SELECT n FROM k").await[0].parse().unwrap();
        assert!(
            (60..100).contains(&left),
            "{left} are left of 100 after 40 decrements"
        );
    });
}

fn a_transaction_is_one_batch() {
    in_world("together", Options::default(), async |world| {
        world
            .did(
                "CREATE TABLE k (id INT, v STRING, PRIMARY KEY (id) NOT ENFORCED) DISTRIBUTED INTO 1 BUCKETS",
            )
            .await;
        changed(world, "INSERT INTO k VALUES (1, 'a'), (2, 'b')").await;
        let before = world.requests("PUT_KV");
        world.session.begin().await.unwrap();
        changed(world, "INSERT INTO k VALUES (3, 'c'), (4, 'd')").await;
        changed(world, "DELETE FROM k WHERE id IN (1, 4)").await;
        changed(world, "UPDATE k SET v = v || '!'").await;
        assert_eq!(world.requests("PUT_KV"), before);
        let other = Session::new(&world.connection, Options::default()).unwrap();
        let seen = other
            .execute("SELECT count(*) FROM k", Parameters::default())
            .await
            .unwrap();
        let seen = seen.into_rows().unwrap().fetch_all().await.unwrap();
        assert_eq!(crate::world::lines(&seen), ["2"]);
        world.session.commit().await.unwrap();
        assert_eq!(world.requests("PUT_KV") - before, 1);
        assert_eq!(world.rows("SELECT * FROM k").await, ["2 b!", "3 c!"]);
        assert_eq!(
            world.session.commit().await.unwrap_err().kind,
            ErrorKind::Conflict
        );
        // Of nothing there is nothing to send.
        world.session.begin().await.unwrap();
        changed(world, "DELETE FROM k WHERE false").await;
        world.session.commit().await.unwrap();
    });
}

fn a_transaction_apart_is_refused() {
    in_world("apart", Options::default(), async |world| {
        world
            .did(
                "CREATE TABLE k (id INT, v STRING, PRIMARY KEY (id) NOT ENFORCED) DISTRIBUTED INTO 3 BUCKETS",
            )
            .await;
        world.did("CREATE TABLE log (id INT)").await;
        world.session.begin().await.unwrap();
        changed(
            world,
            "INSERT INTO k SELECT value, 'x' FROM generate_series(1, 30)",
        )
        .await;
        let error = world.session.commit().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        for bucket in 0..3 {
            assert!(error.message.contains(&format!("in bucket {bucket}")), "{error}");
        }
        world.session.begin().await.unwrap();
        changed(world, "INSERT INTO k VALUES (1, 'x')").await;
        changed(world, "INSERT INTO log VALUES (1)").await;
        let error = world.session.commit().await.unwrap_err();
        assert!(error.message.contains("1 of fluss.k, 1 of fluss.log"), "{error}");
        assert_eq!(world.rows("SELECT count(*) FROM k").await, ["0"]);
        assert_eq!(world.rows("SELECT count(*) FROM log").await, ["0"]);
    });
}

fn a_transaction_may_be_sent_in_order() {
    let options = Options::default().with_transactions(TransactionMode::Batch);
    in_world("in_order", options, async |world| {
        world
            .did(
                "CREATE TABLE k (id INT, v STRING, PRIMARY KEY (id) NOT ENFORCED) DISTRIBUTED INTO 3 BUCKETS",
            )
            .await;
        world.did("CREATE TABLE log (id INT)").await;
        world
            .did("CREATE TABLE days (day STRING, id INT) PARTITIONED BY (day)")
            .await;
        world.did("BEGIN").await;
        changed(
            world,
            "INSERT INTO k SELECT value, 'x' FROM generate_series(1, 30)",
        )
        .await;
        changed(world, "INSERT INTO log VALUES (1), (2)").await;
        world.did("COMMIT").await;
        assert_eq!(world.rows("SELECT count(*) FROM k").await, ["30"]);
        assert_eq!(world.rows("SELECT count(*) FROM log").await, ["2"]);
        world.did("BEGIN").await;
        changed(world, "INSERT INTO log VALUES (3)").await;
        changed(world, "INSERT INTO days VALUES ('a/b', 1)").await;
        let error = world.refusal("COMMIT").await;
        assert!(
            error.message.contains("committed before it: 1 rows of fluss.log"),
            "{error}"
        );
        assert_eq!(error.written, Some(1));
        assert_eq!(world.rows("SELECT count(*) FROM log").await, ["3"]);
        // Of a table that is gone by then nothing is sent, nor of others.
        world.did("BEGIN").await;
        changed(world, "INSERT INTO log VALUES (4)").await;
        changed(world, "INSERT INTO days VALUES ('2024', 1)").await;
        world.did("DROP TABLE days").await;
        assert_eq!(world.refusal("COMMIT").await.kind, ErrorKind::Conflict);
        assert_eq!(world.rows("SELECT count(*) FROM log").await, ["3"]);
    });
}

fn a_transaction_sees_what_it_has_written() {
    in_world("own_writes", Options::default(), async |world| {
        world.did("CREATE TABLE k (id INT, v STRING, n INT, PRIMARY KEY (id) NOT ENFORCED) DISTRIBUTED INTO 1 BUCKETS").await;
        changed(world, "INSERT INTO k VALUES (1, 'a', 1), (2, 'b', 2)").await;
        world.did("BEGIN").await;
        changed(world, "INSERT INTO k (id, n) VALUES (2, 20), (3, 30)").await;
        assert_eq!(world.rows("SELECT * FROM k").await, ["1 a 1", "2 b 20", "3  30"]);
        assert_eq!(changed(world, "DELETE FROM k WHERE n = 1").await, 1);
        assert_eq!(
            changed(
                world,
                "INSERT INTO k VALUES (1, 'new', 5), (3, 'x', 0) ON CONFLICT DO NOTHING"
            )
            .await,
            1
        );
        let text = "INSERT INTO k VALUES (3, 'y', 1) ON CONFLICT (id) DO UPDATE SET n = k.n + excluded.n, v = excluded.v";
        assert_eq!(changed(world, text).await, 1);
        assert_eq!(
            world.rows("SELECT * FROM k").await,
            ["1 new 5", "2 b 20", "3 y 31"]
        );
        assert_eq!(world.rows("SELECT v FROM k WHERE id = 3").await, ["y"]);
        assert_eq!(
            world.rows("SELECT count(*), sum(n) FROM k WHERE n > 5").await,
            ["2 51"]
        );
        world.did("ROLLBACK").await;
        assert_eq!(world.rows("SELECT * FROM k").await, ["1 a 1", "2 b 2"]);
    });
}

fn a_failed_copy_leaves_no_table() {
    in_world("copies", Options::default(), async |world| {
        world.did(KEYED).await;
        changed(world, "INSERT INTO k VALUES (1, 'a', 1), (2, NULL, 0)").await;
        let error = world
            .refusal("CREATE TABLE c AS SELECT id, 1 / n AS x FROM k")
            .await;
        assert_eq!(error.written, None, "{error}");
        assert_eq!(world.refusal("SELECT * FROM c").await.kind, ErrorKind::NotFound);
        let error = world
            .refusal("CREATE TABLE c (PRIMARY KEY (v) NOT ENFORCED) AS SELECT v, n FROM k")
            .await;
        assert_eq!(error.kind, ErrorKind::Constraint, "{error}");
        assert_eq!(world.refusal("SELECT * FROM c").await.kind, ErrorKind::NotFound);
        let copied = changed(
            world,
            "CREATE TABLE c (PRIMARY KEY (id) NOT ENFORCED) AS SELECT *, row_number() OVER () AS r FROM k",
        )
        .await;
        assert_eq!(copied, 2);
        assert_eq!(world.rows("SELECT count(*), sum(r) FROM c").await, ["2 3"]);
    });
}

fn a_table_is_what_its_definition_says() {
    in_world("definitions", Options::default(), async |world| {
        world
            .did(
                "CREATE TABLE orders (id BIGINT, day STRING, price DECIMAL COMMENT 'in cents', note VARCHAR(20), \
                 PRIMARY KEY (day, id) NOT ENFORCED) COMMENT 'all of them' PARTITIONED BY (day) \
                 DISTRIBUTED BY HASH (id) INTO 4 BUCKETS WITH ('table.log.ttl' = '7 d', 'owner' = 'data')",
            )
            .await;
        let path = "fluss.orders".parse().unwrap();
        let admin = world.connection.admin();
        let info = admin.table_info(&path).await.unwrap();
        assert_eq!(
            info.row_type().to_string(),
            "ROW<id BIGINT NOT NULL,day STRING NOT NULL,price DECIMAL(38,10),note CHAR(20)>"
        );
        assert_eq!(info.schema().primary_key(), ["day", "id"]);
        assert_eq!(info.descriptor.partition_keys(), ["day"]);
        assert_eq!(info.descriptor.bucket_keys(), ["id"]);
        assert_eq!(info.bucket_count, 4);
        assert_eq!(info.descriptor.comment(), Some("all of them"));
        assert_eq!(info.schema().columns()[2].comment.as_deref(), Some("in cents"));
        assert_eq!(info.descriptor.properties().get("table.log.ttl").unwrap(), "7 d");
        assert_eq!(info.descriptor.custom_properties().get("owner").unwrap(), "data");
        world
            .did("ALTER TABLE orders ADD PARTITION (day = '2024-01-01'), PARTITION (day = '2024-01-02')")
            .await;
        assert_eq!(admin.list_partitions(&path, None).await.unwrap().len(), 2);
        world
            .did("ALTER TABLE orders ADD (a INT COMMENT 'later', b ARRAY<INT>)")
            .await;
        world
            .did("CREATE TABLE alike LIKE orders WITH ('owner' = 'somebody')")
            .await;
        let alike = admin.table_info(&"fluss.alike".parse().unwrap()).await.unwrap();
        assert_eq!(alike.row_type().len(), 6);
        assert_eq!(alike.descriptor.bucket_keys(), ["id"]);
        assert_eq!(
            alike.descriptor.custom_properties().get("owner").unwrap(),
            "somebody"
        );
    });
}
