//! Where the rows of a statement go: to the table, or to the open transaction.

use arrow::record_batch::RecordBatch;
use fluss_client::{AppendWriter, BatchWrite, UpsertWriter};

use super::target::Target;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};

/// Which columns rows are written with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// All that are given a value by writers.
    Whole,
    /// These, by their positions; the others of a key stay as they are.
    Parts(Vec<usize>),
    /// These, or all, whatever the table's merge engine would make of them.
    Overwriting(Option<Vec<usize>>),
}

/// Takes the rows of one statement. What is not sent when it is dropped is not written.
pub(super) struct Sink {
    context: Context,
    target: Target,
    rows: u64,
    kind: Kind,
}

enum Kind {
    Direct {
        writer: Writer,
        write: Box<BatchWrite>,
    },
    /// Until the statement has ended.
    Gathered {
        deletes: bool,
        batches: Vec<RecordBatch>,
    },
}

enum Writer {
    Append(AppendWriter),
    Upsert(UpsertWriter),
}

impl Writer {
    async fn flush(&self) -> fluss_client::Result<()> {
        match self {
            Self::Append(writer) => writer.flush().await,
            Self::Upsert(writer) => writer.flush().await,
        }
    }
}

/// Whether what is written is gathered.
pub(super) fn in_transaction(context: &Context) -> bool {
    context.shared.state.lock().transaction.is_some()
}

impl Sink {
    /// Begins to store rows: in a transaction always whole ones.
    pub(super) async fn put(context: &Context, target: &Target, way: Way) -> Result<Self> {
        if in_transaction(context) {
            return Self::gathered(context, target, false);
        }
        let table = &target.table;
        let opened = context.client(async {
            if !target.has_key() {
                let writer = table.append_writer()?;
                let write = writer.append_batches();
                return Ok((Writer::Append(writer), write));
            }
            let names = |columns: Vec<usize>| -> Vec<String> {
                let names = columns
                    .into_iter()
                    .filter_map(|column| table.info().row_type().field(column));
                names.map(|field| field.name.clone()).collect()
            };
            let builder = match way {
                Way::Whole => table.upsert(),
                Way::Parts(columns) => table.upsert().columns(names(columns)),
                Way::Overwriting(Some(columns)) => table.upsert().columns(names(columns)).overwrite(),
                Way::Overwriting(None) => table.upsert().overwrite(),
            };
            let writer = builder.writer()?;
            let write = writer.upsert_batches();
            Ok::<_, fluss_client::Error>((Writer::Upsert(writer), write))
        });
        let (writer, write) = opened.await?;
        Ok(Self::direct(context, target, writer, write))
    }

    /// Begins to delete rows by their keys.
    pub(super) async fn delete(context: &Context, target: &Target) -> Result<Self> {
        target.check_deletes()?;
        if in_transaction(context) {
            return Self::gathered(context, target, true);
        }
        let table = &target.table;
        let opened = context.client(async {
            let writer = table.upsert_writer()?;
            let write = writer.delete_batches()?;
            Ok::<_, fluss_client::Error>((Writer::Upsert(writer), write))
        });
        let (writer, write) = opened.await?;
        Ok(Self::direct(context, target, writer, write))
    }

    fn direct(context: &Context, target: &Target, writer: Writer, write: BatchWrite) -> Self {
        Self {
            context: context.clone(),
            target: target.clone(),
            rows: 0,
            kind: Kind::Direct {
                writer,
                write: Box::new(write),
            },
        }
    }

    fn gathered(context: &Context, target: &Target, deletes: bool) -> Result<Self> {
        let refuse = |what: &str| Err(Error::unsupported(format!("{what} in a transaction")));
        if target.merge_engine().is_some() {
            return refuse("writing to a table with a merge engine");
        }
        if target.counter.is_some() {
            return refuse("writing to a table with a column that its server fills in");
        }
        Ok(Self {
            context: context.clone(),
            target: target.clone(),
            rows: 0,
            kind: Kind::Gathered {
                deletes,
                batches: Vec::new(),
            },
        })
    }

    /// Takes rows. They are checked now.
    pub(super) async fn add(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        match &mut self.kind {
            Kind::Direct { write, .. } => {
                let added = self.context.client(async { write.add(&batch).await });
                added.await.map_err(Error::from)
            }
            Kind::Gathered { deletes, batches } => {
                let schema = if *deletes {
                    batch.schema()
                } else {
                    self.target.schema.clone()
                };
                batches.push(RecordBatch::try_new(schema, batch.columns().to_vec())?);
                Ok(())
            }
        }
    }

    /// Has all rows written, and returns how many there are once they are stored.
    ///
    /// # Errors
    ///
    /// What keeps rows from being stored, with how many were.
    pub(super) async fn finish(self) -> Result<u64> {
        let context = self.context;
        match self.kind {
            Kind::Direct { writer, write } => {
                let taken = write.rows_taken();
                let finished = context.client(async { write.finish().await }).await;
                let handle = match finished {
                    Ok(handle) => handle,
                    Err(error) => return Err(settled(&context, &writer, error.into(), taken).await),
                };
                let waited = context.client(async { handle.wait().await }).await;
                if let Err(error) = waited {
                    // The first failure is told once all have a fate.
                    drop(context.client(async { writer.flush().await }).await);
                    return Err(Error::from(error).after_writing(handle.rows_stored()));
                }
                Ok(self.rows)
            }
            Kind::Gathered { deletes, batches } => {
                let mut state = context.shared.state.lock();
                let Some(transaction) = state.transaction.as_mut() else {
                    let text = "the transaction was closed while a statement of it ran";
                    return Err(Error::new(ErrorKind::Conflict, text));
                };
                let (rows, deleted) = if deletes {
                    (Vec::new(), batches)
                } else {
                    (batches, Vec::new())
                };
                transaction.gather(&self.target.table, rows, deleted)?;
                Ok(self.rows)
            }
        }
    }

    /// Ends a statement that fails, and tells how many rows were sent before.
    pub(super) async fn fail(self, error: Error) -> Error {
        match self.kind {
            Kind::Direct { writer, write } => {
                let taken = write.rows_taken();
                drop(write);
                settled(&self.context, &writer, error, taken).await
            }
            Kind::Gathered { .. } => error,
        }
    }
}

/// The error of a statement that has sent some rows, once those have a fate.
async fn settled(context: &Context, writer: &Writer, error: Error, taken: u64) -> Error {
    if taken == 0 {
        return error;
    }
    match context.client(async { writer.flush().await }).await {
        Ok(()) => error.after_writing(taken),
        // How many of them were stored is not known.
        Err(_) => error,
    }
}
