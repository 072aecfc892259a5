"""Requests of the protocol as bytes: what a client of ours would never send."""

import socket
import struct
from collections.abc import Callable, Iterator

API_VERSIONS = 1000
GET_METADATA = 1012
PRODUCE_LOG = 1014
FETCH_LOG = 1015
PUT_KV = 1016
LOOKUP = 1017
LIST_OFFSETS = 1021
LIMIT_SCAN = 1033
CRC_AT = 21
CRC_FROM = 25
LENGTH_OVERHEAD = 12
HEADER_BYTES = 48

_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    _TABLE.append(_byte)


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def ask(address: str, api: int, body: bytes) -> bytes:
    """What a server answers a request, after the kind and the number of the answer."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=30) as server:
        server.sendall(struct.pack(">ihhi", 8 + len(body), api, 0, 1) + body)
        (length,) = struct.unpack(">i", read(server, 4))
        answer = read(server, length)
    assert answer[0] == 0, answer
    return answer[5:]


def fetch(address: str, table_id: int) -> bytes:
    """The answer to a fetch of all of the first bucket of a table."""
    most = 64 << 20
    bucket = number(2, 0) + number(3, 0) + number(4, most)
    table = number(1, table_id) + number(2, 0) + field(4, bucket)
    return ask(address, FETCH_LOG, number(1, -1) + number(2, most) + field(3, table))


def produce(address: str, table_id: int, records: bytes, offset: int) -> None:
    """Has a server append batches to the first bucket of a table, where they get this offset."""
    body = number(1, -1) + number(2, table_id) + number(3, 10_000) + field(4, number(2, 0) + field(3, records))
    assert ask(address, PRODUCE_LOG, body) == field(1, number(2, 0) + number(5, offset))


def batches(answer: bytes) -> Iterator[bytes]:
    """The log batches within an answer: what has a length and a checksum that are right."""
    at = 0
    while at + HEADER_BYTES <= len(answer):
        (length,) = struct.unpack_from("<i", answer, at + 8)
        end = at + LENGTH_OVERHEAD + length
        (crc,) = struct.unpack_from("<I", answer, at + CRC_AT)
        is_batch = length >= HEADER_BYTES - LENGTH_OVERHEAD and end <= len(answer) and answer[at + 12] == 0
        if is_batch and crc32c(answer[at + CRC_FROM : end]) == crc:
            yield answer[at:end]
            at = end
        else:
            at += 1


def changed(batch: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A batch with other contents and a checksum that is right."""
    contents = change(batch[CRC_FROM:])
    assert len(contents) == len(batch) - CRC_FROM and contents != batch[CRC_FROM:]
    return batch[:CRC_AT] + struct.pack("<I", crc32c(contents)) + contents


def number(at: int, value: int) -> bytes:
    """A number of a message."""
    return _varint(at << 3) + _varint(value & (1 << 64) - 1)


def field(at: int, value: bytes) -> bytes:
    """Bytes of a message, or a message of its own."""
    return _varint(at << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read(server: socket.socket, size: int) -> bytes:
    """So many bytes."""
    data = b""
    while len(data) < size:
        assert (part := server.recv(size - len(data))), "the server closed the connection"
        data += part
    return data
