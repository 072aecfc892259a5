//! Where the logs of a cluster's tables lie: on the disk of its only server, and in remote storage.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fluss_client::Table;
use fluss_client::id::Offset;
use tokio::time::{Instant, sleep};

use crate::place::Place;
use crate::{PATIENCE, note};

/// Where a bucket's log begins on the disk: the cluster has what precedes it in remote storage.
pub fn local_start(place: &Place, table: &Table, bucket: i32) -> Offset {
    let name = format!("log-{bucket}");
    let starts = local_starts(place, table);
    let mut of_bucket = starts.iter().filter(|(directory, _)| directory.ends_with(&name));
    *of_bucket.next().unwrap().1
}

/// Where the log in each directory begins, of all buckets and partitions of a table.
fn local_starts(place: &Place, table: &Table) -> BTreeMap<PathBuf, Offset> {
    let server = place.cluster().directory().join("tablet-server-0").join("data");
    let mut starts = BTreeMap::new();
    for file in files(&directory(&server, table)) {
        let home = file.parent().unwrap();
        // The rows of primary-key tables have logs of their own.
        if home.file_name().unwrap().to_str().unwrap().starts_with("log-") {
            let start = starts.entry(home.to_owned()).or_insert(Offset::MAX);
            *start = start_of(&file).min(*start);
        }
    }
    starts
}

/// The segments of a table in remote storage.
pub fn remote_files(place: &Place, table: &Table) -> Vec<PathBuf> {
    let remote = place.cluster().directory().join("remote").join("log");
    let mut found = files(&directory(&remote, table));
    found.sort_by_key(|file| start_of(file));
    found
}

/// The directory of a table in that of all databases.
fn directory(databases: &Path, table: &Table) -> PathBuf {
    let info = table.info();
    let name = format!("{}-{}", info.path.table(), info.id);
    databases.join(info.path.database()).join(name)
}

/// The log files in a directory and those below it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory).into_iter().flatten();
    for entry in entries.map_while(Result::ok) {
        let path = entry.path();
        match path.extension() {
            None => found.extend(files(&path)),
            Some(extension) if extension == "log" => found.push(path),
            Some(_) => {}
        }
    }
    found
}

pub fn start_of(file: &Path) -> Offset {
    file.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

/// Waits until nine of ten of so many records are in remote storage only.
pub async fn wait_tiered(place: &Place, table: &Table, records: i64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let away: Offset = local_starts(place, table).values().sum();
        if away * 10 >= records * 9 {
            note(&format!("{away} of {records} records are in remote storage"));
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{away} of {records} records are in remote storage"
        );
        sleep(Duration::from_millis(100)).await;
    }
}
