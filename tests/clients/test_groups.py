"""A network's device group on a whole host: what is not in it is closed, told and mended; no two networks share one."""

from __future__ import annotations

import json
import subprocess

import pytest

from calico_rkt.plugin.link.groups import group_of
from tests.clashing import two_with_one_number
from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import PLUGINS, Lab, conf, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))


def calico(lab: Lab, *words: str) -> subprocess.CompletedProcess[bytes]:
    return lab.run(f"{PLUGINS}/calico", *words)


def host_end(lab: Lab) -> str:
    (name,) = (i for i in lab.links() if i.startswith("crk"))
    return name


def group(lab: Lab) -> int:
    (link,) = json.loads(lab.out("ip", "-j", "-d", "link", "show", "dev", host_end(lab)))
    return 0 if link["group"] == "default" else int(link["group"])


def pings(lab: Lab, address: str) -> bool:
    return lab.run("ping", "-c1", "-W2", "-q", address).returncode == 0


def test_a_host_end_in_another_group_is_told_by_all_who_are_asked_and_mended(bare_lab: Lab) -> None:
    lab, cni = bare_lab, Caller(bare_lab)
    lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    result = cni.add(WEB, "c1", lab.netns("c1"))
    name, mine, netns = host_end(lab), group_of("web"), "/var/run/netns/c1"
    checked = {**WEB, "prevResult": result}
    assert group(lab) == mine
    for other in ("default", "7", str(group_of("api"))):
        lab.out("ip", "link", "set", "dev", name, "group", other)
        number = 0 if other == "default" else int(other)
        words = f"the host's {name} is in device group {number}, not its network's {mine}: all is dropped"
        assert not pings(lab, addresses(result)[0])
        status = calico(lab, "status")
        assert (status.returncode, f"differs: {words}" in status.stdout.decode()) == (1, True), status
        attested = calico(lab, "attest")
        assert (attested.returncode, f"differs: {words}\n  packet" in attested.stdout.decode()) == (1, True), attested
        assert words in calico(lab, "doctor").stdout.decode()
        assert words in cni("CHECK", checked, "c1", netns).refused()["details"]
        if other == "7":
            assert cni.add(WEB, "c1", netns) == result, "an ADD that is repeated"
        else:
            assert calico(lab, "restore").returncode == 0
        assert group(lab) == mine
        assert pings(lab, addresses(result)[0])
        cni("CHECK", checked, "c1", netns).succeeded()
    assert calico(lab, "attest").returncode == 0


def test_an_agent_puts_a_host_end_back_into_its_group(bare_lab: Lab) -> None:
    agent = Agent(bare_lab).start()
    result = Caller(bare_lab).add(WEB, "c1", bare_lab.netns("c1"))
    bare_lab.out("ip", "link", "set", "dev", host_end(bare_lab), "group", "7")
    bare_lab.out("nft", "add table inet news")  # what the agent hears, and after which it compares
    until(lambda: group(bare_lab) == group_of("web"), "the agent mends it")
    assert pings(bare_lab, addresses(result)[0])
    agent.kill()


def test_of_two_networks_with_one_number_the_second_is_refused_and_the_first_goes_on(lab: Lab, cni: Caller) -> None:
    first, second = two_with_one_number()
    for early, late in ((first, second), (second, first)):
        here, there = (conf(n, pool(s)) for n, s in ((early, "10.1.0.0/24"), (late, "10.2.0.0/24")))
        cni.add(here, "c1", lab.netns("c1"))
        before = lab.left()
        error = cni("ADD", there, "c2", lab.netns("c2")).refused()
        assert error["msg"] == f"network {late} has the same device group as network {early}: {group_of(first)}"
        assert "another name" in error["details"]
        assert lab.left() == before
        lab.write("/etc/cni/net.d/1.conf", json.dumps(here))
        lab.write("/etc/cni/net.d/2.conf", json.dumps(there))
        applied = calico(lab, "apply", "--yes")
        assert applied.returncode == 2
        assert b"same device group" in applied.stderr
        assert calico(lab, "restore").returncode == 0
        cni.add(here, "c3", lab.netns("c3"))
        for container in ("c1", "c3"):
            cni.delete(here, container, f"/var/run/netns/{container}")
        cni.delete(there, "c2", "/var/run/netns/c2")
        assert lab.left() == {}
        assert calico(lab, "prune", "--yes").returncode == 0
        for container in ("c1", "c2", "c3"):
            lab.out("ip", "netns", "del", container)


def test_a_number_that_an_interface_of_somebody_else_has_is_not_taken(lab: Lab, cni: Caller) -> None:
    lab.out("ip", "link", "add", "theirs0", "group", str(group_of("web")), "type", "bridge")
    error = cni("ADD", WEB, "c1", lab.netns("c1")).refused()
    assert error["msg"] == f"the host's theirs0 is in device group {group_of('web')}, which stands for network web"
    assert lab.left() == {}
    lab.out(*error["details"].split())
    cni.add(WEB, "c1", "/var/run/netns/c1")
