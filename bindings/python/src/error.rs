//! Errors of the client as exceptions of `fluss.errors`.

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use crate::bucket::TableBucket;
use fluss_client::StorageError;
use fluss_client::ValueError;
use fluss_client::id::BucketId;
use fluss_client::types::InvalidDefinition;
use fluss_client::{self as client, ErrorKind};
use fluss_client::{ErrorCode, Outcome};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

/// A failure on its way to Python: what it is called there, what it says, and what it knows.
pub(crate) struct Fault {
    class: &'static str,
    message: String,
    attributes: Vec<(&'static str, Attribute)>,
    cause: Option<Box<Fault>>,
    /// What Python code has raised, which is raised as it is.
    raised: Option<Box<PyErr>>,
}

/// A value of an exception's attribute.
pub(crate) enum Attribute {
    Text(String),
    Number(i32),
    Offset(i64),
    Bucket(TableBucket),
    Flag(bool),
    Duration(Duration),
}

impl Fault {
    pub(crate) fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            attributes: Vec::new(),
            cause: None,
            raised: None,
        }
    }

    /// What Python code has raised.
    pub(crate) fn raised(error: PyErr) -> Self {
        let raised = Some(Box::new(error));
        Self {
            raised,
            ..Self::new("FlussError", String::new())
        }
    }

    fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, Attribute::Text(value.into())));
        self
    }

    fn maybe(self, name: &'static str, value: Option<&impl ToString>) -> Self {
        match value {
            Some(value) => self.text(name, value.to_string()),
            None => self,
        }
    }

    fn numbered(mut self, name: &'static str, value: Option<i32>) -> Self {
        self.attributes
            .extend(value.map(|value| (name, Attribute::Number(value))));
        self
    }

    /// Says where the batch is that cannot be read.
    fn batch(mut self, batch: Option<client::BatchPlace>) -> Self {
        if let Some(batch) = batch {
            self.attributes.extend([
                ("table_bucket", Attribute::Bucket(TableBucket(batch.bucket))),
                ("offset", Attribute::Offset(batch.first)),
                ("last_offset", Attribute::Offset(batch.last)),
            ]);
        }
        self
    }

    fn count(mut self, name: &'static str, count: Option<u64>) -> Self {
        self.attributes
            .extend(count.map(|count| (name, Attribute::Offset(count as i64))));
        self
    }

    fn taken(self, rows: u64) -> Self {
        self.count("rows_taken", (rows > 0).then_some(rows))
    }

    /// The same fault of a call of which so many rows were sent before.
    pub(crate) fn after_taking(mut self, rows: u64) -> Self {
        let is_told = |(name, _): &(&str, Attribute)| *name == "rows_taken";
        if rows == 0 || self.attributes.iter().any(is_told) {
            return self;
        }
        if self.raised.is_none() {
            self.message = format!("{} (after {rows} rows were taken)", self.message);
        }
        self.taken(rows)
    }

    fn offset(mut self, name: &'static str, value: i64) -> Self {
        self.attributes.push((name, Attribute::Offset(value)));
        self
    }

    fn lasting(mut self, name: &'static str, value: Option<Duration>) -> Self {
        self.attributes
            .extend(value.map(|value| (name, Attribute::Duration(value))));
        self
    }

    fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.attributes.push((name, Attribute::Flag(value)));
        self
    }

    /// Names the column at fault.
    pub(crate) fn with_column(self, column: &str) -> Self {
        self.text("column", column)
    }

    /// Keeps what `error` came from as the exception's `__cause__`, and so on down.
    fn because_of(mut self, error: &dyn StdError) -> Self {
        self.cause = error
            .source()
            .map(|source| Box::new(Self::new("FlussError", source.to_string()).because_of(source)));
        self
    }

    fn build(&self, py: Python<'_>) -> PyResult<PyErr> {
        let attributes = PyDict::new(py);
        for (name, value) in &self.attributes {
            match value {
                Attribute::Text(text) => attributes.set_item(name, text)?,
                Attribute::Number(number) => attributes.set_item(name, number)?,
                Attribute::Offset(offset) => attributes.set_item(name, offset)?,
                Attribute::Bucket(bucket) => attributes.set_item(name, *bucket)?,
                Attribute::Flag(flag) => attributes.set_item(name, flag)?,
                Attribute::Duration(duration) => attributes.set_item(name, duration)?,
            }
        }
        if let Some(raised) = &self.raised {
            let raised = raised.clone_ref(py);
            let exception = raised.value(py);
            for (name, value) in attributes {
                // One that takes no attributes goes without.
                exception.setattr(name.cast::<PyString>()?, value).ok();
            }
            return Ok(raised);
        }
        let class = errors(py)?.getattr(self.class)?;
        let exception = PyErr::from_value(class.call((self.message.as_str(),), Some(&attributes))?);
        let cause = self.cause.as_ref().map(|cause| cause.build(py)).transpose()?;
        exception.set_cause(py, cause);
        Ok(exception)
    }
}

