"""Every verb in every version of the specification, and the calls that come late, twice or never."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.clients.support.caller import VERSIONS, Caller, addresses
from tests.clients.support.lab import PLUGINS, Lab, conf, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
DUAL = pool("10.1.0.0/24", "fd00:1::/64")


def at_least(version: str, other: str) -> bool:
    return VERSIONS.index(version) >= VERSIONS.index(other)


def reaches(lab: Lab, address: str) -> bool:
    """Whether the host gets an answer; a new link may lose its first packets while the kernel wakes its queue."""
    ping = ("/bin/busybox", "ping", "-c", "1", "-W", "3", address)
    return any(lab.run(*ping).returncode == 0 for _ in range(3))


@pytest.mark.parametrize("version", VERSIONS)
def test_add_check_del_in_every_version(lab: Lab, cni: Caller, version: str) -> None:
    netns = lab.netns("c1")
    web = conf("web", DUAL, cni=version)
    result = cni.add(web, netns=netns)
    assert result["cniVersion"] == version
    four, six = addresses(result)
    assert four.startswith("10.1.0.")
    assert six.startswith("fd00:1:")
    if at_least(version, "0.3.0"):
        check_current_shape(lab, result, version)
    else:
        assert set(result) <= {"cniVersion", "ip4", "ip6", "dns"}
        assert result["ip4"]["ip"] == f"{four}/32"
        assert result["ip6"]["ip"] == f"{six}/128"
    for address in (four, six):
        assert reaches(lab, address), address

    with_previous = {**web, "prevResult": result} if at_least(version, "0.4.0") else web
    reply = cni("CHECK", with_previous, netns=netns)
    if at_least(version, "0.4.0"):
        assert reply.succeeded().stdout == b"", reply
    else:
        reply.refused(1)
    cni.delete(with_previous, netns=netns)
    assert lab.left() == {}
    assert lab.links(inside="c1") == {"lo"}
    cni.delete(with_previous, netns=netns)
    cni.delete(web, netns="")


def check_current_shape(lab: Lab, result: dict[str, Any], version: str) -> None:
    """podman wants a MAC at the sandbox's interface and an index in each address; bandwidth the host's end."""
    host, inside = result["interfaces"]
    assert host["name"] in lab.links()
    assert host["mac"] == "ee:ee:ee:ee:ee:ee"
    assert not host.get("sandbox")
    assert (inside["name"], inside["sandbox"]) == ("eth0", "/var/run/netns/c1")
    (link,) = json.loads(lab.out("ip", "-j", "link", "show", "eth0", inside="c1"))
    assert inside["mac"] == link["address"]
    assert ("mtu" in inside) <= at_least(version, "1.1.0")
    assert [ip["address"].partition("/")[2] for ip in result["ips"]] == ["32", "128"]
    for ip, family in zip(result["ips"], ("4", "6"), strict=True):
        assert ip["interface"] == 1
        assert ip.get("version") == (None if at_least(version, "1.0.0") else family)


def test_version_needs_no_stdin_and_lists_all(lab: Lab) -> None:
    """podman asks at every command; a plugin that waited for stdin would hang here."""
    enter = lab.command(f"{PLUGINS}/calico")
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            enter, stdin=reading, capture_output=True, env={"CNI_COMMAND": "VERSION"}, timeout=60, check=True
        )
    finally:
        os.close(reading)
        os.close(writing)
    answer = json.loads(done.stdout)
    assert set(answer["supportedVersions"]) == set(VERSIONS)
    assert answer["cniVersion"] in VERSIONS


def test_a_conf_without_a_version_means_the_first(lab: Lab, cni: Caller) -> None:
    web = {key: value for key, value in WEB.items() if key != "cniVersion"}
    result = cni.add(web, netns=lab.netns("c1"))
    assert result["cniVersion"] == "0.1.0"
    assert "ip4" in result


def test_a_del_of_what_was_never_added_is_fine(lab: Lab, cni: Caller) -> None:
    cni.delete(WEB, netns=lab.netns("c1"))
    cni.delete(WEB, "never", netns="/var/run/netns/never")
    cni.delete(WEB, "never", netns="")
    cni.delete(WEB, "never", CNI_NETNS="")
    assert lab.left() == {}


def test_a_second_add_gives_the_first_result_again(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    first = cni.add(WEB, netns=netns)
    before = lab.left()
    assert set(before) == {"links", "routes", "elements", "rows"}, "or later claims of `nothing left` are empty"
    assert cni.add(WEB, netns=netns) == first
    assert lab.left() == before
    cni.delete(WEB, netns=netns)
    assert lab.left() == {}


def test_a_second_add_into_another_netns_is_refused_and_keeps_the_first(lab: Lab, cni: Caller) -> None:
    netns, other = lab.netns("c1"), lab.netns("c2")
    (address,) = addresses(cni.add(WEB, netns=netns))
    before = lab.left()
    cni("ADD", WEB, netns=other).refused()
    assert lab.left() == before
    assert lab.links(inside="c2") == {"lo"}
    assert reaches(lab, address)


def test_a_late_del_from_an_older_netns_leaves_the_newer_attachment_whole(lab: Lab, cni: Caller) -> None:
    old = lab.netns("old")
    cni.add(WEB, "same", netns=old)
    cni.delete(WEB, "same", netns=old)
    new = lab.netns("new")
    (address,) = addresses(cni.add(WEB, "same", netns=new))
    before = lab.left()
    cni("DEL", WEB, "same", netns=old)
    assert lab.left() == before
    assert reaches(lab, address)
    cni.delete(WEB, "same", netns=new)
    assert lab.left() == {}


NAMES = (
    "UPPER_lower.and-dash",
    "a..b",
    "x" * 64,
    "y" * 200,
    "0",
    "6a0bf4c17d1-one",
    "6a0bf4c17d1-two",
    "trailing-",
    "projectcalico-default-allow",
)


def test_names_of_every_allowed_kind_live_side_by_side(lab: Lab, cni: Caller) -> None:
    """Upper case, dots, underscores, over 64 characters, equal beginnings; each as container and as network."""
    seen: dict[str, tuple[dict[str, Any], str, str]] = {}
    for number, name in enumerate(NAMES):
        network = conf(name, pool(f"10.{number + 10}.0.0/24"))
        netns = lab.netns(f"n{number}")
        (address,) = addresses(cni.add(network, name, netns=netns))
        seen[address] = (network, name, netns)
    assert len([link for link in lab.links() if link.startswith("crk")]) == len(NAMES)
    for address, (network, name, netns) in seen.items():
        assert reaches(lab, address), name
        cni.delete(network, name, netns=netns)
        assert not [line for line in lab.out("ip", "route").splitlines() if line.startswith(address)]
    assert lab.left() == {}


def test_one_container_in_two_networks_and_twice_in_one(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    back = conf("back", pool("10.2.0.0/24"))
    calls = ((WEB, "eth0"), (back, "eth1"), (WEB, "eth2"))
    found = [addresses(cni.add(network, netns=netns, ifname=ifname))[0] for network, ifname in calls]
    assert len(set(found)) == 3
    assert lab.links(inside="c1") == {"lo", "eth0", "eth1", "eth2"}
    cni.delete(WEB, netns=netns, ifname="eth2")
    assert reaches(lab, found[0])
    assert reaches(lab, found[1])
    cni.delete(back, netns=netns, ifname="eth1")
    cni.delete(WEB, netns=netns)
    assert lab.left() == {}


def test_requested_addresses_come_by_args_and_by_capability(lab: Lab, cni: Caller) -> None:
    by_args = cni.add(WEB, "a", netns=lab.netns("a"), CNI_ARGS="IgnoreUnknown=1;IP=10.1.0.77;K8S_POD_NAME=x")
    assert addresses(by_args) == ["10.1.0.77"]
    capable = {**WEB, "runtimeConfig": {"IPs": ["10.1.0.78/24"]}}
    assert addresses(cni.add(capable, "b", netns=lab.netns("b"))) == ["10.1.0.78"]


def test_check_tells_what_is_missing(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    result = cni.add(WEB, netns=netns)
    with_previous = {**WEB, "prevResult": result}
    lab.out("ip", "address", "flush", "dev", "eth0", inside="c1")
    cni("CHECK", with_previous, netns=netns).refused()
    cni("CHECK", WEB, "never", netns=netns).refused()


def test_gc_frees_what_is_unlisted_and_gone_and_nothing_else(lab: Lab, cni: Caller) -> None:
    """Several runtimes may share a network: what another one runs is not listed, but its netns is there."""
    web = {**WEB, "cniVersion": "1.1.0"}
    kept = addresses(cni.add(web, "listed", netns=lab.netns("listed")))
    other = addresses(cni.add(web, "unlisted", netns=lab.netns("unlisted")))
    cni.add(web, "gone", netns=lab.netns("gone"))
    lab.out("ip", "netns", "delete", "gone")
    for key in ("cni.dev/valid-attachments", "cni.dev/attachments"):
        reply = cni("GC", {**web, key: [{"containerID": "listed", "ifname": "eth0"}]}).succeeded()
        assert reply.stdout == b"", reply
    left = json.dumps(lab.left())
    assert '"gone"' not in left.replace("'", '"')
    for address in (*kept, *other):
        assert reaches(lab, address)
    cni.delete(web, "listed", netns="/var/run/netns/listed")
    cni.delete(web, "unlisted", netns="/var/run/netns/unlisted")
    assert lab.left() == {}


def test_gc_without_a_list_keeps_what_lives(lab: Lab, cni: Caller) -> None:
    web = {**WEB, "cniVersion": "1.1.0"}
    cni.add(web, netns=lab.netns("c1"))
    before = lab.left()
    cni("GC", web).succeeded()
    assert lab.left() == before


def test_status_says_nothing_when_add_can_be_served(cni: Caller) -> None:
    reply = cni("STATUS", {**WEB, "cniVersion": "1.1.0"}).succeeded()
    assert reply.stdout == b"", reply


def test_gc_goes_on_beside_an_ipam_plugin_older_than_it_and_status_says_so(lab: Lab, cni: Caller) -> None:
    """CNI's own plugins before 1.5 ask these verbs for a container, and refuse an ADD of CNI 1.1.0."""
    fixed = conf("fixed", {"type": "static", "addresses": [{"address": "10.5.0.7/24"}]})
    newer = {**fixed, "cniVersion": "1.1.0"}
    cni.add(fixed, netns=lab.netns("c1"))
    cni("GC", newer).succeeded()
    assert "10.5.0.7" in json.dumps(lab.left())
    assert "'static' is older than CNI 1.1.0" in cni("STATUS", newer).refused(50)["msg"]
    lab.out("ip", "netns", "del", "c1")
    cni("GC", newer).succeeded()
    assert lab.left() == {}


