"""Documents of primary-key tables: their rows, changed field by field; calls block. `fluss.aio.replica` has the same,
awaited.

::

    from fluss import replica

    with replica.open_documents("embedded:./data", "fluss.profiles") as profiles:
        profiles.upsert_fields({"firstname": "Alice", "age": "22"})
        profiles.upsert_fields({"firstname": "Alice", "city": "San Francisco"})
        profiles.delete_fields("Alice", ["age"])

A document is a row, and its fields are the columns. Fields that are not given stay as they are.
"""

from fluss.replica.documents import Documents, open_documents

__all__ = ["Documents", "open_documents"]
