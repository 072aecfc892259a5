//! Reads half of a log, keeps where it stands as a text, and goes on from there with another scanner.
//!
//! `cargo run --features embedded --example resume_from_positions [TARGET]`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Duration;

use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};
use fluss_client::{LogScanner, Positions, StartOffset};

const ROWS: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1);
    let connection = fluss_client::connect(target.as_deref().unwrap_or("embedded::memory:")).await?;
    let path = TablePath::new("fluss", "orders");
    let schema = Schema::builder().column("number", DataType::big_int());
    let descriptor = TableDescriptor::builder(schema.build()?).build()?;
    connection.admin().create_table(&path, &descriptor, true).await?;

    let table = connection.table(&path).await?;
    let writer = table.append_writer()?;
    for number in 0..ROWS as i64 {
        writer.append(&[number.into()]).await?;
    }
    writer.flush().await?;

    let first = table.scan().log_scanner()?;
    first.subscribe_all(StartOffset::Earliest).await?;
    let read = poll(&first, ROWS / 2).await?;
    // What was returned is passed, and nothing else: keep the text beside what the rows became.
    let saved = first.positions()?.to_json();
    first.close();

    let second = table.scan().log_scanner()?;
    second.subscribe_positions(&Positions::from_json(&saved)?).await?;
    let rest = poll(&second, ROWS - read).await?;
    println!("{read} rows, and {rest} more");
    connection.shut_down().await?;
    Ok(())
}

/// Reads at least so many rows.
async fn poll(scanner: &LogScanner, wanted: usize) -> Result<usize, Box<dyn Error>> {
    let mut read = 0;
    while read < wanted {
        read += scanner.poll(Duration::from_secs(10)).await?.len();
    }
    Ok(read)
}
