"""The Java client 1.0.0 does all that it can on `fluss serve`, step by step."""

import json
import subprocess
from pathlib import Path

import pytest

from fluss_cluster import Node, java_class_path

TOUR = Path(__file__).resolve().parents[4] / "tests" / "peers" / "java" / "Tour.java"
LEAST_STEPS = 60
DEADLINE = 300.0


@pytest.mark.usefixtures("needs_java")
def test_the_java_client_of_the_next_version_does_all_that_it_can(node: Node) -> None:
    class_path = java_class_path(TOUR, next_version=True)
    command = ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    done = subprocess.run(
        [*command, "-cp", class_path, "Tour", node.bootstrap],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    steps = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [step for step in steps if "error" in step] == []
    assert done.returncode == 0, done.stderr
    assert len({step["step"] for step in steps}) == len(steps) >= LEAST_STEPS
