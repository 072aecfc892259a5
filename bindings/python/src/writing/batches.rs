//! Arrow data that a writer takes as a whole.

use fluss_client::BatchWrite;

use super::collected::Collected;
use super::sink::{Change, Collects, Sink};
use crate::arrow::Incoming;
use crate::error::Fault;

/// Collects Arrow data. Data that is in memory anyway, which has a length, is checked before any of it is sent; of a
/// source that gives more than fits the writer's memory, what comes before a fault is sent, and the fault says how much
/// that is.
pub(super) async fn collect<W: Collects>(
    sink: &Sink<W>,
    change: Change,
    data: Incoming,
) -> Result<Collected, Fault> {
    let mut write = sink.writer.batches(change)?;
    let added = add_all(sink, &mut write, data).await;
    added.map_err(|fault| fault.after_taking(write.rows_taken()))?;
    Ok(Collected::Now(sink.while_open(write.finish()).await?))
}

async fn add_all<W: Collects>(
    sink: &Sink<W>,
    write: &mut BatchWrite,
    mut data: Incoming,
) -> Result<(), Fault> {
    let mut batches = Vec::new();
    let is_in_memory = data.is_in_memory();
    loop {
        let batch;
        (data, batch) = data.pull().await?;
        match batch {
            Some(batch) if is_in_memory => batches.push(batch),
            Some(batch) => sink.while_open(write.add(&batch)).await?,
            None => break,
        }
    }
    let bytes: usize = batches.iter().map(fluss_core::arrow::data_bytes).sum();
    if bytes > sink.connection.options().writer.buffer_bytes {
        let mut rows = 0;
        for batch in &batches {
            sink.while_open(write.check(batch, rows)).await?;
            rows += batch.num_rows() as u64;
        }
    }
    for batch in &batches {
        sink.while_open(write.add(batch)).await?;
    }
    Ok(())
}
