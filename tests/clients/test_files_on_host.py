"""Whatever the program leaves on a host in its own folders is in the reference's list of files."""

from __future__ import annotations

import importlib
import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.clients.support.commands import tool
from tests.clients.support.lab import Lab, conf, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

PACKAGING = Path(__file__).parents[2] / "packaging"


def test_every_file_that_is_left_on_a_host_is_in_the_reference(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PACKAGING))
    listed = [one for paths, _ in importlib.import_module("reference.files").KEPT_HERE for one in paths.split(", ")]
    lab.write("/etc/cni/net.d/web.conf", json.dumps(conf("web", pool("10.1.0.0/24"))))
    lab.netns("c1")
    for command in ("apply --yes", "attach web c1", "status", "restore", "gc"):
        assert tool(lab, *command.split()).returncode == 0, command
    folders = ("/run/calico-rkt", "/var/lib/calico-rkt", "/var/log/calico-rkt")
    found = lab.out("find", *folders, "!", "-type", "d").splitlines()
    assert [path for path in found if not any(fnmatchcase(path, pattern) for pattern in listed)] == []
    assert {f"{folder}/" for folder in folders} <= {path[: path.index("calico-rkt/") + 11] for path in found}
