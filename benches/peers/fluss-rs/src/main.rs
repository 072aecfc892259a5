//! The published fluss-rs as a peer of the benchmarks: one job a line in, one result a line out (`benches/README.md`).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use arrow::array::cast::AsArray;
use arrow::datatypes::Int64Type;
use bench_peer::rows::{self, column};
use bench_peer::{Clock, Job, Measured, Outcome};
use fluss::client::{EARLIEST_OFFSET, FlussConnection, FlussTable, Lookuper};
use fluss::config::Config;
use fluss::metadata::TablePath;
use fluss::row::{ColumnarRow, DataGetters, GenericRow, TimestampNtz};
use futures::future::try_join_all;

const POLL: Duration = Duration::from_millis(200);
const CLOSE: Duration = Duration::from_secs(10);

fn main() -> Outcome<()> {
    bench_peer::serve("fluss-rs", &run)
}

async fn run(job: &Job) -> Outcome<Measured> {
    if job.op == "connect" {
        return connect(job).await;
    }
    let connection = FlussConnection::new(config(job)).await?;
    let path = TablePath::new(job.database.as_str(), job.table.as_str());
    let table = connection.get_table(&path).await?;
    let measured = match job.op.as_str() {
        "append_rows" => append_rows(job, &table).await,
        "append_arrow" => append_arrow(job, &table).await,
        "append_one" => append_one(job, &table).await,
        "scan_rows" | "changelog_rows" => scan_rows(job, &table).await,
        "scan_arrow" => scan_batches(job, &table, None).await,
        "scan_projected" => scan_batches(job, &table, Some(&[column::ID, column::VALUE])).await,
        "upsert_rows" => upsert_rows(job, &table).await,
        "lookup_one" => lookup_one(job, &table).await,
        "lookup_1000" => lookup_in_flight(job, &table, 1_000).await,
        "lookup_many" => lookup_in_flight(job, &table, 10_000).await,
        _ => bench_peer::not_offered(job),
    }?;
    connection.close(CLOSE).await?;
    Ok(measured)
}

fn config(job: &Job) -> Config {
    Config {
        bootstrap_servers: job.bootstrap.clone(),
        ..Config::default()
    }
}

fn row(i: i64) -> Outcome<GenericRow<'static>> {
    let micros = rows::FIRST_MICROS + i;
    let nanos = (micros % 1000 * 1000) as i32;
    let mut row = GenericRow::new(4);
    row.set_field(column::ID, i);
    row.set_field(column::NAME, rows::name(i));
    row.set_field(column::VALUE, i as f64 * 0.5);
    row.set_field(column::AT, TimestampNtz::from_millis_nanos(micros / 1000, nanos)?);
    Ok(row)
}

async fn append_rows(job: &Job, table: &FlussTable<'_>) -> Outcome<Measured> {
    let writer = table.new_append()?.create_writer()?;
    let clock = Clock::start();
    for i in 0..job.rows {
        drop(writer.append(&row(i)?)?);
    }
    writer.flush().await?;
    Ok(Measured::new(job.rows, &clock))
}

async fn append_one(job: &Job, table: &FlussTable<'_>) -> Outcome<Measured> {
    let writer = table.new_append()?.create_writer()?;
    let mut taken = Vec::new();
    let clock = Clock::start();
    for i in 0..job.rows {
        let begun = Instant::now();
        drop(writer.append(&row(i)?)?);
        writer.flush().await?;
        taken.push(begun.elapsed());
    }
    Ok(Measured::new(job.rows, &clock).calls(taken))
}

async fn append_arrow(job: &Job, table: &FlussTable<'_>) -> Outcome<Measured> {
    let schema = table.new_scan().create_record_batch_log_scanner()?.schema();
    let batches = rows::batches(job, &schema)?;
    let writer = table.new_append()?.create_writer()?;
    let clock = Clock::start();
    for batch in batches {
        drop(writer.append_arrow_batch(batch)?);
    }
    writer.flush().await?;
    Ok(Measured::new(job.rows, &clock))
}

