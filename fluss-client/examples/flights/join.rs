//! Flights joined with a primary-key table by look-ups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, is_not_null};
use arrow::datatypes::{Field, Schema};
use fluss_client::{Connection, Lookuper};
use indicatif::HumanCount;

use crate::{Outcome, create, progress, read_csv, schema_of};

/// A table that flights are joined with.
pub(crate) struct Dimension {
    name: &'static str,
    key: &'static [&'static str],
    /// The columns of flights that hold the key.
    from: &'static [&'static str],
}

/// What came of a join.
pub(crate) struct Joined {
    name: &'static str,
    rows: usize,
    load: Duration,
    flights: usize,
    found: usize,
    join: Duration,
}

impl Dimension {
    pub(crate) const fn new(
        name: &'static str,
        key: &'static [&'static str],
        from: &'static [&'static str],
    ) -> Self {
        Self { name, key, from }
    }

    /// Loads the table, and looks up what belongs to every flight.
    pub(crate) async fn join(
        &self,
        connection: &Connection,
        folder: &str,
        flights: &[RecordBatch],
    ) -> Outcome<Joined> {
        let batches = read_csv(folder, self.name)?;
        let table = create(connection, self.name, &schema_of(&batches)?, self.key).await?;
        let start = Instant::now();
        let writer = table.upsert_writer()?;
        for batch in &batches {
            writer.upsert_arrow(batch).await?;
        }
        writer.close().await?;
        let load = start.elapsed();

        let all = flights.iter().map(RecordBatch::num_rows).sum();
        let bar = progress(self.name, all);
        let lookuper = table.lookup().lookuper()?;
        let (mut found, start) = (0, Instant::now());
        for batch in flights {
            found += self.look_up(&lookuper, batch).await?;
            bar.inc(batch.num_rows() as u64);
        }
        bar.finish();
        Ok(Joined {
            name: self.name,
            rows: batches.iter().map(RecordBatch::num_rows).sum(),
            load,
            flights: all,
            found,
            join: start.elapsed(),
        })
    }

    /// How many of the flights have a row in the table.
    async fn look_up(&self, lookuper: &Lookuper, flights: &RecordBatch) -> Outcome<usize> {
        let rows = lookuper.lookup_arrow(&self.keys(flights)?).await?;
        // Where a key has no row, all columns are null.
        let key = self.key.first().and_then(|key| rows.column_by_name(key));
        let key = key.ok_or("the table lacks its key")?;
        Ok(key.len() - key.null_count())
    }

    /// The keys of the flights that have one, under the names that the table has for them.
    fn keys(&self, flights: &RecordBatch) -> Outcome<RecordBatch> {
        let column = |name: &&str| flights.column_by_name(name).cloned().ok_or("flights lack a key");
        let columns: Vec<ArrayRef> = self.from.iter().map(column).collect::<Result<_, _>>()?;
        let named = self.key.iter().zip(&columns);
        let fields: Vec<Field> = named
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let whole = columns
            .iter()
            .try_fold(None, |whole: Option<BooleanArray>, column| {
                let is_there = is_not_null(column)?;
                match whole {
                    Some(whole) => arrow::compute::and(&whole, &is_there),
                    None => Ok(is_there),
                }
                .map(Some)
            })?;
        let keys = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        Ok(filter_record_batch(&keys, &whole.ok_or("the table has no key")?)?)
    }
}

pub(crate) fn print(joined: &[Joined]) {
    let per_second =
        |count: usize, took: Duration| HumanCount((count as f64 / took.as_secs_f64()) as u64).to_string();
    println!();
    println!(
        "{:10} {:>8} {:>12} {:>10} {:>10} {:>10} {:>12}",
        "joined", "rows", "upserts/s", "look-ups", "found", "missed", "look-ups/s"
    );
    for table in joined {
        println!(
            "{:10} {:>8} {:>12} {:>10} {:>10} {:>10} {:>12}",
            table.name,
            HumanCount(table.rows as u64).to_string(),
            per_second(table.rows, table.load),
            HumanCount(table.flights as u64).to_string(),
            HumanCount(table.found as u64).to_string(),
            HumanCount((table.flights - table.found) as u64).to_string(),
            per_second(table.flights, table.join),
        );
    }
}
