//! Loads the flights out of New York in 2013 into a log table, reads two columns of them back, and tells how fast.
//!
//! Usage: `flights TARGET FLIGHTS_CSV`, with a target such as `fluss://localhost:9123`.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{Int64Type, SchemaRef};
use fluss_client::types::{Schema, TableDescriptor, TablePath};
use fluss_client::{Connection, StartOffset, Table};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

type Outcome<T> = Result<T, Box<dyn Error>>;

const BUCKETS: i32 = 3;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, csv] = arguments.as_slice() else {
        return Err("usage: flights TARGET FLIGHTS_CSV".into());
    };
    let batches = read_csv(csv)?;
    let connection = fluss_client::connect(target).await?;
    let table = create(&connection, batches.first().ok_or("the file is empty")?.schema()).await?;
    let written = load(&table, &batches).await?;
    let read = read_back(&table, written.rows).await?;
    print(&written, &read);
    connection.close();
    Ok(())
}

/// The whole file as Arrow batches, with the types that its values suggest. `NA` is null.
fn read_csv(path: &str) -> Outcome<Vec<RecordBatch>> {
    let mut file = BufReader::new(File::open(path)?);
    let null = || "^(NA|)$".parse();
    let format = Format::default().with_header(true).with_null_regex(null()?);
    let (schema, _) = format.infer_schema(&mut file, None)?;
    file.rewind()?;
    let builder = ReaderBuilder::new(Arc::new(schema))
        .with_header(true)
        .with_null_regex(null()?);
    Ok(builder
        .with_batch_size(16_384)
        .build(file)?
        .collect::<Result<_, _>>()?)
}

/// A new table with the columns of the batches.
async fn create(connection: &Connection, columns: SchemaRef) -> Outcome<Table> {
    let admin = connection.admin();
    let path = TablePath::new("fluss", "flights");
    admin.drop_table(&path, true).await?;
    let row_type = fluss_client::arrow::row_type(&columns)?;
    let schema = row_type.fields().iter().fold(Schema::builder(), |schema, field| {
        schema.column(&field.name, field.data_type.clone())
    });
    let no_key: [&str; 0] = [];
    let descriptor = TableDescriptor::builder(schema.build()?)
        .distributed_by(BUCKETS, no_key)
        .build()?;
    admin.create_table(&path, &descriptor, false).await?;
    Ok(connection.table(&path).await?)
}

/// What was written or read, and how long it took.
#[derive(Default)]
struct Figures {
    rows: usize,
    distance: i64,
    delay: i64,
    delayed: usize,
    took: Duration,
}

impl Figures {
    fn add(&mut self, batch: &RecordBatch) -> Outcome<()> {
        let column = |name: &str| {
            let column = batch
                .column_by_name(name)
                .ok_or_else(|| format!("no column {name}"))?;
            column
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| format!("{name} is not BIGINT"))
        };
        self.rows += batch.num_rows();
        self.distance += column("distance")?.iter().flatten().sum::<i64>();
        self.delay += column("dep_delay")?.iter().flatten().sum::<i64>();
        self.delayed += batch.num_rows() - column("dep_delay")?.null_count();
        Ok(())
    }
}

async fn load(table: &Table, batches: &[RecordBatch]) -> Outcome<Figures> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let progress = progress("write", rows);
    let mut figures = Figures::default();
    let start = Instant::now();
    let writer = table.append_writer()?;
    for batch in batches {
        writer.append_arrow(batch).await?;
        figures.add(batch)?;
        progress.inc(batch.num_rows() as u64);
    }
    writer.close().await?;
    figures.took = start.elapsed();
    progress.finish();
    Ok(figures)
}

async fn read_back(table: &Table, rows: usize) -> Outcome<Figures> {
    let progress = progress("read", rows);
    let mut figures = Figures::default();
    let start = Instant::now();
    let scanner = table.scan().project(["distance", "dep_delay"]).log_scanner()?;
    scanner.subscribe_all(StartOffset::Earliest).await?;
    while figures.rows < rows {
        let batches = scanner.poll_arrow(Duration::from_secs(30)).await?;
        if batches.is_empty() {
            return Err(format!("only {} of {rows} rows came back", figures.rows).into());
        }
        for scanned in batches {
            figures.add(&scanned.batch)?;
            progress.inc(scanned.batch.num_rows() as u64);
        }
    }
    figures.took = start.elapsed();
    progress.finish();
    Ok(figures)
}

fn progress(what: &'static str, rows: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:6} {bar:40} {human_pos}/{human_len} rows {per_sec}");
    let bar = ProgressBar::new(rows as u64).with_message(what);
    if let Ok(style) = style {
        bar.with_style(style)
    } else {
        bar
    }
}

fn print(written: &Figures, read: &Figures) {
    println!();
    println!(
        "{:8} {:>10} {:>15} {:>15} {:>12} {:>12}",
        "", "flights", "Σ distance", "Σ dep_delay", "non-null", "rows/s"
    );
    for (name, figures) in [("written", written), ("read", read)] {
        let count = |number: i64| {
            let sign = if number < 0 { "-" } else { "" };
            format!("{sign}{}", HumanCount(number.unsigned_abs()))
        };
        println!(
            "{name:8} {:>10} {:>15} {:>15} {:>12} {:>12}",
            HumanCount(figures.rows as u64).to_string(),
            count(figures.distance),
            count(figures.delay),
            HumanCount(figures.delayed as u64).to_string(),
            HumanCount((figures.rows as f64 / figures.took.as_secs_f64()) as u64).to_string(),
        );
    }
}
