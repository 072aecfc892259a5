//! The one policy by which things are tried again.

use std::future::Future;
use std::time::Duration;

use fluss_rpc::net::Backoff;
use tokio::time::{Instant, sleep_until};

use super::error::{Result, tell_retry};

/// The pauses between attempts: 50 ms, doubling up to 1 s, each moved by up to a fifth at random.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> + Send {
    Backoff {
        initial: Duration::from_millis(50),
        max: Duration::from_secs(1),
        factor: 2.0,
        jitter: 0.2,
    }
    .delays(fastrand::Rng::new())
}

/// No pause, and then those of [`pauses`]: for what is to be looked for at once when it is first missed.
pub(crate) fn pauses_after_the_first() -> impl Iterator<Item = Duration> + Send {
    std::iter::once(Duration::ZERO).chain(pauses())
}

/// Tries until it works, fails for good, or `timeout` has passed; then the last error is returned, or a timeout if no
/// attempt has ended.
pub(crate) async fn until<T, F>(timeout: Duration, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + timeout;
    let mut pauses = pauses();
    let mut attempts = 0;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let next = Instant::now() + pauses.next().unwrap_or(timeout);
        if !error.is_retriable() || next >= deadline {
            return Err(error);
        }
        attempts += 1;
        tell_retry!(&error, attempts, "tried again");
        sleep_until(next).await;
    }
}
