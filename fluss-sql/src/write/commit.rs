//! Transactions: begun, and sent or forgotten.
//!
//! The protocol has none. Rows of one bucket of one table are one batch, which a server stores whole or not at all; any others are
//! refused before anything is sent, unless the session's options have them sent in order.

use arrow::record_batch::RecordBatch;
use fluss_client::{OneBatch, Outcome};

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::options::TransactionMode;
use crate::transaction::{Gathered, Transaction};

/// Opens a transaction.
pub(crate) async fn begin(context: &Context) -> Result<()> {
    let mut state = context.shared.state.lock();
    if state.transaction.is_some() {
        return Err(conflict("a transaction is open already"));
    }
    state.transaction = Some(Transaction::default());
    Ok(())
}

/// Forgets what an open transaction has gathered, and closes it.
pub(crate) async fn rollback(context: &Context) -> Result<()> {
    take(context).map(drop)
}

/// Sends what an open transaction has gathered, and closes it, whatever comes of it.
pub(crate) async fn commit(context: &Context) -> Result<()> {
    let tables = take(context)?.into_tables();
    for gathered in &tables {
        check(context, gathered).await?;
    }
    match context.options().transactions {
        TransactionMode::Strict => together(context, &tables).await,
        TransactionMode::Batch => in_order(context, &tables).await,
    }
}

fn conflict(text: &str) -> Error {
    Error::new(ErrorKind::Conflict, text)
}

fn take(context: &Context) -> Result<Transaction> {
    let taken = context.shared.state.lock().transaction.take();
    taken.ok_or_else(|| conflict("no transaction is open"))
}

/// Refuses a table that was dropped, or changed, since the transaction wrote to it. Nothing was sent then.
async fn check(context: &Context, gathered: &Gathered) -> Result<()> {
    let (connection, info) = (context.connection(), gathered.table().info());
    let found = context.client(async { connection.table(&info.path).await }).await;
    let is_same = match &found {
        Ok(found) => (found.info().id, found.info().schema_id) == (info.id, info.schema_id),
        Err(error) if error.outcome() == Outcome::NotFound => false,
        Err(error) => return Err(error.clone().into()),
    };
    if is_same {
        return Ok(());
    }
    let path = &info.path;
    let text = format!("{path} was dropped or changed since the transaction wrote to it; nothing was sent");
    Err(conflict(&text))
}

/// What is written to a table, as one batch; nothing if nothing is.
async fn batch(context: &Context, gathered: &Gathered) -> Result<Option<(OneBatch, u64)>> {
    let (rows, deleted) = gathered.outcome()?;
    let table = gathered.table();
    let count = rows.num_rows() + deleted.as_ref().map_or(0, RecordBatch::num_rows);
    if count == 0 {
        return Ok(None);
    }
    let opened = context.client(async {
        if table.info().has_primary_key() {
            table.upsert_writer()?.one_batch(deleted.is_some())
        } else {
            Ok(table.append_writer()?.one_batch())
        }
    });
    let mut batch = opened.await?;
    if rows.num_rows() > 0 {
        batch.put(rows);
    }
    if let Some(deleted) = deleted {
        batch.delete(deleted);
    }
    Ok(Some((batch, count as u64)))
}

/// Stores all that was gathered together, or refuses it.
async fn together(context: &Context, tables: &[Gathered]) -> Result<()> {
    let mut written = Vec::new();
    for gathered in tables {
        if let Some((batch, rows)) = batch(context, gathered).await? {
            written.push((gathered, batch, rows));
        }
    }
    let apart = |what: String| {
        let text = format!(
            "the transaction cannot be committed as one: {what}. Only rows of one bucket of one table are stored together; \
             nothing was sent"
        );
        Err(Error::new(ErrorKind::Unsupported, text))
    };
    if written.len() > 1 {
        let tables = written.iter();
        let tables: Vec<_> = tables
            .map(|(gathered, _, rows)| format!("{rows} of {}", gathered.table().info().path))
            .collect();
        return apart(format!(
            "it has rows of {} tables, {}",
            tables.len(),
            tables.join(", ")
        ));
    }
    let Some((gathered, batch, rows)) = written.pop() else {
        return Ok(());
    };
    let places = batch.places()?;
    if places.len() > 1 {
        let told = places.iter().map(|(path, bucket, rows)| match &path.partition {
            Some(partition) => format!("{rows} in bucket {bucket} of partition {partition}"),
            None => format!("{rows} in bucket {bucket}"),
        });
        let told: Vec<_> = told.collect();
        let path = &gathered.table().info().path;
        return apart(format!("its rows of {path} lie apart, {}", told.join(", ")));
    }
    send(context, batch, rows).await
}

/// Stores what was gathered, table by table, and tells what was stored before one fails.
async fn in_order(context: &Context, tables: &[Gathered]) -> Result<()> {
    let mut stored: Vec<String> = Vec::new();
    let mut written = 0;
    for gathered in tables {
        let sent = send_all(context, gathered).await;
        match sent {
            Ok(rows) => {
                written += rows;
                stored.push(format!("{rows} rows of {}", gathered.table().info().path));
            }
            Err(mut error) => {
                let before = match stored.as_slice() {
                    [] => "nothing".to_owned(),
                    stored => stored.join(", "),
                };
                let path = &gathered.table().info().path;
                let own = error.written.unwrap_or_default();
                error.message = format!("{path}: {}; committed before it: {before}", error.message);
                return Err(error.after_writing(written + own));
            }
        }
    }
    Ok(())
}

/// Stores what was gathered for a table, in as many batches as there are buckets.
async fn send_all(context: &Context, gathered: &Gathered) -> Result<u64> {
    let (rows, deleted) = gathered.outcome()?;
    let table = gathered.table();
    let sent = context.client(async {
        let mut handles = Vec::new();
        if table.info().has_primary_key() {
            let writer = table.upsert_writer()?;
            if rows.num_rows() > 0 {
                handles.push(writer.upsert_arrow(&rows).await?);
            }
            if let Some(deleted) = &deleted {
                handles.push(writer.delete_arrow(deleted).await?);
            }
        } else {
            handles.push(table.append_writer()?.append_arrow(&rows).await?);
        }
        let mut failure = None;
        for handle in &handles {
            failure = failure.or(handle.wait().await.err());
        }
        let stored: u64 = handles.iter().map(fluss_client::WriteHandle::rows_stored).sum();
        Ok::<_, fluss_client::Error>((stored, failure))
    });
    match sent.await? {
        (stored, None) => Ok(stored),
        (stored, Some(error)) => Err(Error::from(error).after_writing(stored)),
    }
}

async fn send(context: &Context, batch: OneBatch, rows: u64) -> Result<()> {
    let sent = context.client(async {
        let handle = batch.send().await?;
        handle.wait().await?;
        Ok::<_, fluss_client::Error>(handle.rows_stored())
    });
    let stored = sent.await.map_err(Error::from)?;
    tracing::debug!(rows, stored, "a transaction was committed");
    Ok(())
}
