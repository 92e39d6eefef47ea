"""export and import where one side is a cluster of 2015: what moves to today's Calico, and what that one can't have."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.clients.support.caller import Caller
from tests.clients.support.commands import tool
from tests.clients.support.etcd import RESOURCES
from tests.clients.support.etcd2 import PROFILE, RULES, OldEtcd, old_conf
from tests.clients.support.lab import Lab, conf

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

OPEN = """network: net1
ingress:
  - {action: Allow, protocol: TCP, source: {nets: [192.0.2.0/24]}, destination: {ports: [8080]}}
  - default
"""


@pytest.fixture
def both(lab: Lab) -> OldEtcd:
    """One etcd with a cluster of 2015 in its old API, and one of today in its new."""
    made = OldEtcd(lab).start()
    assert isinstance(made, OldEtcd)
    made.ready()
    made.bootstrap()
    return made


@pytest.fixture
def old(lab: Lab, cni: Caller, both: OldEtcd) -> dict[str, Any]:
    """A network of the old cluster with rules of its own and one container."""
    made = old_conf(both, ipMasq=True)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(made))
    lab.override("net1", OPEN)
    assert tool(lab, "apply", "--yes").returncode == 0
    cni.add(made, "a", lab.netns("a"))
    return made


def test_from_a_cluster_of_2015_into_one_of_today(lab: Lab, both: OldEtcd, old: dict[str, Any]) -> None:
    exported = tool(lab, "export")
    assert exported.returncode == 0, exported
    pool, profile = yaml.safe_load_all(exported.stdout)
    assert (pool["spec"]["cidr"], pool["spec"]["natOutgoing"]) == ("10.1.0.0/16", True)
    assert profile["metadata"]["name"] == old["name"]
    done = tool(lab, "import", "--from", "etcdv2", "--to", both.url, "--yes")
    assert done.returncode == 0, done
    stored = both.dump(f"{RESOURCES}profiles/")[f"{RESOURCES}profiles/net1"]
    assert stored["spec"] == profile["spec"]
    assert len(both.dump(f"{RESOURCES}ippools/")) == 1
    again = tool(lab, "import", "--from", "etcdv2", "--to", both.url)
    assert b"in step already: net1" in again.stdout
    assert again.returncode == 0


def test_into_a_cluster_of_2015(lab: Lab, both: OldEtcd, old: dict[str, Any]) -> None:
    before = both.values(PROFILE)[RULES]
    exported = tool(lab, "export").stdout
    lab.write("/run/all.yaml", exported)
    both.remove(PROFILE)
    done = tool(lab, "import", "/run/all.yaml", "--to", "etcdv2", "--yes")
    assert done.returncode == 0, done
    assert b"1 pool is not brought in: here the first ADD makes them" in done.stdout
    assert both.values(PROFILE)[RULES] == before
    both.set(RULES, {**before, "inbound_rules": []})
    assert b"not as it was applied" in tool(lab, "export").stderr
    refused = tool(lab, "import", "/run/all.yaml", "--yes")
    assert refused.returncode == 1
    assert b"edited by hand" in refused.stderr
    assert tool(lab, "import", "/run/all.yaml", "--yes", "--take-over").returncode == 0
    assert both.values(PROFILE)[RULES] == before
    assert old["datastore_type"] == "etcdv2"


def test_what_felix_of_2015_can_not_say_is_refused(lab: Lab, both: OldEtcd, old: dict[str, Any]) -> None:
    lab.write("/etc/local.d/net2.conf", json.dumps(conf("net2", {"type": "host-local", "subnet": "10.2.0.0/24"})))
    lab.override("net2", "network: net2\ningress:\n  - {action: Log}\n  - default\n")
    told = tool(lab, "apply", "--yes", "--confs", "/etc/local.d")
    assert (told.returncode, b"CR706" in told.stderr) == (1, True), "net1's override has no conf there"
    done = tool(lab, "import", "--from", "local", "--to", "etcdv2", "--yes")
    assert done.returncode == 2
    assert b"CR530 error: network 'net2'" in done.stderr
    assert "/calico/v1/policy/profile/net2/rules" not in both.leaves()
    both.set("/calico/v1/Ready", "false")
    lab.override("net2", "network: net2\ningress:\n  - default\n")
    assert b"applied: net2" in tool(lab, "apply", "--yes", "--confs", "/etc/local.d").stdout
    assert b"not ready" in tool(lab, "import", "--from", "local", "--to", "etcdv2", "--yes").stderr
    assert old
