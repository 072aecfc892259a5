//! What becomes of a node whose machine loses power, or whose files are changed by others: as its clients see it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells its seed"
)]

mod contents;
mod copy;
mod directory;
mod files;
mod frames;
mod interval;
mod known;
mod life;
mod power;
mod state;
mod tables;

use std::time::Duration;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until something is so that others bring about.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}
