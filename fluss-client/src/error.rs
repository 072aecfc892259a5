mod storage;

pub use storage::StorageError;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::api::Unsupported;
use fluss_rpc::code::{ErrorCode, Outcome, Retry};
use fluss_rpc::net::{ConnectError, Disconnect, RequestError, ServerAddress};

use fluss_core::id::{BucketId, Offset, SchemaId, TableBucket};
use fluss_core::types::{InvalidDefinition, PhysicalTablePath, TablePath};
use fluss_core::{DecodeError, ValueError};

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
        ErrorCode::UNKNOWN_SERVER_ERROR => Retry::Briefly,
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

/// The cause of an [`Error`], named by what can be done about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server refused. [`ErrorCode::is_retriable`] tells whether trying again can help.
    ///
    /// A message of several lines, such as a stack trace, is shown up to the end of its first.
    #[error("{} [{code}]", message.lines().next().unwrap_or_default())]
    Server {
        /// Why.
        code: ErrorCode,
        /// The server's own words, or the code's meaning where it sent none.
        message: String,
    },
    /// A deadline passed. Trying again may help.
    #[error("no answer within {after:?}{}", if *.outcome_unknown { "; whether it took effect is unknown" } else { "" })]
    Timeout {
        /// How long was waited.
        after: Duration,
        /// A write was sent, and may or may not have been stored.
        outcome_unknown: bool,
    },
    /// A writer's memory was held by rows that wait for their acknowledgement. Nothing was sent; trying again may help.
    #[error("the writer's memory was in use for {after:?}")]
    NoMemory {
        /// How long was waited.
        after: Duration,
    },
    /// No connection to the server came about: unreachable, not a Fluss server, or a refused login.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// The connection was lost, or could not carry the request.
    #[error(transparent)]
    Request(RequestError),
    /// The server does not offer what was asked for, and it was not asked. It says what the server is.
    #[error(transparent)]
    Unsupported(Unsupported),
    /// No server of the cluster could be asked.
    #[error("no server is available")]
    NoServer,
    /// The bucket has no leader that could be found in time. Trying again may help.
    #[error("no leader was found within {0:?}")]
    NoLeader(Duration),
    /// The server's answer makes no sense.
    #[error(transparent)]
    Malformed(DecodeError),
    /// A file in the cluster's remote storage cannot be read. [`StorageError::is_retriable`] tells whether trying again
    /// can help.
    #[error(transparent)]
    Storage(Arc<StorageError>),
    /// A value that its column cannot take. Nothing was sent.
    #[error(transparent)]
    Value(ValueError),
    /// A name, type, schema or descriptor that the protocol does not allow. Nothing was sent.
    #[error(transparent)]
    Definition(InvalidDefinition),
    /// An argument that makes no sense here. Nothing was sent.
    #[error("{0}")]
    InvalidArgument(String),
    /// The embedded node cannot be had: its directory is another process's, of another format, or damaged.
    #[error("{0}")]
    Node(String),
    /// The log of a bucket does not reach back to where it is needed: what was before was deleted, as the table says.
    #[error("the log begins at offset {start}; what was before it is gone")]
    Expired {
        /// The first offset that is still there.
        start: Offset,
    },
    /// What was called is closed.
    #[error("already closed")]
    Closed,
    /// A task of the client died: a defect of the client, which cannot be used any more.
    #[error("the client failed: {0}")]
    Defect(String),
}

/// What was attempted, and on what.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Context {
    /// The operation, as a verb: `append`, `create table`.
    pub operation: &'static str,
    /// The database, where the operation is on one as a whole.
    pub database: Option<String>,
    /// The table, with its partition.
    pub table: Option<PhysicalTablePath>,
    /// The version of the table's schema, where it matters.
    pub schema: Option<SchemaId>,
    /// The bucket.
    pub bucket: Option<BucketId>,
    /// The batch of the log, where it is about one.
    pub batch: Option<BatchPlace>,
    /// The server.
    pub server: Option<ServerAddress>,
    /// What a server answered last to what was tried until its deadline: the same as an error of that answer says.
    pub last_answer: Option<String>,
    /// How many rows of the same call were sent before it failed, because all of them are more than the writer's memory.
    /// A call of fewer rows is written whole or not at all.
    pub rows_taken: u64,
}

/// Where a batch of a log is. [`ScanBuilder::skip`](crate::ScanBuilder::skip) takes it, to read on behind it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BatchPlace {
    /// The bucket.
    pub bucket: TableBucket,
    /// The offset of its first record.
    pub first: Offset,
    /// The offset of its last record.
    pub last: Offset,
}

impl Context {
    /// An operation on nothing in particular.
    pub const fn new(operation: &'static str) -> Self {
        Self {
            operation,
            database: None,
            table: None,
            schema: None,
            bucket: None,
            batch: None,
            server: None,
            last_answer: None,
            rows_taken: 0,
        }
    }

