"""What can go wrong, as a tree that is caught by intent.

Every exception of the client is a `FlussError` and says what was attempted and whether trying again can help::

    FlussError
    ├── ServerError            the server refused: code, name
    │   ├── NotFoundError      a database, table, partition or schema that is not there
    │   └── AlreadyExistsError one that is there already
    ├── AuthError              a login or a right that is missing
    │   ├── AuthenticationError a wrong or missing password
    │   └── PermissionDeniedError a right that is missing
    ├── ConnectionError        a server that cannot be reached, or was lost; also the builtin ConnectionError
    ├── TimeoutError           a deadline has passed; also the builtin TimeoutError
    ├── ExpiredError           records that are needed and that the table keeps no more
    ├── StorageError           a file in the cluster's remote storage that cannot be read: file
    ├── ProtocolError          bytes that are not what they should be
    ├── ClosedError            a connection, writer or scanner that was closed
    ├── BufferFullError        rows that come faster than they are sent; also a BufferError
    ├── ForkError              a connection used in a forked process
    ├── ArgumentError          an argument that makes no sense here; also a ValueError
    │   └── ArgumentTypeError  one of a kind that is not taken here; also a TypeError
    ├── ConfigError            an option that does not exist, or its value; also a ValueError
    ├── SchemaError            a schema, table or name that is not allowed; also a ValueError
    ├── DataError              a value that its column cannot take; also a ValueError
    ├── WrongCurrentVersionError a stream at another version than an append asks for: stream_name, current_version
    ├── StreamNotFoundError    a stream that is not there: stream_name
    ├── StreamDeletedError     a stream that was deleted for good: stream_name
    ├── ReplicaError           a local copy of a table that cannot be followed or read: directory
    │   ├── NoReplicaError     a directory without one, or one that was not started yet
    │   ├── ReplicaInUseError  another replica follows into the directory
    │   ├── ReplicaMismatchError a directory with a copy of something else
    │   ├── ReplicaStaleError  a copy that is older than it may be: age, max_staleness
    │   └── ReplicaStorageError files of a copy that cannot be read or written: file
    ├── QueryError             a statement of SQL that is wrong or failed: line, column
    │   ├── ConstraintViolationError a row that its table must not have
    │   └── UnsupportedQueryError what SQL has and this client does not; also an UnsupportedError
    └── UnsupportedError       what the server does not offer, or this client cannot do yet; also a NotImplementedError

Arguments of the wrong kind raise ``TypeError`` and ``ValueError`` as everywhere in Python. What an exception came from
is its ``__cause__``.
"""

import builtins
from datetime import timedelta
from typing import Any, ClassVar

from fluss._codes import ErrorCode
from fluss._fluss import TableBucket, is_retriable

__all__ = [
    "AlreadyExistsError",
    "ArgumentError",
    "ArgumentTypeError",
    "AuthError",
    "AuthenticationError",
    "BufferFullError",
    "ClosedError",
    "ConfigError",
    "ConnectionError",
    "ConstraintViolationError",
    "DataError",
    "ErrorCode",
    "ExpiredError",
    "FlussError",
    "ForkError",
    "NoReplicaError",
    "NotFoundError",
    "PermissionDeniedError",
    "ProtocolError",
    "QueryError",
    "ReplicaError",
    "ReplicaInUseError",
    "ReplicaMismatchError",
    "ReplicaStaleError",
    "ReplicaStorageError",
    "SchemaError",
    "ServerError",
    "StorageError",
    "StreamDeletedError",
    "StreamNotFoundError",
    "TimeoutError",
    "UnsupportedError",
    "UnsupportedQueryError",
    "WrongCurrentVersionError",
]


class FlussError(Exception):
    """Any failure of the client. Attributes are None where they are not known."""

    def __init__(
        self,
        message: str = "",
        error_code: int = ErrorCode.CLIENT_ERROR,
        *,
        operation: str | None = None,
        database: str | None = None,
        table: str | None = None,
        partition: str | None = None,
        bucket: int | None = None,
        server: str | None = None,
        retriable: bool | None = None,
        name: str | None = None,
        column: str | None = None,
        file: str | None = None,
        outcome_unknown: bool = False,
        table_bucket: TableBucket | None = None,
        offset: int | None = None,
        last_offset: int | None = None,
        row: int | None = None,
        rows_taken: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        """What happened."""
        self.operation = operation
        """What was attempted."""
        self.database = database
        """The database on which it was attempted as a whole."""
        self.table = table
        """The table at which it was attempted."""
        self.partition = partition
        """The partition of the table."""
        self.bucket = bucket
        """The bucket of the table."""
        self.server = server
        """The server that was asked."""
        self.retriable = is_retriable(error_code) if retriable is None else retriable
        """Whether the same call can succeed later."""
        self.code = None if error_code == ErrorCode.CLIENT_ERROR else error_code
        """The number of the server's error, one of `ErrorCode`."""
        self.name = name
        """The name of the server's error."""
        self.column = column
        """The column at fault, with a path into nested types."""
        self.file = file
        """The file in the cluster's remote storage, or of a local copy."""
        self.outcome_unknown = outcome_unknown
        """Whether a write may have been stored although its acknowledgement did not come."""
        self.table_bucket = table_bucket
        """The bucket of a batch that cannot be read: ``scan.skip(error.table_bucket, error.offset)`` passes it over."""
        self.offset = offset
        """The offset of its first record."""
        self.last_offset = last_offset
        """The offset of its last record; what is behind it can be read."""
        self.row = row
        """The row at fault, counted from the first of the call."""
        self.rows_taken = rows_taken
        """How many rows of the call were sent before it failed: 0 unless the writer's buffer cannot hold them all."""

    @property
    def error_code(self) -> int:
        """The number of the server's error; of another failure, that which comes nearest."""
        return self._unanswered if self.code is None else self.code

    @property
    def is_retriable(self) -> bool:
        """The same as ``retriable``."""
        return self.retriable

    _unanswered: ClassVar[int] = ErrorCode.CLIENT_ERROR

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message,), self.__dict__)


