//! The tables of `behaviour.md` §3.2 to §3.5, by name.

use fluss_core::id::SchemaId;
use fluss_core::record::kv::{KvBatch, KvBatchBuilder};
use fluss_core::record::log::ChangeType::{Delete, Insert, UpdateAfter, UpdateBefore};
use fluss_core::types::{DataType, Datum, OwnedRow, PartitionName, Schema, Timestamp};
use fluss_rpc::code::ErrorCode;

use super::world::{World, Write, partitioned, table};
use crate::kv::{Error, WriteMode, free};

fn schema() -> Schema {
    let schema = Schema::builder().column("k", DataType::int());
    let schema = schema
        .column("a", DataType::int())
        .column("b", DataType::string());
    schema.primary_key(["k"]).build().unwrap()
}

fn row(k: i32, a: impl Into<Datum<'static>>, b: impl Into<Datum<'static>>) -> OwnedRow {
    vec![k.into(), a.into(), b.into()]
}

#[test]
fn rows_replace_each_other_and_the_changelog_tells_both() {
    for real in [false, true] {
        let mut world = World::new(&table(&[schema()], &[]), real);
        let (one, two) = (row(1, 1, "x"), row(1, 2, "y"));
        let all = WriteMode::default();
        let write = [
            Write::Upsert(one.clone()),
            Write::Upsert(two.clone()),
            Write::Delete(row(2, 0, "")),
        ];
        let changes = world.write(&write, &all).unwrap();
        assert_eq!(
            changes,
            [
                (Insert, one.clone()),
                (UpdateBefore, one),
                (UpdateAfter, two.clone())
            ]
        );
        assert_eq!(world.rows(), std::slice::from_ref(&two));
        assert_eq!(
            world.write(&[Write::Delete(two.clone())], &all).unwrap(),
            [(Delete, two)]
        );
        assert_eq!(world.rows(), [] as [OwnedRow; 0]);
        assert_eq!(world.write(&[Write::Delete(row(2, 0, ""))], &all).unwrap(), []);
        assert_eq!(world.end(), 5, "an empty batch takes an offset");
    }
}

fn codes(properties: &[(&str, &str)], mode: &WriteMode, write: Write) -> Option<ErrorCode> {
    let mut world = World::new(&table(&[schema()], properties), false);
    let there = world.write(&[Write::Upsert(row(1, 1, "x"))], &WriteMode::default());
    assert_eq!(there.unwrap().len(), 1);
    let (rows, end) = (world.rows(), world.end());
    let refused = world.write(&[Write::Upsert(row(1, 5, "y")), write], mode).err();
    if refused.is_some() {
        assert_eq!((world.rows(), world.end()), (rows, end), "nothing has changed");
    }
    refused.map(|failure| failure.code)
}

fn part(columns: &[usize]) -> WriteMode {
    WriteMode {
        columns: Some(columns.to_vec()),
        overwrite: false,
    }
}

#[test]
fn a_batch_is_refused_as_a_whole() {
    let (all, delete) = (WriteMode::default(), Write::Delete(row(1, 1, "")));
    let upsert = || Write::Upsert(row(2, 2, ""));
    let disabled = [("table.delete.behavior", "disable")];
    assert_eq!(
        codes(&disabled, &all, delete.clone()),
        Some(ErrorCode::DELETION_DISABLED)
    );
    assert_eq!(codes(&disabled, &all, upsert()), None);
    assert_eq!(
        codes(&[], &part(&[1, 2]), upsert()),
        Some(ErrorCode::INVALID_TARGET_COLUMN)
    );
    assert_eq!(
        codes(&[], &part(&[0, 3]), upsert()),
        Some(ErrorCode::INVALID_TARGET_COLUMN)
    );
    let first = [("table.merge-engine", "first_row")];
    assert_eq!(
        codes(&first, &part(&[0, 1]), upsert()),
        Some(ErrorCode::UNKNOWN_SERVER_ERROR)
    );
    assert_eq!(codes(&first, &all, delete), None, "it is passed over");
}

