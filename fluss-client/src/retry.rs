//! The one policy by which things are tried again.

use std::future::Future;
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::{Backoff, Random};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::error::{Context, Error, ErrorKind, Result, tell_retry};
use crate::log_target;

/// How attempts are spaced: 50 ms, doubling up to 1 s, each moved by up to a fifth at random.
const USUAL: Backoff = spaced(50, 1_000);
/// Of a server whose engine has no room at the moment, and cannot say so in more detail (`v1_0.md` §6.1).
const OVERLOADED: Backoff = spaced(100, 3_000);
/// Of a disk that is full: somebody has to make room, and the server looks only now and then.
const FULL: Backoff = spaced(500, 5_000);

const fn spaced(initial: u64, max: u64) -> Backoff {
    Backoff {
        initial: Duration::from_millis(initial),
        max: Duration::from_millis(max),
        factor: 2.0,
        jitter: 0.2,
    }
}

/// How attempts to write are spaced that are refused in this way.
pub(crate) const fn backoff_after(code: Option<ErrorCode>) -> Backoff {
    match code {
        Some(ErrorCode::KV_STORAGE_EXCEPTION) => OVERLOADED,
        Some(ErrorCode::DISK_WRITE_LOCKED) => FULL,
        _ => USUAL,
    }
}

/// The pauses between attempts: 50 ms, doubling up to 1 s, each moved by up to a fifth at random.
pub(crate) fn pauses(random: &Random) -> impl Iterator<Item = Duration> + Send + Sync + use<> {
    USUAL.delays(random.fork())
}

/// Pauses that begin with this one, doubling up to ten times of it.
pub(crate) fn pauses_from(
    initial: Duration,
    random: &Random,
) -> impl Iterator<Item = Duration> + Send + Sync + use<> {
    Backoff {
        initial,
        max: initial * 10,
        ..USUAL
    }
    .delays(random.fork())
}

/// No pause, and then those of [`pauses`]: for what is to be looked for at once when it is first missed.
pub(crate) fn pauses_after_the_first(
    random: &Random,
) -> impl Iterator<Item = Duration> + Send + Sync + use<> {
    std::iter::once(Duration::ZERO).chain(pauses(random))
}

/// The pauses of something that may answer without getting on, and when that has lasted for too long.
pub(crate) struct Stall {
    timeout: Duration,
    deadline: Instant,
    random: Random,
    pauses: Box<dyn Iterator<Item = Duration> + Send + Sync>,
}

impl Stall {
    /// Begins now. What does not get on for `timeout` is given up.
    pub(crate) fn new(timeout: Duration, random: &Random) -> Self {
        Self {
            timeout,
            deadline: Instant::now() + timeout,
            random: random.clone(),
            pauses: Box::new(pauses(random)),
        }
    }

    /// Takes note that it gets on.
    pub(crate) fn end(&mut self) {
        *self = Self::new(self.timeout, &self.random);
    }

    /// Lets a pause pass, longer than the one before. Returns false if it has lasted for too long.
    pub(crate) async fn pause(&mut self) -> bool {
        let next = Instant::now() + self.pauses.next().unwrap_or(self.timeout);
        if next >= self.deadline {
            return false;
        }
        sleep_until(next).await;
        true
    }
}

/// Tries until it works, fails for good, or `timeout` has passed; then the last error is returned, or a timeout if no
/// attempt has ended.
///
/// An attempt is told when it has to end. The first has half of the time: what was asked on a connection that leads
/// nowhere can then be asked on another.
pub(crate) async fn until<T, F>(
    context: &Context,
    timeout: Duration,
    random: &Random,
    attempt: impl FnMut(Instant) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let is_worth = |error: &Error, attempts| error.is_worth_another(ErrorCode::retry, attempts);
    until_by(is_worth, context, timeout, random, attempt).await
}

