//! Loads the flights out of New York in 2013 into a log table and reads two columns of them back; loads airlines,
//! airports, planes and weather into primary-key tables and looks those of every flight up; and tells how fast.
//!
//! Usage: `flights TARGET FOLDER`, with a target such as `embedded:./data` or `fluss://localhost:9123`, and a folder of CSV
//! files.

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
use fluss_client::types::{Field, Schema, SchemaBuilder, TableDescriptor, TablePath};
use fluss_client::{Connection, StartOffset, Table};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

mod join;

use join::Dimension;

type Outcome<T> = Result<T, Box<dyn Error>>;

const BUCKETS: i32 = 3;

/// What flights are joined with: the table's name, its key, and where flights have it.
const DIMENSIONS: [Dimension; 4] = [
    Dimension::new("airlines", &["carrier"], &["carrier"]),
    Dimension::new("airports", &["faa"], &["dest"]),
    Dimension::new("planes", &["tailnum"], &["tailnum"]),
    Dimension::new("weather", &["origin", "time_hour"], &["origin", "time_hour"]),
];

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = arguments.as_slice() else {
        return Err("usage: flights TARGET FOLDER".into());
    };
    let batches = read_csv(folder, "flights")?;
    let connection = fluss_client::connect(target).await?;
    let table = create(&connection, "flights", &schema_of(&batches)?, &[]).await?;
    let written = load(&table, &batches).await?;
    let read = read_back(&table, written.rows).await?;
    let mut joined = Vec::new();
    for dimension in &DIMENSIONS {
        joined.push(dimension.join(&connection, folder, &batches).await?);
    }
    print(&written, &read);
    join::print(&joined);
    connection.shut_down().await?;
    Ok(())
}

/// A whole file as Arrow batches, with the types that its values suggest. `NA` is null.
fn read_csv(folder: &str, name: &str) -> Outcome<Vec<RecordBatch>> {
    let mut file = BufReader::new(File::open(format!("{folder}/{name}.csv"))?);
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

fn schema_of(batches: &[RecordBatch]) -> Outcome<SchemaRef> {
    Ok(batches.first().ok_or("the file is empty")?.schema())
}

/// A new table with these columns: a log table, or one with a primary key.
async fn create(connection: &Connection, name: &str, columns: &SchemaRef, key: &[&str]) -> Outcome<Table> {
    let admin = connection.admin();
    let path = TablePath::new("fluss", name);
    admin.drop_table(&path, true).await?;
    let row_type = fluss_core::arrow::row_type(columns)?;
    let add = |schema: SchemaBuilder, field: &Field| schema.column(&field.name, field.data_type.clone());
    let mut schema = row_type.fields().iter().fold(Schema::builder(), add);
    if !key.is_empty() {
        schema = schema.primary_key(key.iter().copied());
    }
    let descriptor = TableDescriptor::builder(schema.build()?)
        .distributed_by(BUCKETS, key.iter().copied())
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
