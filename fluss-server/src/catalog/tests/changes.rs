use fluss_core::id::{BucketId, SchemaId, TableBucket};
use std::collections::BTreeMap;

use fluss_core::types::{AggregateFunction, DatabaseDescriptor};

use super::*;

fn create_database(catalog: &Catalog, name: &str, or_keep: bool) -> Result<(), Failure> {
    catalog.create_database(name, DatabaseDescriptor::default(), or_keep, NOW)
}

#[test]
fn databases_come_and_go() {
    let catalog = catalog();
    assert!(catalog.view().database("fluss").is_ok());
    create_database(&catalog, "db", false).unwrap();
    assert_eq!(code(create_database(&catalog, "db", false)), 6);
    create_database(&catalog, "db", true).unwrap();
    assert_eq!(code(create_database(&catalog, "../db", true)), 16);
    assert_eq!(code(catalog.drop_database("none", false, false)), 4);
    assert_eq!(catalog.drop_database("none", true, false).unwrap(), []);
    let id = create(&catalog, "t", table(&[])).id();
    assert_eq!(code(catalog.drop_database("fluss", false, false)), 5);
    assert_eq!(
        catalog.drop_database("fluss", false, true).unwrap(),
        [Gone::Table(id)]
    );
    assert_eq!(code(catalog.table_by_path(&path("t"))), 7);
    assert!(catalog.table(id).is_none());
    catalog.drop_database("db", false, false).unwrap();
    assert!(catalog.view().databases().is_empty());
}

#[test]
fn a_database_lists_its_own_tables() {
    let catalog = catalog();
    for name in ["fluss-2", "fluss", "flus"] {
        create_database(&catalog, name, true).unwrap();
        for table_name in ["b", "a"] {
            let path = TablePath::new(name, table_name);
            catalog
                .create_table(&path, &json(table(&[])), false, NOW)
                .unwrap();
        }
    }
    let view = catalog.view();
    let tables: Vec<_> = view
        .tables_of("fluss")
        .map(|(path, _)| path.to_string())
        .collect();
    assert_eq!(tables, ["fluss.a", "fluss.b"]);
}

#[test]
fn tables_come_and_go_and_never_share_an_identity() {
    let catalog = catalog();
    let first = create(&catalog, "t", table(&[]));
    let again = || catalog.create_table(&path("t"), &json(table(&[])), false, NOW);
    assert_eq!(code(again()), 8);
    catalog
        .create_table(&path("t"), &json(table(&[])), true, NOW)
        .unwrap();
    assert_eq!(code(catalog.create_table(&path("t"), b"{}", true, NOW)), 15);
    let elsewhere = TablePath::new("none", "t");
    assert_eq!(
        code(catalog.create_table(&elsewhere, &json(table(&[])), true, NOW)),
        4
    );

    assert_eq!(
        catalog.drop_table(&path("t"), false).unwrap(),
        [Gone::Table(first.id())]
    );
    assert_eq!(code(catalog.drop_table(&path("t"), false)), 7);
    assert_eq!(catalog.drop_table(&path("t"), true).unwrap(), []);
    again().unwrap();
    assert_ne!(catalog.table_by_path(&path("t")).unwrap().id(), first.id());
}

#[test]
fn a_data_request_asks_for_buckets_that_are_there() {
    let catalog = catalog();
    let plain = create(&catalog, "plain", table(&[]).distributed_by(2, ["a"]));
    assert!(plain.has_bucket(None, 0) && plain.has_bucket(None, 1));
    assert!(!plain.has_bucket(None, 2) && !plain.has_bucket(None, -1));
    assert!(!plain.has_bucket(Some(PartitionId(0)), 0));
    let parted = create(
        &catalog,
        "parted",
        table(&["p"]).property("table.auto-partition.enabled", "true"),
    );
    let id = parted.partitions().values().next().unwrap().id;
    assert!(parted.has_bucket(Some(id), 0));
    assert!(!parted.has_bucket(None, 0) && !parted.has_bucket(Some(PartitionId(99)), 0));
}

fn set(key: &str, value: &str) -> Alteration {
    Alteration::Properties(vec![PropertyChange::Set(key.to_owned(), value.to_owned())])
}

fn reset(key: &str) -> Alteration {
    Alteration::Properties(vec![PropertyChange::Reset(key.to_owned())])
}

fn add(name: &str, data_type: &str) -> Alteration {
    Alteration::Columns(vec![NewColumn {
        name: name.to_owned(),
        data_type: data_type.parse().unwrap(),
        comment: None,
        aggregate: None,
    }])
}

