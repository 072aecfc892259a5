//! A replica beside what is under it: `bench-replica TARGET ROWS ROUNDS [FOLLOWED SECONDS]`.
//!
//! The copy of a table beside reading it into memory; reads of the copy beside LMDB's own; and the same reads while changes are
//! applied that a paced writer makes, with how long each batch takes until it is seen.

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use bench_peer::rows;
use fluss_client::types::{DataType, Datum, Schema, TableDescriptor, TablePath};
use fluss_client::{AsOf, Connection, Table};
use fluss_core::row::{KeyEncoder, KeyFormat};
use fluss_replica::{Replica, ReplicaOptions};
use heed::types::Bytes;
use heed::{EnvFlags, EnvOpenOptions};

/// Writes a line of what was measured.
macro_rules! say {
    ($($text:tt)*) => {
        writeln!(std::io::stdout(), $($text)*)?
    };
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How often the paced writer writes.
const PACE: Duration = Duration::from_millis(10);
const CHANGES_A_SECOND: i64 = 100_000;
const GETS: i64 = 1_000_000;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default: i64| arguments.get(place).map_or(Ok(default), |text| text.parse());
    let target = arguments.first().map_or("embedded::memory:", String::as_str);
    let (count, rounds, followed) = (number(1, 1_000_000)?, number(2, 3)?, number(3, 10)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(target, count, rounds, followed))
}

async fn run(target: &str, count: i64, rounds: i64, followed: i64) -> Outcome<()> {
    let connection = fluss_client::connect(target).await?;
    let path = TablePath::new("fluss", format!("bench_replica_{count}"));
    let table = filled(&connection, &path, count).await?;
    let scratch = tempfile::tempdir()?;

    for round in 0..rounds {
        let begun = Instant::now();
        let whole = table.scan().plan(AsOf::Latest).await?.collect().await?;
        report("to_arrow", count, begun.elapsed())?;
        drop(black_box(whole));
        let directory = scratch.path().join(round.to_string());
        let begun = Instant::now();
        let replica = opened(&connection, &path, &directory).await?;
        report("initial copy", count, begun.elapsed())?;
        replica.shut_down().await;
    }
    let directory = scratch.path().join("0");
    let begun = Instant::now();
    let replica = opened(&connection, &path, &directory).await?;
    say!(
        "start when current: {:?}, anonymous memory {} MiB",
        begun.elapsed(),
        anonymous_mib()
    );
    for _ in 0..rounds {
        read(&replica, count)?;
    }
    replica.shut_down().await;
    for _ in 0..rounds {
        raw(&directory, count)?;
    }

    let replica = opened(&connection, &path, &directory).await?;
    let idle = latencies(&replica, count, Duration::from_secs(3))?;
    say!(
        "get when idle: p50 {:?} p99 {:?}, most {:?}",
        idle.p50,
        idle.p99,
        idle.most
    );
    let (writer, reader) = (table.clone(), replica.clone());
    let seconds = Duration::from_secs(followed as u64);
    let writing = tokio::spawn(async move { write(&writer, &reader, count, seconds).await });
    let reading = {
        let replica = replica.clone();
        tokio::task::spawn_blocking(move || latencies(&replica, count, seconds))
    };
    let busy = reading.await??;
    say!(
        "get while following: p50 {:?} p99 {:?}, most {:?}",
        busy.p50,
        busy.p99,
        busy.most
    );
    say!(
        "p99 while following / when idle: {:.2}",
        busy.p99.as_secs_f64() / idle.p99.as_secs_f64()
    );
    let (changes, stale) = writing.await??;
    say!(
        "staleness at {:.0} changes/s: p50 {:?} p99 {:?}, most {:?}",
        changes as f64 / seconds.as_secs_f64(),
        stale.p50,
        stale.p99,
        stale.most
    );
    say!("anonymous memory {} MiB", anonymous_mib());
    replica.shut_down().await;
    connection.shut_down().await?;
    Ok(())
}

/// A table with so many rows.
async fn filled(connection: &Connection, path: &TablePath, count: i64) -> Outcome<Table> {
    let schema = Schema::builder()
        .column("id", DataType::big_int())
        .column("name", DataType::string())
        .column("value", DataType::double())
        .column("at", DataType::timestamp(6)?)
        .primary_key(["id"])
        .build()?;
    let descriptor = TableDescriptor::builder(schema)
        .distributed_by(4, ["id"])
        .build()?;
    connection.admin().create_table(path, &descriptor, true).await?;
    let table = connection.table(path).await?;
    let writer = table.upsert_writer()?;
    for begin in (0..count).step_by(10_000) {
        writer
            .upsert_arrow(&batch(&table, begin, (begin + 10_000).min(count))?)
            .await?;
    }
    writer.flush().await?;
    Ok(table)
}

fn batch(table: &Table, begin: i64, end: i64) -> Outcome<RecordBatch> {
    Ok(rows::batch(begin, end, table.arrow_schema())?)
}

async fn opened(connection: &Connection, path: &TablePath, directory: &Path) -> Outcome<Replica> {
    let replica = Replica::open(connection, path, directory, ReplicaOptions::default()).await?;
    replica.start(None).await?;
    Ok(replica)
}

