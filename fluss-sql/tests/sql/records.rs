//! Files of records in the format of sqllogictest: statements, and what comes of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use fluss_client::Connection;
use fluss_client::types::DatabaseDescriptor;
use fluss_sql::{Error, Options, Outcome, Parameters, Session};
use libtest_mimic::{Failed, Trial};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use tokio::sync::Semaphore;

use crate::world::{Backend, run};

/// A trial for each file and backend.
pub(crate) fn trials() -> Vec<Trial> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let mut backends = vec![Backend::Memory];
    if fluss_cluster::has_java() {
        backends.push(Backend::Cluster);
    }
    let mut trials = Vec::new();
    for file in files(&root) {
        for backend in &backends {
            let (file, backend) = (file.clone(), *backend);
            let name = file.strip_prefix(&root).unwrap().with_extension("");
            let title = format!("records::{}::{backend:?}", name.display());
            trials.push(Trial::test(title, move || {
                run(of_file(&file, backend)).map_err(Failed::from)
            }));
        }
    }
    trials
}

/// The files below a directory, in their order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(directory).unwrap();
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Runs a file in a database of its own.
async fn of_file(file: &Path, backend: Backend) -> Result<(), String> {
    // The servers of one cluster carry out a few files at a time; and some make databases that have names.
    static CLUSTER: Semaphore = Semaphore::const_new(1);
    let _turn = match backend {
        Backend::Memory => None,
        Backend::Cluster => Some(CLUSTER.acquire().await.unwrap()),
    };
    let connection = backend.connect().await;
    let stem = file.file_stem().unwrap().to_string_lossy().to_lowercase();
    let parent = file
        .parent()
        .and_then(Path::file_name)
        .unwrap()
        .to_string_lossy()
        .to_lowercase();
    let database = format!("of_{parent}_{stem}");
    let admin = connection.admin();
    admin.drop_database(&database, true, true).await.unwrap();
    admin
        .create_database(&database, &DatabaseDescriptor::default(), false)
        .await
        .unwrap();
    let mut runner = Runner::new(|| async {
        let options = Options::default().with_database(Some(database.clone()));
        let session = Session::new(&connection, options)?;
        Ok(Database {
            session,
            _connection: connection.clone(),
        })
    });
    runner.with_column_validator(|_, _| true);
    let outcome = runner.run_file_async(file).await;
    runner.shutdown_async().await;
    drop(runner);
    let dropped = admin.drop_database(&database, true, true).await;
    connection.shut_down().await.unwrap();
    outcome.map_err(|error| error.display(false).to_string())?;
    dropped.map_err(|error| error.to_string())
}

struct Database {
    session: Session,
    _connection: Connection,
}

#[async_trait]
impl AsyncDB for Database {
    type Error = Arc<Error>;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, text: &str) -> Result<DBOutput<Self::ColumnType>, Self::Error> {
        Ok(match self.session.execute(text, Parameters::default()).await? {
            Outcome::Rows(rows) => {
                let columns = rows.schema().fields().len();
                let batches = rows.fetch_all().await?;
                DBOutput::Rows {
                    types: vec![DefaultColumnType::Any; columns],
                    rows: batches.iter().flat_map(cells).collect(),
                }
            }
            Outcome::Changed(rows) => DBOutput::StatementComplete(rows),
            _ => DBOutput::StatementComplete(0),
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "fluss"
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The values of rows as text.
fn cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL").with_display_error(true);
    let columns = batch.columns().iter();
    let shown = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap());
    let shown: Vec<_> = shown.collect();
    let cell = |column: &ArrayFormatter<'_>, row: usize| match column.value(row).to_string() {
        empty if empty.is_empty() => "(empty)".to_owned(),
        text => text,
    };
    (0..batch.num_rows())
        .map(|row| shown.iter().map(|column| cell(column, row)).collect())
        .collect()
}