class ServerError(FlussError):
    """The server refused. ``code`` and ``name`` say why."""


class NotFoundError(ServerError):
    """A database, table, partition, schema or the like that does not exist."""


class AlreadyExistsError(ServerError):
    """A database, table, partition or the like that exists already."""


class AuthError(FlussError):
    """The server does not accept who we are, or does not let us do this."""


class AuthenticationError(AuthError):
    """The server does not know the user, or the password is wrong."""


class PermissionDeniedError(AuthError):
    """The user has no right to do this."""


class ConnectionError(FlussError, builtins.ConnectionError):
    """A server cannot be reached, does not speak the protocol, or the connection to it was lost."""

    _unanswered = ErrorCode.NETWORK_EXCEPTION


class TimeoutError(FlussError, builtins.TimeoutError):
    """A deadline has passed. A write may have been stored all the same if ``outcome_unknown``."""

    _unanswered = ErrorCode.REQUEST_TIME_OUT


class ExpiredError(FlussError):
    """Records that are needed are gone: the table keeps its log only for some time."""


class StorageError(FlussError):
    """A file in the cluster's remote storage is not there, may not be read, or is in a store that cannot be reached."""


class ProtocolError(FlussError):
    """A server sent bytes that are not what the protocol says."""


class ClosedError(FlussError):
    """The connection, writer or scanner was closed."""


class BufferFullError(FlussError, BufferError):
    """Rows come faster than the cluster takes them, and nobody awaits them. The row was not taken: await the handles of
    rows as they are given, or a flush, and give it again.
    """


class ForkError(FlussError, RuntimeError):
    """What was called was made before this process was forked; its threads stayed in the parent. Connect anew."""


class ArgumentError(FlussError, ValueError):
    """An argument that makes no sense here. Nothing was sent."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of a kind that is not taken here. Nothing was sent."""


class ConfigError(FlussError, ValueError):
    """An option that does not exist, or a value that it does not take."""


class SchemaError(FlussError, ValueError):
    """A type, schema, table or name that is not allowed."""


class DataError(FlussError, ValueError):
    """A value that its column, or a row that its table, cannot take. Nothing was sent; the writer stays usable."""


class UnsupportedError(FlussError, NotImplementedError):
    """Something that the server does not offer, or that this client cannot do yet. The message says what, and what the
    server is."""


class _StreamError(FlussError):
    def __init__(
        self,
        message: str = "",
        error_code: int = ErrorCode.CLIENT_ERROR,
        *,
        stream_name: str | None = None,
        current_version: int | None = None,
        **known: Any,
    ) -> None:
        super().__init__(message, error_code, **known)
        self.stream_name = stream_name
        """The stream."""
        self.current_version = current_version
        """The version of the stream's last event; None if there is no such stream, or if that is not known."""


class WrongCurrentVersionError(_StreamError):
    """The stream is at another version than the append asks for. Nothing was appended."""


class StreamNotFoundError(_StreamError):
    """There is no such stream, or it was deleted and nothing was appended since."""


class StreamDeletedError(_StreamError):
    """The stream was deleted for good: nothing can be appended to it, or read of it."""


class ReplicaError(FlussError):
    """A local copy of a table cannot be followed, or read."""

    def __init__(
        self,
        message: str = "",
        error_code: int = ErrorCode.CLIENT_ERROR,
        *,
        directory: str | None = None,
        **known: Any,
    ) -> None:
        super().__init__(message, error_code, **known)
        self.directory = directory
        """The directory of the copy."""


class NoReplicaError(ReplicaError):
    """There is no replica in the directory, or it has no copy of its table yet: it was not started."""


class ReplicaInUseError(ReplicaError):
    """Another replica follows into the directory, in this process or another. Beside it there can be readers."""


class ReplicaMismatchError(ReplicaError):
    """The directory holds a copy of another table, of other columns or rows, or other files."""


class ReplicaStaleError(ReplicaError):
    """The copy is older than reads allow."""

    def __init__(
        self,
        message: str = "",
        error_code: int = ErrorCode.CLIENT_ERROR,
        *,
        age: timedelta | None = None,
        max_staleness: timedelta | None = None,
        **known: Any,
    ) -> None:
        super().__init__(message, error_code, **known)
        self.age = age
        """How old it is; None if that is not known."""
        self.max_staleness = max_staleness
        """How old it may be."""


class ReplicaStorageError(ReplicaError):
    """Files of the copy cannot be read or written, or are damaged. A damaged copy is made anew when it is started."""


class QueryError(FlussError):
    """A statement of SQL that is wrong, or that failed. Nothing was written unless ``rows_taken`` says so."""

    column: int | None  # type: ignore[assignment]
    """The character of the line, counted from 1."""

    def __init__(
        self,
        message: str = "",
        error_code: int = ErrorCode.CLIENT_ERROR,
        *,
        line: int | None = None,
        column: int | None = None,
        **known: Any,
    ) -> None:
        super().__init__(message, error_code, **known)
        self.line = line
        """The line of the text at which it went wrong, counted from 1; None if that is not known."""
        self.column = column


class ConstraintViolationError(QueryError):
    """A row that its table must not have: a key that exists, or a null in a column that takes none."""


class UnsupportedQueryError(QueryError, UnsupportedError):
    """A statement that is SQL, but that is not carried out here; the message says what it is that is not."""
