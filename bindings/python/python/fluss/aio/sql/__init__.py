"""SQL over the tables of Fluss, to be awaited: see `fluss.sql`, which has the same classes.

::

    async with AsyncClient("fluss://localhost:9123") as client:
        for row in await client.query("SELECT * FROM people WHERE id < ?", (3,)):
            print(row["name"])
"""

from fluss._sql import BatchedQueryResult, OnDuplicate, Parameters, Properties, QueryResult, Row, TransactionMode
from fluss.aio.sql.client import AsyncClient
from fluss.aio.sql.result import SqlResult
from fluss.aio.sql.statement import Statement
from fluss.aio.sql.stream import StreamedQuery
from fluss.aio.sql.transaction import Transaction

__all__ = [
    "AsyncClient",
    "BatchedQueryResult",
    "OnDuplicate",
    "Parameters",
    "Properties",
    "QueryResult",
    "Row",
    "SqlResult",
    "Statement",
    "StreamedQuery",
    "Transaction",
    "TransactionMode",
]
