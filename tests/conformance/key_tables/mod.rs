//! Primary-key tables hold and tell what a model of them foretells, whatever is written, and however.

mod aggregates;
pub mod changelog;
pub mod column;
pub mod compare;
pub mod inserts;
pub mod model;
pub mod trial;

use std::sync::Arc;

use fluss_client::ErrorKind;
use fluss_client::types::{DataType, Datum, Kind};
use fluss_cluster::Spec;
use fluss_tests::arbitrary::{Options, data_type};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::{Backend, EVERYWHERE, Place, Shared, connect, note, run, tests};
use aggregates::Function;
use column::Column;
use model::{Engine, Mode, Rules};
use trial::Trial;

tests! {
    EVERYWHERE => [
        rows_are_replaced_updated_in_part_and_deleted,
        rows_are_found_by_the_beginning_of_their_key,
        a_changelog_may_lack_what_updates_replace,
        deletes_may_be_ignored,
        deletes_may_be_refused,
        the_first_row_stays,
        the_latest_version_stays,
        numbers_are_added_and_multiplied,
        the_greatest_and_the_least_stay,
        values_are_kept_joined_and_agreed_on,
        an_aggregation_is_passed_over,
        rows_are_numbered_once,
    ],
}

pub const KV_FORMAT: &str = "table.kv.format";
const WAL: (&str, &str) = ("table.changelog.image", "WAL");
const DELETES: &str = "table.delete.behavior";
const ENGINE: &str = "table.merge-engine";
const VERSION: &str = "table.merge-engine.versioned.ver-column";

/// What the tests here share that run at the same time.
pub fn shared(backend: Backend) -> Arc<Place> {
    static PLACES: Shared = Shared::new();
    PLACES.start(backend, Spec::new().tablet_servers(3))
}

/// Tries tables one after another.
fn try_all(backend: Backend, trials: impl IntoIterator<Item = Trial>, runner: &mut TestRunner) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        for trial in trials {
            note(&trial);
            trial.run(&connection, runner).await;
        }
    });
}

fn int(name: &str) -> Column {
    Column::any(name, DataType::int())
}

/// Columns of any type: `c0`, `c1` and so on. There is no CHAR among them: the server hands the zeros that fill one
/// up in an INDEXED row on to the changelog.
fn columns(runner: &mut TestRunner, count: usize) -> Vec<Column> {
    let options = Options {
        scalars: |kind| !matches!(kind, Kind::Char(_)),
        ..Options::default()
    };
    (0..count)
        .map(|index| {
            let any = data_type(options).new_tree(runner).unwrap().current();
            Column::any(&format!("c{index}"), any.with_nullable(true))
        })
        .collect()
}

pub const LAST_ROW: Rules = Rules {
    engine: Engine::None,
    deletes: true,
    wal: false,
};

pub fn whole() -> Mode {
    Mode::default()
}

pub fn part(columns: impl IntoIterator<Item = usize>) -> Mode {
    Mode {
        columns: Some(columns.into_iter().collect()),
        overwrite: false,
    }
}

fn overwrite() -> Mode {
    Mode {
        columns: None,
        overwrite: true,
    }
}

fn rows_are_replaced_updated_in_part_and_deleted(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let mut trials = Vec::new();
    for format in ["COMPACTED", "INDEXED"] {
        for buckets in [1, 3, 7] {
            let mut table = columns(&mut runner, 4);
            table.insert(1, Column::any("k0", DataType::string()));
            table.push(Column::any("k1", DataType::big_int()));
            table.push(Column::tame("char", DataType::char(5).unwrap()));
            let trial = Trial::new(table, ["k1", "k0"], LAST_ROW)
                .buckets(buckets)
                .property(KV_FORMAT, format)
                .modes([whole(), part([1, 5, 6, 0, 2]), part([4, 3, 1, 5]), part([5, 1])]);
            trials.push(trial);
        }
    }
    trials.push(Trial::new([int("k"), int("l")], ["l", "k"], LAST_ROW));
    try_all(backend, trials, &mut runner);
}

