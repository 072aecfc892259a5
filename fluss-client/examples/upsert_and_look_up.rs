//! Upserts rows of a primary-key table, replaces and deletes some, and looks them up by their keys.
//!
//! `cargo run --features embedded --example upsert_and_look_up [TARGET]`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;

use fluss_client::types::{DataType, Datum, Schema, TableDescriptor, TablePath};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1);
    let connection = fluss_client::connect(target.as_deref().unwrap_or("embedded::memory:")).await?;
    let path = TablePath::new("fluss", "users");
    let schema = Schema::builder()
        .column("id", DataType::int())
        .column("name", DataType::string())
        .primary_key(["id"])
        .build()?;
    let descriptor = TableDescriptor::builder(schema).build()?;
    connection.admin().create_table(&path, &descriptor, true).await?;

    let table = connection.table(&path).await?;
    let writer = table.upsert_writer()?;
    for (id, name) in [(1, "Ada"), (2, "Alan"), (3, "Grace"), (2, "Alan T.")] {
        writer.upsert(&[Datum::Int(id), name.into()]).await?;
    }
    writer.delete(&[Datum::Int(3)]).await?;
    writer.flush().await?;

    let lookuper = table.lookup().lookuper()?;
    for id in 1..=3 {
        match lookuper.lookup(&[Datum::Int(id)]).await? {
            Some(row) => println!("{id}: {row:?}"),
            None => println!("{id} is not there"),
        }
    }
    connection.shut_down().await?;
    Ok(())
}
