//! Appends Arrow batches, and reads the whole table as its batches come.
//!
//! `cargo run --features embedded --example append_arrow [TARGET]`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::sync::Arc;

use fluss_client::AsOf;
use fluss_client::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};
use futures::TryStreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1);
    let connection = fluss_client::connect(target.as_deref().unwrap_or("embedded::memory:")).await?;
    let path = TablePath::new("fluss", "readings");
    let schema = Schema::builder()
        .column("sensor", DataType::big_int())
        .column("value", DataType::double())
        .build()?;
    let descriptor = TableDescriptor::builder(schema).build()?;
    connection.admin().create_table(&path, &descriptor, true).await?;

    let table = connection.table(&path).await?;
    let writer = table.append_writer()?;
    for batch in 0..10_i64 {
        let sensors: ArrayRef = Arc::new(Int64Array::from_iter_values(batch * 1_000..(batch + 1) * 1_000));
        let values: ArrayRef = Arc::new(Float64Array::from(vec![0.5; 1_000]));
        let batch = RecordBatch::try_from_iter([("sensor", sensors), ("value", values)])?;
        writer.append_arrow(&batch).await?;
    }
    writer.flush().await?;

    let mut rows = 0;
    let mut batches = table.scan().plan(AsOf::Latest).await?.into_stream();
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows();
    }
    println!("{rows} rows");
    connection.shut_down().await?;
    Ok(())
}
