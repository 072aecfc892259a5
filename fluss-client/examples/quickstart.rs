//! Creates a log table, appends a few rows, and reads them back.
//!
//! `cargo run --features embedded --example quickstart [TARGET]`, with a target such as `fluss://localhost:9123`.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Duration;

use fluss_client::StartOffset;
use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1);
    let connection = fluss_client::connect(target.as_deref().unwrap_or("embedded::memory:")).await?;
    let path = TablePath::new("fluss", "visits");
    let schema = Schema::builder()
        .column("page", DataType::string())
        .column("seconds", DataType::double())
        .build()?;
    let descriptor = TableDescriptor::builder(schema).build()?;
    connection.admin().create_table(&path, &descriptor, true).await?;

    let table = connection.table(&path).await?;
    let writer = table.append_writer()?;
    for (page, seconds) in [("start", 3.5), ("prices", 40.0), ("start", 1.25)] {
        writer.append(&[page.into(), seconds.into()]).await?;
    }
    writer.flush().await?;

    let scanner = table.scan().log_scanner()?;
    scanner.subscribe_all(StartOffset::Earliest).await?;
    let mut left = 3;
    while left > 0 {
        let records = scanner.poll(Duration::from_secs(10)).await?;
        for (bucket, record) in records.iter() {
            println!("{bucket} offset {}: {:?}", record.offset, record.row);
        }
        left -= records.len().min(left);
    }
    connection.shut_down().await?;
    Ok(())
}
