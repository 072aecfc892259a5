//! Statements on tables that the client writes.

use std::collections::BTreeMap;
use std::time::Duration;

use fluss_client::Table;
use fluss_client::types::{DataType, Datum, PartitionSpec, Schema, TableDescriptor, TablePath};
use fluss_sql::{Error, ErrorKind, Options, Parameters, Position, Session, Value};

use crate::world::{World, lines, run};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_log_is_read", a_log_is_read),
    ("a_key_table_is_read", a_key_table_is_read),
    ("a_count_comes_from_offsets", a_count_comes_from_offsets),
    (
        "hidden_columns_are_there_for_whoever_names_them",
        hidden_columns_are_there_for_whoever_names_them,
    ),
    ("changes_are_a_table", changes_are_a_table),
    ("a_table_is_read_as_it_was", a_table_is_read_as_it_was),
    ("parameters_are_values", parameters_are_values),
    ("names_are_as_they_are_written", names_are_as_they_are_written),
    (
        "what_is_not_there_is_told_with_its_place",
        what_is_not_there_is_told_with_its_place,
    ),
    (
        "nothing_is_stale_after_changes_elsewhere",
        nothing_is_stale_after_changes_elsewhere,
    ),
    ("partitions_are_pruned", partitions_are_pruned),
    ("a_plan_tells_what_is_read", a_plan_tells_what_is_read),
    ("what_there_is_is_shown", what_there_is_is_shown),
    ("files_are_not_touched", files_are_not_touched),
    (
        "a_prepared_statement_knows_its_parameters",
        a_prepared_statement_knows_its_parameters,
    ),
    ("floats_compare_as_in_plans", floats_compare_as_in_plans),
];

/// The table `fluss.NAME` with columns `id BIGINT, name STRING, price DOUBLE`.
pub(crate) async fn create(world: &World, name: &str, keyed: bool, buckets: i32) -> Table {
    let schema = Schema::builder()
        .column("id", DataType::big_int())
        .column("name", DataType::string())
        .column("price", DataType::double());
    let schema = if keyed { schema.primary_key(["id"]) } else { schema };
    let keys: &[&str] = &["id"];
    let descriptor = TableDescriptor::builder(schema.build().unwrap());
    let descriptor = descriptor
        .distributed_by(buckets, keys.iter().copied())
        .build()
        .unwrap();
    let path = TablePath::new("fluss", name);
    world
        .connection
        .admin()
        .create_table(&path, &descriptor, false)
        .await
        .unwrap();
    world.connection.table(&path).await.unwrap()
}

pub(crate) fn row(id: i64) -> [Datum<'static>; 3] {
    [
        id.into(),
        format!("name {}", id % 10).into(),
        (id as f64 / 2.0).into(),
    ]
}

/// Writes rows with these ids.
pub(crate) async fn write(table: &Table, ids: impl IntoIterator<Item = i64>) {
    if table.info().has_primary_key() {
        let writer = table.upsert_writer().unwrap();
        for id in ids {
            writer.upsert(&row(id)).await.unwrap();
        }
        writer.flush().await.unwrap();
    } else {
        let writer = table.append_writer().unwrap();
        for id in ids {
            writer.append(&row(id)).await.unwrap();
        }
        writer.flush().await.unwrap();
    }
}

fn in_world(name: &'static str, test: impl AsyncFnOnce(&World)) {
    run(async {
        let world = World::new(name, Options::default()).await;
        test(&world).await;
        world.shut_down().await;
    });
}

fn a_log_is_read() {
    in_world("log", async |world| {
        let table = create(world, "events", false, 3).await;
        assert!(world.batches("SELECT * FROM events").await.is_empty());
        write(&table, 0..1_000).await;
        assert_eq!(
            world
                .rows("SELECT count(*), sum(id), max(name) FROM events")
                .await,
            ["1000 499500 name 9"]
        );
        let few = world
            .rows("SELECT id, upper(name) AS name FROM events WHERE id IN (3, 5) OR id > 998")
            .await;
        assert_eq!(few, ["3 NAME 3", "5 NAME 5", "999 NAME 9"]);
        assert_eq!(
            world
                .rows("SELECT id FROM fluss.events AS e ORDER BY e.id DESC LIMIT 2")
                .await,
            ["998", "999"]
        );
        assert_eq!(
            world.rows("SELECT count(*) FROM events WHERE price >= 499").await,
            ["2"]
        );
        assert_eq!(
            world.rows("SELECT 1 AS one FROM events LIMIT 3").await,
            ["1", "1", "1"]
        );
        let groups = world
            .rows("SELECT name, count(*) FROM events GROUP BY name HAVING min(id) < 2")
            .await;
        assert_eq!(groups, ["name 0 100", "name 1 100"]);
    });
}

