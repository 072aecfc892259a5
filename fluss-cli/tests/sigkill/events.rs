//! A log table that several writers append to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fluss_client::types::{DataType, Datum, Row, Schema};
use fluss_client::{Connection, Table, WriteHandle};
use tokio::task::JoinSet;

use super::{PATIENCE, Traffic, create, from_the_start, stored};

const WRITERS: i32 = 4;

/// How many rows a writer has under way at a time.
const UNDER_WAY: usize = 50;

pub(crate) struct Events {
    table: Table,
    /// How many rows each writer has had acknowledged: those with the numbers below this.
    written: Arc<[AtomicI64]>,
}

impl Events {
    pub(crate) async fn create(connection: &Connection) -> Self {
        let schema = Schema::builder()
            .column("writer", DataType::int())
            .column("number", DataType::big_int())
            .column("padding", DataType::string());
        Self {
            table: create(connection, "events", schema.build().unwrap()).await,
            written: (0..WRITERS).map(|_| 0.into()).collect(),
        }
    }

    /// Has all writers append until they are told to stop; all that they append is acknowledged in the end.
    pub(crate) fn write(&self, traffic: &Arc<Traffic>, writers: &mut JoinSet<()>) {
        for writer in 0..WRITERS {
            let (table, traffic, written) = (self.table.clone(), traffic.clone(), self.written.clone());
            writers.spawn(async move {
                let written = &written[writer as usize];
                let mut number = written.load(Ordering::SeqCst);
                let appender = table.append_writer().unwrap();
                while traffic.goes_on() {
                    let mut handles: Vec<WriteHandle> = Vec::new();
                    for _ in 0..UNDER_WAY {
                        let padding = "x".repeat((number % 97) as usize);
                        let row = [Datum::Int(writer), Datum::BigInt(number), padding.as_str().into()];
                        handles.push(appender.append(&row).await.unwrap());
                        number += 1;
                    }
                    for handle in handles {
                        handle.wait().await.unwrap();
                        traffic.acknowledge();
                    }
                }
                written.store(number, Ordering::SeqCst);
            });
        }
    }

    /// Reads everything: of each writer all that was acknowledged, once, and in its order within a bucket.
    pub(crate) async fn check(&mut self, connection: &Connection) -> usize {
        let mut numbers: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        let mut last = BTreeMap::new();
        let expected: i64 = self
            .written
            .iter()
            .map(|written| written.load(Ordering::SeqCst))
            .sum();
        let expected = usize::try_from(expected).unwrap();
        let stored = stored(connection, &self.table).await;
        assert_eq!(
            stored, expected,
            "rows are stored that were not acknowledged, or twice"
        );
        let scanner = from_the_start(&self.table).await;
        let mut read = 0;
        while read < expected {
            let records = scanner.poll(PATIENCE).await.unwrap();
            assert!(!records.is_empty(), "{read} of {expected} rows came");
            read += records.len();
            for (bucket, record) in records.iter() {
                let row = record.row.to_owned_row();
                let [Datum::Int(writer), Datum::BigInt(number), _] = row[..] else {
                    panic!("{row:?}");
                };
                let before = last.insert((bucket.bucket, writer), number);
                assert!(
                    before < Some(number),
                    "{number} of writer {writer} behind {before:?}"
                );
                numbers.entry(writer).or_default().push(number);
            }
        }
        for (writer, numbers) in &mut numbers {
            numbers.sort_unstable();
            let written = self.written[*writer as usize].load(Ordering::SeqCst);
            assert!(
                numbers.iter().copied().eq(0..written),
                "writer {writer}: {numbers:?}"
            );
        }
        read
    }
}
