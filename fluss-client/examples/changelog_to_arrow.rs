//! Reads the changelog of a primary-key table as Arrow batches, with the change, offset and time of every row.
//!
//! `cargo run --features embedded --example changelog_to_arrow [TARGET]`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;

use fluss_client::Bounds;
use fluss_client::types::{DataType, Datum, Schema, TableDescriptor, TablePath};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1);
    let connection = fluss_client::connect(target.as_deref().unwrap_or("embedded::memory:")).await?;
    let path = TablePath::new("fluss", "stock");
    let schema = Schema::builder()
        .column("item", DataType::int())
        .column("count", DataType::big_int())
        .primary_key(["item"])
        .build()?;
    let descriptor = TableDescriptor::builder(schema).build()?;
    connection.admin().create_table(&path, &descriptor, true).await?;

    let table = connection.table(&path).await?;
    let writer = table.upsert_writer()?;
    for count in [10_i64, 7, 3] {
        writer.upsert(&[Datum::Int(1), Datum::BigInt(count)]).await?;
    }
    writer.delete(&[Datum::Int(1)]).await?;
    writer.flush().await?;

    let mut reader = table.scan().read(Bounds::default()).await?;
    while let Some(batch) = reader.next_batch().await? {
        let changes = batch.changelog()?;
        println!(
            "{} of {}: {:?}",
            changes.num_rows(),
            batch.bucket,
            changes.columns()
        );
    }
    connection.shut_down().await?;
    Ok(())
}