fn a_key_table_is_read() {
    in_world("keys", async |world| {
        let table = create(world, "people", true, 3).await;
        write(&table, 0..500).await;
        write(&table, 100..200).await;
        let writer = table.upsert_writer().unwrap();
        writer
            .delete(&[Datum::from(7_i64)])
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert_eq!(
            world.rows("SELECT count(*), min(id), sum(id) FROM people").await,
            ["499 0 124743"]
        );
        assert_eq!(
            world.rows("SELECT name FROM people WHERE id = 8").await,
            ["name 8"]
        );
        assert!(
            world
                .batches("SELECT name FROM people WHERE id = 7")
                .await
                .iter()
                .all(|batch| batch.num_rows() == 0)
        );
        let joined = world
            .rows("SELECT a.id, b.name FROM people a JOIN people b ON a.id = b.id + 1 WHERE a.id BETWEEN 9 AND 10")
            .await;
        assert_eq!(joined, ["10 name 9", "9 name 8"]);
    });
}

fn a_count_comes_from_offsets() {
    in_world("counts", async |world| {
        let table = create(world, "events", false, 2).await;
        write(&table, 0..100).await;
        let before = world.requests("FETCH_LOG");
        assert_eq!(world.rows("SELECT count(*) FROM events").await, ["100"]);
        assert_eq!(world.requests("FETCH_LOG"), before);
        assert_eq!(
            world.rows("SELECT count(*) FROM events WHERE id < 50").await,
            ["50"]
        );
        assert!(world.requests("FETCH_LOG") > before);
    });
}

fn hidden_columns_are_there_for_whoever_names_them() {
    in_world("hidden", async |world| {
        let table = create(world, "events", false, 1).await;
        write(&table, 0..3).await;
        let all = world.batches("SELECT * FROM events").await;
        assert_eq!(all[0].schema().fields().len(), 3);
        let told = world
            .rows("SELECT _offset, _bucket, _change_type, id FROM events WHERE _offset > 0")
            .await;
        assert_eq!(told, ["1 0 +A 1", "2 0 +A 2"]);
        // `*` does not stand for them, even where they are named.
        let named = world.batches("SELECT * FROM events ORDER BY _offset DESC").await;
        assert_eq!(named[0].schema().fields().len(), 3);
        let recent = world
            .rows("SELECT count(*) FROM events WHERE _timestamp > now() - INTERVAL '1 hour'")
            .await;
        assert_eq!(recent, ["3"]);
        let error = world.refusal("SELECT _other FROM events").await;
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    });
}

fn changes_are_a_table() {
    in_world("changes", async |world| {
        let table = create(world, "people", true, 1).await;
        write(&table, [1]).await;
        write(&table, [1]).await;
        let writer = table.upsert_writer().unwrap();
        writer
            .delete(&[Datum::from(1_i64)])
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        let changes = world
            .rows("SELECT _offset, _change_type, id FROM people$changelog")
            .await;
        assert!(
            changes.first().is_some_and(|first| first == "0 +I 1"),
            "{changes:?}"
        );
        assert!(
            changes.last().is_some_and(|last| last.ends_with("-D 1")),
            "{changes:?}"
        );
        assert_eq!(world.rows("SELECT count(*) FROM people").await, ["0"]);
    });
}

