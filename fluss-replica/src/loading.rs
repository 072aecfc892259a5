//! Putting the rows of a table into a copy that is begun.
//!
//! Rows that come behind all others are put in fastest, and fill their pages. Servers give out each bucket in the order of its
//! keys, which is nearly always that of the copy: so what has come of all buckets up to some key can be put in, in order.
//! Where it comes in another order it is put in all the same.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fluss_client::arrow::record_batch::RecordBatch;
use fluss_store::copy::CopyFile;
use tokio::sync::mpsc;

use crate::changes::{Changes, Held};
use crate::error::{Error, Result};
use crate::held::unopened;
use crate::shape::Shape;

/// How many bytes of rows are put in together.
const AT_A_TIME: usize = 8 << 20;

/// What comes of a bucket, by its place among those that are read.
#[derive(Debug)]
pub(crate) enum Piece {
    Rows(usize, RecordBatch),
    /// A batch of stored values.
    Stored(usize, Bytes),
    End(usize),
}

/// How far a bucket has come.
#[derive(Clone, Debug)]
enum Progress {
    NotBegun,
    /// Up to this key.
    At(Vec<u8>),
    Ended,
}

/// Puts rows into a copy as they come, of so many buckets.
pub(crate) fn load(
    directory: &Path,
    shape: &Shape,
    buckets: usize,
    mut pieces: mpsc::Receiver<Piece>,
) -> Result<Arc<CopyFile>> {
    let file = CopyFile::begin(directory).map_err(|error| unopened(error, &shape.table))?;
    let held = Held::new(shape, None);
    let mut changes = Changes::default();
    let mut progress = vec![Progress::NotBegun; buckets];
    let put = |changes: &mut Changes, up_to: Option<&[u8]>| {
        let written: io::Result<()> = file.write(|batch| {
            changes.make_up_to(up_to, batch)?;
            Ok(Vec::new())
        });
        written.map_err(Error::storage(directory))
    };
    while let Some(piece) = pieces.blocking_recv() {
        let (place, now) = match piece {
            Piece::Rows(place, batch) => {
                let added = changes.add_rows(&held, &batch);
                added.map_err(|error| Error::damaged(directory, error))?;
                (place, Progress::At(changes.last_key().to_vec()))
            }
            Piece::Stored(place, values) => {
                let added = changes.add_stored(shape, &values);
                added.map_err(|error| Error::damaged(directory, error))?;
                (place, Progress::At(changes.last_key().to_vec()))
            }
            Piece::End(place) => (place, Progress::Ended),
        };
        if let Some(progress) = progress.get_mut(place) {
            *progress = now;
        }
        if changes.bytes() < AT_A_TIME {
            continue;
        }
        if let Some(up_to) = common(&progress) {
            put(&mut changes, Some(&up_to))?;
        }
        // The buckets are too far apart, or come in another order.
        if changes.bytes() > AT_A_TIME / 2 {
            put(&mut changes, None)?;
        }
    }
    put(&mut changes, None)?;
    Ok(file)
}

/// The key up to which all buckets have come; nothing if one has not begun, or none is left.
fn common(progress: &[Progress]) -> Option<Vec<u8>> {
    if progress
        .iter()
        .any(|progress| matches!(progress, Progress::NotBegun))
    {
        return None;
    }
    let keys = progress.iter().filter_map(|progress| match progress {
        Progress::At(key) => Some(key),
        _ => None,
    });
    keys.min().cloned()
}
