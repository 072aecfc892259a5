//! Which requests a query costs.

use fluss_client::types::{DataType, Datum, Schema, TableDescriptor, TablePath};
use fluss_sql::{ErrorKind, Options, Parameters};

use crate::statements::{create, write};
use crate::world::{World, lines, run};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_key_costs_one_look_up", a_key_costs_one_look_up),
    (
        "a_key_is_looked_up_in_the_table_that_there_is_now",
        a_key_is_looked_up_in_the_table_that_there_is_now,
    ),
    ("keys_among_a_list_are_looked_up", keys_among_a_list_are_looked_up),
    (
        "the_beginning_of_a_key_is_looked_up",
        the_beginning_of_a_key_is_looked_up,
    ),
    (
        "the_other_side_of_a_join_is_looked_up",
        the_other_side_of_a_join_is_looked_up,
    ),
    ("what_is_no_key_is_read", what_is_no_key_is_read),
];

fn a_key_costs_one_look_up() {
    run(async {
        let world = World::new("one key", Options::default()).await;
        let table = create(&world, "people", true, 3).await;
        write(&table, 0..100).await;
        for text in [
            "SELECT * FROM people WHERE id = ?",
            "SELECT name, id FROM people AS p WHERE p.id = ?",
            "SELECT upper(name) AS name, id FROM people WHERE id = ?",
            "SELECT id + 0 AS id, name FROM people WHERE id = ? AND name LIKE 'name%' AND price >= 0",
        ] {
            let (looked_up, scanned) = (world.requests("LOOKUP"), world.requests("SCAN_KV"));
            let rows = world
                .session
                .execute(text, Parameters::from([42_i64]))
                .await
                .unwrap()
                .into_rows()
                .unwrap();
            let rows = rows.fetch_all().await.unwrap();
            assert_eq!(
                rows.iter()
                    .map(arrow::array::RecordBatch::num_rows)
                    .sum::<usize>(),
                1,
                "{text}"
            );
            assert_eq!(world.requests("LOOKUP"), looked_up + 1, "{text}");
            assert_eq!(world.requests("SCAN_KV"), scanned, "{text}");
        }
        let none = world
            .rows("SELECT name FROM people WHERE id = 42 AND name = 'other'")
            .await;
        assert!(none.is_empty(), "{none:?}");
        let none = world.rows("SELECT name FROM people WHERE id = 4200000").await;
        assert!(none.is_empty(), "{none:?}");
        let none = world
            .rows("SELECT name FROM people WHERE id = 1 AND id = 2")
            .await;
        assert!(none.is_empty(), "{none:?}");
        assert_eq!(
            world
                .rows("SELECT name FROM people WHERE id = 42 AND id = 42")
                .await,
            ["name 2"]
        );
        world.shut_down().await;
    });
}

fn a_key_is_looked_up_in_the_table_that_there_is_now() {
    run(async {
        let world = World::new("key now", Options::default()).await;
        let all = "SELECT * FROM people WHERE id = 1";
        let table = create(&world, "people", true, 3).await;
        write(&table, 0..3).await;
        let before = world.rows(all).await;
        assert_eq!((before.len(), world.rows(all).await), (1, before.clone()));

        world.did("ALTER TABLE people ADD COLUMN extra INT").await;
        let wider = [format!("{} ", before[0])];
        assert_eq!(world.rows(all).await, wider);
        assert_eq!(world.rows(all).await, wider);

        let path = TablePath::new("fluss", "people");
        let admin = world.connection.admin();
        admin.drop_table(&path, false).await.unwrap();
        assert_eq!(world.refusal(all).await.kind, ErrorKind::NotFound);
        let table = create(&world, "people", true, 1).await;
        assert!(world.rows(all).await.is_empty());
        write(&table, 1..2).await;
        assert_eq!(world.rows(all).await, before);

        // One without a key is read.
        admin.drop_table(&path, false).await.unwrap();
        let table = create(&world, "people", false, 1).await;
        write(&table, 0..3).await;
        assert_eq!(world.rows(all).await, before);
        world.shut_down().await;
    });
}

