//! Queries that need more memory than they may have.

use std::time::Duration;

use fluss_sql::{ErrorKind, Options};
use tokio::time::{Instant, sleep};

use crate::world::{World, run};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_sort_spills", a_sort_spills),
    ("what_cannot_spill_is_refused", what_cannot_spill_is_refused),
];

/// Longer than the end of a query takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn a_sort_spills() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::default()
            .with_memory_limit(Some(23 << 20))
            .with_spill_directory(Some(directory.path().to_owned()))
            .with_parallelism(Some(1));
        let world = World::new("spilled", options).await;
        // Ten times what the session may hold.
        let text = "SELECT max(text), max(n) FROM (SELECT text, row_number() OVER (ORDER BY text) AS n FROM \
                    (SELECT lpad(CAST(value * 7919 % 1000003 AS STRING), 100, 'x') AS text FROM generate_series(1, 2000000)))";
        assert_eq!(world.batches(text).await.len(), 1);
        world.shut_down().await;
        // What a query has spilled goes with its last task.
        let deadline = Instant::now() + PATIENCE;
        while std::fs::read_dir(directory.path()).unwrap().count() > 0 {
            assert!(Instant::now() < deadline, "what was spilled is left");
            sleep(Duration::from_millis(20)).await;
        }
    });
}

fn what_cannot_spill_is_refused() {
    run(async {
        let world = World::new("refused", Options::default().with_memory_limit(Some(1 << 20))).await;
        let text = "SELECT array_agg(value) FROM generate_series(1, 3000000)";
        let error = world.refusal(text).await;
        assert_eq!(error.kind, ErrorKind::Memory, "{error}");
        assert_eq!(world.rows("SELECT 1").await, ["1"]);
        world.shut_down().await;
    });
}