/// Whether what a server refused with this code can succeed later.
#[pyfunction]
pub(crate) fn is_retriable(error_code: i32) -> bool {
    ErrorCode::from_number(error_code).is_retriable()
}

fn errors(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    MODULE
        .get_or_try_init(py, || py.import("fluss.errors").map(Bound::unbind))
        .map(|module| module.bind(py))
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        Python::attach(|py| fault.build(py).unwrap_or_else(|error| error))
    }
}

impl From<ValueError> for Fault {
    fn from(error: ValueError) -> Self {
        let fault = Self::new("DataError", error.to_string()).count("row", error.row);
        fault.maybe("column", error.column.as_ref())
    }
}

#[cfg(feature = "sql")]
impl From<fluss_sql::Error> for Fault {
    fn from(error: fluss_sql::Error) -> Self {
        let of_client = error.source.clone().map(Self::from);
        let class = class_of_statement(error.kind, of_client.as_ref());
        let mut fault = Self::new(class, error.to_string());
        if let Some(client) = of_client {
            // A column of a table there is a place in the text here.
            let kept = client
                .attributes
                .into_iter()
                .filter(|(name, _)| *name != "column");
            fault.attributes = kept.collect();
            fault.cause = client.cause;
        }
        if let Some(at) = error
            .at
            .filter(|_| class.ends_with("QueryError") || class == "ConstraintViolationError")
        {
            fault.attributes.push(("line", Attribute::Offset(at.line as i64)));
            fault
                .attributes
                .push(("column", Attribute::Offset(at.column as i64)));
        }
        match error.written {
            Some(rows) => fault.taken(rows),
            None => fault,
        }
    }
}

impl From<fluss_streams::Error> for Fault {
    fn from(error: fluss_streams::Error) -> Self {
        use fluss_streams::Error;
        let message = error.to_string();
        match error {
            Error::Client(error) => error.into(),
            Error::OutcomeUnknown { source, .. } => {
                let mut fault = Self::from(source);
                fault.message = message;
                fault.attributes.retain(|(name, _)| *name != "outcome_unknown");
                fault.flag("outcome_unknown", true)
            }
            Error::WrongCurrentVersion { stream, actual, .. } => {
                let fault = Self::new("WrongCurrentVersionError", message).text("stream_name", stream);
                match actual.version() {
                    Some(version) => fault.offset("current_version", version),
                    None => fault,
                }
            }
            Error::NotFound { stream } => {
                Self::new("StreamNotFoundError", message).text("stream_name", stream)
            }
            Error::Deleted { stream } => Self::new("StreamDeletedError", message).text("stream_name", stream),
            Error::InvalidArgument(_) => Self::new("ArgumentError", message),
            Error::WrongTable { table, .. } => {
                Self::new("SchemaError", message).text("table", table.to_string())
            }
            _ => Self::new("FlussError", message),
        }
    }
}

impl From<fluss_replica::Error> for Fault {
    fn from(error: fluss_replica::Error) -> Self {
        use fluss_replica::Error;
        let message = error.to_string();
        let of = |class, directory: &Path| {
            Self::new(class, &*message).text("directory", directory.to_string_lossy())
        };
        match error {
            Error::Client(error) => error.into(),
            Error::OtherContents { directory, .. } => of("ReplicaMismatchError", &directory),
            Error::InUse { directory, table } => {
                of("ReplicaInUseError", &directory).text("table", table.to_string())
            }
            Error::NoCopy { directory, table } => {
                of("NoReplicaError", &directory).text("table", table.to_string())
            }
            Error::NoDirectory(directory) => of("NoReplicaError", &directory),
            Error::Stale { table, age, most } => Self::new("ReplicaStaleError", message)
                .text("table", table.to_string())
                .lasting("age", age)
                .lasting("max_staleness", Some(most)),
            Error::TimedOut { table, .. } => {
                Self::new("TimeoutError", message).text("table", table.to_string())
            }
            Error::InvalidArgument(_) => Self::new("ArgumentError", message),
            Error::Closed { table } => Self::new("ClosedError", message).text("table", table.to_string()),
            Error::Inherited { table } => Self::new("ForkError", message).text("table", table.to_string()),
            Error::Storage { path, .. } | Error::Damaged { path, .. } => {
                Self::new("ReplicaStorageError", message).text("file", path.to_string_lossy())
            }
            _ => Self::new("FlussError", message),
        }
    }
}

