"""The peers understand each other and the notation; run with ``python3 -m unittest`` in this folder."""

import unittest

from fluss_cluster import Cluster
from peers import fluss_rs, java, pyfluss

TYPES = {
    "BOOLEAN": [True, False],
    "TINYINT": [-128, 127],
    "SMALLINT": [-32768, 32767],
    "INT": [-(2**31), 2**31 - 1],
    "BIGINT": [-(2**63), 2**63 - 1],
    "FLOAT": ["1.5", "-0.0"],
    "DOUBLE": ["0.1", "NaN"],
    "CHAR(3)": ["abc", "xyz"],
    "STRING": ["", "grün 🦀"],
    "BINARY(2)": ["00ff", "0102"],
    "BYTES": ["", "00ff10"],
    "DECIMAL(10,2)": ["12345678.90", "-0.01"],
    "DECIMAL(38,10)": ["1234567890123456789012345678.0123456789", "-1.0000000001"],
    "DATE": [-1, 19_723],
    "TIME(3)": [0, 86_399_999],
    "TIMESTAMP(6)": [{"ms": 1_704_067_200_123, "ns": 456_000}, {"ms": -1, "ns": 0}],
    "TIMESTAMP_LTZ(6)": [{"ms": 1_704_067_200_123, "ns": 456_000}, {"ms": -1, "ns": 0}],
    "ARRAY<INT>": [[1, None, 3], []],
    "MAP<STRING,BIGINT>": [[["a", 1], ["b", None]], []],
    "ROW<x INT, y STRING>": [[1, "one"], [None, None]],
    "ARRAY<ROW<m MAP<STRING,ARRAY<INT>>>>": [[[[["k", [1, 2]]]]], [None]],
}
ROWS = [[values[0] for values in TYPES.values()], [values[1] for values in TYPES.values()], [None] * len(TYPES)]


class Understanding(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.cluster = cls.enterClassContext(Cluster())
        cls.java = cls.enterClassContext(java())
        cls.pyfluss = cls.enterClassContext(pyfluss())
        for peer in (cls.java, cls.pyfluss):
            peer.ask(op="connect", bootstrap=cls.cluster.bootstrap)
        cls.java.ask(op="create_database", database="peers")

    def create(self, table: str, types: list[str], **more: object) -> dict[str, str]:
        where = {"database": "peers", "table": table}
        names = [f"c{i}" for i in range(len(types))]
        self.java.ask(op="create_table", **where, names=names, types=types, **more)
        return where

    def rows(self, peer, op: str, **request) -> list:
        return [record["row"] for record in peer.ask(op=op, **request)["records"]]

    def test_every_type_survives_java_to_java(self) -> None:
        where = self.create("java", list(TYPES))
        self.java.ask(op="append", **where, rows=ROWS)
        self.assertEqual(self.rows(self.java, "scan", **where, rows=3), ROWS)

    def test_every_type_survives_java_to_pyfluss_and_back(self) -> None:
        where = self.create("pyfluss", list(TYPES))
        self.java.ask(op="append", **where, rows=ROWS)
        self.assertEqual(self.rows(self.pyfluss, "scan", **where, rows=3), ROWS)
        self.assertEqual(self.rows(self.pyfluss, "scan_arrow", **where, rows=3), ROWS)
        self.pyfluss.ask(op="append", **where, rows=ROWS)
        self.pyfluss.ask(op="append_arrow", **where, rows=ROWS)
        self.assertEqual(self.rows(self.java, "scan", **where, rows=9), 3 * ROWS)

    def test_java_upserts_deletes_and_looks_up(self) -> None:
        where = self.create("keyed", ["INT NOT NULL", "STRING"], primary_key=["c0"], buckets=3, bucket_key=["c0"])
        self.java.ask(op="upsert", **where, rows=[[1, "one"], [2, "two"]])
        self.java.ask(op="upsert", **where, rows=[[1, "uno"]])
        self.java.ask(op="delete", **where, rows=[[2, None]])
        found = self.java.ask(op="lookup", **where, keys=[[1], [2]])["found"]
        self.assertEqual(found, [[[1, "uno"]], []])
        changes = self.java.ask(op="scan", **where, rows=5)["records"]
        self.assertEqual(sorted(c["change"] for c in changes), ["+I", "+I", "+U", "-D", "-U"])

    def test_the_bench_jobs_agree(self) -> None:
        types = ["BIGINT", "STRING", "DOUBLE", "TIMESTAMP(6)"]
        where = {"database": "peers", "table": "bench", "bootstrap": self.cluster.bootstrap}
        self.java.ask(op="create_table", **where, names=["id", "name", "value", "at"], types=types, buckets=2)
        with java("bench") as rows_only, pyfluss("bench") as python, fluss_rs() as rust:
            everyone = (rows_only, python, rust)
            for peer in everyone:
                peer.ask(op="append_rows", **where, rows=1000)
                self.assertEqual(peer.ask(op="connect", **where, rows=3)["rows"], 3)
            for peer in (python, rust):
                peer.ask(op="append_arrow", **where, rows=1000, batch_rows=300)
            scans = [(peer, op) for peer in everyone for op in ("scan_rows", "scan_projected")]
            scans += [(python, "scan_arrow"), (rust, "scan_arrow")]
            for peer, op in scans:
                result = peer.ask(op=op, **where, rows=5000)
                self.assertEqual((result["rows"], result["sum_id"]), (5000, 5 * 499_500), op)


if __name__ == "__main__":
    unittest.main()
