//! Queries that are stopped.

use std::time::Duration;

use fluss_sql::{ErrorKind, Options, Parameters};
use futures::StreamExt;
use tokio::time::{Instant, sleep, timeout};

use crate::statements::{create, write};
use crate::world::{World, run};

pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "a_cross_join_ends_when_its_rows_are_dropped",
        a_cross_join_ends_when_its_rows_are_dropped,
    ),
    (
        "a_statement_that_is_dropped_while_it_is_planned_ends",
        a_statement_that_is_dropped_while_it_is_planned_ends,
    ),
    (
        "other_calls_go_on_beside_a_long_query",
        other_calls_go_on_beside_a_long_query,
    ),
    ("rows_come_before_all_are_read", rows_come_before_all_are_read),
];

/// Longer than what is stopped may go on.
const PATIENCE: Duration = Duration::from_secs(20);

const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) a(x), generate_series(1, 1000000) b(y) \
                       WHERE x * y % 7 = 8";

/// The processor time of this process.
fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = text.rsplit(')').next().unwrap_or_default();
    let ticks = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn a_cross_join_ends_when_its_rows_are_dropped() {
    run(async {
        let world = World::new("dropped", Options::default()).await;
        let mut rows = world.did(ENDLESS).await.into_rows().unwrap();
        let first = timeout(Duration::from_millis(300), rows.next()).await;
        assert!(first.is_err(), "it has ended");
        drop(rows);
        // Whatever else this process does, it comes to rest.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = busy();
            sleep(Duration::from_millis(500)).await;
            if busy().saturating_sub(before) < Duration::from_millis(400) {
                break;
            }
            assert!(Instant::now() < deadline, "the query goes on");
        }
        let mut rows = world.did(ENDLESS).await.into_rows().unwrap();
        rows.cancel();
        assert!(rows.next().await.is_none() && rows.has_ended());
        world.shut_down().await;
    });
}

fn a_statement_that_is_dropped_while_it_is_planned_ends() {
    run(async {
        let world = World::new("planned", Options::default()).await;
        let explained = format!("EXPLAIN ANALYZE {ENDLESS}");
        let mut rows = world.did(&explained).await.into_rows().unwrap();
        assert!(timeout(Duration::from_millis(100), rows.next()).await.is_err());
        drop(rows);
        let execute = world.session.execute("SELECT 1", Parameters::default());
        drop(execute);
        assert_eq!(world.rows("SELECT 1").await, ["1"]);
        world.shut_down().await;
    });
}

fn other_calls_go_on_beside_a_long_query() {
    run(async {
        let world = World::new("beside", Options::default()).await;
        let table = create(&world, "people", true, 1).await;
        write(&table, 0..10).await;
        let rows = world.did(ENDLESS).await;
        let lookuper = table.lookup().lookuper().unwrap();
        for id in 0..10_i64 {
            let found = timeout(PATIENCE, lookuper.lookup(&[id.into()])).await.unwrap();
            assert!(found.unwrap().is_some());
        }
        drop(rows);
        world.shut_down().await;
    });
}

fn rows_come_before_all_are_read() {
    run(async {
        let world = World::new("streamed", Options::default()).await;
        let table = create(&world, "events", false, 1).await;
        for _ in 0..20 {
            write(&table, 0..500).await;
        }
        let mut rows = world.did("SELECT * FROM events").await.into_rows().unwrap();
        let first = rows.next().await.unwrap().unwrap();
        assert!(first.num_rows() > 0 && first.num_rows() < 10_000);
        let rest = rows.fetch_all().await.unwrap();
        let rest: usize = rest.iter().map(arrow::array::RecordBatch::num_rows).sum();
        assert_eq!(first.num_rows() + rest, 10_000);
        let error = world.refusal("SELECT CAST(name AS BIGINT) FROM events").await;
        assert_eq!(error.kind, ErrorKind::Type, "{error}");
        world.shut_down().await;
    });
}
