"""The Python face of the fixture; run with ``python3 -m unittest`` in this folder."""

import os
import socket
import unittest

from fluss_cluster import COORDINATOR, Cluster, ClusterError, Node


class OneServer(unittest.TestCase):
    def test_a_killed_server_comes_back_and_nothing_is_left(self) -> None:
        with Cluster(sasl=True) as cluster:
            self.assertEqual(cluster.users["root"], "root-secret")
            before = cluster.describe()
            cluster.kill(0)
            self.assertFalse(cluster.describe()["tablet_servers"][0]["running"])
            cluster.restart(0)
            cluster.stop(COORDINATOR)
            cluster.cont(COORDINATOR)
            cluster.wait_ready()
            after = cluster.describe()
            self.assertNotEqual(before["tablet_servers"][0]["pid"], after["tablet_servers"][0]["pid"])
            with self.assertRaisesRegex(ClusterError, "tablet-server-7"):
                cluster.kill(7)
        self.assertFalse(cluster.directory.exists())
        with self.assertRaises(ProcessLookupError):
            os.kill(after["coordinator"]["pid"], 0)

    def test_a_start_that_fails_shows_the_log(self) -> None:
        with self.assertRaisesRegex(ClusterError, "no-such-protocol"):
            Cluster(properties={"bind.listeners": "no-such-protocol"})


class OneNode(unittest.TestCase):
    def test_a_node_serves_and_leaves_nothing(self) -> None:
        with Node(sasl=True) as node:
            self.assertEqual(node.users["root"], "root-secret")
            host, port = node.bootstrap.split(":")
            socket.create_connection((host, int(port))).close()
        self.assertFalse(node.directory.exists())
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))

    def test_a_start_that_fails_shows_the_log(self) -> None:
        with self.assertRaisesRegex(ClusterError, "no-such-option"):
            Node(properties={"no-such-option": "x"})
