//! What a table has, as whoever writes to it knows.

use std::collections::BTreeMap;

use fastrand::Rng;
use fluss_client::types::{DataType, Datum, OwnedRow, Schema};
use fluss_client::{Table, UpsertWriter, WriteHandle};
use fluss_replica::Replica;
use futures::TryStreamExt;

use crate::create;

/// Rows by their keys: a number, and a text that may be longer than LMDB takes for a key.
pub(super) type Rows = BTreeMap<(i64, String), OwnedRow>;

pub(super) fn schema() -> Schema {
    let schema = Schema::builder()
        .column("id", DataType::big_int())
        .column("name", DataType::string())
        .column("city", DataType::string())
        .column("score", DataType::double())
        .column("tags", DataType::array(DataType::string()));
    schema.primary_key(["id", "name"]).build().unwrap()
}

/// A table, its writers and what it has.
pub(super) struct Model {
    pub(super) table: Table,
    pub(super) rows: Rows,
    whole: UpsertWriter,
    part: UpsertWriter,
    rng: Rng,
}

impl Model {
    pub(super) async fn create(connection: &fluss_client::Connection, buckets: i32, seed: u64) -> Self {
        let table = create(connection, schema(), buckets, &[]).await;
        Self::of(table, seed)
    }

    pub(super) fn of(table: Table, seed: u64) -> Self {
        let part = table.upsert().columns(["id", "name", "score"]);
        Self {
            whole: table.upsert_writer().unwrap(),
            part: part.writer().unwrap(),
            table,
            rows: Rows::new(),
            rng: Rng::with_seed(seed),
        }
    }

    fn key(&mut self) -> (i64, String) {
        let id = self.rng.i64(0..40);
        let long = if self.rng.u8(0..10) == 0 { 700 } else { 3 };
        (id, "n".repeat(self.rng.usize(0..2) + long))
    }

    /// Changes rows, some of them again and again. Returns the last write.
    pub(super) async fn change(&mut self, count: usize) -> WriteHandle {
        let mut last = None;
        for _ in 0..count {
            let (id, name) = self.key();
            let key = [Datum::BigInt(id), name.clone().into()];
            let score = Datum::Double(self.rng.f64());
            let place = (id, name);
            last = Some(match self.rng.u8(0..10) {
                0..6 => {
                    let city = if self.rng.bool() {
                        Datum::Null
                    } else {
                        "c".repeat(self.rng.usize(0..300)).into()
                    };
                    let tags = Datum::Array(vec![Datum::from("a"); self.rng.usize(0..3)]);
                    let row: OwnedRow = key.iter().cloned().chain([city, score, tags]).collect();
                    let written = self.whole.upsert(&row).await.unwrap();
                    self.rows.insert(place, row);
                    // Two writers keep no order between them.
                    written.wait().await.unwrap();
                    written
                }
                6..8 => {
                    let row: OwnedRow = key.iter().cloned().chain([score.clone()]).collect();
                    let written = self.part.upsert(&row).await.unwrap();
                    let [id, name] = key;
                    let new = || vec![id, name, Datum::Null, Datum::Null, Datum::Null];
                    self.rows.entry(place).or_insert_with(new)[3] = score;
                    written.wait().await.unwrap();
                    written
                }
                _ => {
                    let written = self.whole.delete(&key).await.unwrap();
                    self.rows.remove(&place);
                    written.wait().await.unwrap();
                    written
                }
            });
        }
        last.unwrap()
    }

    /// Whether a copy of the whole table has all that it has, however it is read.
    pub(super) async fn check(&self, replica: &Replica) {
        assert_eq!(scanned(replica).await, self.rows);
        assert_eq!(replica.count().unwrap(), self.rows.len() as u64);
        for ((id, name), row) in &self.rows {
            let key = [Datum::BigInt(*id), name.as_str().into()];
            assert_eq!(replica.get(&key).unwrap().as_ref(), Some(row));
            assert_eq!(replica.get_value(&key, "score").unwrap(), Some(row[3].clone()));
        }
        let absent = [Datum::BigInt(-1), "".into()];
        assert_eq!(replica.get(&absent).unwrap(), None);
        assert!(!replica.contains(&absent).unwrap());
    }
}

/// All rows of a copy, by a scan.
pub(super) async fn scanned(replica: &Replica) -> Rows {
    of(replica, &[]).await
}

/// The rows of a copy whose keys begin with these values.
pub(super) async fn of(replica: &Replica, prefix: &[Datum<'_>]) -> Rows {
    use fluss_client::ArrowRows;
    use fluss_client::types::Row;
    let row_type = replica.row_type().unwrap();
    let batches: Vec<_> = replica
        .scan(prefix, None)
        .unwrap()
        .into_stream()
        .try_collect()
        .await
        .unwrap();
    let mut rows = Rows::new();
    for batch in batches {
        let batch = ArrowRows::new(batch, &row_type).unwrap();
        for index in 0..batch.len() {
            let row = batch.row(index).to_owned_row();
            let (Datum::BigInt(id), Datum::String(name)) = (&row[0], &row[1]) else {
                panic!("{row:?}");
            };
            assert_eq!(rows.insert((*id, name.to_string()), row.clone()), None);
        }
    }
    rows
}
