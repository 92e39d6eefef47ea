"""Confs that people keep in /etc/calico-rkt/networks: they count as the host's, and come back where a runtime reads."""

from __future__ import annotations

import json

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.lab import PLUGINS, Lab, conf, listed, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

KEPT, LIVE = "/etc/calico-rkt/networks", "/etc/cni/net.d"
WEB = conf("web", pool("10.1.0.0/24"))
BACK = conf("back", pool("10.2.0.0/24"))


def command(lab: Lab, *argv: str) -> tuple[int, str, str]:
    done = lab.run(f"{PLUGINS}/calico", *argv)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_network_whose_live_conf_is_deleted_is_known_told_and_put_back(bare_lab: Lab) -> None:
    lab = bare_lab
    for network in (WEB, BACK):
        lab.write(f"{KEPT}/10-{network['name']}.conflist", listed(network))
        lab.write(f"{LIVE}/10-{network['name']}.conflist", listed(network))
    lab.override("back", "network: back\ningress:\n  - {action: Allow, source: {network: web}}\n  - default\n")
    assert command(lab, "apply", "--yes")[0] == 0
    assert command(lab, "status")[0] == 0, "two equal confs are no finding"

    lab.path(f"{LIVE}/10-web.conflist").unlink()
    status, _, told = command(lab, "status")
    assert status == 1
    assert f"{KEPT}/10-web.conflist: CR724 warning: the network 'web' has its conf here alone" in told
    assert "calico-rkt restore puts it into /etc/cni/net.d" in told
    shown = json.loads(command(lab, "status", "--format", "json")[1])
    assert {c["network"]: c["read_by"] != [] for c in shown["confs"]} == {"back": True, "web": False}
    assert {s["network"]: s["state"] for s in shown["networks"]} == {"back": "in step", "web": "in step"}
    assert "ALLOWED" in command(lab, "explain", "web", "back", "tcp/80")[1].upper(), "a rule may still name it"

    status, said, _ = command(lab, "restore", "--if-needed")
    assert status == 0
    assert f"put back {LIVE}/10-web.conflist, as it is in {KEPT}/10-web.conflist" in said
    assert lab.path(f"{LIVE}/10-web.conflist").read_text() == listed(WEB)
    assert command(lab, "status")[0] == 0
    assert "put back" not in command(lab, "restore", "--if-needed")[1]


def test_what_is_in_the_way_stays(bare_lab: Lab) -> None:
    lab = bare_lab
    lab.write(f"{KEPT}/10-web.conflist", listed(WEB))
    lab.write(f"{LIVE}/10-web.conflist", '{"cniVersion": "1.0.0", "name": "bridged", "plugins": [{"type": "bridge"}]}')
    status, said, told = command(lab, "restore")
    assert (status, "put back" in said) == (1, False)
    assert f"not put back: {KEPT}/10-web.conflist: {LIVE}/10-web.conflist is there, and is not the conf" in told
    lab.write(f"{LIVE}/10-web.conflist", '{"name": "web", "plugins": [{"type": "calico"')
    status, _, told = command(lab, "restore")
    assert status == 1
    assert "can't be read, and may be the conf of network 'web'" in told
    lab.path(f"{LIVE}/10-web.conflist").unlink()
    assert command(lab, "restore")[0] == 0
    assert lab.path(f"{LIVE}/10-web.conflist").read_text() == listed(WEB)


def test_a_live_conf_counts_before_the_kept_one_and_the_difference_is_told(bare_lab: Lab) -> None:
    """What the runtime hands to ADD is what holds."""
    lab = bare_lab
    lab.write(f"{KEPT}/10-web.conflist", listed(conf("web", pool("10.1.0.0/16"))))
    lab.write(f"{LIVE}/10-web.conflist", listed(WEB))
    status, _, told = command(lab, "status")
    assert status == 1
    assert "CR710 warning: the network 'web' has another conf in /etc/cni/net.d/10-web.conflist" in told
    assert "differs in ipam" in told


def test_a_del_and_gc_need_no_conf_on_disk(bare_lab: Lab) -> None:
    """The runtime has the conf of the ADD in its cache; our record has the rest."""
    lab, cni = bare_lab, Caller(bare_lab)
    for name in ("c1", "c2"):
        cni.add(WEB, name, netns=lab.netns(name))
    cni.delete(WEB, "c1", netns="/var/run/netns/c1")
    lab.out("ip", "netns", "del", "c2")
    assert command(lab, "gc")[0] == 0
    assert lab.left() == {}