fn rows_are_found_by_the_beginning_of_their_key(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let few = |name: &str, data_type: &str| Column::few(name, data_type.parse().unwrap());
    let trials = [
        Trial::new(
            [int("a"), few("k0", "STRING"), few("k1", "INT")],
            ["k0", "k1"],
            LAST_ROW,
        )
        .bucket_key(["k0"]),
        Trial::new(
            [
                few("k2", "BIGINT"),
                few("k1", "DATE"),
                few("k0", "BOOLEAN"),
                int("a"),
            ],
            ["k0", "k1", "k2"],
            LAST_ROW,
        )
        .bucket_key(["k0", "k1"])
        .modes([whole(), part([0, 1, 2])]),
    ];
    try_all(backend, trials, &mut runner);
}

fn a_changelog_may_lack_what_updates_replace(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let rules = Rules {
        wal: true,
        ..LAST_ROW
    };
    let table = || Trial::new([int("k"), int("a"), int("b")], ["k"], rules.clone()).property(WAL.0, WAL.1);
    let trials = [
        table().modes([whole()]),
        table().modes([whole(), part([2, 0]), part([0, 1])]),
    ];
    try_all(backend, trials, &mut runner);
}

fn deletes_may_be_ignored(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let rules = Rules {
        deletes: false,
        ..LAST_ROW
    };
    let trial = Trial::new([int("k"), int("a"), int("b")], ["k"], rules)
        .property(DELETES, "ignore")
        .modes([whole(), part([0, 1])]);
    try_all(backend, [trial], &mut runner);
}

fn deletes_may_be_refused(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let trial = Trial::new([int("k"), int("a")], ["k"], LAST_ROW).property(DELETES, "disable");
        let table = trial.create(&connection).await;
        let writer = table.upsert().writer().unwrap();
        let key = [Datum::Int(1)];
        writer.upsert(&[Datum::Int(1), Datum::Int(2)]).await.unwrap();
        for error in [
            writer.delete(&key).await.unwrap_err(),
            writer.try_delete(&key).unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)), "{error}");
            assert_eq!(error.context().operation, "delete");
            assert!(error.to_string().contains(DELETES), "{error}");
        }
        writer.close().await.unwrap();
        let row = table.lookup().lookuper().unwrap().lookup(&key).await.unwrap();
        assert_eq!(row, Some(vec![Datum::Int(1), Datum::Int(2)]));
    });
}

fn the_first_row_stays(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let table = |wal| {
        let rules = Rules {
            engine: Engine::FirstRow,
            deletes: false,
            wal,
        };
        Trial::new([int("k"), int("a"), int("b")], ["k"], rules).property(ENGINE, "first_row")
    };
    let trials = [
        table(false).modes([whole()]),
        table(false).modes([whole(), overwrite()]),
        table(true).property(WAL.0, WAL.1).modes([whole(), overwrite()]),
    ];
    try_all(backend, trials, &mut runner);
}

fn the_latest_version_stays(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let table = |data_type: &str, wal| {
        let rules = Rules {
            engine: Engine::Versioned(1),
            deletes: false,
            wal,
        };
        let version = Column::few("v", data_type.parse().unwrap());
        Trial::new([int("k"), version, int("a")], ["k"], rules)
            .property(ENGINE, "versioned")
            .property(VERSION, "v")
    };
    let trials = [
        table("INT", false).modes([whole()]),
        table("BIGINT", false).modes([whole(), overwrite()]),
        table("TIMESTAMP(3)", true)
            .property(WAL.0, WAL.1)
            .modes([whole(), overwrite()]),
        table("TIMESTAMP(9)", false).modes([whole()]),
        table("TIMESTAMP_LTZ(6)", false).modes([whole()]),
    ];
    try_all(backend, trials, &mut runner);
}

/// Columns of values that are put together.
fn numbers(function: Function) -> Vec<Column> {
    let types = [
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL(38,2)",
    ];
    let types = types.iter().enumerate();
    types
        .map(|(index, data_type)| {
            Column::tame(&format!("n{index}"), data_type.parse().unwrap()).merged(function)
        })
        .collect()
}