@pytest.mark.parametrize(("command", "version"), [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "1.0.0")])
def test_a_verb_before_its_version_is_refused(lab: Lab, cni: Caller, command: str, version: str) -> None:
    cni(command, {**WEB, "cniVersion": version}, netns=lab.netns("c1")).refused(1)


def test_the_netns_may_vanish_before_del(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    (address,) = addresses(cni.add(WEB, netns=netns))
    lab.out("ip", "netns", "delete", "c1")
    cni.delete(WEB, netns=netns)
    assert lab.left() == {}
    assert lab.flows(address) == []


def test_parallel_calls_get_addresses_of_their_own(lab: Lab, cni: Caller) -> None:
    names = [f"p{number}" for number in range(12)]
    for name in names:
        lab.netns(name)
    with ThreadPoolExecutor(6) as pool_of_threads:
        results = list(pool_of_threads.map(lambda n: cni.add(WEB, n, netns=f"/var/run/netns/{n}"), names))
        assert len({address for result in results for address in addresses(result)}) == len(names)
        list(pool_of_threads.map(lambda n: cni.delete(WEB, n, netns=f"/var/run/netns/{n}"), names))
    assert lab.left() == {}


def test_a_repeated_add_that_nobody_reads_keeps_the_first(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    address = addresses(cni.add(WEB, netns=netns))[0]
    env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": netns, "CNI_IFNAME": "eth0", "CNI_PATH": PLUGINS}
    shell = f"exec {PLUGINS}/calico >/dev/full"
    done = lab.run(
        "sh", "-c", shell, stdin=json.dumps(WEB).encode(), env={**env, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    assert done.returncode == 1
    assert reaches(lab, address)
    fresh = {**env, "CNI_CONTAINERID": "c2", "CNI_NETNS": lab.netns("c2"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    assert lab.run("sh", "-c", shell, stdin=json.dumps(WEB).encode(), env=fresh).returncode == 1
    cni.delete(WEB, netns=netns)
    assert lab.left() == {}
