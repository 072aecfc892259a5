"""Replicas, local copies of primary-key tables, which follow them and are read at memory speed; and documents, rows
that are changed field by field. Calls block; `fluss.aio.replica` has the same, awaited.

::

    from fluss import replica

    with replica.open_documents("fluss://localhost:9123", "fluss.profiles") as documents:
        documents.upsert_fields({"firstname": "Alice", "age": "22"})
        documents.upsert_fields({"firstname": "Alice", "city": "San Francisco"})

    with replica.open_replica("fluss://localhost:9123", "fluss.profiles", "/var/lib/app/profiles") as profiles:
        print(profiles.get("Alice"))
        print(list(profiles.multiget_string_values(["Alice", "Bob"], "city")))

One replica follows into a directory at a time; other processes read it meanwhile with `attach_replica`. The copy
outlives the program: the next one goes on where this one has stopped. A document is a row, and its fields are the
columns: those that are not given stay as they are.
"""

from fluss._replica import BucketLag, Lag
from fluss.errors import (
    NoReplicaError,
    ReplicaError,
    ReplicaInUseError,
    ReplicaMismatchError,
    ReplicaStaleError,
    ReplicaStorageError,
)
from fluss.replica.documents import Documents, open_documents
from fluss.replica.replica import CaughtUp, Replica, ReplicaScan, attach_replica, open_replica

__all__ = [
    "BucketLag",
    "CaughtUp",
    "Documents",
    "Lag",
    "NoReplicaError",
    "Replica",
    "ReplicaError",
    "ReplicaInUseError",
    "ReplicaMismatchError",
    "ReplicaScan",
    "ReplicaStaleError",
    "ReplicaStorageError",
    "attach_replica",
    "open_documents",
    "open_replica",
]