/// Columns of values that are compared.
fn ordered(function: Function) -> Vec<Column> {
    let types = [
        "SMALLINT",
        "DOUBLE",
        "DECIMAL(20,4)",
        "CHAR(3)",
        "STRING",
        "DATE",
        "TIME(3)",
        "TIMESTAMP(6)",
        "TIMESTAMP_LTZ(9)",
    ];
    let types = types.iter().enumerate();
    types
        .map(|(index, data_type)| {
            Column::any(&format!("o{index}"), data_type.parse().unwrap()).merged(function)
        })
        .collect()
}

/// A table whose columns are aggregated.
fn aggregated(mut columns: Vec<Column>, deletes: bool) -> Trial {
    columns.insert(0, int("k"));
    let rules = Rules {
        engine: Engine::Aggregation(columns.iter().map(Column::function).collect()),
        deletes,
        wal: false,
    };
    let trial = Trial::new(columns, ["k"], rules).property(ENGINE, "aggregation");
    if deletes {
        trial.property(DELETES, "allow")
    } else {
        trial
    }
}

fn numbers_are_added_and_multiplied(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let trials = ["sum", "product"].map(|name| {
        aggregated(numbers(Function::new(name)), false).modes([whole(), part([0, 1, 3, 5, 7]), part([4, 0])])
    });
    try_all(backend, trials, &mut runner);
}

fn the_greatest_and_the_least_stay(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let trials = ["max", "min"].map(|name| {
        aggregated(ordered(Function::new(name)), false).modes([whole(), part([0, 2, 4, 6, 8]), part([5, 0])])
    });
    try_all(backend, trials, &mut runner);
}

/// A column of each function for values of any type, of one without function, and of those for texts and truths.
fn others(runner: &mut TestRunner) -> Vec<Column> {
    let names = [
        "last_value",
        "last_value_ignore_nulls",
        "first_value",
        "first_value_ignore_nulls",
    ];
    let any = columns(runner, names.len() + 1).into_iter();
    let functions = names
        .map(|name| Some(Function::new(name)))
        .into_iter()
        .chain([None]);
    let mut columns: Vec<Column> = any
        .zip(functions)
        .map(|(column, function)| match function {
            Some(function) => column.merged(function),
            None => column,
        })
        .collect();
    let text = |name: &str, function| Column::tame(name, DataType::string()).merged(function);
    let truth = |name: &str, function| Column::any(name, DataType::boolean()).merged(function);
    columns.push(text("t0", Function::new("listagg")));
    columns.push(text("t1", Function::delimited("string_agg", " | ")));
    columns.push(truth("b0", Function::new("bool_and")));
    columns.push(truth("b1", Function::new("bool_or")));
    columns
}

fn values_are_kept_joined_and_agreed_on(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let modes = [
        whole(),
        part([0, 1, 3, 5, 7, 9]),
        part([2, 4, 6, 8, 0]),
        part([0]),
    ];
    let trials = [false, true].map(|deletes| {
        aggregated(others(&mut runner), deletes)
            .buckets(if deletes { 1 } else { 7 })
            .modes(modes.clone())
    });
    try_all(backend, trials, &mut runner);
}

fn an_aggregation_is_passed_over(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let some = Mode {
        overwrite: true,
        ..part([0, 1, 2])
    };
    let trials = [false, true].map(|deletes| {
        aggregated(numbers(Function::new("sum")), deletes).modes([
            whole(),
            overwrite(),
            some.clone(),
            part([3, 0]),
        ])
    });
    try_all(backend, trials, &mut runner);
}

fn rows_are_numbered_once(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let trials = [DataType::int(), DataType::big_int()].map(|number| {
        let counter = Column::any("number", number);
        Trial::new([int("a"), counter, int("k"), int("b")], ["k"], LAST_ROW)
            .counter("number")
            .modes([part([0, 2, 3]), part([2, 0])])
    });
    let wal = Rules {
        wal: true,
        ..LAST_ROW
    };
    let wal = Trial::new([int("k"), int("number")], ["k"], wal)
        .counter("number")
        .property(WAL.0, WAL.1)
        .modes([part([0])]);
    try_all(backend, trials.into_iter().chain([wal]), &mut runner);
}