async fn scan_rows(job: &Job, table: &FlussTable<'_>) -> Outcome<Measured> {
    let clock = Clock::start();
    let scanner = table.new_scan().create_log_scanner()?;
    scanner.subscribe_buckets(&from_the_beginning(table)).await?;
    let (mut rows, mut sum) = (0, 0);
    while rows < job.rows {
        for record in scanner.poll(POLL).await? {
            sum += touch(record.row())?;
            rows += 1;
        }
    }
    Ok(Measured::new(rows, &clock).sum_id(sum))
}

/// Reads every column, as a program that wants rows does.
fn touch(row: &ColumnarRow) -> Outcome<i64> {
    std::hint::black_box((
        row.get_string(column::NAME)?.len(),
        row.get_double(column::VALUE)?,
        row.get_timestamp_ntz(column::AT, 6)?,
    ));
    Ok(row.get_long(column::ID)?)
}

async fn scan_batches(job: &Job, table: &FlussTable<'_>, columns: Option<&[usize]>) -> Outcome<Measured> {
    let scan = table.new_scan();
    let scan = match columns {
        Some(columns) => scan.project(columns)?,
        None => scan,
    };
    let clock = Clock::start();
    let scanner = scan.create_record_batch_log_scanner()?;
    scanner.subscribe_buckets(&from_the_beginning(table)).await?;
    let (mut rows, mut sum) = (0, 0);
    while rows < job.rows {
        for polled in scanner.poll(POLL).await? {
            let ids = polled.batch().column(column::ID).as_primitive::<Int64Type>();
            sum += ids.values().iter().sum::<i64>();
            rows += ids.values().len() as i64;
        }
    }
    Ok(Measured::new(rows, &clock).sum_id(sum))
}

async fn upsert_rows(job: &Job, table: &FlussTable<'_>) -> Outcome<Measured> {
    let writer = table.new_upsert()?.create_writer()?;
    let clock = Clock::start();
    for i in 0..job.rows {
        drop(writer.upsert(&row(i)?)?);
    }
    writer.flush().await?;
    Ok(Measured::new(job.rows, &clock))
}

async fn find(lookuper: &mut Lookuper, id: i64) -> Outcome<()> {
    let mut key = GenericRow::new(1);
    key.set_field(0, id);
    match lookuper.lookup(&key).await?.get_single_row()? {
        Some(_) => Ok(()),
        None => Err(format!("key {id} was not found").into()),
    }
}

async fn lookup_one(job: &Job, table: &FlussTable<'_>) -> Outcome<Measured> {
    let mut lookuper = table.new_lookup()?.create_lookuper()?;
    let mut taken = Vec::new();
    let clock = Clock::start();
    for key in rows::keys_in_time(job, &clock) {
        let begun = Instant::now();
        find(&mut lookuper, key).await?;
        taken.push(begun.elapsed());
    }
    Ok(Measured::new(taken.len() as i64, &clock).calls(taken))
}

/// So many wait at the same time, each of which is followed by another. A lookuper is used by one at a time.
async fn lookup_in_flight(job: &Job, table: &FlussTable<'_>, count: usize) -> Outcome<Measured> {
    let wanted: Vec<i64> = rows::keys(job).collect();
    let mut lookupers = Vec::new();
    for keys in wanted.chunks(wanted.len().div_ceil(count).max(1)) {
        lookupers.push((table.new_lookup()?.create_lookuper()?, keys));
    }
    let clock = Clock::start();
    let found = lookupers.iter_mut().map(async |(lookuper, keys)| {
        for key in keys.iter() {
            find(lookuper, *key).await?;
        }
        Outcome::Ok(())
    });
    try_join_all(found).await?;
    Ok(Measured::new(job.rows, &clock))
}

fn from_the_beginning(table: &FlussTable<'_>) -> HashMap<i32, i64> {
    (0..table.get_table_info().num_buckets)
        .map(|bucket| (bucket, EARLIEST_OFFSET))
        .collect()
}

async fn connect(job: &Job) -> Outcome<Measured> {
    let mut taken = Vec::new();
    let clock = Clock::start();
    while taken.len() < job.rows as usize && clock.seconds() < job.seconds {
        let begun = Instant::now();
        let connection = FlussConnection::new(config(job)).await?;
        connection.get_admin()?.get_server_nodes().await?;
        taken.push(begun.elapsed());
        connection.close(CLOSE).await?;
    }
    Ok(Measured::new(taken.len() as i64, &clock).calls(taken))
}