fn keys_among_a_list_are_looked_up() {
    run(async {
        let world = World::new("listed keys", Options::default()).await;
        let table = create(&world, "people", true, 3).await;
        write(&table, 0..100).await;
        let (looked_up, scanned) = (world.requests("LOOKUP"), world.requests("SCAN_KV"));
        let found = world
            .rows("SELECT id FROM people WHERE id IN (1, 2, 3, 500) AND name <> 'name 2'")
            .await;
        assert_eq!(found, ["1", "3"]);
        let found = world
            .rows("SELECT count(*) FROM people WHERE id = 1 OR id = 2")
            .await;
        assert_eq!(found, ["2"]);
        assert!(world.requests("LOOKUP") > looked_up);
        assert_eq!(world.requests("SCAN_KV"), scanned);
        world.shut_down().await;
    });
}

fn the_beginning_of_a_key_is_looked_up() {
    run(async {
        let world = World::new("prefixes", Options::default()).await;
        let schema = Schema::builder()
            .column("region", DataType::string())
            .column("id", DataType::int())
            .column("v", DataType::string())
            .primary_key(["region", "id"])
            .build()
            .unwrap();
        let descriptor = TableDescriptor::builder(schema)
            .distributed_by(3, ["region"])
            .build()
            .unwrap();
        let path = TablePath::new("fluss", "orders");
        world
            .connection
            .admin()
            .create_table(&path, &descriptor, false)
            .await
            .unwrap();
        let table = world.connection.table(&path).await.unwrap();
        let writer = table.upsert_writer().unwrap();
        for id in 0..20 {
            let region = if id % 2 == 0 { "north" } else { "south" };
            writer
                .upsert(&[region.into(), Datum::Int(id), "x".into()])
                .await
                .unwrap();
        }
        writer.flush().await.unwrap();
        let scanned = world.requests("SCAN_KV");
        let before = world.requests("PREFIX_LOOKUP");
        let found = world
            .rows("SELECT sum(id), count(*) FROM orders WHERE region = 'south' AND id < 10")
            .await;
        assert_eq!(found, ["25 5"]);
        assert_eq!(world.requests("PREFIX_LOOKUP"), before + 1);
        assert_eq!(world.requests("SCAN_KV"), scanned);
        let whole = world
            .rows("SELECT v FROM orders WHERE region = 'south' AND id = 3")
            .await;
        assert_eq!(whole, ["x"]);
        assert_eq!(world.requests("PREFIX_LOOKUP"), before + 1);
        world.shut_down().await;
    });
}

fn the_other_side_of_a_join_is_looked_up() {
    run(async {
        let world = World::new("joined", Options::default()).await;
        let people = create(&world, "people", true, 3).await;
        write(&people, 0..1_000).await;
        let events = create(&world, "events", false, 2).await;
        write(&events, [3, 500, 500, 2_000]).await;
        let text = "SELECT e.id, p.name FROM events e JOIN people p ON e.id = p.id";
        let (looked_up, scanned) = (world.requests("LOOKUP"), world.requests("SCAN_KV"));
        assert_eq!(world.rows(text).await, ["3 name 3", "500 name 0", "500 name 0"]);
        assert!(world.requests("LOOKUP") > looked_up);
        assert_eq!(world.requests("SCAN_KV"), scanned);
        let plan = world.rows(&format!("EXPLAIN {text}")).await.join("\n");
        assert!(plan.contains("or look-ups by id if a join wants few"), "{plan}");
        let left = "SELECT e.id, p.name FROM events e LEFT JOIN people p ON e.id = p.id WHERE p.id IS NULL";
        assert_eq!(world.rows(left).await, ["2000 "]);
        world.shut_down().await;
    });
}

fn what_is_no_key_is_read() {
    run(async {
        let world = World::new("no keys", Options::default()).await;
        let table = create(&world, "people", true, 2).await;
        write(&table, 0..100).await;
        let looked_up = world.requests("LOOKUP");
        for text in [
            "SELECT id FROM people WHERE id > 98",
            "SELECT id FROM people WHERE id = 99 OR name = 'nobody'",
            "SELECT id FROM people WHERE NOT (id <> 99)",
            "SELECT id FROM people WHERE id + 1 = 100",
        ] {
            assert_eq!(lines(&world.batches(text).await), ["99"], "{text}");
        }
        // The third is `id = 99` once it is simplified.
        assert!(world.requests("LOOKUP") <= looked_up + 2);
        world.shut_down().await;
    });
}
