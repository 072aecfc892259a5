//! Random tables, written at random, closed and opened at random, against the model.

use std::path::Path;
use std::sync::Arc;

use fluss_core::id::SchemaId;
use fluss_core::types::{DataType, Datum, Decimal, OwnedRow, Schema, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::model::{Engine, Model, Rules};
use super::world::{BUCKET, World, Write, table};
use crate::kv::{Table, WriteMode, free};

/// A table, and the modes in which it can be written.
#[derive(Clone, Debug)]
struct Design {
    table: Arc<Table>,
    rules: Rules,
    modes: Vec<WriteMode>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Batches with one commit: the schema of each, its mode, and its writes.
    Write(Vec<(SchemaId, WriteMode, Vec<Write>)>),
    Reopen,
    Checkpoint,
    /// Everything but the checkpoints and the log is lost.
    Lose,
}

/// Keys are `k` and `l`; `d` came with the second schema, as `n` would have, which is numbered.
const COLUMNS: [(&str, &str); 7] = [
    ("a", "INT"),
    ("l", "STRING"),
    ("b", "STRING"),
    ("k", "BIGINT"),
    ("c", "BINARY(2)"),
    ("n", "BIGINT"),
    ("d", "ROW<t TIMESTAMP(6), m DECIMAL(22,2), l ARRAY<DATE>>"),
];
const KEY: [usize; 2] = [3, 1];
const NUMBERED: usize = 5;

fn schema(columns: usize, numbered: bool, aggregated: bool) -> Schema {
    let columns = COLUMNS.iter().take(columns);
    let builder = columns.fold(Schema::builder(), |builder, (name, data_type)| {
        let builder = builder.column(*name, data_type.parse::<DataType>().unwrap());
        let sum = fluss_core::types::AggregateFunction {
            name: "sum".to_owned(),
            parameters: std::collections::BTreeMap::default(),
        };
        if aggregated && *name == "a" {
            builder.aggregate(sum)
        } else {
            builder
        }
    });
    let builder = builder.primary_key(["k", "l"]);
    let builder = if numbered {
        builder.auto_increment("n")
    } else {
        builder
    };
    builder.build().unwrap()
}

fn modes(engine: Engine, numbered: bool) -> Vec<WriteMode> {
    let part = |columns: &[usize], overwrite| WriteMode {
        columns: Some(columns.to_vec()),
        overwrite,
    };
    let whole = |overwrite| WriteMode {
        columns: None,
        overwrite,
    };
    let but_number: Vec<usize> = (0..6).filter(|column| *column != NUMBERED).collect();
    match engine {
        _ if numbered => vec![
            part(&but_number, false),
            part(&[1, 3], false),
            part(&[0, 1, 2, 3], true),
        ],
        Engine::FirstRow | Engine::Versioned(_) => vec![whole(false), whole(true), part(&[1, 3], true)],
        _ => vec![
            whole(false),
            part(&[3, 0, 1], false),
            part(&[1, 3, 2, 4], false),
            part(&[1, 3], false),
            whole(true),
        ],
    }
}

fn design() -> impl Strategy<Value = Design> {
    let engines = [
        Engine::LastRow,
        Engine::FirstRow,
        Engine::Versioned(0),
        Engine::Aggregation,
    ];
    let formats = [
        ("COMPACTED", "ARROW"),
        ("COMPACTED", "COMPACTED"),
        ("INDEXED", "INDEXED"),
        ("INDEXED", "ARROW"),
    ];
    let compressions = ["NONE", "ZSTD", "LZ4_FRAME"];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let choice = (
        select(engines.to_vec()),
        select(formats.to_vec()),
        select(compressions.to_vec()),
        flags,
    );
    choice.prop_map(
        |(engine, (kv, log), compression, (wal, numbered, other_deletes))| {
            let wal = wal && engine != Engine::Aggregation;
            let numbered = numbered && matches!(engine, Engine::LastRow | Engine::Aggregation);
            let deletes = (engine == Engine::LastRow)
                != (other_deletes && !matches!(engine, Engine::FirstRow | Engine::Versioned(_)));
            let mut properties = vec![
                ("table.kv.format", kv),
                ("table.log.format", log),
                ("table.log.arrow.compression.type", compression),
                ("table.changelog.image", if wal { "WAL" } else { "FULL" }),
                ("table.delete.behavior", if deletes { "ALLOW" } else { "IGNORE" }),
            ];
            match engine {
                Engine::LastRow => {}
                Engine::FirstRow => properties.push(("table.merge-engine", "first_row")),
                Engine::Versioned(_) => properties.extend([
                    ("table.merge-engine", "versioned"),
                    ("table.merge-engine.versioned.ver-column", "a"),
                ]),
                Engine::Aggregation => properties.push(("table.merge-engine", "AGGREGATION")),
            }
            let schemas = [6, 7].map(|columns| schema(columns, numbered, engine == Engine::Aggregation));
            Design {
                table: table(&schemas, &properties),
                modes: modes(engine, numbered),
                rules: Rules {
                    engine,
                    deletes,
                    wal,
                    key: KEY.to_vec(),
                    counter: numbered.then_some(NUMBERED),
                },
            }
        },
    )
}

/// A value of a column, with few different ones in a key.
fn value(column: usize) -> BoxedStrategy<Datum<'static>> {
    let long = "x".repeat(600);
    let texts = [String::new(), "l".to_owned(), long.clone(), long + "y"];
    let nested = |(days, micros): (i32, i64)| {
        Datum::Row(vec![
            Timestamp::from_micros(micros).into(),
            Decimal::new(i128::from(micros) << 3, 2).into(),
            Datum::Array(vec![Datum::Date(days), Datum::Null]),
        ])
    };
    match column {
        3 => (0_i64..4).prop_map(|key| Datum::BigInt(key - 1)).boxed(),
        1 => select(texts.to_vec()).prop_map(Datum::from).boxed(),
        0 => prop_oneof![Just(Datum::Null), any::<i32>().prop_map(Datum::Int)].boxed(),
        2 => prop_oneof![Just(Datum::Null), ".{0,3}".prop_map(Datum::from)].boxed(),
        4 => prop_oneof![
            Just(Datum::Null),
            any::<[u8; 2]>().prop_map(|b| Datum::from(b.to_vec()))
        ]
        .boxed(),
        NUMBERED => prop_oneof![Just(Datum::Null), any::<i64>().prop_map(Datum::BigInt)].boxed(),
        _ => prop_oneof![Just(Datum::Null), any::<(i32, i64)>().prop_map(nested)].boxed(),
    }
}