fn a_table_is_read_as_it_was() {
    in_world("moments", async |world| {
        let people = create(world, "people", true, 2).await;
        let events = create(world, "events", false, 2).await;
        write(&people, 0..5).await;
        write(&events, 0..5).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let then = jiff::Timestamp::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        write(&people, 5..9).await;
        write(&events, 5..9).await;
        let micros = then.as_microsecond();
        for table in ["people", "events"] {
            for of in [
                format!("AS OF TIMESTAMP '{then}'"),
                format!("FOR SYSTEM_TIME AS OF '{then}'"),
                format!("TIMESTAMP AS OF '{then}'"),
            ] {
                let then = world.rows(&format!("SELECT count(*) FROM {table} {of}")).await;
                assert_eq!(then, ["5"], "{table} {of}");
            }
            for of in [
                "AS OF TIMESTAMP ?",
                "FOR SYSTEM_TIME AS OF ?",
                "TIMESTAMP AS OF ?",
            ] {
                let text = format!("SELECT count(*) FROM {table} {of} AS t");
                let rows = world
                    .session
                    .execute(&text, Parameters::from([Value::Instant(micros)]))
                    .await;
                let rows = rows.unwrap().into_rows().unwrap().fetch_all().await.unwrap();
                assert_eq!(lines(&rows), ["5"], "{text}");
            }
        }
        let both = "SELECT count(new.id), count(old.id) FROM people AS new \
                    LEFT JOIN people AS OF TIMESTAMP ? AS old ON new.id = old.id";
        let rows = world
            .session
            .execute(both, Parameters::from([Value::Instant(micros)]))
            .await;
        let rows = rows.unwrap().into_rows().unwrap().fetch_all().await.unwrap();
        assert_eq!(lines(&rows), ["9 5"]);
        let error = world.refusal("SELECT * FROM people AS OF TIMESTAMP id").await;
        assert!(
            matches!(error.kind, ErrorKind::NotFound | ErrorKind::Type),
            "{error}"
        );
        assert_eq!(
            world.refusal("SELECT * FROM people VERSION AS OF 3").await.kind,
            ErrorKind::Unsupported
        );
    });
}

fn parameters_are_values() {
    in_world("parameters", async |world| {
        let table = create(world, "people", true, 1).await;
        write(&table, 0..10).await;
        let ask = async |text: &str, parameters: Parameters| -> Result<Vec<String>, Error> {
            let rows = world.session.execute(text, parameters).await?.into_rows()?;
            Ok(lines(&rows.fetch_all().await?))
        };
        let by_number = ask("SELECT name FROM people WHERE id = ?", Parameters::from([3_i64])).await;
        assert_eq!(by_number.unwrap(), ["name 3"]);
        let named = Parameters::named([("low", 2_i64), ("high", 4)]);
        let found = ask("SELECT id FROM people WHERE id BETWEEN :low AND $high", named).await;
        assert_eq!(found.unwrap(), ["2", "3", "4"]);
        let text = ask(
            "SELECT id FROM people WHERE name = ?",
            Parameters::from(["name 3' OR 'a' = 'a"]),
        )
        .await;
        assert!(text.unwrap().is_empty());
        assert_eq!(
            ask(
                "SELECT id FROM people ORDER BY id LIMIT ?",
                Parameters::from([2_i64])
            )
            .await
            .unwrap(),
            ["0", "1"]
        );
        let kinds = ask(
            "SELECT arrow_typeof($1), arrow_typeof($2), arrow_typeof($3), $4 IS NULL",
            Parameters::Positional(vec![
                1.5.into(),
                Value::Date(3),
                Value::Decimal(125, 5, 2),
                Value::Null,
            ]),
        );
        assert_eq!(kinds.await.unwrap(), ["Float64 Date32 Decimal128(5, 2) true"]);
        for (text, values) in [
            ("SELECT ?", 0),
            ("SELECT ?", 2),
            ("SELECT 1", 1),
            ("SELECT $2", 1),
        ] {
            let values: Vec<i64> = (0..values).collect();
            let error = ask(text, values.into()).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Type, "{text}: {error}");
        }
    });
}

fn names_are_as_they_are_written() {
    in_world("names", async |world| {
        create(world, "People", true, 1).await;
        assert_eq!(world.rows("SELECT COUNT(*) FROM People").await, ["0"]);
        assert_eq!(
            world.rows("SELECT Count(\"id\") FROM fluss.`People`").await,
            ["0"]
        );
        assert_eq!(
            world.refusal("SELECT * FROM people").await.kind,
            ErrorKind::NotFound
        );
        assert_eq!(
            world.refusal("SELECT ID FROM People").await.kind,
            ErrorKind::NotFound
        );
        assert_eq!(
            world.refusal("SELECT * FROM a.b.People").await.kind,
            ErrorKind::NotFound
        );
    });
}

fn what_is_not_there_is_told_with_its_place() {
    in_world("places", async |world| {
        create(world, "people", true, 1).await;
        let error = world.refusal("SELECT *\nFROM nowhere").await;
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(error.message.contains("nowhere"), "{error}");
        assert_eq!(error.at, Some(Position { line: 2, column: 6 }), "{error}");
        let error = world.refusal("SELECT id,\n  nothing FROM people").await;
        assert_eq!(error.at, Some(Position { line: 2, column: 3 }), "{error}");
        let error = world.refusal("SELECT no_such(id) FROM people").await;
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert_eq!(world.refusal("SELEC 1").await.kind, ErrorKind::Syntax);
        assert_eq!(
            world.refusal("COPY people TO 'x.csv'").await.kind,
            ErrorKind::Unsupported
        );
    });
}

