# Generated from fluss/aio by scripts/make-blocking-face; do not edit.
"""Documents: the rows of a primary-key table, changed field by field; calls block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self, final

from fluss import _fluss
from fluss._fluss import WriteHandle
from fluss._leave import leave
from fluss._row import Key
from fluss._streams import texts
from fluss._target import configuration, options
from fluss._waits import Timeout
from fluss.client import Connection
from fluss.config import Configuration
from fluss.errors import ArgumentError
from fluss.metadata import TablePath

__all__ = ["Documents", "open_documents"]


def open_documents(
    target: Connection | Configuration | Mapping[str, object] | str,
    table: TablePath | str,
    *,
    timeout: Timeout = None,
) -> Documents:
    """Opens the documents of a table, on a connection that there is, or one of its own to ``target``.

    It raises `fluss.ArgumentError` if the table has no primary key, or a merge engine that takes whole rows only
    (``first_row``, ``versioned``), and for a connection whose option ``client.writer.acks`` is not ``all``.
    """
    own = False
    if isinstance(target, Connection):
        core = target._core
    else:
        config = configuration(target, None) if isinstance(target, str) else target
        core = _fluss.Connection.open(options(config)).within(timeout).wait()
        own = True
    return Documents(core.documents(table, own).within(timeout).wait())


@final
class Documents:
    """The documents of a primary-key table: its rows. Threads may share it.

    Writes are collected and sent in the background; each has a handle, which can be waited for. Those to one key take
    effect in the order of the calls, whichever columns they write: a write that follows one of other columns to the
    same key waits until that one is acknowledged. Calls that run at the same time, for the same key, have no order.

    A key is the values of the primary key's columns: a tuple, a list or a dict; of a single column also the bare value.
    What makes no sense raises `fluss.ArgumentError`, and a value that its column cannot take `fluss.DataError`, before
    anything is sent. In a table with the merge engine ``aggregation``, upserted fields are aggregated as the table
    says; whatever sets columns to None passes over the merge engine.

    At the end of a ``with`` block it closes. If the block has raised, it waits for 5 s at most, and what was not
    stored becomes a note of what it has raised.
    """

    def __init__(self, core: _fluss.Documents) -> None:
        self._core = core

    def startup(self) -> None:
        """Does nothing: documents are ready once they are open. For programs whose writers are started."""

    def upsert_fields(self, document: Mapping[str, object], *, timeout: Timeout = None) -> WriteHandle:
        """Sets fields of a document, given by the names of their columns; the primary key is among them.

        Its other fields stay as they are; those of a document that is new are None. Of a table where a column beside
        the key takes no None, documents are given with all columns.
        """
        return self._core.upsert_fields(dict(document)).within(timeout).wait()

    def delete_fields(self, key: Key, columns: str | Iterable[str], *, timeout: Timeout = None) -> WriteHandle:
        """Sets columns of a document to None, if there is one of this key. The document stays, even with its key alone.

        Whether there is a document is looked up first. If another program deletes it between the look-up and the write,
        it is there again, with its key alone. Columns of the primary key, and those that take no None, are refused.
        """
        return self._core.delete_fields(key, texts(columns)).within(timeout).wait()

    def delete_document(self, key: Key, *, timeout: Timeout = None) -> WriteHandle:
        """Deletes the document of this key, if there is one.

        It raises `fluss.ArgumentError` for a table that ignores or refuses deletes (``table.delete.behavior``), or that
        has an auto-increment column, whose rows always stay.
        """
        return self._core.delete_document(key).within(timeout).wait()

    def clear_columns(
        self,
        names: str | Iterable[str] | None = None,
        *,
        prefix: str | Iterable[str] | None = None,
        timeout: Timeout = None,
    ) -> int:
        """Sets columns to None in all documents, and returns how many had a value in one of them.

        The columns are those of these ``names``, or those whose names begin with ``prefix``, or one of several. Columns
        of the primary key are passed over; one that takes no None is refused. When it returns, all changes are
        acknowledged.

        The documents are those of one moment of each bucket: a field that is set meanwhile may stay, or be set to None.
        A document that is deleted meanwhile may be there again, with its key alone. After an error some of the
        documents may be changed: it is safe to try again.
        """
        if (names is None) == (prefix is None):
            raise ArgumentError("columns are cleared by their names, or by a prefix of their names")
        if names is not None:
            return self._core.clear_columns(texts(names)).within(timeout).wait()
        return self._core.clear_columns_with_prefix(texts(prefix or "")).within(timeout).wait()

    def truncate(self, *, timeout: Timeout = None) -> int:
        """Deletes all documents, and returns how many there were. When it returns, all deletes are acknowledged.

        Documents that are inserted meanwhile may stay. It refuses what `delete_document` does.
        """
        return self._core.truncate().within(timeout).wait()

    def flush(self, *, timeout: Timeout = None) -> None:
        """Sends what is collected and waits for all acknowledgements; raises the first failure since the last flush."""
        return self._core.flush().within(timeout).wait()

    def close(self, *, timeout: Timeout = None) -> None:
        """Flushes, and closes the connection if `open_documents` has made it."""
        return self._core.close().within(timeout).wait()

    def shutdown(self, *, timeout: Timeout = None) -> None:
        """The same as `close`."""
        return self._core.close().within(timeout).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        leave(self._core, exc)

    def __repr__(self) -> str:
        return f"Documents('{self._core.table_path}')"
