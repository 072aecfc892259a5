//! What goes wrong: the cause, what was attempted, and whether another attempt can help.

mod context;
mod kind;
mod storage;

pub use context::{BatchPlace, Context};
pub use kind::ErrorKind;
pub use storage::StorageError;

use std::fmt;
use std::sync::Arc;

use fluss_rpc::code::{ErrorCode, Outcome, Retry};
use fluss_rpc::net::RequestError;

/// Tells of an error as an event of the module that says so: what was attempted, on which table, bucket and server, and the
/// cause as fields of their own.
macro_rules! tell {
    ($target:expr, $level:ident, $error:expr, $($rest:tt)+) => {{
        let error: &$crate::Error = $error;
        let context = error.context();
        tracing::$level!(
            target: $target,
            operation = context.operation,
            table = context.table.as_ref().map(tracing::field::display),
            bucket = context.bucket.map(fluss_core::id::BucketId::get),
            server = context.server.as_ref().map(tracing::field::display),
            error = %error.kind(),
            $($rest)+
        );
    }};
}

/// Tells of an attempt that failed and is made again: as a warning if it is worth one.
macro_rules! tell_retry {
    ($target:expr, $error:expr, $attempts:expr, $($rest:tt)+) => {{
        let (error, attempts): (&$crate::Error, u32) = ($error, $attempts);
        if error.is_worth_a_warning(attempts) {
            $crate::error::tell!($target, warn, error, attempts, $($rest)+);
        } else {
            $crate::error::tell!($target, debug, error, attempts, $($rest)+);
        }
    }};
}
pub(crate) use {tell, tell_retry};

/// After so many attempts nobody is just about to be the leader.
const PATIENT_ATTEMPTS: u32 = 4;

/// After so many attempts in a row an answer that waiting does not change is told.
pub(crate) const BRIEF_ATTEMPTS: u32 = 5;

/// What can be done about an answer of the leader of a bucket to a request that does no harm when it comes twice. A server
/// that does not say what is wrong may just be opening or closing the bucket (`behaviour.md` §4.6): it is asked again, and the
/// leader looked for, which also tells whether the table is gone.
pub(crate) fn retry_at_leader(code: ErrorCode) -> Retry {
    match code {
        // The number of buckets is refreshed with the leader.
        ErrorCode::UNKNOWN_SERVER_ERROR | ErrorCode::INVALID_BUCKET_ROUTING => Retry::Briefly,
        code => code.retry(),
    }
}

/// The result of whatever talks to servers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and while doing what.
///
/// It prints as one line: what was attempted, on which table, bucket and server, and the cause. Cloning is cheap: one
/// failure of a batch or connection is reported to everyone whom it concerns.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let connection = fluss_client::connect("embedded::memory:").await?;
/// use fluss_client::{ErrorCode, Outcome, types::TablePath};
///
/// let path = TablePath::new("fluss", "nowhere");
/// let error = connection.table(&path).await.unwrap_err();
/// match error.outcome() {
///     Outcome::NotFound => println!("{error}"),
///     Outcome::Timeout | Outcome::Unavailable => println!("try again: {error}"),
///     _ => return Err(error.into()),
/// }
/// assert_eq!(error.code(), Some(ErrorCode::TABLE_NOT_EXIST));
/// assert_eq!(error.context().operation, "get table");
/// assert!(!error.is_retriable());
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    context: Arc<Context>,
}

impl Context {
    /// The error of this attempt.
    pub fn error(self, kind: impl Into<ErrorKind>) -> Error {
        Error {
            kind: kind.into(),
            context: Arc::new(self),
        }
    }
}

impl Error {
    /// The cause.
    pub const fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// What was attempted.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The server's error code, where a server refused: a request, a connection or a login.
    pub fn code(&self) -> Option<ErrorCode> {
        match &self.kind {
            ErrorKind::Server { code, .. } | ErrorKind::Request(RequestError::Server { code, .. }) => {
                Some(*code)
            }
            ErrorKind::Connect(error) => error.code(),
            _ => None,
        }
    }

    /// What it means for whoever gets it, and so what they can do.
    pub fn outcome(&self) -> Outcome {
        self.code()
            .map_or_else(|| self.kind.outcome(), ErrorCode::outcome)
    }