fn nothing_is_stale_after_changes_elsewhere() {
    in_world("stale", async |world| {
        let table = create(world, "people", true, 1).await;
        write(&table, 0..3).await;
        assert_eq!(world.rows("SELECT count(*) FROM people").await, ["3"]);
        let path = TablePath::new("fluss", "people");
        world.connection.admin().drop_table(&path, false).await.unwrap();
        assert_eq!(
            world.refusal("SELECT * FROM people").await.kind,
            ErrorKind::NotFound
        );
        let table = create(world, "people", false, 1).await;
        write(&table, 0..2).await;
        assert_eq!(
            world.rows("SELECT count(*) FROM people WHERE _offset >= 0").await,
            ["2"]
        );
    });
}

fn partitions_are_pruned() {
    in_world("pruned", async |world| {
        let admin = world.connection.admin();
        for (name, keyed) in [("logs", false), ("kept", true)] {
            let schema = Schema::builder()
                .column("day", DataType::string())
                .column("id", DataType::big_int());
            let schema = if keyed {
                schema.primary_key(["day", "id"])
            } else {
                schema
            };
            let descriptor = TableDescriptor::builder(schema.build().unwrap()).partitioned_by(["day"]);
            let path = TablePath::new("fluss", name);
            let descriptor = descriptor.distributed_by(2, ["id"]).build().unwrap();
            admin.create_table(&path, &descriptor, false).await.unwrap();
            for day in ["2024-01-01", "2024-01-02", "2024-01-03"] {
                admin
                    .create_partition(&path, &PartitionSpec::new([("day", day)]), false)
                    .await
                    .unwrap();
            }
            let table = world.connection.table(&path).await.unwrap();
            for (index, day) in ["2024-01-01", "2024-01-02", "2024-01-03"].into_iter().enumerate() {
                let row = [day.into(), Datum::BigInt(index as i64)];
                if keyed {
                    table
                        .upsert_writer()
                        .unwrap()
                        .upsert(&row)
                        .await
                        .unwrap()
                        .wait()
                        .await
                        .unwrap();
                } else {
                    table
                        .append_writer()
                        .unwrap()
                        .append(&row)
                        .await
                        .unwrap()
                        .wait()
                        .await
                        .unwrap();
                }
            }
            let found = world
                .rows(&format!("SELECT id FROM {name} WHERE day > '2024-01-02'"))
                .await;
            assert_eq!(found, ["2"], "{name}");
            let plan = world
                .rows(&format!("EXPLAIN SELECT id FROM {name} WHERE day > '2024-01-02'"))
                .await;
            assert!(plan.iter().any(|line| line.contains("buckets=2")), "{plan:#?}");
            let none = world
                .rows(&format!("SELECT id FROM {name} WHERE day = '2030-01-01'"))
                .await;
            assert!(none.is_empty(), "{none:?}");
        }
    });
}

fn a_plan_tells_what_is_read() {
    in_world("plans", async |world| {
        create(world, "events", false, 3).await;
        create(world, "people", true, 3).await;
        let plan = world
            .rows("EXPLAIN SELECT id FROM events WHERE id > 3 AND price < 2.0")
            .await
            .join("\n");
        for part in [
            "FlussScan: fluss.events",
            "read=log",
            "buckets=3",
            "filter=id > 3",
            "FilterExec: price",
        ] {
            assert!(plan.contains(part), "{part}: {plan}");
        }
        let plan = world
            .rows("EXPLAIN SELECT name FROM people WHERE id IN (3, 4) AND name > 'a'")
            .await
            .join("\n");
        assert!(plan.contains("read=look-up of 2 keys (id)"), "{plan}");
        let plan = world
            .rows("EXPLAIN SELECT name FROM people AS OF TIMESTAMP 0 WHERE name > 'a'")
            .await
            .join("\n");
        assert!(plan.contains("read=rows as of 1970-01-01T00:00:00Z"), "{plan}");
        let plan = world
            .rows("EXPLAIN SELECT name FROM people$changelog LIMIT 3")
            .await
            .join("\n");
        assert!(
            plan.contains("read=changes") && plan.contains("limit=3"),
            "{plan}"
        );
        let plan = world
            .rows("EXPLAIN ANALYZE SELECT count(*) FROM people")
            .await
            .join("\n");
        assert!(
            plan.contains("FlussScan") && plan.contains("output_rows"),
            "{plan}"
        );
    });
}

