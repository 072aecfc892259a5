//! A real directory with files of every kind: segments, indexes, checkpoints of the log and of the rows, LMDB's.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fluss_core::id::Offset;
use fluss_server::clock::ManualClock;
use fluss_server::{Node, NodeOptions, OpenError, Storage};
use tempfile::TempDir;

use crate::copy::{copy, files};
use crate::frames::{self, Reads};
use crate::known::{Ends, Known};
use crate::life::live;
use crate::tables::Tables;
use crate::until;

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// Where the rows are, beside their checkpoints.
pub(crate) const STATE: &str = "buckets/1/0/state";

/// How a node has left its directory, and what is in it.
pub(crate) struct Directory {
    pub(crate) place: TempDir,
    pub(crate) end: End,
    pub(crate) known: Known,
    /// Where the logs began.
    pub(crate) starts: Ends,
}

/// How a node ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Closed,
    /// As the process leaves it that is killed.
    Killed,
}

/// How often a node looks for what has expired: not while anything is done here, or at once.
const SELDOM: Duration = Duration::from_hours(1);
const OFTEN: Duration = Duration::from_millis(1);

fn open(directory: &Path, clock: &Arc<ManualClock>, housekeeping: Duration) -> Result<Node, OpenError> {
    let mut options = NodeOptions::new(Storage::Directory(directory.to_owned()));
    options.clock = clock.clone();
    options.segment_bytes = 1_500;
    options.housekeeping = housekeeping;
    Node::open(options)
}

/// A directory in which nodes have written, dropped old records, and written on.
pub(crate) fn directory(end: End) -> Directory {
    let (place, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::at(1)));
    let (mut known, mut dice) = (Known::default(), fastrand::Rng::with_seed(1));
    let root = place.path();
    for _ in 0..3 {
        live(open(root, &clock, SELDOM).unwrap(), async |node| {
            write(&Tables::open(node).await, &mut known, &mut dice).await;
        });
        clock.advance(2 * HOUR_MS);
        live(open(root, &clock, OFTEN).unwrap(), async |node| {
            let (tables, ends) = (Tables::open(node).await, known.ends());
            until(async || tables.starts().await.events == ends.events && has_settled(root, ends.changes))
                .await;
        });
    }
    let killed = live(open(root, &clock, SELDOM).unwrap(), async |node| {
        write(&Tables::open(node).await, &mut known, &mut dice).await;
        copy(root)
    });
    let place = if end == End::Killed { killed } else { place };
    let reads = read(&copy(place.path())).unwrap();
    let starts = Ends {
        events: reads.events.found.start,
        changes: reads.changes.found.start,
    };
    assert!(starts.changes > 0);
    Directory {
        place,
        end,
        known,
        starts,
    }
}

/// Writes batches of one write each, so that files become many.
async fn write(tables: &Tables, known: &mut Known, dice: &mut fastrand::Rng) {
    for _ in 0..16 {
        tables.write(known, dice, 1).await;
    }
}

/// Whether the rows were written down as they were at an offset, and older checkpoints are gone.
fn has_settled(directory: &Path, offset: Offset) -> bool {
    let checkpoints = checkpoints(directory);
    checkpoints.len() <= 2 && checkpoints.last() == Some(&offset)
}

/// The name of the checkpoint of an offset.
pub(crate) fn checkpoint(offset: Offset) -> String {
    format!("checkpoint-{offset:020}")
}

/// The offsets of the checkpoints of the rows, in order.
pub(crate) fn checkpoints(directory: &Path) -> Vec<Offset> {
    let names = files(&directory.join(STATE));
    let offset = |name: &PathBuf| name.to_str()?.strip_prefix("checkpoint-")?.parse().ok();
    names.iter().filter_map(offset).collect()
}

/// What a node that is opened in a directory has.
pub(crate) fn read(directory: &TempDir) -> Result<Reads, OpenError> {
    let node = open(directory.path(), &Arc::new(ManualClock::at(1)), SELDOM)?;
    Ok(live(node, frames::read))
}
