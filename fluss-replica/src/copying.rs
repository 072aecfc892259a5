//! Making a copy from the beginning, aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use fluss_client::arrow::record_batch::RecordBatch;
use fluss_client::filter::Filter;
use fluss_client::id::{Offset, PartitionId, TableBucket};
use fluss_client::types::RowType;
use fluss_client::{AsOf, BucketRead, Connection, LogScanner, StartOffset, Table};
use fluss_store::copy::CopyFile;
use futures::TryStreamExt;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::changes::{Changes, Held};
use crate::contents::Contents;
use crate::error::{Error, Result};
use crate::held::{Copy, unopened};
use crate::options::ReplicaOptions;
use crate::selection::Selection;
use crate::shape::Shape;

/// How many bytes of rows are put in together.
const AT_A_TIME: usize = 8 << 20;
/// How many batches wait at most.
const AHEAD: usize = 4;

/// Copies what a table has now into a directory, which is not there.
pub(crate) async fn copy(
    connection: &Connection,
    table: &Table,
    selection: &Selection,
    options: &ReplicaOptions,
    place: (PathBuf, u64),
) -> Result<Copy> {
    let (directory, generation) = place;
    let copied = copy_into(connection, table, selection, options, (&directory, generation)).await;
    if copied.is_err() {
        // What is left of it is swept when the next one is begun.
        let _ = spawn_blocking(move || fs::remove_dir_all(directory)).await;
    }
    copied
}

async fn copy_into(
    connection: &Connection,
    table: &Table,
    selection: &Selection,
    options: &ReplicaOptions,
    (directory, generation): (&PathBuf, u64),
) -> Result<Copy> {
    let info = table.info();
    let held = selection.held(info.schema());
    let types = BTreeMap::from([(info.schema_id, held.clone())]);
    let shape = Shape::new(info.path.clone(), types, info.schema().primary_key())?;
    let shape = Arc::new(shape);

    let mut scan = table.scan().project(held.names());
    if let Some(filter) = &options.filter {
        scan = scan.filter(filter.clone());
    }
    let plan = scan.plan(AsOf::Latest).await?;
    let buckets: BTreeSet<TableBucket> = plan.buckets().iter().map(BucketRead::bucket).collect();
    let mut rows = plan.into_stream();
    let (sender, receiver) = mpsc::channel(AHEAD);
    let writing = spawn_blocking({
        let (directory, shape) = (directory.clone(), shape.clone());
        move || write(&directory, &shape, receiver)
    });
    while let Some(batch) = rows.try_next().await? {
        // The writer says why it takes no more.
        if sender.send(batch).await.is_err() {
            break;
        }
    }
    drop(sender);
    let file = writing
        .await
        .map_err(|error| Error::damaged(directory, error))??;

    let ends = rows.offsets();
    let partitions = partitions(connection, table).await?;
    let is_whole = buckets.iter().all(|bucket| ends.contains_key(bucket));
    let are_known = ends.keys().filter_map(|bucket| bucket.partition);
    let mut are_known = are_known;
    if !is_whole || !are_known.all(|id| partitions.contains_key(&id.get())) {
        let reason = "a partition was dropped while it was copied";
        return Err(Error::Interrupted(reason));
    }
    let kept: BTreeSet<PartitionId> = ends.keys().filter_map(|bucket| bucket.partition).collect();
    let scanner = scanner(table, &held, options)?;
    let positions = start(&scanner, &ends).await?;
    let mut contents = Contents {
        table_id: info.id.get(),
        key: info.schema().primary_key().to_vec(),
        schemas: BTreeMap::new(),
        partitions: partitions
            .into_iter()
            .filter(|(id, _)| kept.contains(&PartitionId(*id)))
            .collect(),
        positions,
        applied: Vec::new(),
    };
    contents.set_schemas(&shape);
    for (bucket, end) in &ends {
        contents.advance(bucket, *end, None);
    }
    let copy = Copy {
        generation,
        file,
        shape,
    };
    let finished = copy.clone();
    let finish = spawn_blocking(move || finished.apply(&mut Changes::default(), &contents));
    finish.await.map_err(|error| Error::damaged(directory, error))??;
    Ok(copy)
}

/// A scanner of what is held, with what the filter looks at behind it.
pub(crate) fn scanner(table: &Table, held: &RowType, options: &ReplicaOptions) -> Result<LogScanner> {
    Ok(table
        .scan()
        .project(scanned(table, held, options)?)
        .log_scanner()?)
}

/// The names of the columns that are scanned: those that are held, and behind them those that only the filter looks at.
pub(crate) fn scanned(table: &Table, held: &RowType, options: &ReplicaOptions) -> Result<Vec<String>> {
    let mut names: Vec<String> = held.names().map(str::to_owned).collect();
    if let Some(filter) = &options.filter {
        let row_type = table.info().row_type();
        let looked_at = Filter::new(filter, row_type)?;
        let looked_at = looked_at
            .columns()
            .iter()
            .filter_map(|place| row_type.field(*place));
        let others = looked_at.filter(|field| held.index_of(&field.name).is_none());
        names.extend(others.map(|field| field.name.clone()));
    }
    Ok(names)
}

/// Has a scanner go on behind a copy. Returns where it stands.
async fn start(scanner: &LogScanner, ends: &BTreeMap<TableBucket, Offset>) -> Result<String> {
    if scanner.table().is_partitioned() {
        // Partitions that are created later are read from their beginning on.
        scanner.subscribe_all(StartOffset::Earliest).await?;
    }
    let starts = ends.iter().map(|(bucket, end)| (*bucket, StartOffset::At(*end)));
    scanner.subscribe_buckets(&starts.collect::<Vec<_>>()).await?;
    let positions = scanner.positions()?.to_json();
    scanner.close();
    Ok(positions)
}

/// The names of the partitions that there are, by their ids.
pub(crate) async fn partitions(connection: &Connection, table: &Table) -> Result<BTreeMap<i64, String>> {
    let info = table.info();
    if !info.is_partitioned() {
        return Ok(BTreeMap::new());
    }
    let listed = connection.admin().list_partitions(&info.path, None).await?;
    let entry = |partition: fluss_client::PartitionInfo| {
        let values: Vec<_> = partition
            .spec
            .values
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        (
            partition.id.get(),
            fluss_client::types::PartitionName::from_values(&values).to_string(),
        )
    };
    Ok(listed.into_iter().map(entry).collect())
}

/// Puts rows into a copy as they come.
fn write(directory: &PathBuf, shape: &Shape, mut rows: mpsc::Receiver<RecordBatch>) -> Result<Arc<CopyFile>> {
    let file = CopyFile::begin(directory).map_err(|error| unopened(error, &shape.table))?;
    let held = Held::new(shape, None);
    let mut changes = Changes::default();
    let put = |changes: &mut Changes| {
        let written: std::io::Result<()> = file.write(|batch| {
            changes.make(batch)?;
            Ok(Vec::new())
        });
        changes.clear();
        written.map_err(Error::storage(directory))
    };
    while let Some(batch) = rows.blocking_recv() {
        let added = changes.add_rows(&held, &batch);
        added.map_err(|error| Error::damaged(directory, error))?;
        if changes.bytes() >= AT_A_TIME {
            put(&mut changes)?;
        }
    }
    put(&mut changes)?;
    Ok(file)
}
