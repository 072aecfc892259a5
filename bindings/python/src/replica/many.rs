//! Many keys of a replica: one thread finds their rows while the other makes Python objects of them.

use std::panic::resume_unwind;
use std::thread;

use fluss_replica::{FoundRows, HeldRow, Rows};
use pyo3::prelude::*;
use tokio::sync::mpsc;

use super::columns::Reading;
use crate::convert::Key;
use crate::error::Fault;

/// From so many keys on there are two threads.
const MANY: usize = 2_000;
/// How many rows one hands to the other at a time, and how often it goes ahead.
const AT_A_TIME: usize = 256;
const AHEAD: usize = 4;

/// What `make` makes of the rows of keys, all of one moment; nothing if other columns are held since.
pub(super) fn found<T>(
    py: Python<'_>,
    reading: &Reading<'_>,
    keys: &[Key<'_>],
    make: impl Fn(HeldRow<'_>) -> PyResult<T>,
) -> PyResult<Option<Vec<Option<T>>>> {
    let mut objects = Vec::with_capacity(keys.len());
    let mut make_all = |found: &FoundRows| -> PyResult<()> {
        for row in found.iter() {
            objects.push(row.map(&make).transpose()?);
        }
        Ok(())
    };
    let fits = if keys.len() < MANY {
        let found = reading.replica.read(|rows| find_all(reading, rows, keys));
        let found = found.map_err(Fault::from)?;
        found.as_ref().map(&mut make_all).transpose()?.is_some()
    } else {
        in_two(py, reading, keys, make_all)?
    };
    Ok(fits.then_some(objects))
}

fn find_all(
    reading: &Reading<'_>,
    rows: &mut Rows<'_>,
    keys: &[Key<'_>],
) -> fluss_replica::Result<Option<FoundRows>> {
    reading.fits(rows).then(|| find(rows, keys)).transpose()
}

fn find(rows: &mut Rows<'_>, keys: &[Key<'_>]) -> fluss_replica::Result<FoundRows> {
    rows.find(keys.iter().map(|key| (!key.has_null()).then_some(key)))
}

/// Hands over what is found as it is. Returns whether the columns are those that it is for.
fn in_two(
    py: Python<'_>,
    reading: &Reading<'_>,
    keys: &[Key<'_>],
    mut take: impl FnMut(&FoundRows) -> PyResult<()>,
) -> PyResult<bool> {
    let (replica, layout) = (reading.replica, reading.columns.layout);
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    thread::scope(|scope| {
        let finding = thread::Builder::new().name("fluss-replica".to_owned());
        let finding = finding.spawn_scoped(scope, move || {
            replica.read(|rows| {
                let fits = rows.layout() == layout;
                let parts = keys.chunks(AT_A_TIME).take_while(|_| fits);
                for keys in parts {
                    // Whoever takes no more has failed.
                    if sender.blocking_send(find(rows, keys)?).is_err() {
                        break;
                    }
                }
                Ok(fits)
            })
        })?;
        let mut taken = Ok(());
        while let Some(found) = py.detach(|| receiver.blocking_recv()) {
            taken = take(&found);
            if taken.is_err() {
                break;
            }
        }
        drop(receiver);
        let fits = finding.join().unwrap_or_else(|panic| resume_unwind(panic));
        taken?;
        Ok(fits.map_err(Fault::from)?)
    })
}
