"""One thing's fault in a cluster stops nothing else: it is named, and the exit status shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.support.agent import LOG, Agent
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.etcd import ENDPOINTS, IPAM, Etcd, cluster_conf, left_in
from tests.clients.support.lab import PLUGINS, Lab, environment, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

JOURNAL = "/var/lib/calico-rkt/journal"


def command(lab: Lab, *argv: str) -> tuple[int, str]:
    done = lab.run(f"{PLUGINS}/calico", *argv, env=environment())
    assert b"Traceback" not in done.stdout + done.stderr
    return done.returncode, (done.stdout + done.stderr).decode()


def release(etcd: Etcd, container: str, **more: Any) -> str:
    key = {"network": "net1", "container": container, "ifname": "eth0", "nonce": "0123456789abcdef"}
    of = {"members": [etcd.url], "node": "node1", **key, "addresses": ["10.1.0.1"], "datastore": "etcdv3"}
    return json.dumps(of | more)


@pytest.mark.parametrize("lab", ["alone"], indirect=True)  # an agent would finish them before they are broken
def test_releases_that_can_not_be_finished_or_read_hold_up_no_call(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    conf = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    first = addresses(cni.add(conf, "a", lab.netns("a")))
    cni.add(conf, "b", lab.netns("b"))
    etcd.stop()
    cni.delete(conf, "a", "/var/run/netns/a")
    for name, text in {
        "1-garbage": "{nonsense",
        "2-empty": "",
        "3-list": "[]",
        "4-types": release(etcd, "x", addresses=7),
        "5-numbers": release(etcd, "x", node=7),
        "6-bytes": "\udcff",
        "7-deep": "[" * 100_000,
    }.items():
        lab.write(f"{JOURNAL}/{name}.json", text.encode(errors="surrogateescape"))
    lab.path(JOURNAL, "8-folder.json").mkdir()
    etcd.start()
    (block,) = [key for key, value in etcd.dump(f"{IPAM}assignment/").items() if value["attributes"]]
    broken = etcd.dump(IPAM)[block]
    etcd.put(block, broken | {"unallocated": [*broken["unallocated"], broken["unallocated"][0]]})
    status, said = command(lab, "gc")
    assert status == 1, said
    assert "1-garbage.json can't be read" in said
    assert "1 attachments are noted to be given back" in said
    other = conf | {"name": "net2", "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}
    cni.add(other, "c", lab.netns("c"))
    cni.delete(other, "c", "/var/run/netns/c")
    cni.delete(conf, "b", "/var/run/netns/b")
    waiting = [json.loads(p.read_text()) for p in lab.path(JOURNAL).glob("????????????????.json")]
    assert {w["container"] for w in waiting} == {"a", "b"}
    assert all("can't be read" in w["why"] for w in waiting), waiting
    status, said = command(lab, "status")
    assert status == 1
    for words in ("2 attachments are noted", "1-garbage.json", "8-folder.json", "7-deep.json"):
        assert words in said
    etcd.put(block, broken)
    status, said = command(lab, "gc")
    assert "finished the release of net1 a eth0" in said
    assert first[0] in addresses(cni.add(conf | {"args": {"cni": {"ips": first}}}, "d", lab.netns("d")))
    cni.delete(conf, "d", "/var/run/netns/d")
    assert left_in(etcd) == {}
    assert lab.left() == {}


@pytest.mark.parametrize("lab", ["alone"], indirect=True)
def test_the_agent_goes_on_beside_a_release_that_can_not_be_read(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    conf = cluster_conf(etcd)
    agent = Agent(lab).start()
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    lab.write(f"{JOURNAL}/1-garbage.json", "{nonsense")
    lab.path(JOURNAL, "2-folder.json").mkdir()
    etcd.stop()
    cni.delete(conf, "a", netns)
    etcd.start()
    until(lambda: left_in(etcd) == {}, "the release that can be read is finished")
    assert agent.counted("journal_length") == 2
    assert lab.path(LOG).read_text().count("1-garbage.json can't be read") == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"metadata": {"annotations": {"calico-rkt.org/interface": None}}},
        {"metadata": {"annotations": {"calico-rkt.org/network": 7}}},
        {"spec": {"ipNetworks": ["none"]}},
        {"spec": {"ipNetworks": 7}},
        {"spec": []},
        {"spec": {"interfaceName": "../x"}},
        {"metadata": []},
    ],
)
def test_an_endpoint_that_does_not_say_what_it_is_stops_no_gc(
    lab: Lab, cni: Caller, etcd: Etcd, damage: dict[str, Any]
) -> None:
    conf = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    for name in ("bad", "gone", "lives"):
        cni.add(conf, name, lab.netns(name))
    place = f"{ENDPOINTS}node1-cni-bad-eth0"
    found = etcd.dump(ENDPOINTS)[place]
    for part, change in damage.items():
        found[part] = {**found[part], **change} if isinstance(change, dict) else change
        if isinstance(change, dict) and "annotations" in change:
            notes = etcd.dump(ENDPOINTS)[place][part]["annotations"] | change["annotations"]
            found[part]["annotations"] = {k: v for k, v in notes.items() if v is not None}
    etcd.put(place, found)
    lab.run("sh", "-c", "rm -rf /run/calico-rkt/etcd")  # the host's own records say it else
    lab.out("ip", "netns", "del", "gone")
    status, said = command(lab, "gc")
    assert "freed net1 gone eth0" in said
    if damage != {"metadata": []}:  # that is nobody's any more
        assert status == 1
        assert "node1-cni-bad-eth0 is ours and can't be read" in said
    assert set(etcd.dump(ENDPOINTS)) == {place, f"{ENDPOINTS}node1-cni-lives-eth0"}
    cni.add(conf, "next", lab.netns("next"))
    for name in ("next", "lives"):
        cni.delete(conf, name, f"/var/run/netns/{name}")
    assert set(etcd.dump(ENDPOINTS)) == {place}
