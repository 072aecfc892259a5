//! Jobs on primary-key tables.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use bench_peer::{Clock, Job, Measured, Outcome, rows};
use fluss_client::types::Datum;
use fluss_client::{LogScanner, Lookuper, StartOffset, Table};

use crate::{POLL, row};

/// How many look-ups wait at the same time.
const IN_FLIGHT: usize = 1_000;
/// How many keys one call looks up.
const KEYS: usize = 10_000;

/// Row by row, each with the key that `key` makes of its number.
pub(crate) async fn upsert_rows(job: &Job, table: &Table, key: fn(i64) -> i64) -> Outcome<Measured> {
    let writer = table.upsert_writer()?;
    let clock = Clock::start();
    for i in 0..job.rows {
        let [_, name, value, at] = row(i);
        writer.upsert(&[key(i).into(), name, value, at]).await?;
    }
    writer.flush().await?;
    Ok(Measured::new(job.rows, &clock))
}

pub(crate) async fn upsert_arrow(job: &Job, table: &Table) -> Outcome<Measured> {
    let batches = rows::batches(job, &rows::schema())?;
    let writer = table.upsert_writer()?;
    let clock = Clock::start();
    for batch in batches {
        writer.upsert_arrow(&batch).await?;
    }
    writer.flush().await?;
    Ok(Measured::new(job.rows, &clock))
}

/// Changes as Arrow, with their types, offsets and times as columns.
pub(crate) async fn changelog(job: &Job, scanner: LogScanner) -> Outcome<Measured> {
    let clock = Clock::start();
    scanner.subscribe_all(StartOffset::Earliest).await?;
    let (mut rows, mut sum) = (0, 0);
    while rows < job.rows {
        for polled in scanner.poll_arrow(POLL).await? {
            let changes = polled.changelog()?;
            let ids = changes.column(rows::column::ID).as_primitive::<Int64Type>();
            sum += ids.values().iter().sum::<i64>();
            rows += ids.values().len() as i64;
        }
    }
    Ok(Measured::new(rows, &clock).sum_id(sum))
}

/// One after the other, in a task, where programs do their work.
pub(crate) async fn lookup_one(job: &Job, table: &Table) -> Outcome<Measured> {
    let (job, lookuper) = (job.clone(), table.lookup().lookuper()?);
    let looking = async move {
        let mut taken = Vec::new();
        let clock = Clock::start();
        for key in rows::keys_in_time(&job, &clock) {
            let begun = Instant::now();
            find(&lookuper, key).await?;
            taken.push(begun.elapsed());
        }
        Ok::<_, fluss_client::Error>(Measured::new(taken.len() as i64, &clock).calls(taken))
    };
    Ok(tokio::spawn(looking).await??)
}

/// From many tasks at the same time.
pub(crate) async fn lookup_in_flight(job: &Job, table: &Table) -> Outcome<Measured> {
    let lookuper = table.lookup().lookuper()?;
    let mut keys: Vec<Vec<i64>> = vec![Vec::new(); IN_FLIGHT];
    for (task, key) in (0..IN_FLIGHT).cycle().zip(rows::keys(job)) {
        keys.get_mut(task).into_iter().for_each(|keys| keys.push(key));
    }
    let clock = Clock::start();
    let tasks: Vec<_> = keys
        .into_iter()
        .map(|keys| tokio::spawn(find_all(lookuper.clone(), keys)))
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(Measured::new(job.rows, &clock))
}

/// Many keys in each call, as Arrow.
pub(crate) async fn lookup_many(job: &Job, table: &Table) -> Outcome<Measured> {
    let lookuper = table.lookup().lookuper()?;
    let keys: Vec<i64> = rows::keys(job).collect();
    let batches = keys.chunks(KEYS).map(|keys| {
        let column = Arc::new(Int64Array::from(keys.to_vec()));
        RecordBatch::try_from_iter([("id", column as _)])
    });
    let batches: Vec<RecordBatch> = batches.collect::<Result<_, _>>()?;
    let clock = Clock::start();
    for keys in &batches {
        let found = lookuper.lookup_arrow(keys).await?;
        if found.column(rows::column::ID).null_count() > 0 {
            return Err("a key was not found".into());
        }
    }
    Ok(Measured::new(job.rows, &clock))
}

async fn find_all(lookuper: Lookuper, keys: Vec<i64>) -> fluss_client::Result<()> {
    for key in keys {
        find(&lookuper, key).await?;
    }
    Ok(())
}

async fn find(lookuper: &Lookuper, key: i64) -> fluss_client::Result<()> {
    let found = lookuper.lookup(&[Datum::BigInt(key)]).await?;
    assert!(found.is_some(), "key {key} was not found");
    Ok(())
}