fn what_there_is_is_shown() {
    in_world("shown", async |world| {
        create(world, "people", true, 2).await;
        assert_eq!(world.rows("SHOW DATABASES").await, ["fluss"]);
        assert_eq!(world.rows("SHOW TABLES IN fluss LIKE 'p%'").await, ["people"]);
        let columns = world.rows("DESCRIBE people").await;
        assert!(
            columns
                .iter()
                .any(|line| line.starts_with("id BIGINT false primary, bucket")),
            "{columns:?}"
        );
        let statement = world.rows("SHOW CREATE TABLE people").await.join("\n");
        for part in [
            "CREATE TABLE fluss.people",
            "\"id\" BIGINT",
            "PRIMARY KEY (\"id\") NOT ENFORCED",
            "INTO 2 BUCKETS",
        ] {
            assert!(statement.contains(part), "{statement}");
        }
        world.did("USE fluss").await;
        assert_eq!(world.refusal("USE nowhere").await.kind, ErrorKind::NotFound);
        assert_eq!(
            world.refusal("SHOW TABLES IN nowhere").await.kind,
            ErrorKind::NotFound
        );
        assert_eq!(world.refusal("SHOW FUNCTIONS").await.kind, ErrorKind::Unsupported);
        assert_eq!(world.refusal("SHOW TABLES nothing").await.kind, ErrorKind::Syntax);
    });
}

fn files_are_not_touched() {
    in_world("files", async |world| {
        for text in [
            "COPY (SELECT 1) TO '/tmp/x.csv'",
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM \"/etc/passwd\"",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SET datafusion.execution.batch_size = 1",
            "PREPARE x AS SELECT 1",
        ] {
            let error = world.refusal(text).await;
            let expected = [ErrorKind::Unsupported, ErrorKind::NotFound, ErrorKind::Syntax];
            assert!(expected.contains(&error.kind), "{text}: {:?} {error}", error.kind);
        }
    });
}

fn a_prepared_statement_knows_its_parameters() {
    in_world("prepared", async |world| {
        let table = create(world, "people", true, 1).await;
        write(&table, 0..10).await;
        let session: &Session = &world.session;
        let prepared = session
            .prepare("SELECT name FROM people WHERE id = ? AND price < ?")
            .await
            .unwrap();
        assert_eq!(prepared.parameter_count(), 2);
        assert_eq!(prepared.schema().unwrap().field(0).name(), "name");
        let ask = async |id: i64, price: f64| {
            let values = Parameters::Positional(vec![id.into(), price.into()]);
            let rows = prepared.execute(values).await.unwrap().into_rows().unwrap();
            lines(&rows.fetch_all().await.unwrap())
        };
        assert_eq!(ask(3, 9.0).await, ["name 3"]);
        assert!(ask(3, 0.0).await.is_empty());
        assert_eq!(
            prepared.execute(Parameters::default()).await.unwrap_err().kind,
            ErrorKind::Type
        );
        assert_eq!(
            session
                .prepare("SELECT nothing FROM people")
                .await
                .unwrap_err()
                .kind,
            ErrorKind::NotFound
        );
    });
}

fn floats_compare_as_in_plans() {
    in_world("floats", async |world| {
        let table = create(world, "values", false, 1).await;
        let writer = table.append_writer().unwrap();
        let values = [0.0, -0.0, f64::NAN, f64::INFINITY, -1.5];
        for (id, value) in values.into_iter().enumerate() {
            writer
                .append(&[(id as i64).into(), "x".into(), value.into()])
                .await
                .unwrap();
        }
        writer.flush().await.unwrap();
        let mut expected = BTreeMap::new();
        for test in [
            "price = 0.0",
            "price > 1e308",
            "price <> 0.0",
            "price IN (0.0, -1.5)",
            "isnan(price)",
        ] {
            // The same rows, kept from the scan's own filter.
            let plain = format!("SELECT id FROM \"values\" WHERE (price + 0 * id IS NOT NULL) AND {test}");
            expected.insert(test, world.rows(&plain).await);
            assert_eq!(
                world
                    .rows(&format!("SELECT id FROM \"values\" WHERE {test}"))
                    .await,
                expected[test],
                "{test}"
            );
        }
    });
}
