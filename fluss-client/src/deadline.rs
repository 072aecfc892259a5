//! Deadlines of single calls.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::error::{Context, Error, ErrorKind};

tokio::task_local! {
    /// How long the call may take that the task is in.
    static LIMIT: Limit;
}

#[derive(Clone, Copy)]
struct Limit {
    duration: Duration,
    /// Nothing if no clock goes so far.
    end: Option<Instant>,
}

/// What a call may take longer than its limit: its own error, which says what it was about, comes first.
const GRACE: Duration = Duration::from_millis(50);

/// Gives a call so long, in place of [`request_timeout`](crate::ClientOptions::request_timeout): less, or more.
///
/// ```
/// use std::time::Duration;
/// use fluss_client::within;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), fluss_client::Error> {
/// # let connection = fluss_client::connect("embedded::memory:").await?;
/// let databases = within(Duration::from_secs(2), connection.admin().list_databases()).await?;
/// assert_eq!(databases, ["fluss"]);
/// # connection.shut_down().await
/// # }
/// ```
///
/// # Errors
///
/// Those of the call; a [timeout](ErrorKind::Timeout) if it takes longer. A write that was begun may be stored then.
///
/// # Cancellation
///
/// As of the call.
pub async fn within<T, E: From<Error>>(
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let scope = Limit {
        duration: limit,
        end: Instant::now().checked_add(limit),
    };
    let ended = timeout(limit.saturating_add(GRACE), LIMIT.scope(scope, call)).await;
    ended.unwrap_or_else(|_| {
        let late = ErrorKind::Timeout {
            after: limit,
            outcome_unknown: true,
        };
        Err(Context::new("call").error(late).into())
    })
}

/// How long a wait of the call may take that the task is in, where it usually may take so long.
pub(crate) fn patience(usual: Duration) -> Duration {
    LIMIT.try_with(|limit| limit.duration).unwrap_or(usual)
}

/// How long a wait may take of which the call has many, one after the other, where it usually may take so long.
pub(crate) fn left(usual: Duration) -> Duration {
    LIMIT
        .try_with(|limit| match limit.end {
            Some(end) => end.saturating_duration_since(Instant::now()),
            None => limit.duration,
        })
        .unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn a_call_has_its_own_limit_and_others_the_usual_one() {
        let usual = Duration::from_secs(30);
        let limit = within(LIMIT, async { Ok::<_, Error>(patience(usual)) })
            .await
            .unwrap();
        assert_eq!((limit, patience(usual)), (LIMIT, usual));
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_limit_is_left_what_has_not_passed() {
        let usual = Duration::from_secs(30);
        let waited = async {
            sleep(LIMIT / 2).await;
            Ok::<_, Error>(left(usual))
        };
        assert_eq!(within(LIMIT, waited).await.unwrap(), LIMIT / 2);
        assert_eq!(left(usual), usual);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_call_says_of_its_deadline_comes_first() {
        let call = async {
            sleep(LIMIT).await;
            Err::<(), _>(Context::new("look up").error(ErrorKind::NoServer))
        };
        let error = within(LIMIT, call).await.unwrap_err();
        assert_eq!(error.context().operation, "look up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_ends_is_given_up() {
        let begun = Instant::now();
        let error = within(LIMIT, pending::<Result<(), Error>>()).await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{error}");
        assert_eq!(begun.elapsed(), LIMIT + GRACE);
    }
}
