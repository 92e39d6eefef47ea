"""On a Calico cluster: what is in etcd is compared, Felix is looked for, its rules are never vouched for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.commands import status, tool
from tests.clients.support.etcd import RESOURCES, Etcd, cluster_conf
from tests.clients.support.etcd2 import RULES, TAGS, OldEtcd, old_conf
from tests.clients.support.lab import Lab
from tests.clients.test_attest import attest

pytestmark = [pytest.mark.kernel, pytest.mark.clients]
PROFILE = f"{RESOURCES}profiles/net1"


def test_a_cluster_is_compared_and_its_felix_is_looked_for(bare_lab: Lab) -> None:
    lab, etcd = bare_lab, Etcd(bare_lab).start()
    etcd.bootstrap()
    conf: dict[str, Any] = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    Caller(lab).add(conf, "a", lab.netns("a"))
    code, found = attest(lab)
    said = "\n".join(found["not_proven"])
    assert (code, found["endpoints"], found["networks"]) == (1, 1, 1), found
    assert [d["what"] for d in found["differences"]] == ["Felix does not police IPv4 on this host"], found
    assert "Felix does not run on this host" in said
    assert "Felix has no chain in this kernel for what goes to cali" in said
    assert "the rules by which Felix enforces: Felix's own" in said

    stored = etcd.dump()[PROFILE]
    rule = {"action": "Allow", "protocol": "TCP", "destination": {"ports": [22]}, "source": {}}
    etcd.put(PROFILE, {**stored, "spec": {**stored["spec"], "ingress": [rule, *stored["spec"]["ingress"]]}})
    code, found = attest(lab)
    shown = [d for d in found["differences"] if d["what"].startswith("the profile net1 in")]
    assert (code, len(shown)) == (1, 1), found
    assert shown[0]["packet_values"]["destination"]["port"] == 22
    assert (shown[0]["kernel"], shown[0]["reviewed"]) == ("passes", "is dropped: ingress of net1")
    labels = {**stored["spec"]["labelsToApply"], "net2": ""}
    etcd.put(PROFILE, {**stored, "spec": {**stored["spec"], "labelsToApply": labels}})
    code, found = attest(lab)
    assert code == 1, found
    assert found["differences"][0]["what"].endswith("applies the label net2"), found
    etcd.put(PROFILE, stored)

    ifname = next(n for n in lab.links() if n.startswith("cali"))
    chains = [f"add chain ip calico filter-cali-{way}-{ifname}" for way in ("tw", "fw")]
    script = [
        "add table ip calico",
        *chains,
        "add chain ip calico filter-cali-FORWARD",
        "add chain ip calico filter-FORWARD { type filter hook forward priority 0; }",
        "add rule ip calico filter-FORWARD jump filter-cali-FORWARD",
    ]
    lab.run("nft", "-f", "-", stdin="\n".join(script).encode() + b"\n")
    lab.start("bash", "-c", "exec -a calico-felix sleep 1000")
    code, found = attest(lab)
    assert (code, found["outcome"]) == (3, "not proven"), found
    assert found["not_proven"] == ["the rules by which Felix enforces: Felix's own"], found
    assert b"not proven: the rules by which Felix enforces: Felix's own" in tool(lab, "attest").stdout

    etcd.stop()
    code, found = attest(lab)
    assert code == 3, found
    assert any(w.startswith("networks net1:") for w in found["not_proven"]), found


def test_links_of_a_cluster_are_none_that_this_host_has_to_close_or_to_know(bare_lab: Lab) -> None:
    etcd = Etcd(bare_lab).start()
    etcd.bootstrap()
    conf: dict[str, Any] = cluster_conf(etcd)
    bare_lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    for name in ("a", "b"):
        Caller(bare_lab).add(conf, name, bare_lab.netns(name))
    assert status(bare_lab)["differences"] == []
    assert tool(bare_lab, "restore", "--if-needed").returncode == 0
    assert "calico_rkt" not in bare_lab.out("nft", "list", "tables")


def test_so_is_a_cluster_of_2015(bare_lab: Lab) -> None:
    lab, old = bare_lab, OldEtcd(bare_lab)
    old.start()
    old.ready()
    conf = old_conf(old)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    Caller(lab).add(conf, "a", lab.netns("a"))

    def said() -> list[str]:
        _, found = attest(lab)
        told = [*found["not_proven"], *(d["what"] for d in found["differences"])]
        return [words for words in told if words.startswith("the profile net1 in")]

    assert said() == []
    stored = json.loads(old.leaves()[RULES])
    rule = {"action": "allow", "protocol": "tcp", "dst_ports": [22]}
    old.set(RULES, {**stored, "inbound_rules": [rule, *stored["inbound_rules"]]})
    (words,) = said()
    assert words.endswith("lets other packets through")
    old.set(RULES, stored)
    old.set(TAGS, ["net1", "net2"])
    (words,) = said()
    assert words.endswith("applies the label net2")
    old.stop()