#[test]
fn batches_that_are_not_in_order_are_refused() {
    let mut world = World::new(&table(&[schema()], &[]), false);
    let refused = |world: &mut World, batch: KvBatch| {
        let failure = world.write_all(&[(batch, WriteMode::default())]).unwrap_err();
        assert_eq!((world.rows().len(), world.end()), (0, 0));
        failure.code
    };
    let sealed = |schema, key: &[u8], bytes: &[u8]| {
        let mut builder = KvBatchBuilder::new(SchemaId(schema));
        builder.append(key, Some(bytes)).unwrap();
        builder.finish().unwrap().seal(None)
    };
    let mut flipped = sealed(1, b"\x01", b"\0\x01\x01\x01x").to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let flipped = KvBatch::new(flipped.into()).unwrap();
    assert_eq!(refused(&mut world, flipped), ErrorCode::CORRUPT_RECORD);
    let refuse = |world: &mut World, schema, key: &[u8], bytes: &[u8]| {
        refused(world, KvBatch::new(sealed(schema, key, bytes)).unwrap())
    };
    assert_eq!(
        refuse(&mut world, 2, b"\x01", b"\0\x01\x01\x01x"),
        ErrorCode::SCHEMA_NOT_EXIST
    );
    assert_eq!(
        refuse(&mut world, 1, b"\x01", b"\0\x01\x01\x05x"),
        ErrorCode::UNKNOWN_SERVER_ERROR
    );
    assert_eq!(
        refuse(&mut world, 1, b"\x01", b"\x07"),
        ErrorCode::UNKNOWN_SERVER_ERROR,
        "a null key"
    );
    let long = vec![1; 70_000];
    assert_eq!(
        refuse(&mut world, 1, &long, b"\x06\x01"),
        ErrorCode::RECORD_TOO_LARGE
    );
}

#[test]
fn no_version_is_the_least() {
    let engine = [
        ("table.merge-engine", "versioned"),
        ("table.merge-engine.versioned.ver-column", "a"),
    ];
    let mut world = World::new(&table(&[schema()], &engine), false);
    let mut write = |a: Datum<'static>, b: &'static str| {
        world
            .write(&[Write::Upsert(row(1, a, b))], &WriteMode::default())
            .unwrap()
            .len()
    };
    assert_eq!(write(Datum::Null, "none"), 1);
    assert_eq!(write(Datum::Null, "again"), 2, "the same version");
    assert_eq!(write(Datum::Int(i32::MIN), "least"), 2);
    assert_eq!(write(Datum::Null, "no less than the least"), 2);
    assert_eq!(write(Datum::Int(3), "three"), 2);
    assert_eq!(write(Datum::Null, "less"), 0);
    assert_eq!(write(Datum::Int(2), "less"), 0);
    assert_eq!(world.rows(), [row(1, 3, "three")]);
}

#[test]
fn numbers_are_given_out_once() {
    let schema = Schema::builder()
        .column("k", DataType::int())
        .column("n", DataType::int());
    let schema = schema.primary_key(["k"]).auto_increment("n").build().unwrap();
    let mut world = World::new(&table(&[schema], &[]), true);
    let upsert = |keys: std::ops::Range<i32>| -> Vec<_> {
        keys.map(|key| Write::Upsert(vec![key.into(), Datum::Null]))
            .collect()
    };
    world.write(&upsert(0..3), &part(&[0])).unwrap();
    let mut world = world.reopen();
    world.write(&upsert(0..7), &part(&[0])).unwrap();
    let numbers: Vec<_> = world.rows().into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(numbers, (1..8).map(Datum::Int).collect::<Vec<_>>());
    let refused = world.write(&upsert(9..10), &WriteMode::default()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::INVALID_TARGET_COLUMN);
    let refused = world.write(&upsert(9..10), &part(&[0, 1])).unwrap_err();
    assert_eq!(refused.code, ErrorCode::INVALID_TARGET_COLUMN);
}