    /// The same on a database.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.database = Some(name.to_owned());
        self
    }

    /// The same on a table.
    #[must_use]
    pub fn table(mut self, table: &TablePath) -> Self {
        self.table = Some(table.clone().into());
        self
    }

    /// The same on a table or partition.
    #[must_use]
    pub fn physical(mut self, table: &PhysicalTablePath) -> Self {
        self.table = Some(table.clone());
        self
    }

    /// The same with what was written under a version of the table's schema.
    #[must_use]
    pub const fn schema(mut self, schema: SchemaId) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The same on a bucket.
    #[must_use]
    pub const fn bucket(mut self, bucket: BucketId) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// The same on a batch of records.
    #[must_use]
    pub const fn batch(mut self, batch: BatchPlace) -> Self {
        self.batch = Some(batch);
        self
    }

    /// The same on a server.
    #[must_use]
    pub fn server(mut self, server: &ServerAddress) -> Self {
        self.server = Some(server.clone());
        self
    }

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

    /// Whether another attempt can help after so many have failed.
    pub(crate) fn is_worth_another(&self, attempts: u32) -> bool {
        match self.code().map(ErrorCode::retry) {
            Some(Retry::Briefly) => attempts < BRIEF_ATTEMPTS,
            _ => self.is_retriable(),
        }
    }

    /// The same of a request to the leader of a bucket that does no harm when it comes twice.
    pub(crate) fn is_worth_another_at_leader(&self, attempts: u32) -> bool {
        match self.code().map(retry_at_leader) {
            Some(Retry::Briefly) => attempts < BRIEF_ATTEMPTS,
            _ => self.is_retriable(),
        }
    }

    /// Whether it is an answer of a leader that waiting does not change, after so many of its kind in a row.
    pub(crate) fn is_lasting_at_leader(&self, attempts: u32) -> bool {
        self.code().map(retry_at_leader) == Some(Retry::Briefly) && attempts >= BRIEF_ATTEMPTS
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
        if self.is_of_a_connection() || matches!(self.kind, ErrorKind::Closed) {
            return false;
        }
        let is_elsewhere = self.code().is_some_and(|code| {
            code.retry() == Retry::RefreshMetadata || code == ErrorCode::FENCED_LEADER_EPOCH
        });
        attempts == if is_elsewhere { PATIENT_ATTEMPTS } else { 1 }
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

impl ErrorKind {
    /// What it means, where no server told a code.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Server { code, .. } => code.outcome(),
            Self::Timeout { .. }
            | Self::NoMemory { .. }
            | Self::NoLeader(_)
            | Self::Request(RequestError::Timeout { .. }) => Outcome::Timeout,
            Self::Connect(error) => match **error {
                ConnectError::Timeout { .. } => Outcome::Timeout,
                ConnectError::Authentication { .. } => Outcome::Unauthenticated,
                ConnectError::UnsupportedVersion { .. } => Outcome::Unsupported,
                _ => Outcome::Unavailable,
            },
            Self::Request(RequestError::Malformed { .. } | RequestError::TooLarge { .. })
            | Self::Malformed(_)
            | Self::Value(_) => Outcome::InvalidData,
            Self::Request(_) | Self::NoServer => Outcome::Unavailable,
            Self::Unsupported(_) => Outcome::Unsupported,
            Self::Storage(error) => error.outcome(),
            Self::Definition(_) | Self::InvalidArgument(_) => Outcome::InvalidArgument,
            Self::Expired { .. } => Outcome::Expired,
            Self::Closed => Outcome::Closed,
            Self::Node(_) | Self::Defect(_) => Outcome::Internal,
        }
    }

    /// A refusal with the server's message, or the code's meaning where it sent none.
    pub(crate) fn server(code: ErrorCode, message: Option<String>) -> Self {
        let message = message
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| code.meaning().to_owned());
        Self::Server { code, message }
    }

    /// A reader that was read to its end, and is to be read again.
    pub fn already_read() -> Self {
        Self::InvalidArgument("the reader was read to its end, which it is once: make another".to_owned())
    }

    pub(crate) fn is_retriable(&self) -> bool {
        match self {
            Self::Server { code, .. } => code.is_retriable(),
            Self::Timeout { .. } | Self::NoMemory { .. } | Self::NoServer | Self::NoLeader(_) => true,
            Self::Connect(error) => error.is_retriable(),
            Self::Request(error) => error.is_retriable(),
            Self::Storage(error) => error.is_retriable(),
            _ => false,
        }
    }
}

impl From<RequestError> for ErrorKind {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Server { code, message } => Self::Server { code, message },
            RequestError::Timeout { after } => Self::Timeout {
                after,
                outcome_unknown: false,
            },
            RequestError::Unsupported(error) => Self::Unsupported(error),
            // Only whoever has the client closes its connections.
            RequestError::Disconnected {
                reason: Disconnect::Closed,
            } => Self::Closed,
            other => Self::Request(other),
        }
    }
}

impl From<ConnectError> for ErrorKind {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Closed {
                source:
                    RequestError::Disconnected {
                        reason: Disconnect::Closed,
                    },
                ..
            } => Self::Closed,
            other => Self::Connect(Arc::new(other)),
        }
    }
}

impl From<DecodeError> for ErrorKind {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<StorageError> for ErrorKind {
    fn from(error: StorageError) -> Self {
        Self::Storage(Arc::new(error))
    }
}

impl From<ValueError> for ErrorKind {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

impl From<InvalidDefinition> for ErrorKind {
    fn from(error: InvalidDefinition) -> Self {
        Self::Definition(error)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if let Some(database) = &self.database {
            write!(f, " {database}")?;
        }
        if let Some(table) = &self.table {
            write!(f, " {table}")?;
        }
        if let Some(schema) = self.schema {
            write!(f, " schema {schema}")?;
        }
        if let Some(bucket) = self.bucket {
            write!(f, " bucket {bucket}")?;
        }
        if let Some(batch) = self.batch {
            write!(f, " offsets {} to {}", batch.first, batch.last)?;
        }
        if let Some(server) = &self.server {
            write!(f, " at {server}")?;
        }
        if self.rows_taken > 0 {
            write!(f, " after {} rows were taken", self.rows_taken)?;
        }
        Ok(())
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
            assert!(!error.is_retriable() && !error.is_worth_another(0));
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
                .take_while(|attempts| error.is_worth_another(*attempts))
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
