"""What the cluster's own FelixConfiguration says decides whether a profile may name an ICMP code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.commands import states, status, tool
from tests.clients.support.etcd import RESOURCES, Etcd, cluster_conf, resource
from tests.clients.support.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

FELIX = f"{RESOURCES}felixconfigurations/"
PROFILE = f"{RESOURCES}profiles/net1"
CODED = "network: net1\ningress:\n  - {action: Allow, protocol: ICMP, icmp: {type: 8, code: 0}}\n"
PLAIN = "network: net1\ningress:\n  - {action: Allow, protocol: ICMP, icmp: {type: 8}}\n"


@pytest.fixture
def conf(lab: Lab, etcd: Etcd) -> dict[str, Any]:
    made = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(made))
    return made


def felix(etcd: Etcd, name: str, **spec: object) -> None:
    etcd.put(FELIX + name, resource("FelixConfiguration", name, spec))


def applied(lab: Lab) -> tuple[int, str]:
    done = tool(lab, "apply", "--yes")
    return done.returncode, (done.stdout + done.stderr).decode()


def test_a_code_is_published_only_where_no_node_may_run_nftables_mode(
    lab: Lab, cni: Caller, etcd: Etcd, conf: dict[str, Any]
) -> None:
    lab.override("net1", CODED)
    code, said = applied(lab)
    assert code == 2, said
    assert "CR550" in said
    assert "no FelixConfiguration says nftablesMode: Disabled" in said
    felix(etcd, "default", nftablesMode="Auto")
    assert "FelixConfiguration default says nftablesMode: Auto" in applied(lab)[1]
    felix(etcd, "default", nftablesMode="Disabled")
    felix(etcd, "node.other", nftablesMode="Enabled")
    lab.write("/etc/calico-rkt/profiles/settings.yaml", "settings: {felix: [iptables, ebpf]}\n")
    code, said = applied(lab)
    assert code == 2, said
    assert "node other: FelixConfiguration node.other says nftablesMode: Enabled" in said
    assert PROFILE not in etcd.dump()
    felix(etcd, "node.other", nftablesMode="Enabled", bpfEnabled=True)
    lab.path("/etc/calico-rkt/profiles/settings.yaml").unlink()
    assert applied(lab)[0] == 0
    assert states(lab) == {"net1": "in step"}
    assert not status(lab)["warnings"]
    # What is published goes on being read and attached to when a node's Felix changes.
    felix(etcd, "default")
    assert states(lab) == {"net1": "unusable"}
    assert any("an ICMP code" in w for w in status(lab)["warnings"])
    cni.add(conf, "a", lab.netns("a"))
    exported = tool(lab, "export")
    assert exported.returncode == 0
    assert b"code: 0" in exported.stdout
    assert b"names an ICMP code" in exported.stderr
    lab.override("net1", PLAIN)
    assert applied(lab)[0] == 0
    assert states(lab) == {"net1": "in step"}


@pytest.mark.usefixtures("conf")
def test_an_old_calico_has_no_nftables_mode_unless_it_is_told_to(lab: Lab, etcd: Etcd) -> None:
    place = f"{RESOURCES}clusterinformations/default"
    info = etcd.dump()[place]
    lab.override("net1", CODED)
    etcd.put(place, {**info, "spec": {**info["spec"], "calicoVersion": "v3.31.0"}})
    assert applied(lab)[0] == 2
    etcd.put(place, {**info, "spec": {**info["spec"], "calicoVersion": "v3.28.1"}})
    assert applied(lab)[0] == 0


@pytest.mark.usefixtures("conf")
def test_settings_decide_where_felix_chooses_itself(lab: Lab, etcd: Etcd) -> None:
    lab.override("net1", CODED)
    felix(etcd, "default", nftablesMode="Auto")
    lab.write("/etc/calico-rkt/profiles/settings.yaml", "settings: {felix: [iptables]}\n")
    assert applied(lab)[0] == 0
    assert states(lab) == {"net1": "in step"}
    assert not status(lab)["warnings"], "what the files say again is no news at every status"


@pytest.mark.usefixtures("conf")
def test_import_refuses_what_apply_refuses_and_takes_the_rest(lab: Lab, etcd: Etcd) -> None:
    lab.override("net1", CODED)
    felix(etcd, "default", nftablesMode="Disabled")
    assert applied(lab)[0] == 0
    bundle = tool(lab, "export").stdout.decode()
    lab.write("/tmp/all.yaml", bundle)
    etcd.delete(PROFILE)
    felix(etcd, "default", nftablesMode="Enabled")
    done = tool(lab, "import", "/tmp/all.yaml", "--yes")
    assert done.returncode == 2
    assert b"CR550" in done.stderr
    assert b"nftablesMode: Disabled" in done.stderr
    felix(etcd, "default", nftablesMode="Disabled")
    assert tool(lab, "import", "/tmp/all.yaml", "--yes").returncode == 0
    assert json.dumps(etcd.dump()[PROFILE]).count('"code"') == 1