/// As [`until`], where `is_worth` says whether another attempt can help after so many that failed.
pub(crate) async fn until_by<T, F>(
    is_worth: impl Fn(&Error, u32) -> bool,
    context: &Context,
    timeout: Duration,
    random: &Random,
    mut attempt: impl FnMut(Instant) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let begun = Instant::now();
    let deadline = begun + timeout;
    let mut limit = begun + timeout / 2;
    let mut pauses = pauses(random);
    let mut attempts = 0;
    let mut last = None;
    loop {
        let error = match timeout_at(deadline, attempt(limit)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(_) => return Err(last.unwrap_or_else(|| late(context, timeout))),
        };
        attempts += 1;
        let next = Instant::now() + pauses.next().unwrap_or(timeout);
        if !is_worth(&error, attempts) || next >= deadline {
            return Err(error);
        }
        tell_retry!(log_target::CLIENT, &error, attempts, "tried again");
        last = Some(error);
        limit = deadline;
        sleep_until(next).await;
    }
}

fn late(context: &Context, after: Duration) -> Error {
    context.clone().error(ErrorKind::Timeout {
        after,
        outcome_unknown: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn refused(code: ErrorCode) -> Error {
        Context::new("read").error(ErrorKind::server(code, None))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_ever_is_told_at_the_deadline() {
        let (context, random) = (Context::new("read"), Random::with_seed(1));
        let begun = Instant::now();
        let answer = until(&context, TIMEOUT, &random, |_| async {
            Err::<(), _>(refused(ErrorCode::STORAGE_EXCEPTION))
        });
        let error = answer.await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::STORAGE_EXCEPTION));
        assert!((TIMEOUT / 2..=TIMEOUT).contains(&begun.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waiting_does_not_change_is_told_soon() {
        let (context, random) = (Context::new("read"), Random::with_seed(1));
        let begun = Instant::now();
        let mut attempts = 0;
        let answer = until(&context, TIMEOUT, &random, |_| {
            attempts += 1;
            async { Err::<(), _>(refused(ErrorCode::CORRUPT_RECORD)) }
        });
        let error = answer.await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::CORRUPT_RECORD));
        assert!(!error.is_retriable());
        assert_eq!(attempts, 5);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_never_ends_is_given_up_and_the_last_error_told() {
        let (context, random) = (Context::new("read"), Random::with_seed(1));
        let begun = Instant::now();
        let mut first = true;
        let answer = until(&context, TIMEOUT, &random, |_| {
            let is_first = std::mem::take(&mut first);
            async move {
                if is_first {
                    return Err::<(), _>(refused(ErrorCode::NOT_LEADER_OR_FOLLOWER));
                }
                std::future::pending().await
            }
        });
        let error = answer.await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        assert_eq!(begun.elapsed(), TIMEOUT);
        let never = until(&context, TIMEOUT, &random, |_| {
            std::future::pending::<Result<()>>()
        });
        let error = never.await.unwrap_err();
        assert_eq!(error.to_string(), "read: no answer within 30s");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_attempt_leaves_time_for_another() {
        let (context, random) = (Context::new("read"), Random::with_seed(1));
        let mut limits = Vec::new();
        let begun = Instant::now();
        let answer = until(&context, TIMEOUT, &random, |limit| {
            limits.push(limit - begun);
            let is_last = limits.len() == 2;
            async move {
                if is_last {
                    return Ok(());
                }
                Err(refused(ErrorCode::REQUEST_TIME_OUT))
            }
        });
        answer.await.unwrap();
        assert_eq!(limits, [TIMEOUT / 2, TIMEOUT]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_ends_with_progress_or_in_time() {
        let mut stall = Stall::new(TIMEOUT, &Random::with_seed(1));
        for _ in 0..20 {
            assert!(stall.pause().await);
        }
        stall.end();
        let begun = Instant::now();
        while stall.pause().await {}
        assert!((TIMEOUT / 2..=TIMEOUT).contains(&begun.elapsed()));
    }
}
