"""Two hosts of one cluster of 2015 at once, pools that are nearly full, and what other writers left in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.commands import tool
from tests.clients.support.etcd import NODE
from tests.clients.support.etcd2 import V1, OldEtcd, old_conf, old_inconsistent, old_left_in, records
from tests.clients.support.etcd_proxy import URL, Proxy
from tests.clients.support.lab import Lab
from tests.clients.support.warm_process import Warm

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

EACH = 100
PROCESSES = 4
SECOND = {"CALICO_RKT_RUN_DIR": "/run/second", "CALICO_RKT_LIB_DIR": "/var/lib/second"}
"""The other host's own folders; its kernel side is the lab's namespace `outside`."""
FILL = """
import http.client, ipaddress, sys
from urllib.parse import quote
pool, free = ipaddress.ip_network(sys.argv[1]), set(sys.argv[2:])
line = http.client.HTTPConnection("127.0.0.1", 2379)
for address in map(str, pool):
    if address not in free:
        place = f"/v2/keys/calico/v1/ipam/v4/assignment/{str(pool).replace('/', '-')}/{address}"
        line.request("PUT", place, "value=", {"Content-Type": "application/x-www-form-urlencoded"})
        line.getresponse().read()
"""
"""Run in the lab: every address of a pool is assigned as pycalico did it, but for some."""


@pytest.fixture
def shared(lab: Lab) -> OldEtcd:
    """One member that both hosts reach."""
    old = OldEtcd(lab, flags=("--listen-client-urls", "http://192.0.2.1:2379,http://127.0.0.1:2379"))
    old.start()
    old.ready(NODE, "node2")
    return old


@pytest.fixture
def hosts(lab: Lab) -> Iterator[list[tuple[str, Warm]]]:
    made = [(NODE, Warm(lab)) for _ in range(PROCESSES)]
    made += [("node2", Warm(lab, "outside", SECOND)) for _ in range(PROCESSES)]
    yield made
    for _, warm in made:
        warm.close()


@pytest.mark.parametrize("subnet", ["10.1.0.0/16", "10.1.0.0/24"])
def test_two_hosts_add_and_delete_at_once(
    lab: Lab, shared: OldEtcd, hosts: list[tuple[str, Warm]], subnet: str
) -> None:
    confs = {name: old_conf("http://192.0.2.1:2379", subnet=subnet, nodename=name) for name in (NODE, "node2")}
    share = EACH // PROCESSES
    names = [[f"c{p}-{n}" for n in range(share)] for p in range(len(hosts))]
    lab.write("/run/names", "\n".join(n for some in names for n in some) + "\n")
    lab.out("sh", "-c", "while read n; do ip netns add $n; done </run/names")
    for command in ("ADD", "DEL"):
        answers = []
        for n in range(share):
            for (node, warm), some in zip(hosts, names, strict=True):
                warm.ask(command, confs[node], some[n], f"/var/run/netns/{some[n]}")
            answers += [warm.answer()[1] for _, warm in hosts]
        assert old_inconsistent(shared) == []
        if command == "ADD":
            assert len({a for answer in answers for a in addresses(answer)}) == 2 * EACH
            assert len(shared.endpoints()) == 2 * EACH
    assert old_left_in(shared) == []
    assert (lab.left(), records(lab)) == ({}, [])


def fill(lab: Lab, pool: str, *free: str) -> None:
    lab.out("/usr/bin/python3", "-IS", "-c", FILL, pool, *free)


def test_65000_addresses_taken(lab: Lab, cni: Caller, old: OldEtcd, proxy: Proxy) -> None:
    """The last free addresses are found by one look through the pool, and the next ADDs need none."""
    conf = old_conf(URL, subnet="10.5.0.0/16")
    free = [f"10.5.200.{n}" for n in range(60, 70)]
    old.set(f"{V1}/ipam/v4/pool/10.5.0.0-16", {"cidr": "10.5.0.0/16"})
    fill(lab, "10.5.0.0/16", *free)
    proxy.start()
    found = addresses(cni.add(conf, "c0", lab.netns("c0")))
    first = len(proxy.log())
    for number in range(1, 10):
        found += addresses(cni.add(conf, f"c{number}", lab.netns(f"c{number}")))
    assert sorted(found) == free
    assert (len(proxy.log()) - first) / 9 < 12
    assert "10.5.0.1-10.5.255.254" in cni("ADD", conf, "more", lab.netns("more")).refused(101)["msg"]
    cni.delete(conf, "c4", "/var/run/netns/c4")
    assert addresses(cni.add(conf, "more", "/var/run/netns/more")) == [found[4]]


def test_reserved_excluded_and_asked_for_addresses(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    ipam = {"type": "host-local", "subnet": "10.9.0.0/29", "gateway": "10.9.0.1", "exclude": ["10.9.0.2/32"]}
    conf = old_conf(old, ipam=ipam)
    asked = {"CNI_ARGS": "IP=10.9.0.4"}
    assert addresses(cni.add(conf, "b", lab.netns("b"), **asked)) == ["10.9.0.4"]
    netns = lab.netns("c")
    error = cni("ADD", conf, "c", netns, **asked).refused(102)
    assert "container b" in error["msg"]
    old.set(f"{V1}/ipam/v4/assignment/10.9.0.0-29/10.9.0.5", "")
    assert "another program" in cni("ADD", conf, "c", netns, CNI_ARGS="IP=10.9.0.5").refused(102)["msg"]
    cni("ADD", conf, "c", netns, CNI_ARGS="IP=10.77.0.1").refused(103)
    cni("ADD", conf, "c", netns, CNI_ARGS="IP=10.9.0.2").refused(103)
    assert records(lab) == ["b"]
    got = [addresses(cni.add(conf, n, lab.netns(n)))[0] for n in ("d", "e")]
    assert sorted(got) == ["10.9.0.3", "10.9.0.6"]
    cni("ADD", conf, "c", netns).refused(101)
    for name in ("b", "d", "e"):
        cni.delete(conf, name, f"/var/run/netns/{name}")
    assert [k.rpartition("/")[2] for k in old_left_in(old)] == ["10.9.0.5"]


def test_a_pool_that_is_there_is_used_and_never_changed(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    place = f"{V1}/ipam/v4/pool/10.0.0.0-8"
    pool = {"cidr": "10.0.0.0/8", "ipip": "tunl0"}
    old.set(place, pool)
    conf = old_conf(old, subnet="10.9.0.0/24", ipMasq=True)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    (address,) = addresses(cni.add(conf, "a", lab.netns("a")))
    assert ip_address(address) in ip_network("10.9.0.0/24")
    values = old.values()
    assert {k: v for k, v in values.items() if "/pool/" in k} == {place: pool}
    assert f"{V1}/ipam/v4/assignment/10.0.0.0-8/{address}" in values
    assert b"does not masquerade" in tool(lab, "status").stdout
    cni.delete(conf, "a", "/var/run/netns/a")
    assert old_left_in(old) == []
    old.set(place, {**pool, "disabled": True})
    assert "disabled" in cni("ADD", conf, "a", "/var/run/netns/a").refused(101)["msg"]
    old.set(f"{V1}/ipam/v4/pool/10.9.0.0-24", {"cidr": "10.9.0.0/24"})
    assert "several pools" in cni("ADD", conf, "a", "/var/run/netns/a").refused(7)["msg"]
    old.remove(place)
    wider = old_conf(old, subnet="10.9.0.0/16")
    assert "overlaps" in cni("ADD", wider, "a", "/var/run/netns/a").refused(7)["msg"]
