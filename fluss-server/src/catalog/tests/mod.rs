mod changes;
mod durability;
mod partitions;
mod users;

use std::sync::Arc;

use fluss_core::types::{DataType, Schema, TableDescriptor, TableDescriptorBuilder, TablePath};
use fluss_store::disk::MemoryDisk;
use fluss_store::disk::faulty::FaultyDisk;

use super::*;

/// 2026-11-20T09:00 in UTC.
const NOW: i64 = 1_795_165_200_000;

fn open(disk: &FaultyDisk) -> Catalog {
    Catalog::open(Arc::new(disk.clone()), Limits::default(), NOW).unwrap()
}

fn catalog() -> Catalog {
    Catalog::open(Arc::new(MemoryDisk::new()), Limits::default(), NOW).unwrap()
}

fn path(table: &str) -> TablePath {
    TablePath::new("fluss", table)
}

/// A log table with the columns `a`, and `p` and `q`, which are partition keys if they are named.
fn table(partition_keys: &[&str]) -> TableDescriptorBuilder {
    let schema = Schema::builder()
        .column("a", DataType::int())
        .column("p", DataType::string())
        .column("q", DataType::string());
    TableDescriptor::builder(schema.build().unwrap()).partitioned_by(partition_keys.iter().copied())
}

fn json(builder: TableDescriptorBuilder) -> Vec<u8> {
    builder.build().unwrap().to_json()
}

fn create(catalog: &Catalog, name: &str, builder: TableDescriptorBuilder) -> Arc<TableEntry> {
    catalog
        .create_table(&path(name), &json(builder), false, NOW)
        .unwrap();
    catalog.table_by_path(&path(name)).unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> i32 {
    result.unwrap_err().code.number()
}