    /// Whether a write may have been stored although its acknowledgement did not come.
    pub const fn is_outcome_unknown(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Timeout {
                outcome_unknown: true,
                ..
            }
        )
    }

    /// Whether the same call can succeed later.
    pub fn is_retriable(&self) -> bool {
        self.kind.is_retriable()
    }

    /// Whether another attempt can help after so many have failed, where `retry` says what can be done about a code.
    pub(crate) fn is_worth_another(&self, retry: impl Fn(ErrorCode) -> Retry, attempts: u32) -> bool {
        match self.code().map(retry) {
            Some(Retry::Briefly) => attempts < BRIEF_ATTEMPTS,
            _ => self.is_retriable(),
        }
    }

    /// Whether the server cannot be reached, which is told by whoever connects to it: once, and not for each of those who
    /// need it.
    fn is_of_a_connection(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Connect(_)
                | ErrorKind::Request(RequestError::Disconnected { .. })
                | ErrorKind::NoServer
        )
    }

    /// Whether somebody should hear of so many failed attempts: of each failure once. That a bucket is led elsewhere, or not
    /// yet, is the course of things unless it lasts; that somebody has closed the connection is what they wanted.
    pub(crate) fn is_worth_a_warning(&self, attempts: u32) -> bool {
        self.is_told_after() == Some(attempts)
    }

    /// After how many failed attempts somebody should hear of it, if ever.
    pub(crate) fn is_told_after(&self) -> Option<u32> {
        if self.is_of_a_connection() || matches!(self.kind, ErrorKind::Closed) {
            return None;
        }
        let is_elsewhere = self.code().is_some_and(|code| {
            code.retry() == Retry::RefreshMetadata || code == ErrorCode::FENCED_LEADER_EPOCH
        });
        Some(if is_elsewhere { PATIENT_ATTEMPTS } else { 1 })
    }

    /// The same failure of a call of which so many rows were sent before.
    #[must_use]
    pub(crate) fn after_taking(self, rows: u64) -> Self {
        let context = Context {
            rows_taken: rows,
            ..Context::clone(&self.context)
        };
        context.error(self.kind)
    }

    /// The same failure of a value, with so many rows before those that it counts.
    #[must_use]
    pub(crate) fn after_rows(mut self, rows: u64) -> Self {
        if let ErrorKind::Value(error) = self.kind {
            self.kind = ErrorKind::Value(error.after_rows(rows));
        }
        self
    }

    /// The same failure seen as part of another attempt.
    #[must_use]
    pub(crate) fn within(self, context: Context) -> Self {
        let server = context.server.clone().or_else(|| self.context.server.clone());
        Self {
            kind: self.kind,
            context: Arc::new(Context { server, ..context }),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.context, self.kind)?;
        match &self.context.last_answer {
            Some(answer) => write!(f, "; the last answer was: {answer}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fluss_core::ValueError;
    use fluss_core::id::BucketId;
    use fluss_core::types::TablePath;
    use fluss_rpc::net::{ConnectError, ServerAddress};

    use super::*;

    #[test]
    fn an_error_means_what_its_code_or_its_kind_means() {
        let outcome = |kind: ErrorKind| Context::new("append").error(kind).outcome();
        let refused = |code| outcome(ErrorKind::server(code, None));
        assert_eq!(refused(ErrorCode::TABLE_NOT_EXIST), Outcome::NotFound);
        assert_eq!(refused(ErrorCode::AUTHORIZATION_EXCEPTION), Outcome::Denied);
        assert_eq!(refused(ErrorCode::from_number(4711)), Outcome::Internal);
        assert_eq!(outcome(ErrorKind::Closed), Outcome::Closed);
        assert_eq!(outcome(ErrorKind::NoServer), Outcome::Unavailable);
        assert_eq!(outcome(ValueError::row("no").into()), Outcome::InvalidData);
        for outcome_unknown in [false, true] {
            let error = Context::new("append").error(ErrorKind::Timeout {
                after: Duration::from_secs(1),
                outcome_unknown,
            });
            assert_eq!(error.outcome(), Outcome::Timeout);
            assert_eq!(error.is_outcome_unknown(), outcome_unknown);
        }
    }

    #[test]
    fn a_refused_login_keeps_the_code_of_the_server() {
        let refused = |code| {
            let error = ConnectError::Authentication {
                server: ServerAddress::new("localhost", 9123),
                code,
                message: "no".to_owned(),
            };
            Context::new("connect").error(error)
        };
        let by_server = refused(Some(ErrorCode::AUTHENTICATE_EXCEPTION));
        assert_eq!(by_server.code(), Some(ErrorCode::AUTHENTICATE_EXCEPTION));
        for error in [by_server, refused(None)] {
            assert_eq!(error.outcome(), Outcome::Unauthenticated);
            assert!(!error.is_retriable() && !error.is_worth_another(ErrorCode::retry, 0));
        }
    }

    #[test]
    fn an_error_tells_operation_table_bucket_and_server() {
        let server: ServerAddress = "localhost:9123".parse().unwrap();
        let context = Context::new("append")
            .table(&TablePath::new("db", "t"))
            .bucket(BucketId(2))
            .server(&server);
        let timeout = ErrorKind::Timeout {
            after: Duration::from_secs(2),
            outcome_unknown: true,
        };
        let error = context.error(timeout);
        assert_eq!(
            error.to_string(),
            "append db.t bucket 2 at localhost:9123: no answer within 2s; whether it took effect is unknown"
        );
        assert!(error.is_retriable());
    }

    #[test]
    fn a_timeout_tells_the_last_answer() {
        let mut context = Context::new("append").table(&TablePath::new("db", "t"));
        let elsewhere = ErrorKind::server(ErrorCode::NOT_LEADER_OR_FOLLOWER, None);
        context.last_answer = Some(elsewhere.to_string());
        let timeout = ErrorKind::Timeout {
            after: Duration::from_secs(2),
            outcome_unknown: false,
        };
        let error = context.error(timeout).to_string();
        assert!(
            error.starts_with("append db.t: no answer within 2s; the last answer was: "),
            "{error}"
        );
        assert!(error.ends_with("[NOT_LEADER_OR_FOLLOWER (12)]"), "{error}");
    }

    #[test]
    fn that_a_bucket_is_led_elsewhere_is_a_warning_only_if_it_lasts() {
        let warned = |kind: ErrorKind| {
            let error = Context::new("append").error(kind);
            let attempts = (1..10).filter(|attempts| error.is_worth_a_warning(*attempts));
            attempts.collect::<Vec<_>>()
        };
        let elsewhere = ErrorKind::server(ErrorCode::NOT_LEADER_OR_FOLLOWER, None);
        assert_eq!(warned(elsewhere), [PATIENT_ATTEMPTS]);
        assert_eq!(warned(ErrorKind::server(ErrorCode::STORAGE_EXCEPTION, None)), [1]);
        assert!(
            warned(ErrorKind::NoServer).is_empty(),
            "whoever connects tells it"
        );
    }

    #[test]
    fn what_waiting_does_not_change_is_tried_a_few_times() {
        let tried = |code| {
            let error = Context::new("read").error(ErrorKind::server(code, None));
            (1..100)
                .take_while(|attempts| error.is_worth_another(ErrorCode::retry, *attempts))
                .count()
        };
        assert_eq!(tried(ErrorCode::CORRUPT_RECORD), 4);
        assert_eq!(tried(ErrorCode::STORAGE_EXCEPTION), 99);
        assert_eq!(tried(ErrorCode::TABLE_NOT_EXIST), 0);
    }

    #[test]
    fn a_server_without_words_is_given_those_of_the_code() {
        let kind = ErrorKind::server(ErrorCode::TABLE_NOT_EXIST, None);
        assert_eq!(kind.to_string(), "the table does not exist [TABLE_NOT_EXIST (7)]");
        assert!(!kind.is_retriable());
    }

    #[test]
    fn a_stack_trace_is_not_shown() {
        let trace = "it broke\n\tat org.example.A.b(A.java:1)".to_owned();
        let kind = ErrorKind::server(ErrorCode::UNKNOWN_SERVER_ERROR, Some(trace));
        assert_eq!(kind.to_string(), "it broke [UNKNOWN_SERVER_ERROR (-1)]");
    }
}
