"""Whatever the program leaves on a host in its own folders is in the reference's list of files."""

from __future__ import annotations

import importlib
import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.commands import tool
from tests.clients.support.etcd import Etcd, cluster_conf
from tests.clients.support.lab import Lab, conf, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

PACKAGING = Path(__file__).parents[2] / "packaging"


FOLDERS = ("/run/calico-rkt", "/var/lib/calico-rkt", "/var/log/calico-rkt")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.syspath_prepend(str(PACKAGING))
    return [one for paths, _ in importlib.import_module("reference.files").KEPT_HERE for one in paths.split(", ")]


def left_on(lab: Lab) -> list[str]:
    return lab.run("find", *FOLDERS, "!", "-type", "d").stdout.decode().splitlines()  # one of them may not be there


def unlisted(found: list[str], listed: list[str]) -> list[str]:
    return [path for path in found if not any(fnmatchcase(path, pattern) for pattern in listed)]


def test_every_file_that_is_left_on_a_host_is_in_the_reference(lab: Lab, listed: list[str]) -> None:
    lab.write("/etc/cni/net.d/web.conf", json.dumps(conf("web", pool("10.1.0.0/24"))))
    lab.netns("c1")
    for command in ("apply --yes", "attach web c1", "status", "restore", "gc", "attest --record"):
        assert tool(lab, *command.split()).returncode == 0, command
    found = left_on(lab)
    assert unlisted(found, listed) == []
    assert {f"{folder}/" for folder in FOLDERS} <= {path[: path.index("calico-rkt/") + 11] for path in found}


def test_every_file_that_a_cluster_s_attachment_leaves_is_there_too(
    lab: Lab, cni: Caller, etcd: Etcd, listed: list[str]
) -> None:
    network = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(network))
    cni.add(network, netns=lab.netns("c1"))
    tool(lab, "status")
    found = left_on(lab)
    assert unlisted(found, listed) == []
    assert any("/etcd/" in path for path in found)
