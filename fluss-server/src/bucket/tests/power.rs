use std::path::PathBuf;
use std::sync::Arc;

use fluss_rpc::code::ErrorCode;
use fluss_store::disk::faulty::FaultyDisk;

use super::world::{Events, HOUR_MS, Opened, Rows, create_tables, large_batch};
use crate::Failure;
use crate::clock::ManualClock;

/// A machine that goes down now and then.
struct Machine {
    disk: FaultyDisk,
    clock: Arc<ManualClock>,
    dice: fastrand::Rng,
    waits: bool,
    rows: Rows,
    events: Events,
}

impl Machine {
    fn new(seed: u64, waits: bool) -> Self {
        let disk = FaultyDisk::new(seed);
        create_tables(&disk);
        Self {
            disk,
            clock: Arc::new(ManualClock::at(1)),
            dice: fastrand::Rng::with_seed(seed),
            waits,
            rows: Rows::new(),
            events: Events::new(),
        }
    }

    /// Opens the node, works, and goes down or just stops.
    fn live(&mut self) -> Result<(), Failure> {
        let failed = |error| Failure::new(ErrorCode::STORAGE_EXCEPTION, super::world::described(&error));
        let node = Opened::new(&self.disk, &self.clock, self.waits).map_err(failed)?;
        if self.dice.u8(..4) > 0 {
            // Otherwise nobody asks for them in this life.
            self.work(&node)?;
        }
        if self.dice.bool() {
            node.buckets.close();
        }
        Ok(())
    }

    fn work(&mut self, node: &Opened) -> Result<(), Failure> {
        let (rows, events) = (node.bucket("rows")?, node.bucket("events")?);
        self.rows.check(&rows)?;
        self.events.check(&events)?;
        for _ in 0..self.dice.usize(..40) {
            match self.dice.u8(..13) {
                0..5 => self.rows.write(&rows, &mut self.dice)?,
                5..9 => self.events.write(&events)?,
                9 => node.buckets.sync(),
                10 => node.buckets.sync_where_due(),
                11 => self.disk.close_idle(),
                _ => {
                    self.clock.advance(self.dice.i64(0..2 * HOUR_MS));
                    node.buckets.expire();
                }
            }
            self.rows.note_durable(&rows);
            self.events.note_durable(&events);
        }
        Ok(())
    }

    fn lives(&mut self, count: usize) {
        for _ in 0..count {
            if self.dice.u8(..4) > 0 {
                self.disk.cut_power_after(self.dice.usize(..150));
            }
            let lived = self.live();
            assert!(lived.is_ok() || self.disk.is_down(), "{lived:?}");
            if self.disk.is_down() {
                self.disk.cut_power();
            }
        }
        self.disk.cut_power();
        let node = Opened::new(&self.disk, &self.clock, self.waits).unwrap();
        self.rows.check(&node.bucket("rows").unwrap()).unwrap();
        self.events.check(&node.bucket("events").unwrap()).unwrap();
    }
}

#[expect(clippy::print_stdout, reason = "the seed of a failure")]
fn machines(waits: bool) {
    for seed in 0..150 {
        println!("seed {seed}");
        Machine::new(seed, waits).lives(12);
    }
}

#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged_if_writes_wait_for_the_disk() {
    machines(true);
}

#[test]
fn a_power_cut_takes_nothing_that_was_synced() {
    machines(false);
}

