//! Waiting for signals.

use tokio::signal::unix::Signal;

/// Waits for a signal; for ever if there is none to wait for.
pub(crate) async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
