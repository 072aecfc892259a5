//! Making a copy from the beginning, aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use fluss_client::filter::Filter;
use fluss_client::id::{Offset, PartitionId, SchemaId, TableBucket};
use fluss_client::types::{KvFormat, RowType};
use fluss_client::{AsOf, BucketRead, Connection, ErrorKind, LogScanner, StartOffset, Table};
use futures::future::try_join_all;
use futures::stream::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::changes::Changes;
use crate::contents::Contents;
use crate::error::{Error, Result};
use crate::held::Copy;
use crate::loading::{Piece, load};
use crate::options::ReplicaOptions;
use crate::selection::Selection;
use crate::shape::Shape;

/// How many batches of a bucket wait at most.
const AHEAD: usize = 1;
/// How many buckets are read at a time, and how many that are held whole while they are.
const READ_AT_ONCE: usize = 8;
const HELD_AT_ONCE: usize = 2;

/// Copies what a table has now into a directory, which is not there.
pub(crate) async fn copy(
    connection: &Connection,
    table: &Table,
    selection: &Selection,
    options: &ReplicaOptions,
    place: (PathBuf, u64),
) -> Result<Copy> {
    let (directory, generation) = place;
    // Where all is held, rows are kept as servers have them.
    let is_whole = options.columns.is_none() && options.filter.is_none();
    let mut as_stored = is_whole && table.info().properties.kv_format == KvFormat::Compacted;
    loop {
        let place = (&directory, generation);
        let copied = copy_into(connection, table, selection, options, place, as_stored).await;
        if copied.is_err() {
            // What is left of it is swept when the next one is begun.
            let directory = directory.clone();
            let _ = spawn_blocking(move || fs::remove_dir_all(directory)).await;
        }
        match copied {
            Err(Error::Client(error)) if as_stored && matches!(error.kind(), ErrorKind::Unsupported(_)) => {
                as_stored = false;
            }
            copied => return copied,
        }
    }
}

async fn copy_into(
    connection: &Connection,
    table: &Table,
    selection: &Selection,
    options: &ReplicaOptions,
    (directory, generation): (&PathBuf, u64),
    as_stored: bool,
) -> Result<Copy> {
    let info = table.info();
    let held = selection.held(info.schema());
    let mut types = BTreeMap::from([(info.schema_id, held.clone())]);
    if as_stored {
        // Rows are there of all schemas that the table has had.
        for id in 1..info.schema_id.get() {
            let (id, schema) = connection
                .admin()
                .table_schema(&info.path, Some(SchemaId(id)))
                .await?;
            types.insert(id, selection.held(&schema));
        }
    }
    let shape = Shape::new(info.path.clone(), types, info.schema().primary_key())?;
    let shape = Arc::new(shape);

    let mut scan = table.scan().project(held.names());
    if let Some(filter) = &options.filter {
        scan = scan.filter(filter.clone());
    }
    let reads = scan.plan(AsOf::Latest).await?.into_buckets();
    let (sender, receiver) = mpsc::channel(1);
    let loading = spawn_blocking({
        let (directory, shape) = (directory.clone(), shape.clone());
        move || load(&directory, &shape, receiver)
    });
    read(&reads, as_stored, &sender).await?;
    drop(sender);
    let loaded = loading.await;
    let file = loaded.map_err(|error| Error::damaged(directory, error))??;

    let ends = reads.iter().map(|read| Some((read.bucket(), read.end_offset()?)));
    let ends: Option<BTreeMap<TableBucket, Offset>> = ends.collect();
    let partitions = partitions(connection, table).await?;
    let Some(ends) = ends.filter(|ends| {
        let mut read = ends.keys().filter_map(|bucket| bucket.partition);
        read.all(|id| partitions.contains_key(&id.get()))
    }) else {
        return Err(Error::Interrupted("a partition was dropped while it was copied"));
    };
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

/// Reads buckets, a few side by side, and hands over what comes of each until nobody takes any more.
async fn read(
    reads: &[BucketRead],
    as_stored: bool,
    loading: &mpsc::Sender<Vec<mpsc::Receiver<Piece>>>,
) -> Result<()> {
    // Where servers do not give out rows as they are, each bucket is held whole, and its end is known beforehand.
    let are_held = reads.iter().any(|read| read.end_offset().is_some());
    let at_once = if are_held { HELD_AT_ONCE } else { READ_AT_ONCE };
    for reads in reads.chunks(at_once) {
        let channels = reads.iter().map(|_| mpsc::channel(AHEAD));
        let (senders, receivers): (Vec<_>, Vec<_>) = channels.unzip();
        // The one who loads says why it takes no more.
        if loading.send(receivers).await.is_err() {
            break;
        }
        let each = reads.iter().zip(senders);
        try_join_all(each.map(|(read, sender)| read_bucket(read, as_stored, sender))).await?;
    }
    Ok(())
}

async fn read_bucket(read: &BucketRead, as_stored: bool, sender: mpsc::Sender<Piece>) -> Result<()> {
    let stored = read.clone().into_stored().filter(|_| as_stored);
    let mut pieces = match stored {
        Some(values) => values.map_ok(Piece::Stored).boxed(),
        None => read.clone().into_stream().map_ok(Piece::Rows).boxed(),
    };
    while let Some(piece) = pieces.try_next().await? {
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
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
