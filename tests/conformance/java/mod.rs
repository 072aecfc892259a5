//! What we write to primary-key tables the Java client finds and reads, and we what it writes.

pub(crate) mod client;
mod shape;
mod values;

use fluss_client::types::OwnedRow;
use fluss_client::{Connection, Table};
use proptest::prelude::any;
use proptest::test_runner::TestRunner;

use crate::key_tables::compare::{assert_same, check_lookups, sorted};
use crate::key_tables::model::Model;
use crate::key_tables::trial::Trial;
use crate::key_tables::{changelog, shared};
use crate::{Backend, JAVA, connect, note, run, tests};
use client::Java;
use shape::draw;

tests! {
    JAVA => [
        the_java_client_and_we_find_and_read_the_same,
        the_java_client_and_we_find_and_read_the_same_in_partitions,
    ],
}

const BUCKETS: [i32; 3] = [1, 3, 7];

/// Writes to a table in turns, each of which is acknowledged before the next begins, and compares what both find of the
/// keys, and of others, and what both read.
async fn take_turns(trial: &Trial, connection: &Connection, java: &mut Java, runner: &mut TestRunner) {
    note(&trial);
    let table = trial.create(connection).await;
    let mut model = trial.model(&table);
    let (mut keys, steps) = trial.draw(&model, runner);
    let writers = trial.writers(&table);
    for step in &steps {
        let mode = trial.mode(step);
        if draw(any::<bool>(), runner) {
            java.write(&table, trial.targets(mode).as_deref(), step);
        } else {
            step.write(&writers[step.mode], mode, &model).await;
            writers[step.mode].flush().await.unwrap();
        }
        step.apply(mode, &mut model);
    }
    keys.extend(trial.draw(&model, runner).0);
    check_lookups(&table.lookup().lookuper().unwrap(), &keys, &model).await;
    trial.check_prefixes(&table, &keys, &model).await;
    check_java_lookups(trial, java, &table, &keys, &model);
    check_changelog(java, &table, &model).await;
    for writer in &writers {
        writer.close().await.unwrap();
    }
}

fn check_java_lookups(trial: &Trial, java: &mut Java, table: &Table, keys: &[OwnedRow], model: &Model) {
    let expected: Vec<_> = keys.iter().map(|key| model.row(key).cloned()).collect();
    assert_same(&java.look_up(table, keys), &expected);
    let Some(columns) = trial.prefix() else { return };
    let prefixes: Vec<OwnedRow> = keys.iter().map(|key| trial.part_of(key, &columns)).collect();
    let found = java.look_up_by(table, &columns, &prefixes);
    for (prefix, rows) in prefixes.iter().zip(found) {
        assert_same(&sorted(rows), &sorted(trial.having(&columns, prefix, model)));
    }
}

/// Read as rows, as columns and by the Java client the changelog tells the same.
async fn check_changelog(java: &mut Java, table: &Table, model: &Model) {
    let count = model.changes().len();
    let read = changelog::read(table, count).await;
    changelog::check(&read, model);
    for other in [changelog::read_arrow(table, count).await, java.read(table, count)] {
        assert_eq!(other.keys().collect::<Vec<_>>(), read.keys().collect::<Vec<_>>());
        for (bucket, changes) in &read {
            assert_same(&other[bucket], changes);
        }
    }
}

fn take_turns_in_all(backend: Backend, trials: impl IntoIterator<Item = Trial>, runner: &mut TestRunner) {
    let place = shared(backend);
    let mut java = Java::connect(&place);
    run(async {
        let connection = connect(&place).await;
        for trial in trials {
            take_turns(&trial, &connection, &mut java, runner).await;
        }
    });
}

fn the_java_client_and_we_find_and_read_the_same(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let trials = BUCKETS.map(|buckets| shape::trials(buckets, &mut runner));
    take_turns_in_all(backend, trials.into_iter().flatten(), &mut runner);
}

fn the_java_client_and_we_find_and_read_the_same_in_partitions(backend: Backend) {
    let mut runner = TestRunner::deterministic();
    let trials = shape::partitioned(BUCKETS, &mut runner);
    take_turns_in_all(backend, trials, &mut runner);
}
