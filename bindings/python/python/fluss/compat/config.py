"""Options as attributes."""

from collections.abc import Callable, Mapping
from typing import Generic, Self, TypeVar, final, overload

from fluss._fluss import parse_bytes, parse_millis
from fluss.config import Configuration

__all__ = ["Config"]

_T = TypeVar("_T")

_PLAIN_MILLIS = "connect-timeout"
"""The key of a duration that may be a bare number, of milliseconds."""


class _Option(Generic[_T]):
    """An attribute that stands for the option of a key."""

    def __init__(self, key: str, default: _T, read: Callable[[str], _T], doc: str) -> None:
        self._key = key
        self._default = default
        self._read = read
        self.__doc__ = f"{doc} (``{key}``)."

    @overload
    def __get__(self, config: None, owner: type) -> Self: ...
    @overload
    def __get__(self, config: Configuration, owner: type) -> _T: ...
    def __get__(self, config: Configuration | None, owner: type) -> _T | Self:
        if config is None:
            return self
        text = config.get(self._key)
        return self._default if text is None else self._read(text)

    def __set__(self, config: Configuration, value: _T) -> None:
        config.set(self._key, value)


def _text(key: str, default: str, doc: str) -> _Option[str]:
    return _Option(key, default, str, doc)


def _flag(key: str, default: bool, doc: str) -> _Option[bool]:
    return _Option(key, default, lambda text: text == "true", doc)


def _number(key: str, default: int, doc: str) -> _Option[int]:
    return _Option(key, default, int, doc)


def _bytes(key: str, default: int, doc: str) -> _Option[int]:
    return _Option(key, default, parse_bytes, doc)


def _millis(key: str, default: int, doc: str) -> _Option[int]:
    return _Option(key, default, parse_millis, doc)


@final
class Config(Configuration):
    """A `fluss.config.Configuration` whose options are attributes, too.

    Options that other clients need and this one does not are kept, and have no effect.
    """

    def __init__(self, properties: Mapping[str, object] | None = None) -> None:
        super().__init__({"bootstrap.servers": "127.0.0.1:9123", **(properties or {})})

    def set(self, key: str, value: object) -> Self:
        """Sets an option from a str, int, bool or timedelta."""
        bare = key == _PLAIN_MILLIS and str(value).isdigit()
        return super().set(f"{key}-ms" if bare else key, value)

    bootstrap_servers = _text("bootstrap.servers", "", "Servers to begin with, ``host:port,…``")
    connect_timeout_ms = _millis("connect-timeout-ms", 10_000, "Longest wait for a connection")
    security_protocol = _text("security.protocol", "PLAINTEXT", "PLAINTEXT or SASL")
    security_sasl_mechanism = _text("security.sasl.mechanism", "PLAIN", "PLAIN")
    security_sasl_username = _text("security.sasl.username", "", "Who logs in")
    security_sasl_password = _text("security.sasl.password", "", "The password")

    writer_acks = _text("writer.acks", "all", "Who must have stored a write: all, 1 (leader), 0")
    writer_batch_size = _bytes("writer.batch-size", 2 << 20, "A batch of this size is sent at once")
    writer_batch_timeout_ms = _millis("writer.batch-timeout-ms", 100, "How long a batch waits for more rows")
    writer_bucket_no_key_assigner = _text(
        "writer.bucket.no-key-assigner", "sticky", "sticky or round_robin, without a bucket key"
    )
    writer_buffer_memory_size = _bytes("writer.buffer.memory-size", 64 << 20, "Most bytes of rows not yet acknowledged")
    writer_enable_idempotence = _flag("writer.enable-idempotence", True, "Whether retries store nothing twice")
    writer_max_inflight_requests_per_bucket = _number(
        "writer.max-inflight-requests-per-bucket", 5, "Batches of a bucket on their way"
    )
    writer_request_max_size = _bytes("writer.request-max-size", 10 << 20, "Most bytes of a write request")
    writer_retries = _number("writer.retries", 2**31 - 1, "How often a batch is sent again")

    scanner_log_fetch_max_bytes = _bytes("scanner.log.fetch.max-bytes", 16 << 20, "Most bytes of a fetch")
    scanner_log_fetch_max_bytes_for_bucket = _bytes(
        "scanner.log.fetch.max-bytes-for-bucket", 1 << 20, "Most bytes of a bucket in a fetch"
    )
    scanner_log_fetch_min_bytes = _bytes("scanner.log.fetch.min-bytes", 1, "A server with less waits for more")
    scanner_log_fetch_wait_max_time_ms = _millis("scanner.log.fetch.wait-max-time-ms", 500, "How long it waits")
    scanner_log_max_poll_records = _number("scanner.log.max-poll-records", 500, "Most records of a poll")
    scanner_remote_log_read_concurrency = _number(
        "scanner.remote-log.read-concurrency", 4, "Reads of tiered segments at a time"
    )

    remote_file_download_thread_num = _number("remote-file.download-thread-num", 3, "Without effect")
    scanner_remote_log_prefetch_num = _number("scanner.remote-log.prefetch-num", 4, "Without effect")
    writer_buffer_wait_timeout_ms = _millis(
        "writer.buffer.wait-timeout-ms",
        2**64 - 1,
        "Without effect: the delivery timeout limits this wait",
    )
    writer_dynamic_batch_size_enabled = _flag("writer.dynamic-batch-size.enabled", True, "Without effect")
    writer_dynamic_batch_size_min = _bytes("writer.dynamic-batch-size-min", 256 << 10, "Without effect")
    writer_kv_backpressure_max_throttle_ms = _millis("writer.kv-backpressure.max-throttle-ms", 3000, "Without effect")
