"""What becomes of an attachment in a cluster of 2015 when the line is cut, or the plugin killed, at any request."""

from __future__ import annotations

import json

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.commands import tool
from tests.clients.support.etcd2 import OldEtcd, old_conf, old_inconsistent, old_left_in, records
from tests.clients.support.etcd_proxy import URL, Proxy
from tests.clients.support.lab import PLUGINS, Lab, environment
from tests.clients.support.warm_process import Warm

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

MOST = 30
"""Requests that no ADD and no DEL comes near."""


def test_no_pool_is_looked_through_while_there_is_room(lab: Lab, proxy: Proxy, old: OldEtcd) -> None:
    conf = old_conf(URL)
    proxy.start()
    warm = Warm(lab)
    try:
        warm("ADD", conf, "first", lab.netns("first"))
        warm("ADD", conf, "second", lab.netns("second"))
        before = len(proxy.log())
        warm("ADD", conf, "third", lab.netns("third"))
        assert proxy.log()[before:].count("write") == 2
        assert len(proxy.log()) - before == 8
        before = len(proxy.log())
        warm("DEL", conf, "third", "/var/run/netns/third")
        assert len(proxy.log()) - before == 7
    finally:
        warm.close()
    assert len(old.endpoints()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("forever", ["", " forever"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_add_whose_line_is_cut_at_any_request(
    lab: Lab, cni: Caller, proxy: Proxy, old: OldEtcd, when: str, forever: str
) -> None:
    for number in range(1, MOST):
        conf = old_conf(URL, f"net{number}", f"10.{number}.0.0/16")
        name = f"c{number}"
        netns = lab.netns(name)
        proxy.start(f"{number} {when}{forever}")
        reply = cni("ADD", conf, name, netns)
        asked = len(proxy.log())
        if forever and asked >= number:
            reply.refused(11)
            assert (lab.left(), records(lab)) == ({}, [])
            proxy.start()
            cni.add(conf, name, netns)
        else:
            reply.succeeded()
            proxy.start()
        assert old_inconsistent(old) == [], (number, when)
        assert len(old.endpoints()) == 1, (number, when)
        cni.delete(conf, name, netns)
        assert (old_left_in(old), lab.left()) == ([], {}), (number, when)
        if asked < number:
            break
    assert 10 < number < MOST - 1


@pytest.mark.slow
@pytest.mark.parametrize("forever", ["", " forever"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_del_whose_line_is_cut_at_any_request(
    lab: Lab, cni: Caller, proxy: Proxy, old: OldEtcd, when: str, forever: str
) -> None:
    conf = old_conf(URL)
    for number in range(1, MOST):
        name = f"c{number}"
        netns = lab.netns(name)
        proxy.start()
        cni.add(conf, name, netns)
        proxy.start(f"{number} {when}{forever}")
        cni.delete(conf, name, netns)
        asked = len(proxy.log())
        assert lab.left() == {}
        proxy.start()
        cni.delete(conf, "anything", "")
        assert old_inconsistent(old) == [], (number, when)
        assert old_left_in(old) == [], (number, when)
        if asked < number:
            break
    assert 6 < number < MOST - 1


@pytest.mark.parametrize("lab", ["alone"], indirect=True)  # an agent lives on, and takes back by itself what it took
def test_an_add_that_is_killed_at_any_request_is_taken_back_by_its_del(
    lab: Lab, cni: Caller, proxy: Proxy, old: OldEtcd
) -> None:
    cni.add(old_conf(old), "first", lab.netns("first"))
    for number in range(1, 9):
        conf = old_conf(URL)
        name = f"c{number}"
        netns = lab.netns(name)
        proxy.start(f"{number} after forever")
        # The proxy has gone when it has passed the request on, and the plugin waits for it: the moment to be killed.
        lives = "kill -0 $(cat /run/proxy/pid) && kill -0 $pid"
        script = f"{PLUGINS}/calico </run/conf & pid=$!; while {lives}; do :; done 2>/dev/null"
        lab.write("/run/conf", json.dumps(conf))
        call = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": name, "CNI_NETNS": netns, "CNI_IFNAME": "eth0"}
        lab.run("sh", "-c", f"{script}; kill -9 $pid; wait $pid", env=environment(call))
        if number % 2:
            cni.delete(old_conf(old), name, netns)
        else:
            cni.add(old_conf(old), name, netns)
            cni.delete(old_conf(old), name, netns)
        assert old_inconsistent(old) == [], number
        assert len(old.endpoints()) == 1
        assert records(lab) == ["first"]


def test_what_a_power_cut_left_half_stored_is_freed_by_gc(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    conf = old_conf(old)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    cni.add(conf, "whole", lab.netns("whole"))
    (address,) = addresses(cni.add(conf, "half", lab.netns("half")))
    (place,) = (k for k, v in old.endpoints().items() if address in str(v))
    old.remove(place)
    others = "/calico/v1/ipam/v4/assignment/10.1.0.0-16/10.1.200.9"
    old.set(others, "")
    lab.out("rm", "-r", "/run/calico-rkt")
    lab.out("ip", "link", "del", next(n for n in lab.links() if n.startswith("cali") and n not in str(old.endpoints())))
    done = tool(lab, "gc")
    assert b"freed 1 addresses" in done.stdout, done
    assert others in old.leaves()
    assert [k for k in old_left_in(old) if "/assignment/" in k and address in k] == []
    old.remove(others)
    assert old_inconsistent(old) == []
