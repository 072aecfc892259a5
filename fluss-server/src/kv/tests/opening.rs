//! What a tablet is opened from: what is there, a checkpoint, the one before it, the changelog alone, or nothing at all.

use std::ops::Range;
use std::path::{Path, PathBuf};

use fluss_core::id::Offset;
use fluss_core::types::{DataType, Datum, OwnedRow, Schema};
use fluss_store::OpenError;

use super::world::{BUCKET, World, Write, table};
use crate::kv::error::ReplayError;
use crate::kv::{Tablet, WriteMode};

/// A tablet with 3,000 rows, of which the last thousand are behind the second of two checkpoints.
fn world() -> (World, [Offset; 2]) {
    let schema = Schema::builder()
        .column("k", DataType::int())
        .column("a", DataType::string());
    let mut world = World::new(&table(&[schema.primary_key(["k"]).build().unwrap()], &[]), true);
    let mut write = |keys: Range<i32>| {
        let row = |key: i32| vec![Datum::Int(key), Datum::from(format!("row {key}"))];
        let rows: Vec<_> = keys.map(|key| Write::Upsert(row(key))).collect();
        world.write(&rows, &WriteMode::default()).unwrap();
        // The last rows are behind the checkpoints.
        if world.end() < 3_000 {
            world.tablet.checkpoint().unwrap()
        } else {
            world.end()
        }
    };
    let [before, latest, _] = [0, 1_000, 2_000].map(|from| write(from..from + 1_000));
    world.disk.remove(&place("trust")).unwrap();
    (world, [before, latest])
}

fn place(name: &str) -> PathBuf {
    Path::new(BUCKET).join(name)
}

fn checkpoint(offset: Offset) -> PathBuf {
    place(&format!("checkpoint-{offset:020}"))
}

fn damage(world: &World, offset: Offset) {
    let file = world.disk.open(&checkpoint(offset)).unwrap();
    file.write_at(500, b"?".as_slice().into()).unwrap();
}

/// Opens the tablet again, with what is left of the log, and gives the offset that it stands at.
fn reopen(world: World, log: Range<Offset>) -> Result<(Offset, Vec<OwnedRow>), OpenError> {
    let World {
        disk,
        table,
        tablet,
        log: batches,
        root: _root,
        ..
    } = world;
    drop(tablet);
    let tablet = Tablet::open(&disk, Path::new(BUCKET), table.clone(), log.clone())?;
    let applied = tablet.applied().unwrap();
    tablet
        .replay(batches.iter().filter(|batch| batch.base_offset() >= log.start))
        .unwrap();
    let values = super::world::values(&tablet);
    let fresh = World::new(&table, false);
    Ok((applied, values.iter().map(|value| fresh.row(value)).collect()))
}

#[test]
fn the_latest_checkpoint_and_the_log_behind_it_are_enough() {
    let (world, [_, latest]) = world();
    let rows = world.rows();
    assert_eq!(reopen(world, latest..3_000).unwrap(), (latest, rows));
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let (world, [before, latest]) = world();
    let rows = world.rows();
    damage(&world, latest);
    assert_eq!(reopen(world, before..3_000).unwrap(), (before, rows));
}

#[test]
fn a_whole_log_needs_no_checkpoint() {
    let (world, [before, latest]) = world();
    let rows = world.rows();
    damage(&world, before);
    damage(&world, latest);
    assert_eq!(reopen(world, 0..3_000).unwrap(), (0, rows));
}

#[test]
fn what_is_lost_is_named() {
    let (world, [before, latest]) = world();
    damage(&world, before);
    damage(&world, latest);
    match reopen(world, before..3_000) {
        Err(OpenError::Damaged { path, at, .. }) => assert_eq!((path, at), (checkpoint(latest), 36)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_that_begins_behind_the_checkpoint_is_refused() {
    let (world, [_, latest]) = world();
    let refused = reopen(world, latest + 1..3_000).unwrap_err();
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(
        source,
        "the state stands at offset 2000, its changelog begins at 2001"
    );
}

#[test]
fn a_state_ahead_of_its_log_is_made_again() {
    let (world, [before, _]) = world();
    // Files that are trusted, but the log has lost what they hold.
    world.tablet.close().unwrap();
    let (applied, rows) = reopen_short(world, 1_500);
    assert_eq!((applied, rows.len()), (before, 1_000));
}

/// Opens the tablet with a log that ends earlier than it did.
fn reopen_short(mut world: World, end: Offset) -> (Offset, Vec<OwnedRow>) {
    world.log.retain(|batch| batch.next_offset() <= end);
    reopen(world, 0..end).unwrap()
}

#[test]
fn a_gap_in_the_changelog_is_no_replay() {
    let (world, _) = world();
    let fresh = World::new(&world.table, false);
    match fresh.tablet.replay(&world.log[1..]) {
        Err(ReplayError::Gap {
            applied: 0,
            found: 1_000,
        }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(fresh.tablet.count().unwrap(), 0);
}
