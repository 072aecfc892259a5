//! The Java client, which does what it is told.

use fluss_client::Table;
use fluss_client::id::{BucketId, PartitionId, TableBucket, TableId};
use fluss_client::types::{OwnedRow, RowType};
use fluss_cluster::Peer;
use fluss_tests::notation::{row, row_to_json};
use serde_json::{Value, json};

use super::values::in_order;
use crate::key_tables::changelog::{Change, Changes, add, change_type};
use crate::key_tables::trial::Step;
use crate::{PATIENCE, Place};

#[derive(Debug)]
pub struct Java(Peer);

impl Java {
    /// A client that does not wait for more to send at once.
    pub fn connect(place: &Place) -> Self {
        let mut peer = Peer::java().unwrap();
        let properties = json!({"client.writer.batch-timeout": "2ms", "client.lookup.batch-timeout": "1ms"});
        let request = json!({"op": "connect", "bootstrap": place.bootstrap(), "properties": properties});
        peer.ask(&request).unwrap();
        Self(peer)
    }

    fn ask(&mut self, op: &str, table: &Table, mut request: Value) -> Value {
        let path = &table.info().path;
        request["op"] = op.into();
        request["database"] = path.database().into();
        request["table"] = path.table().into();
        self.0.ask(&request).unwrap()
    }

    /// Appends or upserts whole rows, under the latest schema.
    pub fn store(&mut self, op: &str, table: &Table, rows: &[OwnedRow]) {
        let written = &self.ask(op, table, json!({"rows": to_json(rows)}))["written"];
        assert_eq!(*written, rows.len());
    }

    /// Upserts whole rows, or deletes those with their keys. If columns are given, the others are left as they are.
    pub fn write(&mut self, table: &Table, columns: Option<&[&str]>, step: &Step) {
        let op = if step.delete { "delete" } else { "upsert" };
        let mut request = json!({"rows": to_json(&step.rows)});
        if let Some(columns) = columns {
            request["target_columns"] = columns.into();
        }
        let written = &self.ask(op, table, request)["written"];
        assert_eq!(*written, step.rows.len());
    }

    /// The row of each key.
    pub fn look_up(&mut self, table: &Table, keys: &[OwnedRow]) -> Vec<Option<OwnedRow>> {
        let found = self.find(table, json!({"keys": to_json(keys)})).into_iter();
        found
            .map(|mut rows| {
                assert!(rows.len() <= 1, "{rows:?} have one key");
                rows.pop()
            })
            .collect()
    }

    /// The rows of each beginning of a key.
    pub fn look_up_by(
        &mut self,
        table: &Table,
        columns: &[&str],
        prefixes: &[OwnedRow],
    ) -> Vec<Vec<OwnedRow>> {
        self.find(table, json!({"prefix": columns, "keys": to_json(prefixes)}))
    }

    fn find(&mut self, table: &Table, request: Value) -> Vec<Vec<OwnedRow>> {
        let answer = self.ask("lookup", table, request);
        let row = |values| from_json(table.info().row_type(), values);
        let found = list(&answer["found"]).iter();
        found.map(|rows| list(rows).iter().map(row).collect()).collect()
    }

    /// The records of all buckets: so many, or a few more.
    pub fn read(&mut self, table: &Table, count: usize) -> Changes {
        let request = json!({"rows": count, "seconds": PATIENCE.as_secs() / 6});
        let answer = self.ask("scan", table, request);
        let mut found = Changes::new();
        for record in list(&answer["records"]) {
            let bucket = bucket(table.info().id, record);
            add(&mut found, bucket, change(table.info().row_type(), record));
        }
        found
    }
}

fn bucket(table: TableId, record: &Value) -> TableBucket {
    TableBucket {
        table,
        partition: record["partition_id"].as_i64().map(PartitionId),
        bucket: BucketId(i32::try_from(integer(&record["bucket"])).unwrap()),
    }
}

fn change(row_type: &RowType, record: &Value) -> Change {
    let change = change_type(record["change"].as_str().unwrap());
    Change {
        offset: integer(&record["offset"]),
        timestamp: integer(&record["timestamp"]),
        record: (change, from_json(row_type, &record["row"])),
    }
}

fn to_json(rows: &[OwnedRow]) -> Value {
    rows.iter().map(row_to_json).collect()
}

fn from_json(row_type: &RowType, values: &Value) -> OwnedRow {
    row(row_type, values).into_iter().map(in_order).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn integer(value: &Value) -> i64 {
    value.as_i64().unwrap()
}
