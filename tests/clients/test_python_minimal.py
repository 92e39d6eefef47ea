"""Debian's python3-minimal, which has no standard library: runtimes and people are told what to install."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chroots.host import DebianHost
from tests.clients.support.lab import environment

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

WAY_OUT = "is without the standard library (python3-minimal is not enough): apt-get install python3"


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_python3_minimal_is_told_apart(debian: Callable[..., DebianHost], binary: Path, release: str) -> None:
    host = debian(release, "python3-minimal")
    plugin = host.put(binary, "/opt/cni/bin/calico")
    called = host.run(plugin, stdin=b"{}", env=environment({"CNI_COMMAND": "ADD"}))
    error = json.loads(called.stdout)
    assert (called.returncode, called.stderr, error["code"]) == (1, b"", 5)
    assert error["msg"].endswith(WAY_OUT)
    asked = host.run(plugin, "status")
    assert (asked.returncode, asked.stdout) == (1, b"")
    assert asked.stderr.decode().rstrip().endswith(WAY_OUT)
