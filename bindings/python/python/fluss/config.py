"""How a client is set up."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Self

from fluss._fluss import check_option, options_of, without_secrets

__all__ = ["Configuration"]

_MICROSECOND = timedelta(microseconds=1)


class Configuration:
    """Options by key, each checked when it is set: `fluss.ConfigError` names the key and what is wrong.

    Keys are those of the Java client (``client.writer.batch-size``); their prefix ``client.`` may be left out, as may
    hyphens and dots (``writerBatchSize``), and durations may be given in milliseconds under a key that ends in ``-ms``.
    A duration is a text with its unit (``"10 s"``, ``"500 ms"``) or a ``timedelta``, a size a number of bytes or a text
    (``"64 mb"``). Keys of other clients that steer what this one does not have are taken, and have no effect.

    A connection string has the same options behind its ``?``; what is said beside it wins.

    =============================================  ==========  =================================================
    key                                            default     meaning
    =============================================  ==========  =================================================
    bootstrap.servers                                          a connection string, or ``host:port,…``: required
    client.database                                            of tables that are named without one
    client.connection-name                                     what servers and logs say of who is connected
    client.default-deadline                                    longest that a request or a write waits
    client.max-discover-attempts                   10          how often a cluster without servers is looked for
    client.discovery-interval                      100 ms      the first pause between these; later ones are longer
    client.gossip-timeout                          5 s         longest wait for one server to say where things are
    client.keep-alive-interval                                 after such a silence a connection is probed
    client.keep-alive-timeout                                  how long the answer to a probe may take
    client.connect-timeout                         10 s        longest wait for a connection
    client.request-timeout                         30 s        longest wait for an answer
    client.tls                                     false       connect by TLS, and never without
    client.tls-ca-file                             system's    authorities that are trusted, a PEM file
    client.user-cert-file                                      certificate that the client shows, a PEM file
    client.user-key-file                                       its key, a PEM file
    client.allow-insecure-password                 false       a password may go to another machine without TLS
    client.writer.acks                             all         who must have stored a write: all, 1 (leader), 0
    client.writer.batch-size                       2 mb        a batch of this size is sent at once
    client.writer.batch-timeout                    100 ms      how long a batch waits for more rows
    client.writer.buffer.memory-size               64 mb       most bytes of rows not yet acknowledged
    client.writer.bucket.no-key-assigner           sticky      sticky or round_robin, without a bucket key
    client.writer.delivery-timeout                 120 s       longest wait for room and for an acknowledgement
    client.writer.dynamic-create-partition.enabled true        partitions that rows belong to are created
    client.writer.enable-idempotence               true        retries store nothing twice
    client.writer.kv-backpressure.max-throttle     3 s         longest pause that a server's word brings
    client.writer.max-inflight-requests-per-bucket 5           batches of a bucket on their way
    client.writer.request-max-size                 10 mb       most bytes of a write request
    client.writer.retries                          no limit    how often a batch is sent again
    client.scanner.log.check-crc                   true        verify checksums
    client.scanner.log.fetch.max-bytes             16 mb       most bytes of a fetch
    client.scanner.log.fetch.max-bytes-for-bucket  1 mb        most bytes of a bucket in a fetch
    client.scanner.log.fetch.min-bytes             1           a server with less waits for more
    client.scanner.log.fetch.wait-max-time         500 ms      how long it waits
    client.scanner.log.max-poll-records            500         most records of a poll
    client.scanner.log.max-poll-bytes              64 mb       after so many decoded bytes a poll ends
    client.scanner.log.max-batch-bytes             256 mb      most decoded bytes of a batch
    client.scanner.log.read-preference             local-first or remote-first, where a server has both
    client.scanner.partition-discovery-interval    10 s        how often a whole table's new partitions are sought
    client.scanner.remote-log.prefetch-bytes       32 mb       most bytes of tiered segments held ahead
    client.scanner.remote-log.read-concurrency     4           reads of tiered segments at a time
    client.remote.s3.endpoint, …region             the         where S3 is, if not where the cluster says
    client.remote.s3.path-style-access             cluster's   whether S3's buckets are parts of paths
    client.remote.s3.access-key, …secret-key                   who reads from S3: else the cluster gives credentials
    client.security.protocol                       PLAINTEXT   PLAINTEXT or SASL
    client.security.sasl.mechanism                 PLAIN       PLAIN
    client.security.sasl.username, …password                   needed with SASL
    =============================================  ==========  =================================================
    """

    def __init__(self, options: Mapping[str, object] | None = None) -> None:
        self._options: dict[str, str] = {}
        for key, value in (options or {}).items():
            self.set(key, value)

    @classmethod
    def of(cls, connection_string: str) -> Self:
        """What a connection string says, each option by its key; ``bootstrap.servers`` is where it leads."""
        return cls(dict(options_of(connection_string)))

    def set(self, key: str, value: object) -> Self:
        """Sets an option from a str, int, bool or timedelta."""
        text = _text(key, value)
        name, value = check_option(key, text)
        self._options[name] = value
        return self

    def set_string(self, key: str, value: str) -> Self:
        """Sets an option from its text."""
        return self.set(key, value)

    def get(self, key: str, default: str | None = None) -> str | None:
        """The text of an option that was set."""
        for name in (key, f"client.{key}", f"client.{key.removesuffix('-ms')}", key.removesuffix("-ms")):
            if name in self._options:
                return self._options[name]
        return default

    def to_dict(self) -> dict[str, str]:
        """The options that were set, as texts under the names of the table above."""
        return dict(self._options)

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configuration) and self._options == other._options

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        secret = (".password", "secret-key")
        shown = {
            key: "***" if key.endswith(secret) else without_secrets(value) if key == "bootstrap.servers" else value
            for key, value in self._options.items()
        }
        return f"Configuration({shown})"


def _text(key: str, value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value // timedelta(milliseconds=1)}" if key.endswith("-ms") else f"{value // _MICROSECOND} us"
    return str(value).lower() if isinstance(value, bool) else str(value)
