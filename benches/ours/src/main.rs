//! This client in the benchmark: one job a line in, one result a line out (`benches/README.md`).

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bench_peer::rows::{self, column};
use bench_peer::{Clock, Job, Measured, Outcome};
use fluss_client::types::{Datum, TablePath, Timestamp};
use fluss_client::{AsOf, Connection, LogScanner, StartOffset, Table};
use fluss_core::arrow::ArrowRow;
use futures::TryStreamExt;

mod keyed;

const POLL: Duration = Duration::from_millis(200);

fn main() -> Outcome<()> {
    bench_peer::serve("ours", &run)
}

async fn run(job: &Job) -> Outcome<Measured> {
    if job.op == "connect" {
        return connect(job).await;
    }
    let connection = open(job).await?;
    let path = TablePath::new(job.database.as_str(), job.table.as_str());
    let table = connection.table(&path).await?;
    let measured = match job.op.as_str() {
        "append_rows" => append_rows(job, &table).await,
        "append_arrow" => append_arrow(job, &table).await,
        "append_one" => append_one(job, &table).await,
        "scan_rows" | "changelog_rows" => scan_rows(job, &table).await,
        "scan_arrow" => scan_batches(job, table.scan().log_scanner()?).await,
        "scan_projected" => scan_batches(job, table.scan().project(["id", "value"]).log_scanner()?).await,
        "read_whole" => read_whole(&table).await,
        "changelog_arrow" => keyed::changelog(job, table.scan().log_scanner()?).await,
        "upsert_rows" => keyed::upsert_rows(job, &table, |i| i).await,
        "upsert_random" => keyed::upsert_rows(job, &table, rows::scattered).await,
        "upsert_arrow" => keyed::upsert_arrow(job, &table).await,
        "lookup_one" => keyed::lookup_one(job, &table).await,
        "lookup_1000" => keyed::lookup_in_flight(job, &table).await,
        "lookup_many" => keyed::lookup_many(job, &table).await,
        _ => bench_peer::not_offered(job),
    }?;
    connection.close();
    Ok(measured)
}

/// Reads a whole table as its rows come, and lets each batch go before the next.
async fn read_whole(table: &Table) -> Outcome<Measured> {
    let (resting, clock) = (bench_peer::peak_rss_kib(), Clock::start());
    let begun = Instant::now();
    let mut stream = table.scan().plan(AsOf::Latest).await?.into_stream();
    let (mut rows, mut sum, mut first) = (0, 0, None);
    while let Some(batch) = stream.try_next().await? {
        first.get_or_insert_with(|| begun.elapsed());
        rows += batch.num_rows() as i64;
        sum += batch
            .column(column::ID)
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .sum::<i64>();
    }
    let measured = Measured::new(rows, &clock).sum_id(sum);
    Ok(measured.first(first.unwrap_or_default(), resting))
}

async fn open(job: &Job) -> Outcome<Connection> {
    let target = match job.bootstrap.as_str() {
        embedded if embedded.starts_with("embedded:") => embedded.to_owned(),
        servers => format!("fluss://{servers}"),
    };
    Ok(fluss_client::connect(&target).await?)
}

fn row(i: i64) -> [Datum<'static>; 4] {
    let micros = rows::FIRST_MICROS + i;
    [
        i.into(),
        rows::name(i).into(),
        (i as f64 * 0.5).into(),
        Timestamp::from_micros(micros).into(),
    ]
}

async fn append_rows(job: &Job, table: &Table) -> Outcome<Measured> {
    let writer = table.append_writer()?;
    let clock = Clock::start();
    for i in 0..job.rows {
        writer.append(&row(i)).await?;
    }
    writer.flush().await?;
    Ok(Measured::new(job.rows, &clock))
}

async fn append_one(job: &Job, table: &Table) -> Outcome<Measured> {
    let writer = table.append_writer()?;
    let mut taken = Vec::new();
    let clock = Clock::start();
    for i in 0..job.rows {
        let begun = Instant::now();
        writer.append(&row(i)).await?;
        writer.flush().await?;
        taken.push(begun.elapsed());
    }
    Ok(Measured::new(job.rows, &clock).calls(taken))
}

async fn append_arrow(job: &Job, table: &Table) -> Outcome<Measured> {
    let batches = rows::batches(job, &rows::schema())?;
    let writer = table.append_writer()?;
    let clock = Clock::start();
    for batch in batches {
        writer.append_arrow(&batch).await?;
    }
    writer.flush().await?;
    Ok(Measured::new(job.rows, &clock))
}

async fn scan_rows(job: &Job, table: &Table) -> Outcome<Measured> {
    let clock = Clock::start();
    let scanner = table.scan().log_scanner()?;
    scanner.subscribe_all(StartOffset::Earliest).await?;
    let (mut rows, mut sum) = (0, 0);
    while rows < job.rows {
        for (_, record) in scanner.poll(POLL).await?.iter() {
            sum += touch(&record.row)?;
            rows += 1;
        }
    }
    Ok(Measured::new(rows, &clock).sum_id(sum))
}

/// Reads every column, as a program that wants rows does.
fn touch(row: &ArrowRow<'_>) -> Outcome<i64> {
    std::hint::black_box((
        row.get::<&str>(column::NAME)?,
        row.get::<f64>(column::VALUE)?,
        row.get::<Timestamp>(column::AT)?,
    ));
    Ok(row.get(column::ID)?.unwrap_or_default())
}

async fn scan_batches(job: &Job, scanner: LogScanner) -> Outcome<Measured> {
    let clock = Clock::start();
    scanner.subscribe_all(StartOffset::Earliest).await?;
    let (mut rows, mut sum) = (0, 0);
    while rows < job.rows {
        for polled in scanner.poll_arrow(POLL).await? {
            let ids = polled.batch.column(column::ID).as_primitive::<Int64Type>();
            sum += ids.values().iter().sum::<i64>();
            rows += ids.values().len() as i64;
        }
    }
    Ok(Measured::new(rows, &clock).sum_id(sum))
}

async fn connect(job: &Job) -> Outcome<Measured> {
    let mut taken = Vec::new();
    let clock = Clock::start();
    while taken.len() < job.rows as usize && clock.seconds() < job.seconds {
        let begun = Instant::now();
        let connection = open(job).await?;
        connection.admin().server_nodes().await?;
        taken.push(begun.elapsed());
        connection.close();
    }
    Ok(Measured::new(taken.len() as i64, &clock).calls(taken))
}
