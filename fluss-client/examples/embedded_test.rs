//! How a program that uses tables is tested: on a node in the same process, which is there in milliseconds and leaves
//! nothing behind.
//!
//! `cargo run --features embedded --example embedded_test`

use std::error::Error;

use fluss_client::types::{DataType, Datum, Schema, TableDescriptor, TablePath};
use fluss_client::{Connection, Table};

/// What is tested: it counts how often a word was seen.
async fn count(table: &Table, word: &str) -> Result<i64, Box<dyn Error>> {
    let lookuper = table.lookup().lookuper()?;
    let seen = lookuper.lookup(&[word.into()]).await?;
    let before = match seen.as_ref().and_then(|row| row.get(1)) {
        Some(Datum::BigInt(count)) => *count,
        _ => 0,
    };
    let writer = table.upsert_writer()?;
    writer.upsert(&[word.into(), Datum::BigInt(before + 1)]).await?;
    writer.flush().await?;
    Ok(before + 1)
}

/// An empty table on a node of its own.
async fn words() -> Result<(Connection, Table), Box<dyn Error>> {
    let connection = fluss_client::connect("embedded::memory:").await?;
    let path = TablePath::new("fluss", "words");
    let schema = Schema::builder()
        .column("word", DataType::string())
        .column("seen", DataType::big_int())
        .primary_key(["word"])
        .build()?;
    let descriptor = TableDescriptor::builder(schema).build()?;
    connection.admin().create_table(&path, &descriptor, false).await?;
    let table = connection.table(&path).await?;
    Ok((connection, table))
}

// In a test this is `#[tokio::test] async fn words_are_counted()`.
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (connection, table) = words().await?;
    assert_eq!(count(&table, "fluss").await?, 1);
    assert_eq!(count(&table, "fluss").await?, 2);
    assert_eq!(count(&table, "river").await?, 1);
    connection.shut_down().await?;
    Ok(())
}
