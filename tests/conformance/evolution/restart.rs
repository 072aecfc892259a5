//! A node knows every schema again when its directory is opened again.

use std::path::{Path, PathBuf};

use fluss_client::ChangeType::{self, Insert, UpdateAfter, UpdateBefore};
use fluss_client::embedded::{self, Node, NodeOptions, Storage};
use fluss_client::types::{OwnedRow, TablePath};
use fluss_client::{ClientOptions, Connection};
use tempfile::TempDir;
use tokio::time::timeout;

use super::keys::{check_changes, check_rows, row, upsert};
use super::{FORMATS, ages, check, fill, keys};
use crate::{Backend, ONCE, PATIENCE, run, tests};

tests! {
    ONCE => [rows_of_every_schema_outlast_a_restart],
}

/// What was written.
#[derive(Default)]
struct Written {
    logs: Vec<(TablePath, Vec<OwnedRow>)>,
    /// A table of each age, by path, with its rows and changes.
    keyed: Vec<TablePath>,
    rows: Vec<Option<OwnedRow>>,
    changes: Vec<(ChangeType, OwnedRow)>,
}

/// With that of which other servers do not take all that the node takes.
fn keyed_formats() -> impl ExactSizeIterator<Item = (&'static str, &'static str)> {
    [&keys::FORMATS[..], &[("INDEXED", "INDEXED")]]
        .concat()
        .into_iter()
}

/// Works on the node of a directory until nobody has it any more.
async fn at_node<T>(directory: &Path, work: impl AsyncFnOnce(Connection) -> T) -> T {
    let node = Node::open(NodeOptions::new(Storage::Directory(directory.to_owned()))).unwrap();
    let ending = node.downgrade();
    let mut options = ClientOptions::new([]);
    embedded::lead(&mut options, node);
    let done = work(Connection::open(options).await.unwrap()).await;
    timeout(PATIENCE, ending.ended()).await.expect("nobody has it");
    done
}

async fn write(connection: Connection) -> Written {
    let mut written = Written::default();
    for format in FORMATS {
        let ages = ages(&connection, format).await;
        let rows = fill(&ages, 8).await;
        written.logs.push((ages[2].info().path.clone(), rows));
    }
    for formats in keyed_formats() {
        let ages = keys::ages(&connection, formats).await;
        (written.rows, written.changes) = (vec![None], Vec::new());
        for (id, table) in (1..).zip(&ages) {
            let new = row(id, "before", table.info().row_type().len());
            upsert(table, std::slice::from_ref(&new)).await;
            written.rows.push(Some(new.clone()));
            written.changes.push((Insert, new));
        }
        written.keyed.push(ages[2].info().path.clone());
    }
    written
}

/// Reads what was written, and replaces the row of this key.
async fn go_on(connection: Connection, written: &mut Written, id: i32) {
    for (path, rows) in &written.logs {
        let table = connection.table(path).await.unwrap();
        check(&table, &[0, 1, 2, 3, 4], rows).await;
        check(&table, &[2, 0], rows).await;
    }
    let new = row(id, "after", 5);
    let old = written.rows[id as usize].replace(new.clone()).unwrap();
    written
        .changes
        .extend([(UpdateBefore, old), (UpdateAfter, new.clone())]);
    for path in &written.keyed {
        let table = connection.table(path).await.unwrap();
        upsert(&table, std::slice::from_ref(&new)).await;
        check_rows(&table, &written.rows).await;
        check_changes(&table, &written.changes).await;
    }
}

/// Removes what a node makes again from checkpoints and changelogs.
fn lose_states(directory: &Path) {
    let inside = |path: PathBuf| {
        let entries = std::fs::read_dir(path).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir())
    };
    let states: Vec<_> = inside(directory.join("buckets"))
        .flat_map(inside)
        .map(|bucket| bucket.join("state/live"))
        .filter(|state| state.exists())
        .collect();
    assert_eq!(states.len(), keyed_formats().len());
    for state in states {
        std::fs::remove_dir_all(state).unwrap();
    }
}

fn rows_of_every_schema_outlast_a_restart(_: Backend) {
    let directory = TempDir::with_prefix("fluss-node-").unwrap();
    let path = directory.path();
    run(async {
        let mut written = at_node(path, write).await;
        at_node(path, async |connection| go_on(connection, &mut written, 1).await).await;
        lose_states(path);
        at_node(path, async |connection| go_on(connection, &mut written, 2).await).await;
    });
}