#[test]
fn an_end_is_clean_only_with_what_a_killed_process_had_written() {
    for seed in 0..20 {
        let mut machine = Machine::new(seed, false);
        let killed = Opened::new(&machine.disk, &machine.clock, false).unwrap();
        let (rows, events) = (killed.bucket("rows").unwrap(), killed.bucket("events").unwrap());
        for _ in 0..20 {
            machine.rows.write(&rows, &mut machine.dice).unwrap();
            machine.events.write(&events).unwrap();
        }
        let ends = (rows.high_watermark(), events.high_watermark());
        // Nobody asks for the buckets before the next process ends.
        let idle = Opened::new(&machine.disk, &machine.clock, false).unwrap();
        idle.buckets.close();
        machine.disk.cut_power();
        let node = Opened::new(&machine.disk, &machine.clock, false).unwrap();
        let (rows, events) = (node.bucket("rows").unwrap(), node.bucket("events").unwrap());
        machine.rows.check(&rows).unwrap();
        machine.events.check(&events).unwrap();
        assert_eq!((rows.high_watermark(), events.high_watermark()), ends);
    }
}

/// A machine without syncs by the clock, whose rows have had checkpoints and whose changelog was cut.
fn after_expiry(seed: u64) -> (Machine, Opened) {
    let mut machine = Machine::new(seed, false);
    let node = Opened::new(&machine.disk, &machine.clock, false).unwrap();
    let rows = node.bucket("rows").unwrap();
    for _ in 0..6 {
        for _ in 0..10 {
            machine.rows.write(&rows, &mut machine.dice).unwrap();
        }
        machine.clock.advance(2 * HOUR_MS);
        // Nothing else makes the log durable.
        node.buckets.expire();
    }
    assert!(rows.start_offset().unwrap() > 0);
    (machine, node)
}

#[test]
fn a_changelog_is_cut_only_where_its_rows_can_be_made_again_after_a_power_cut() {
    for seed in 0..20 {
        let (mut machine, _) = after_expiry(seed);
        machine.disk.cut_power();
        let node = Opened::new(&machine.disk, &machine.clock, false).unwrap();
        let rows = node.bucket("rows").unwrap();
        machine.rows.check(&rows).unwrap();
        assert!(rows.start_offset().unwrap() > 0);
    }
}

/// The checkpoints of rows, in order.
fn checkpoints(disk: &FaultyDisk) -> Vec<PathBuf> {
    let is_checkpoint = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("checkpoint-"))
    };
    disk.paths().into_iter().filter(is_checkpoint).collect()
}

fn flip_in_the_middle(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

#[test]
fn rows_are_made_from_the_checkpoint_before_if_the_newest_is_damaged_after_a_power_cut() {
    for seed in 0..20 {
        let (mut machine, node) = after_expiry(seed);
        let rows = node.bucket("rows").unwrap();
        for _ in 0..10 {
            machine.rows.write(&rows, &mut machine.dice).unwrap();
        }
        node.buckets.sync();
        machine.rows.note_durable(&rows);
        machine.disk.cut_power();
        // The cut may have brought back one that was removed.
        let mut older = checkpoints(&machine.disk);
        let newest = older.pop().unwrap();
        machine.disk.alter(&newest, |bytes| flip_in_the_middle(bytes));
        let without_newest = machine.disk.copy();
        let node = Opened::new(&without_newest, &machine.clock, false).unwrap();
        machine.rows.check(&node.bucket("rows").unwrap()).unwrap();
        for path in older {
            machine.disk.alter(&path, |bytes| flip_in_the_middle(bytes));
        }
        let node = Opened::new(&machine.disk, &machine.clock, false).unwrap();
        let refused = node.bucket("rows").unwrap_err().message;
        let expected = format!("{} is damaged at byte ", newest.display());
        assert!(refused.contains(&expected), "{refused}");
    }
}

#[test]
fn without_syncs_by_the_clock_a_log_is_made_durable_when_much_was_written() {
    let mut machine = Machine::new(1, false);
    let node = Opened::new(&machine.disk, &machine.clock, false).unwrap();
    let events = node.bucket("events").unwrap();
    machine.events.write(&events).unwrap();
    node.buckets.sync_where_due();
    assert_eq!(events.log().unwrap().synced_offset(), 0);
    events.append(large_batch(17 << 20)).unwrap();
    node.buckets.sync_where_due();
    assert_eq!(events.log().unwrap().synced_offset(), events.high_watermark());
}
