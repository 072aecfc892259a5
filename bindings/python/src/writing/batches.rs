//! Arrow data that a writer takes as a whole.

use fluss_client::BatchWrite;
use fluss_core::arrow::data_bytes;

use super::collected::Collected;
use super::handle::Extent;
use super::sink::{Change, Collects, Sink};
use crate::arrow::Incoming;
use crate::error::Fault;

/// Collects Arrow data. Data that is in memory anyway, which has a length, is checked before any of it is sent; of a
/// source that gives more than fits the writer's memory, what comes before a fault is sent, and the fault says how much
/// that is.
///
/// Returns the write, and how much it is.
pub(super) async fn collect<W: Collects>(
    sink: &Sink<W>,
    change: Change,
    data: Incoming,
) -> Result<(Collected, Extent), Fault> {
    let mut write = sink.writer.batches(change)?;
    let added = add_all(sink, &mut write, data).await;
    let extent = added.map_err(|fault| fault.after_taking(write.rows_taken()))?;
    let written = sink.while_open(write.finish()).await?;
    Ok((Collected::Now(written), extent))
}

async fn add_all<W: Collects>(
    sink: &Sink<W>,
    write: &mut BatchWrite,
    mut data: Incoming,
) -> Result<Extent, Fault> {
    let mut extent = Extent::default();
    let mut batches = Vec::new();
    let is_in_memory = data.is_in_memory();
    loop {
        let batch;
        (data, batch) = data.pull().await?;
        // An empty batch has no values, but offsets.
        if let Some(batch) = batch.as_ref().filter(|batch| batch.num_rows() > 0) {
            extent.rows += batch.num_rows();
            extent.bytes += data_bytes(batch);
        }
        match batch {
            Some(batch) if is_in_memory => batches.push(batch),
            Some(batch) => sink.while_open(write.add(&batch)).await?,
            None => break,
        }
    }
    if is_in_memory && extent.bytes > sink.connection.options().writer.buffer_bytes {
        let mut rows = 0;
        for batch in &batches {
            sink.while_open(write.check(batch, rows)).await?;
            rows += batch.num_rows() as u64;
        }
    }
    for batch in &batches {
        sink.while_open(write.add(batch)).await?;
    }
    Ok(extent)
}
