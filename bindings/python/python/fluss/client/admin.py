"""Administration of databases, tables and partitions, blocking."""

from collections.abc import Iterable, Mapping
from typing import final

from fluss import _fluss
from fluss._fluss import OffsetSpec
from fluss.metadata import (
    DatabaseDescriptor,
    DatabaseInfo,
    PartitionInfo,
    Schema,
    ServerNode,
    TableChange,
    TableDescriptor,
    TableInfo,
    TablePath,
)

__all__ = ["Admin", "OffsetSpec"]


@final
class Admin:
    """Administers a cluster; had from ``Connection.get_admin()``.

    Tables are named by a `TablePath` or as ``"database.table"``. What is missing raises `fluss.NotFoundError`, what is
    there already `fluss.AlreadyExistsError`, a name or definition that is not allowed `fluss.SchemaError`. What
    changes something is sent once: after a `fluss.TimeoutError` it may have taken effect all the same.
    """

    def __init__(self, core: _fluss.Admin) -> None:
        self._core = core

    def create_database(
        self,
        database_name: str,
        database_descriptor: DatabaseDescriptor | None = None,
        ignore_if_exists: bool = False,
    ) -> None:
        """Creates a database."""
        return self._core.create_database(database_name, database_descriptor, ignore_if_exists).wait()

    def drop_database(self, database_name: str, ignore_if_not_exists: bool = False, cascade: bool = True) -> None:
        """Drops a database, and with ``cascade`` its tables, without which it must have none."""
        return self._core.drop_database(database_name, ignore_if_not_exists, cascade).wait()

    def list_databases(self) -> list[str]:
        """The names of all databases, sorted."""
        return self._core.list_databases().wait()

    def database_exists(self, database_name: str) -> bool:
        """Whether there is a database of this name."""
        return self._core.database_exists(database_name).wait()

    def get_database_info(self, database_name: str) -> DatabaseInfo:
        """A database's comment, properties and times."""
        return self._core.get_database_info(database_name).wait()

    def create_table(
        self, table_path: TablePath | str, table_descriptor: TableDescriptor, ignore_if_exists: bool = False
    ) -> None:
        """Creates a table. Writers and scanners wait until its buckets have leaders."""
        return self._core.create_table(table_path, table_descriptor, ignore_if_exists).wait()

    def alter_table(
        self, table_path: TablePath | str, changes: Iterable[TableChange], ignore_if_not_exists: bool = False
    ) -> None:
        """Changes properties of a table, or adds columns to it: all of the changes, or none.

        Whoever has the table already goes on with the columns that it had; ``connection.get_table`` gives one with the
        new ones, which are null in the rows from before.
        """
        return self._core.alter_table(table_path, list(changes), ignore_if_not_exists).wait()

    def drop_table(self, table_path: TablePath | str, ignore_if_not_exists: bool = False) -> None:
        """Drops a table."""
        return self._core.drop_table(table_path, ignore_if_not_exists).wait()

    def list_tables(self, database_name: str) -> list[str]:
        """The names of a database's tables, sorted."""
        return self._core.list_tables(database_name).wait()

    def table_exists(self, table_path: TablePath | str) -> bool:
        """Whether there is a table of this path."""
        return self._core.table_exists(table_path).wait()

    def get_table_info(self, table_path: TablePath | str) -> TableInfo:
        """A table's identity, schema and properties."""
        return self._core.get_table_info(table_path).wait()

    def get_table_schema(self, table_path: TablePath | str, schema_id: int | None = None) -> tuple[int, Schema]:
        """A version of a table's schema and its number; the latest if none is named."""
        return self._core.get_table_schema(table_path, schema_id).wait()

    def create_partition(
        self, table_path: TablePath | str, partition_spec: Mapping[str, str], ignore_if_exists: bool = False
    ) -> None:
        """Creates the partition that has these values of the partition keys."""
        return self._core.create_partition(table_path, dict(partition_spec), ignore_if_exists).wait()

    def drop_partition(
        self,
        table_path: TablePath | str,
        partition_spec: Mapping[str, str],
        ignore_if_not_exists: bool = False,
    ) -> None:
        """Drops the partition that has these values of the partition keys."""
        return self._core.drop_partition(table_path, dict(partition_spec), ignore_if_not_exists).wait()

    def list_partition_infos(
        self, table_path: TablePath | str, partition_spec: Mapping[str, str] | None = None
    ) -> list[PartitionInfo]:
        """A table's partitions; with a spec, those that have its values."""
        spec = None if partition_spec is None else dict(partition_spec)
        return self._core.list_partition_infos(table_path, spec).wait()

    def list_offsets(
        self, table_path: TablePath | str, bucket_ids: Iterable[int], offset_spec: OffsetSpec
    ) -> dict[int, int]:
        """The offset of each of these buckets of a table without partitions."""
        return self._core.list_offsets(table_path, list(bucket_ids), offset_spec).wait()

    def list_partition_offsets(
        self,
        table_path: TablePath | str,
        partition_name: str,
        bucket_ids: Iterable[int],
        offset_spec: OffsetSpec,
    ) -> dict[int, int]:
        """The offset of each of these buckets of a partition, which is named as `list_partition_infos` names it."""
        return self._core.list_partition_offsets(table_path, partition_name, list(bucket_ids), offset_spec).wait()

    def get_row_count(self, table_path: TablePath | str) -> int:
        """The number of rows in a table, in all of its partitions."""
        return self._core.get_row_count(table_path).wait()

    def get_server_nodes(self) -> list[ServerNode]:
        """The coordinator and the tablet servers that are alive."""
        return self._core.get_server_nodes().wait()
