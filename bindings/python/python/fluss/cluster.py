"""What a cluster is made of and how it is: settings, tags of servers, rebalances, health."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from fluss._fluss import TableBucket

__all__ = [
    "AlterConfig",
    "AlterConfigOpType",
    "ClusterHealth",
    "ClusterHealthStatus",
    "ConfigEntry",
    "ConfigSource",
    "GoalType",
    "RebalancePlanForBucket",
    "RebalanceProgress",
    "RebalanceResultForBucket",
    "RebalanceStatus",
    "ServerTag",
]


class ConfigSource(StrEnum):
    """Where a setting comes from: the servers' files, or a change while they ran."""

    INITIAL_SERVER_CONFIG = "INITIAL_SERVER_CONFIG"
    DYNAMIC_SERVER_CONFIG = "DYNAMIC_SERVER_CONFIG"


@dataclass(frozen=True)
class ConfigEntry:
    """A setting that somebody has set; ``source`` is one of `ConfigSource`."""

    key: str
    value: str | None
    source: str


class AlterConfigOpType(IntEnum):
    """What is done to a setting. No server of Fluss 0.9 has `APPEND` and `SUBTRACT`, which are for lists."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True)
class AlterConfig:
    """A change of one setting of a cluster, or of one property of a database. ``value`` is None to delete."""

    key: str
    value: str | None
    op_type: AlterConfigOpType = AlterConfigOpType.SET


class ServerTag(IntEnum):
    """What an operator says of a tablet server; a rebalance moves away what a server with a tag has."""

    PERMANENT_OFFLINE = 0
    TEMPORARY_OFFLINE = 1


class GoalType(IntEnum):
    """What a rebalance is to bring about."""

    REPLICA_DISTRIBUTION = 0
    LEADER_DISTRIBUTION = 1
    RACK_AWARE = 2


class RebalanceStatus(IntEnum):
    """How far a rebalance, or its part in one bucket, has come."""

    NOT_STARTED = 0
    REBALANCING = 1
    FAILED = 2
    COMPLETED = 3
    CANCELED = 4

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self >= RebalanceStatus.FAILED


@dataclass(frozen=True)
class RebalancePlanForBucket:
    """What a rebalance does to one bucket: servers by their numbers, the preferred leader first."""

    table_bucket: TableBucket
    original_leader: int | None
    new_leader: int | None
    origin_replicas: list[int]
    new_replicas: list[int]


@dataclass(frozen=True)
class RebalanceResultForBucket:
    """How far a rebalance has come with one bucket."""

    plan: RebalancePlanForBucket
    status: RebalanceStatus


@dataclass(frozen=True)
class RebalanceProgress:
    """How far a rebalance has come; ``progress`` from 0 to 1, by the number of buckets that are through."""

    rebalance_id: str
    status: RebalanceStatus
    progress: float
    progress_for_bucket_map: Mapping[TableBucket, RebalanceResultForBucket]


class ClusterHealthStatus(IntEnum):
    """`YELLOW` where replicas are not in sync, `RED` where buckets have no leader."""

    GREEN = 0
    YELLOW = 1
    RED = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class ClusterHealth:
    """How many replicas there should be and are in sync, how many buckets there are and have a leader at work."""

    num_replicas: int
    in_sync_replicas: int
    num_leader_replicas: int
    active_leader_replicas: int
    status: ClusterHealthStatus
