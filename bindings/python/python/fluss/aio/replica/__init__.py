"""Documents of primary-key tables, to be awaited: see `fluss.replica`, which has the same classes.

::

    from fluss.aio import replica

    async with await replica.open_documents("fluss://localhost:9123", "fluss.profiles") as profiles:
        await profiles.upsert_fields({"firstname": "Alice", "age": "22"})
        await profiles.delete_fields("Alice", ["age"])
"""

from fluss.aio.replica.documents import Documents, open_documents

__all__ = ["Documents", "open_documents"]
