"""Replicas, local copies of primary-key tables, and documents, to be awaited: see `fluss.replica`, which has the same
classes.

::

    from fluss.aio import replica

    async with await replica.open_documents("fluss://localhost:9123", "fluss.profiles") as documents:
        await documents.upsert_fields({"firstname": "Alice", "age": "22"})

    profiles = await replica.open_replica("fluss://localhost:9123", "fluss.profiles", "/var/lib/app/profiles")
    async with profiles:
        print(profiles.get("Alice"))
"""

from fluss._replica import BucketLag, Lag
from fluss.aio.replica.documents import Documents, open_documents
from fluss.aio.replica.replica import CaughtUp, Replica, ReplicaScan, attach_replica, open_replica
from fluss.errors import (
    NoReplicaError,
    ReplicaError,
    ReplicaInUseError,
    ReplicaMismatchError,
    ReplicaStaleError,
    ReplicaStorageError,
)

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
