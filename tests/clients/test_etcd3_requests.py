"""What an attachment asks of etcd, and what becomes of it when the line is cut at any request."""

from __future__ import annotations

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.etcd import ENDPOINTS, IPAM, Etcd, cluster_conf, inconsistent, left_in
from tests.clients.support.etcd_proxy import URL, Proxy
from tests.clients.support.lab import Lab
from tests.clients.support.warm_process import Warm

# What is counted is what one warm process asks, by the test's own: an agent beside it has no part in that.
pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.parametrize("lab", ["alone"], indirect=True)]


@pytest.mark.parametrize("subnets", [["10.1.0.0/16"], ["10.1.0.0/16", "fd00:10:1::/112"]])
def test_a_warm_add_is_one_write_and_a_del_one_read_and_one_write(
    lab: Lab, proxy: Proxy, etcd: Etcd, subnets: list[str]
) -> None:
    ipam = {"type": "host-local", "ranges": [[{"subnet": s}] for s in subnets]}
    conf = cluster_conf(URL, ipam=ipam)
    proxy.start()
    warm = Warm(lab)
    try:
        for name in ("claims", "looks"):
            before = len(proxy.log())
            warm("ADD", conf, name, lab.netns(name))
        assert proxy.log()[before:] == ["read", "write"]
        for number in range(3):
            name = f"c{number}"
            netns = lab.netns(name)
            before = len(proxy.log())
            warm("ADD", conf, name, netns)
            assert proxy.log()[before:] == ["write"]
        for number in range(3):
            before = len(proxy.log())
            warm("DEL", conf, f"c{number}", f"/var/run/netns/c{number}")
            assert proxy.log()[before:] == ["read", "write"]
        before = len(proxy.log())
        warm("ADD", conf, "c0", "/var/run/netns/c0")
        assert proxy.log()[before:] == ["write"], "what a DEL of its own gave back is known"
    finally:
        warm.close()
    assert inconsistent(etcd) == []
    assert len(etcd.dump(f"{IPAM}handle/")) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_warm_add_whose_line_is_cut_at_its_one_request(lab: Lab, proxy: Proxy, etcd: Etcd, when: str) -> None:
    conf = cluster_conf(URL)
    proxy.start()
    warm = Warm(lab)
    try:
        for name in ("a", "b"):
            warm("ADD", conf, name, lab.netns(name))
        before = len(proxy.log())
        proxy.cut_next(when)
        warm("ADD", conf, "c", lab.netns("c"))
        assert proxy.log()[before : before + 2] == ["write", "write"]
        assert len(etcd.dump(ENDPOINTS)) == 3
        warm("ADD", conf, "d", lab.netns("d"))
        assert inconsistent(etcd) == []
        for name in ("a", "b", "c", "d"):
            warm("DEL", conf, name, f"/var/run/netns/{name}")
    finally:
        warm.close()
    assert left_in(etcd) == {}
    assert lab.left() == {}


@pytest.mark.parametrize("forever", ["", " forever"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_add_whose_line_is_cut_at_any_request(
    lab: Lab, cni: Caller, proxy: Proxy, etcd: Etcd, when: str, forever: str
) -> None:
    number = 0
    while True:
        number += 1
        conf = cluster_conf(URL, f"net{number}", f"10.{number}.0.0/16")
        name = f"c{number}"
        netns = lab.netns(name)
        proxy.start(f"{number} {when}{forever}")
        reply = cni("ADD", conf, name, netns)
        asked = len(proxy.log())
        if forever and asked >= number:
            reply.refused(11)
            assert lab.left() == {}
            proxy.start()
            cni.add(conf, name, netns)
        else:
            reply.succeeded()
            proxy.start()
        assert inconsistent(etcd) == [], (number, when)
        assert len(left_in(etcd)) == 3, (number, when)
        cni.delete(conf, name, netns)
        assert left_in(etcd) == {}, (number, when)
        assert lab.left() == {}
        if asked < number:
            break
    assert number > 5


@pytest.mark.parametrize("forever", ["", " forever"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_del_whose_line_is_cut_at_any_request(
    lab: Lab, cni: Caller, proxy: Proxy, etcd: Etcd, when: str, forever: str
) -> None:
    conf = cluster_conf(URL)
    for number in range(1, 4):
        name = f"c{number}"
        netns = lab.netns(name)
        proxy.start()
        cni.add(conf, name, netns)
        proxy.start(f"{number} {when}{forever}")
        cni.delete(conf, name, netns)
        assert lab.left() == {}
        proxy.start()
        cni.delete(conf, "anything", "")
        assert inconsistent(etcd) == [], (number, when)
        assert left_in(etcd) == {}, (number, when)
