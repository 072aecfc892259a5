"""Who may do what: the values that `Admin.create_acls`, `list_acls` and `drop_acls` take and give.

And who there is: what `Admin.list_users` gives.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from fluss.metadata import TablePath

__all__ = [
    "ANY_ACL",
    "WILDCARD",
    "AccessControlEntry",
    "AccessControlEntryFilter",
    "AclBinding",
    "AclBindingFilter",
    "FlussPrincipal",
    "OperationType",
    "PermissionType",
    "Resource",
    "ResourceFilter",
    "ResourceType",
    "UserInfo",
    "UserSource",
]

WILDCARD: Final = "*"
"""Any host, or all resources of a kind."""


class ResourceType(IntEnum):
    """What a right is about. `ANY` is for filters."""

    ANY = 1
    CLUSTER = 2
    DATABASE = 3
    TABLE = 4


class OperationType(IntEnum):
    """What may be done. `ALL` covers everything, and everything covers `DESCRIBE`. `ANY` is for filters."""

    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DROP = 6
    ALTER = 7
    DESCRIBE = 8


class PermissionType(IntEnum):
    """Rights only allow; there are none that forbid. `ANY` is for filters."""

    ANY = 1
    ALLOW = 2


class UserSource(StrEnum):
    """Where a user of an embedded node stands.

    `FILE` is the users file, which the node reads when it starts. Those in the `CATALOG` come and go while it runs.
    """

    FILE = "file"
    CATALOG = "catalog"


@dataclass(frozen=True)
class UserInfo:
    """A user of an embedded node."""

    name: str
    source: UserSource


@dataclass(frozen=True)
class FlussPrincipal:
    """Who has a right: a user, or everybody."""

    name: str
    type: str = "User"

    @staticmethod
    def everybody() -> "FlussPrincipal":
        """Whoever comes."""
        return FlussPrincipal(WILDCARD, WILDCARD)


@dataclass(frozen=True)
class Resource:
    """What a right is about: the cluster, a database or a table. A right reaches all that is inside."""

    type: ResourceType
    name: str

    @staticmethod
    def cluster() -> "Resource":
        """The cluster, with all that is in it."""
        return Resource(ResourceType.CLUSTER, "fluss-cluster")

    @staticmethod
    def database(name: str) -> "Resource":
        """A database, with all its tables; ``*`` for all of them."""
        return Resource(ResourceType.DATABASE, name)

    @staticmethod
    def table(path: TablePath | str) -> "Resource":
        """A table; ``*`` for all of them."""
        return Resource(ResourceType.TABLE, str(path))


@dataclass(frozen=True)
class AccessControlEntry:
    """Somebody, from a host (an IP address or ``*``), may do something."""

    principal: FlussPrincipal
    host: str
    operation_type: OperationType
    permission_type: PermissionType = PermissionType.ALLOW


@dataclass(frozen=True)
class AclBinding:
    """A right: what somebody may do to a resource. ``AclBinding.allow(...)`` says it in fewer words."""

    resource: Resource
    access_control_entry: AccessControlEntry

    @staticmethod
    def allow(user: str, operation: OperationType, resource: Resource, host: str = WILDCARD) -> "AclBinding":
        """The right of a user to do something to a resource."""
        return AclBinding(resource, AccessControlEntry(FlussPrincipal(user), host, operation))


@dataclass(frozen=True)
class ResourceFilter:
    """The resources of the rights that are meant: all, all of a type, or one."""

    type: ResourceType = ResourceType.ANY
    name: str | None = None


@dataclass(frozen=True)
class AccessControlEntryFilter:
    """The entries that are meant. What is None means all; what is given is found as it is: ``*`` finds only ``*``."""

    principal: FlussPrincipal | None = None
    host: str | None = None
    operation_type: OperationType = OperationType.ANY
    permission_type: PermissionType = PermissionType.ANY


@dataclass(frozen=True)
class AclBindingFilter:
    """Which rights are meant: all, unless something is said."""

    resource_filter: ResourceFilter = ResourceFilter()
    entry_filter: AccessControlEntryFilter = AccessControlEntryFilter()

    @staticmethod
    def of(resource: Resource) -> "AclBindingFilter":
        """The rights that are given for a resource."""
        return AclBindingFilter(ResourceFilter(resource.type, resource.name))


ANY_ACL: Final = AclBindingFilter()
"""All rights."""