#[test]
fn alterations_obey_the_rules() {
    let catalog = catalog();
    create(&catalog, "t", table(&[]));
    let alter = |alteration: &Alteration| catalog.alter_table(&path("t"), alteration, false, NOW + 1);
    for (alteration, expected) in [
        (set("table.log.format", "INDEXED"), 56),
        (set("table.log.arrow.compression.type", "NONE"), 56),
        (set("table.auto-partition.time-format", "yyyy"), 56),
        (set("table.kv.standby-replica.enabled", "false"), 56),
        (set("table.statistics.columns", "x"), 39),
        (set("table.log.local-ttl", "9 d"), 39),
        (set("table.log.local-ttl", "5 d"), 0),
        (set("table.log.ttl", "1 d"), 39),
        (reset("table.unknown"), 56),
        (set("table.log.tiered.local-segments", "0"), 39),
        (set("table.datalake.freshness", "3600"), 39),
        (set("table.datalake.enabled", "true"), 15),
        (add("a", "INT"), 56),
        (add("b", "INT NOT NULL"), -1),
        (add("__offset", "INT"), 15),
    ] {
        let found = alter(&alteration)
            .err()
            .map_or(0, |failure| failure.code.number());
        assert_eq!(found, expected, "{alteration:?}");
    }
    assert_eq!(
        code(catalog.alter_table(&path("none"), &reset("x"), false, NOW)),
        7
    );
    catalog
        .alter_table(&path("none"), &reset("x"), true, NOW)
        .unwrap();

    alter(&reset("table.log.local-ttl")).unwrap();
    for (key, value) in [("table.log.ttl", "1 d"), ("table.statistics.columns", "*")] {
        alter(&set(key, value)).unwrap();
        alter(&reset(key)).unwrap();
    }
    alter(&set("table.log.tiered.local-segments", "5")).unwrap();
    alter(&set("owner", "me")).unwrap();
    let entry = catalog.table_by_path(&path("t")).unwrap();
    assert_eq!(
        entry.info().descriptor.properties()["table.log.tiered.local-segments"],
        "5"
    );
    assert_eq!(entry.info().descriptor.custom_properties()["owner"], "me");
    alter(&reset("table.log.tiered.local-segments")).unwrap();
    alter(&reset("owner")).unwrap();
    let entry = catalog.table_by_path(&path("t")).unwrap();
    assert_eq!(entry.info().descriptor.properties().len(), 1);
    assert!(entry.info().descriptor.custom_properties().is_empty());
    assert_eq!(
        (entry.info().created_time, entry.info().modified_time),
        (NOW, NOW + 1)
    );
}

#[test]
fn a_definition_stays_within_its_bounds() {
    let catalog = catalog();
    let large = "x".repeat(600_000);
    create(&catalog, "t", table(&[]).comment(&large));
    let more = set("owner", &large);
    assert_eq!(code(catalog.alter_table(&path("t"), &more, false, NOW)), 15);
    let json = json(table(&[]).comment(&large).custom_property("owner", &large));
    assert_eq!(code(catalog.create_table(&path("u"), &json, false, NOW)), 15);
}

#[test]
fn added_columns_make_the_next_schema() {
    let catalog = catalog();
    create(&catalog, "t", table(&[]));
    catalog
        .alter_table(&path("t"), &add("r", "ROW<x INT>"), false, NOW)
        .unwrap();
    catalog
        .alter_table(&path("t"), &add("s", "INT"), false, NOW)
        .unwrap();
    let entry = catalog.table_by_path(&path("t")).unwrap();
    let widths: Vec<_> = entry
        .schemas()
        .iter()
        .map(|(id, schema)| (id.get(), schema.columns().len()))
        .collect();
    assert_eq!(widths, [(1, 3), (2, 4), (3, 5)]);
    assert_eq!(entry.info().schema_id, SchemaId(3));
    assert_eq!(entry.info().schema(), &**entry.schema(SchemaId(3)).unwrap());
    let ids: Vec<_> = entry
        .info()
        .schema()
        .columns()
        .iter()
        .map(|column| column.id)
        .collect();
    assert_eq!(ids, [0, 1, 2, 3, 5]);
    assert!(entry.schema(SchemaId(4)).is_none());
}

#[test]
fn a_column_is_added_with_its_function_where_the_engine_aggregates() {
    let catalog = catalog();
    let schema = || {
        let schema = Schema::builder()
            .column("a", DataType::int())
            .column("n", DataType::int());
        TableDescriptor::builder(schema.primary_key(["a"]).build().unwrap())
    };
    create(
        &catalog,
        "sums",
        schema().property("table.merge-engine", "aggregation"),
    );
    create(&catalog, "plain", schema());
    let add = |table: &str, function: &str, name: &str| {
        let column = NewColumn {
            name: name.to_owned(),
            data_type: DataType::big_int(),
            comment: None,
            aggregate: Some(AggregateFunction {
                name: function.to_owned(),
                parameters: BTreeMap::new(),
            }),
        };
        let added = catalog.alter_table(&path(table), &Alteration::Columns(vec![column]), false, NOW);
        added.err().map_or(0, |failure| failure.code.number())
    };
    assert_eq!(add("sums", "sum", "s"), 0);
    assert_eq!(add("sums", "bool_and", "b"), 39);
    assert_eq!(add("plain", "sum", "s"), 39);
    let entry = catalog.table_by_path(&path("sums")).unwrap();
    let column = entry.info().schema().column("s").unwrap();
    assert_eq!(column.aggregate.as_ref().unwrap().name, "sum");
}

#[test]
fn a_producer_keeps_what_it_registered_first_until_it_expires() {
    let catalog = catalog();
    let bucket = TableBucket::new(TableId(0), BucketId(0));
    let register = |offset, ttl_ms, now_ms| {
        catalog.register_producer("producer", vec![(bucket, Some(offset))], ttl_ms, now_ms)
    };
    assert!(register(1, Some(10), NOW).unwrap());
    assert!(!register(2, Some(10), NOW + 9).unwrap());
    assert_eq!(
        catalog.producer("producer", NOW + 9).unwrap().offsets,
        [(bucket, Some(1))]
    );
    assert!(catalog.producer("producer", NOW + 10).is_none());
    assert!(register(3, None, NOW + 10).unwrap());
    let day = 86_400_000;
    assert_eq!(
        catalog.producer("producer", NOW).unwrap().expires_ms,
        NOW + 10 + day
    );
    catalog.delete_producer("producer").unwrap();
    catalog.delete_producer("producer").unwrap();
    assert!(catalog.producer("producer", NOW).is_none());
    assert_eq!(code(catalog.register_producer("a b", Vec::new(), None, NOW)), 63);
}
