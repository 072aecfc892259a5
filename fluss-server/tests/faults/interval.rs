//! Writes that are made durable by the clock.

use std::time::Duration;

use fluss_server::Sync;
use fluss_store::disk::faulty::FaultyDisk;

use crate::known::{Ends, Known};
use crate::life::live;
use crate::power::open;
use crate::tables::Tables;
use crate::until;

const OFTEN: Sync = Sync::Interval(Duration::from_millis(5));
const SELDOM: Sync = Sync::Interval(Duration::from_hours(1));

/// Whether all that was appended to any log is durable.
fn is_synced(disk: &FaultyDisk) -> bool {
    let unsynced = disk.unsynced();
    !unsynced
        .iter()
        .any(|path| path.extension().is_some_and(|kind| kind == "log"))
}

#[test]
fn what_was_acknowledged_an_interval_ago_survives_a_power_cut() {
    for seed in 0..12 {
        println!("seed {seed}");
        let (disk, mut dice) = (FaultyDisk::new(seed), fastrand::Rng::with_seed(seed));
        let mut known = Known::default();
        live(open(&disk, OFTEN), async |node| {
            let tables = Tables::open(node).await;
            for _ in 0..3 {
                tables.write(&mut known, &mut dice, 20).await;
                // Nothing more is written: it is the clock that makes it durable.
                until(async || is_synced(&disk)).await;
                known.all_is_safe();
            }
            let safe = known.safe;
            tables.write(&mut known, &mut dice, 20).await;
            known.safe = safe;
            disk.cut_power_after(0);
        });
        disk.cut_power();
        live(open(&disk, OFTEN), async |node| {
            known.check(&Tables::open(node).await.read().await);
        });
    }
}

#[test]
fn what_was_acknowledged_since_the_last_interval_may_be_lost_but_not_torn() {
    let mut lost = 0;
    for seed in 0..12 {
        println!("seed {seed}");
        let (disk, mut dice) = (FaultyDisk::new(seed), fastrand::Rng::with_seed(seed));
        let mut known = Known::default();
        live(open(&disk, SELDOM), async |node| {
            let tables = Tables::open(node).await;
            tables.write(&mut known, &mut dice, 20).await;
            assert!(!is_synced(&disk));
            known.safe = Ends::default();
            disk.cut_power_after(0);
        });
        disk.cut_power();
        live(open(&disk, SELDOM), async |node| {
            let contents = Tables::open(node).await.read().await;
            known.check(&contents);
            lost += known.ends().changes - contents.ends().changes;
        });
    }
    assert!(lost > 0);
}