fn write(columns: usize) -> impl Strategy<Value = Write> {
    let row: Vec<_> = (0..columns).map(value).collect();
    (row, 0..4).prop_map(|(row, kind)| {
        if kind == 0 {
            Write::Delete(row)
        } else {
            Write::Upsert(row)
        }
    })
}

fn step(modes: Vec<WriteMode>) -> impl Strategy<Value = Step> {
    let batch = (1_i16..=2, select(modes)).prop_flat_map(|(schema, mode)| {
        let columns = if schema == 1 { 6 } else { 7 };
        vec(write(columns), 0..12).prop_map(move |writes| (SchemaId(schema), mode.clone(), writes))
    });
    prop_oneof![
        6 => vec(batch, 1..3).prop_map(Step::Write),
        1 => Just(Step::Reopen),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Lose),
    ]
}

fn trial() -> impl Strategy<Value = (Design, Vec<Step>)> {
    design().prop_flat_map(|design| {
        let steps = vec(step(design.modes.clone()), 1..8);
        (Just(design), steps)
    })
}

/// A write in the columns of the latest schema, with its key.
fn widened(world: &World, schema: SchemaId, write: &Write) -> (Vec<u8>, Write) {
    let widen = |row: &OwnedRow| world.table.shape(schema).unwrap().widen(row.clone());
    let write = match write {
        Write::Upsert(row) => Write::Upsert(widen(row)),
        Write::Delete(row) => Write::Delete(widen(row)),
    };
    let (Write::Upsert(row) | Write::Delete(row)) = &write;
    (world.key(row), write)
}

fn check_writes(world: &mut World, model: &mut Model, batches: &[(SchemaId, WriteMode, Vec<Write>)]) {
    let sent: Vec<_> = batches
        .iter()
        .map(|(schema, mode, writes)| (world.batch(*schema, writes), mode.clone()))
        .collect();
    let told = world.write_all(&sent).unwrap();
    for ((schema, mode, writes), told) in batches.iter().zip(told) {
        let writes: Vec<_> = writes
            .iter()
            .map(|write| widened(world, *schema, write))
            .collect();
        assert_eq!(told, model.write(mode, &writes, &told));
    }
}

fn check_rows(world: &World, model: &Model) {
    let rows: Vec<_> = model.rows.values().cloned().collect();
    assert_eq!(world.rows(), rows);
    let keys: Vec<_> = model.rows.keys().cloned().collect();
    let found = world.tablet.lookup(&keys, &mut free).unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|value| world.row(&value.unwrap()))
        .collect();
    assert_eq!(found, rows);
    for prefix in [Datum::BigInt(-1), Datum::BigInt(0), Datum::BigInt(2)] {
        let mut row = vec![Datum::Null; COLUMNS.len()];
        row[KEY[0]] = prefix.clone();
        row[KEY[1]] = Datum::from("");
        // The last byte is the length of the empty text.
        let key = world.key(&row);
        let values = world.tablet.prefix(&key[..key.len() - 1], &mut free).unwrap();
        let found: Vec<_> = values.iter().map(|value| world.row(value)).collect();
        let with_prefix = rows.iter().filter(|row| row[KEY[0]] == prefix);
        assert_eq!(found, with_prefix.cloned().collect::<Vec<_>>());
    }
}

/// A tablet that nobody has written to, brought up to date by the log, holds the same.
fn check_replay(world: &World) {
    let fresh = World::new(&world.table, false);
    fresh.tablet.replay(&world.log).unwrap();
    assert_eq!(fresh.rows(), world.rows());
    assert_eq!(fresh.tablet.applied().unwrap(), world.end());
}

fn run(design: &Design, steps: &[Step], real: bool) {
    let mut world = World::new(&design.table, real);
    let mut model = Model::new(design.rules.clone());
    for step in steps {
        match step {
            Step::Write(batches) => check_writes(&mut world, &mut model, batches),
            Step::Reopen => world = world.reopen(),
            Step::Checkpoint => {
                let offset = world.tablet.checkpoint().unwrap();
                assert_eq!(world.tablet.checkpoints().unwrap().last(), Some(&offset));
            }
            Step::Lose => {
                world
                    .disk
                    .remove(&Path::new(BUCKET).join("trust"))
                    .unwrap_or_default();
                world = world.reopen();
            }
        }
        check_rows(&world, &model);
    }
    check_replay(&world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_hold_and_tell_what_was_written((design, steps) in trial()) {
        run(&design, &steps, false);
        run(&design, &steps, true);
    }
}