/// The exception for a statement that failed, by what it means.
#[cfg(feature = "sql")]
fn class_of_statement(kind: fluss_sql::ErrorKind, of_client: Option<&Fault>) -> &'static str {
    use fluss_sql::ErrorKind;
    match kind {
        ErrorKind::Unsupported => "UnsupportedQueryError",
        ErrorKind::Constraint => "ConstraintViolationError",
        ErrorKind::Denied => "PermissionDeniedError",
        ErrorKind::Unauthenticated => "AuthenticationError",
        ErrorKind::Expired => "ExpiredError",
        ErrorKind::Timeout => "TimeoutError",
        ErrorKind::Connection => of_client.map_or("ConnectionError", |client| client.class),
        _ => "QueryError",
    }
}

impl From<InvalidDefinition> for Fault {
    fn from(error: InvalidDefinition) -> Self {
        Self::new("SchemaError", error.to_string())
    }
}

impl From<client::Error> for Fault {
    fn from(error: client::Error) -> Self {
        let context = error.context();
        let table = context.table.as_ref();
        let fault = Self::new(class_of(&error), error.to_string())
            .text("operation", context.operation)
            .flag("retriable", error.is_retriable())
            .maybe("database", context.database.as_ref())
            .maybe("table", table.map(|physical| &physical.table))
            .maybe(
                "partition",
                table.and_then(|physical| physical.partition.as_ref()),
            )
            .maybe("server", context.server.as_ref())
            .numbered("bucket", context.bucket.map(BucketId::get))
            .batch(context.batch)
            .taken(context.rows_taken)
            .numbered("error_code", error.code().map(ErrorCode::number))
            .maybe("name", error.code().map(ErrorCode::name).as_ref());
        let fault = match error.kind() {
            ErrorKind::Value(value) => fault
                .maybe("column", value.column.as_ref())
                .count("row", value.row),
            ErrorKind::Timeout { outcome_unknown, .. } => fault.flag("outcome_unknown", *outcome_unknown),
            ErrorKind::Storage(error) => match &**error {
                StorageError::Damaged { file, fault: damage } => fault
                    .text("file", file)
                    .maybe("column", damage.column().map(str::to_owned).as_ref()),
                other => fault.text("file", other.file()),
            },
            ErrorKind::Malformed(error) => fault.maybe("column", error.column().map(str::to_owned).as_ref()),
            _ => fault,
        };
        fault.because_of(&error)
    }
}

/// The exception for a failure, by what it means.
fn class_of(error: &client::Error) -> &'static str {
    match (error.kind(), error.outcome()) {
        (ErrorKind::Connect(_) | ErrorKind::Storage(_), Outcome::Timeout) => "TimeoutError",
        (_, Outcome::Denied) => "PermissionDeniedError",
        (_, Outcome::Unauthenticated) => "AuthenticationError",
        (ErrorKind::Connect(_), _) => "ConnectionError",
        (ErrorKind::Storage(_), Outcome::InvalidData) => "ProtocolError",
        (ErrorKind::Storage(_), _) => "StorageError",
        (_, outcome) if error.code().is_some() => class_of_refusal(outcome),
        (ErrorKind::Definition(_), _) => "SchemaError",
        (ErrorKind::Value(_), _) => "DataError",
        (_, Outcome::InvalidArgument) => "ArgumentError",
        (_, Outcome::InvalidData) => "ProtocolError",
        (_, Outcome::Timeout) => "TimeoutError",
        (_, Outcome::Unavailable) => "ConnectionError",
        (_, Outcome::Expired) => "ExpiredError",
        (_, Outcome::Unsupported) => "UnsupportedError",
        (_, Outcome::Closed) => "ClosedError",
        _ => "FlussError",
    }
}

/// The same of what a server refused.
const fn class_of_refusal(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotFound => "NotFoundError",
        Outcome::AlreadyExists => "AlreadyExistsError",
        Outcome::Unsupported => "UnsupportedError",
        _ => "ServerError",
    }
}

/// An argument that makes no sense, of an operation that was not begun.
pub(crate) fn argument(reason: impl Into<String>) -> PyErr {
    Fault::new("ArgumentError", reason).into()
}

/// An argument of a kind that is not taken.
pub(crate) fn kind(reason: impl Into<String>) -> PyErr {
    Fault::new("ArgumentTypeError", reason).into()
}

/// What was called was made in the process that this one was forked from.
pub(crate) fn forked() -> PyErr {
    let message = "this was made before the process was forked, and works only in the process that made it: connect anew \
                   in this one";
    Fault::new("ForkError", message).into()
}

/// A wait of the caller's own has ended before what it waited for.
pub(crate) fn timeout(limit: Duration) -> PyErr {
    Fault::new("TimeoutError", format!("not finished within {limit:?}")).into()
}

/// What was called is closed.
pub(crate) fn closed(what: &str) -> PyErr {
    Fault::new("ClosedError", format!("the {what} is closed")).into()
}

/// Something that cannot be.
pub(crate) fn defect(what: &str) -> PyErr {
    Fault::new("FlussError", format!("the client failed: {what}")).into()
}
