//! Power cuts under a client's writes.

use std::sync::Arc;

use fluss_server::{Node, NodeOptions, Storage, Sync};
use fluss_store::disk::faulty::FaultyDisk;

use crate::known::Known;
use crate::life::live;
use crate::tables::Tables;
use crate::until;

pub(crate) fn open(disk: &FaultyDisk, sync: Sync) -> Node {
    let mut options = NodeOptions::new(Storage::Disk(Arc::new(disk.clone())));
    options.sync = sync;
    options.segment_bytes = 2_000;
    Node::open(options).unwrap()
}

/// Writes until the machine goes down, after so many operations of its disk.
async fn write_until_down(tables: &Tables, disk: &FaultyDisk, known: &mut Known, dice: &mut fastrand::Rng) {
    disk.cut_power_after(dice.usize(..400));
    let writing = async {
        loop {
            let count = dice.usize(1..12);
            tables.write(known, dice, count).await;
        }
    };
    tokio::select! {
        () = writing => {}
        () = until(async || disk.is_down()) => {}
    }
}

#[test]
fn a_client_finds_all_that_was_acknowledged_if_writes_wait_for_the_disk() {
    let (mut safe, mut cuts) = (0, 0);
    for seed in 0..12 {
        println!("seed {seed}");
        let (disk, mut dice) = (FaultyDisk::new(seed), fastrand::Rng::with_seed(seed));
        let mut known = Known::default();
        for _ in 0..5 {
            let before = known.safe.changes;
            let node = open(&disk, Sync::Always);
            live(node, async |node| {
                let tables = Tables::open(node).await;
                let contents = tables.read().await;
                known.check(&contents);
                known.go_on_from(&contents);
                write_until_down(&tables, &disk, &mut known, &mut dice).await;
            });
            safe += known.safe.changes - before;
            cuts += 1;
            disk.cut_power();
        }
        live(open(&disk, Sync::Always), async |node| {
            known.check(&Tables::open(node).await.read().await);
        });
    }
    println!("{safe} changes were safe in {cuts} power cuts");
    assert!(safe > 1_000);
}
