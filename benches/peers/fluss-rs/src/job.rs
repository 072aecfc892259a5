//! One job: what it says, and how it is done.

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use arrow::array::cast::AsArray;
use arrow::datatypes::Int64Type;
use fluss::client::{EARLIEST_OFFSET, FlussConnection, FlussTable};
use fluss::config::Config;
use fluss::metadata::TablePath;
use fluss::row::{ColumnarRow, DataGetters};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::measure::{Clock, Times, peak_rss_kib, percentile_micros};
use crate::rows;

type Outcome<T> = Result<T, Box<dyn Error>>;

const POLL: Duration = Duration::from_millis(200);
const CLOSE: Duration = Duration::from_secs(10);
const ID: usize = 0;
const VALUE: usize = 2;

#[derive(Deserialize)]
struct Job {
    op: String,
    bootstrap: String,
    database: String,
    table: String,
    rows: i64,
    #[serde(default = "default_batch_rows")]
    batch_rows: usize,
}

fn default_batch_rows() -> usize {
    10_000
}

/// What an operation found out.
struct Measured {
    rows: i64,
    times: Times,
    more: Value,
}

/// Does the job of one line and says how long it took.
pub async fn run(line: &str) -> Outcome<Value> {
    let job: Job = serde_json::from_str(line)?;
    let connection = FlussConnection::new(config(&job)).await?;
    let measured = match job.op.as_str() {
        "connect" => connect(&job).await?,
        _ => on_table(&job, &connection).await?,
    };
    connection.close(CLOSE).await?;
    Ok(describe(&job, measured))
}

fn config(job: &Job) -> Config {
    Config {
        bootstrap_servers: job.bootstrap.clone(),
        ..Config::default()
    }
}

async fn on_table(job: &Job, connection: &FlussConnection) -> Outcome<Measured> {
    let path = TablePath::new(job.database.as_str(), job.table.as_str());
    let table = connection.get_table(&path).await?;
    match job.op.as_str() {
        "append_rows" => append_rows(job, &table).await,
        "append_arrow" => append_arrow(job, &table).await,
        "scan_rows" => scan_rows(job, &table).await,
        "scan_arrow" => scan_batches(job, &table, None).await,
        "scan_projected" => scan_batches(job, &table, Some(&[ID, VALUE])).await,
        unknown => Err(format!("not offered by this client: {unknown}").into()),
    }
}

async fn append_rows(job: &Job, table: &FlussTable<'_>) -> Outcome<Measured> {
    let writer = table.new_append()?.create_writer()?;
    let clock = Clock::start();
    for i in 0..job.rows {
        drop(writer.append(&rows::row(i)?)?);
    }
    writer.flush().await?;
    Ok(Measured {
        rows: job.rows,
        times: clock.stop(),
        more: Value::Null,
    })
}

async fn append_arrow(job: &Job, table: &FlussTable<'_>) -> Outcome<Measured> {
    let schema = table.new_scan().create_record_batch_log_scanner()?.schema();
    let batches: Vec<_> = (0..job.rows)
        .step_by(job.batch_rows)
        .map(|begin| rows::batch(begin, job.rows.min(begin + job.batch_rows as i64), schema.clone()))
        .collect::<Result<_, _>>()?;
    let writer = table.new_append()?.create_writer()?;
    let clock = Clock::start();
    for batch in batches {
        drop(writer.append_arrow_batch(batch)?);
    }
    writer.flush().await?;
    Ok(Measured {
        rows: job.rows,
        times: clock.stop(),
        more: Value::Null,
    })
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
    Ok(Measured {
        rows,
        times: clock.stop(),
        more: json!({"sum_id": sum}),
    })
}

/// Reads every column, as a program that wants rows does.
fn touch(row: &ColumnarRow) -> Outcome<i64> {
    std::hint::black_box((
        row.get_string(1)?.len(),
        row.get_double(VALUE)?,
        row.get_timestamp_ntz(3, 6)?,
    ));
    Ok(row.get_long(ID)?)
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
            let ids = polled.batch().column(ID).as_primitive::<Int64Type>();
            sum += ids.values().iter().sum::<i64>();
            rows += ids.values().len() as i64;
        }
    }
    Ok(Measured {
        rows,
        times: clock.stop(),
        more: json!({"sum_id": sum}),
    })
}

fn from_the_beginning(table: &FlussTable<'_>) -> HashMap<i32, i64> {
    (0..table.get_table_info().num_buckets)
        .map(|bucket| (bucket, EARLIEST_OFFSET))
        .collect()
}

async fn connect(job: &Job) -> Outcome<Measured> {
    let mut taken = Vec::new();
    let clock = Clock::start();
    for _ in 0..job.rows {
        let begun = Instant::now();
        let connection = FlussConnection::new(config(job)).await?;
        connection.get_admin()?.get_server_nodes().await?;
        taken.push(begun.elapsed());
        connection.close(CLOSE).await?;
    }
    let times = clock.stop();
    taken.sort_unstable();
    let more = json!({
        "p50_micros": percentile_micros(&taken, 50),
        "p99_micros": percentile_micros(&taken, 99),
    });
    Ok(Measured {
        rows: job.rows,
        times,
        more,
    })
}

fn describe(job: &Job, measured: Measured) -> Value {
    let mut result = json!({
        "ok": true,
        "client": "fluss-rs",
        "op": job.op,
        "rows": measured.rows,
        "seconds": measured.times.wall,
        "cpu_seconds": measured.times.cpu,
        "peak_rss_kib": peak_rss_kib(),
    });
    if let (Some(result), Value::Object(more)) = (result.as_object_mut(), measured.more) {
        result.extend(more);
    }
    result
}