#[test]
fn what_columns_cannot_hold_is_refused() {
    let schema = Schema::builder().column("k", DataType::int());
    let schema = schema
        .column("t", DataType::timestamp(9).unwrap())
        .primary_key(["k"])
        .build()
        .unwrap();
    let mut world = World::new(&table(&[schema], &[]), false);
    let at = |millis| Write::Upsert(vec![1.into(), Timestamp::from_millis(millis).into()]);
    world.write(&[at(0)], &WriteMode::default()).unwrap();
    let refused = world.write(&[at(i64::MAX)], &WriteMode::default()).unwrap_err();
    assert!(refused.message.contains("column 't'"), "{}", refused.message);
}

#[test]
fn a_draft_of_the_past_is_not_committed() {
    let mut world = World::new(&table(&[schema()], &[]), false);
    let draft = world.tablet.draft().unwrap();
    world
        .write(&[Write::Upsert(row(1, 1, "x"))], &WriteMode::default())
        .unwrap();
    let refused = world.tablet.commit(draft, 7).unwrap_err();
    assert!(matches!(refused, Error::Moved { .. }), "{refused}");
    assert_eq!(world.tablet.applied().unwrap(), 1);
}

#[test]
fn a_column_is_added_while_the_tablet_is_open() {
    let wider = Schema::builder()
        .column("k", DataType::int())
        .column("a", DataType::int());
    let wider = wider
        .column("b", DataType::string())
        .column("c", DataType::date());
    let wider = wider.primary_key(["k"]).build().unwrap();
    let mut world = World::new(&table(&[schema()], &[]), true);
    let all = WriteMode::default();
    world.write(&[Write::Upsert(row(1, 1, "x"))], &all).unwrap();
    world.table = table(&[schema(), wider], &[]);
    world.tablet.set_table(world.table.clone());
    let full = |c: Datum<'static>| [row(1, 1, "x"), vec![c]].concat();
    assert_eq!(world.rows(), [full(Datum::Null)]);
    let changes = world.write(&[Write::Upsert(full(Datum::Date(9)))], &all).unwrap();
    assert_eq!(
        changes,
        [
            (UpdateBefore, full(Datum::Null)),
            (UpdateAfter, full(Datum::Date(9)))
        ]
    );
    world.tablet.close().unwrap();
    assert_eq!(world.reopen().rows(), [full(Datum::Date(9))]);
}

#[test]
fn keys_that_are_not_there_are_inserted_once() {
    let schema = Schema::builder()
        .column("day", DataType::date())
        .column("n", DataType::big_int());
    let schema = schema
        .column("k", DataType::string())
        .column("a", DataType::int());
    let schema = schema
        .primary_key(["k", "day"])
        .auto_increment("n")
        .build()
        .unwrap();
    let table = partitioned(schema, "day");
    let mut world = World::new(&table, true);
    let day = PartitionName::from_values(&["1970-01-03"]);
    let row = |key: &'static str, n: i64| vec![Datum::Date(2), n.into(), key.into(), Datum::Null];
    let keys = [world.key(&row("x", 0)), world.key(&row("y", 0))];
    let (batch, mode) = world.tablet.insertion(&keys, Some(&day)).unwrap();
    let again = (batch.clone(), mode.clone());
    let changes = world.write_all(&[(batch, mode), again]).unwrap();
    assert_eq!(
        changes,
        [vec![(Insert, row("x", 1)), (Insert, row("y", 2))], vec![]]
    );
    assert_eq!(
        world
            .tablet
            .lookup(&keys, &mut free)
            .unwrap()
            .iter()
            .flatten()
            .count(),
        2
    );
    let no_partition = world.tablet.insertion(&keys, None).unwrap_err();
    assert!(matches!(no_partition, Error::BadRecord(_)));
    let no_key = world.tablet.insertion(&[b"\x05x"], Some(&day)).unwrap_err();
    assert!(matches!(no_key, Error::BadRecord(_)));
}