fn read(replica: &Replica, count: i64) -> Outcome<()> {
    let begun = Instant::now();
    for number in 0..GETS {
        black_box(replica.get(&[key(number, count)])?);
    }
    report("get, the whole row", GETS, begun.elapsed())?;
    let begun = Instant::now();
    for number in 0..GETS {
        black_box(replica.get_value(&[key(number, count)], "value")?);
    }
    report("get_value", GETS, begun.elapsed())?;
    let begun = Instant::now();
    for number in 0..GETS {
        black_box(replica.look_up(&[key(number, count)], |row| row.value(2).map(Datum::into_owned))?);
    }
    report("look_up, one value", GETS, begun.elapsed())?;
    let begun = Instant::now();
    let keys = (0..GETS).map(|number| [key(number, count)]);
    black_box(replica.look_up_many(keys, |row| {
        row.map(|row| row.values().map(|row| row.len())).transpose()
    })?);
    report("look_up_many", GETS, begun.elapsed())?;
    Ok(())
}

/// LMDB's own reads of the same file by the same keys.
#[expect(unsafe_code, reason = "nobody else has the file open")]
fn raw(directory: &Path, count: i64) -> Outcome<()> {
    let copies = std::fs::read_dir(directory)?.filter_map(Result::ok);
    let copy = copies.map(|entry| entry.path()).find(|path| path.is_dir());
    let copy = copy.ok_or("there is no copy")?;
    let mut options = EnvOpenOptions::new();
    options.map_size(1 << 40);
    let env = unsafe { options.flags(EnvFlags::NO_READ_AHEAD).open(copy)? };
    let txn = env.read_txn()?;
    let tree = env
        .open_database::<Bytes, Bytes>(&txn, None)?
        .ok_or("there is no tree")?;
    txn.commit()?;
    let key_type = fluss_client::types::RowType::new([fluss_client::types::Field::new(
        "id",
        DataType::big_int().not_null(),
    )]);
    let encoder = KeyEncoder::new(KeyFormat::Fluss, &key_type, &[0])?;
    let mut keys = Vec::with_capacity(GETS as usize);
    for number in 0..GETS {
        let mut bytes = vec![1];
        encoder.encode(&[key(number, count)], &mut bytes)?;
        keys.push(bytes);
    }
    let begun = Instant::now();
    for key in &keys {
        let txn = env.read_txn()?;
        black_box(tree.get(&txn, key)?.ok_or("a row is missing")?.to_vec());
    }
    report("LMDB, a transaction for each get", GETS, begun.elapsed())?;
    let begun = Instant::now();
    let txn = env.read_txn()?;
    for key in &keys {
        black_box(tree.get(&txn, key)?.ok_or("a row is missing")?.to_vec());
    }
    report("LMDB, one transaction", GETS, begun.elapsed())?;
    drop(txn);
    env.prepare_for_closing().wait();
    Ok(())
}

/// Some key, another each time.
fn key(number: i64, count: i64) -> Datum<'static> {
    Datum::BigInt(rows::scattered(number).rem_euclid(count))
}

/// How long gets take.
fn latencies(replica: &Replica, count: i64, time: Duration) -> Outcome<Taken> {
    let (begun, mut taken) = (Instant::now(), Vec::with_capacity(1 << 24));
    let mut number = 0;
    while begun.elapsed() < time {
        let before = Instant::now();
        black_box(replica.get(&[key(number, count)])?);
        taken.push(before.elapsed());
        number += 1;
    }
    Ok(Taken::of(taken))
}

/// Changes rows at a pace. Returns how many, and how long it takes until a change is seen.
async fn write(table: &Table, replica: &Replica, count: i64, time: Duration) -> Outcome<(i64, Taken)> {
    let writer = table.upsert_writer()?;
    let rows = CHANGES_A_SECOND * PACE.as_millis() as i64 / 1000;
    let (started, mut changed, mut waiting) = (Instant::now(), 0_i64, Vec::new());
    let mut ticks = tokio::time::interval(PACE);
    while started.elapsed() < time {
        ticks.tick().await;
        let begin = (changed * 7919).rem_euclid((count - rows).max(1));
        let written_at = Instant::now();
        let written = writer.upsert_arrow(&batch(table, begin, begin + rows)?).await?;
        changed += rows;
        let replica = replica.clone();
        waiting.push(tokio::spawn(async move {
            replica
                .wait_until_written(&written, Some(Duration::from_mins(1)))
                .await?;
            Ok::<_, fluss_replica::Error>(written_at.elapsed())
        }));
    }
    let mut stale = Vec::new();
    for waiting in waiting {
        stale.push(waiting.await??);
    }
    Ok((changed, Taken::of(stale)))
}

/// How long calls took.
struct Taken {
    p50: Duration,
    p99: Duration,
    most: Duration,
}

impl Taken {
    fn of(mut taken: Vec<Duration>) -> Self {
        taken.sort_unstable();
        let at = |part: f64| {
            let place = (taken.len() as f64 * part) as usize;
            taken
                .get(place.min(taken.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            most: at(1.0),
        }
    }
}

fn report(what: &str, count: i64, taken: Duration) -> Outcome<()> {
    say!("{what}: {:.0}/s", count as f64 / taken.as_secs_f64());
    Ok(())
}

/// What the process has of memory that is of no file, in MiB.
fn anonymous_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
