"""A host in a bad state (pool empty, address taken, state file broken, override or IPAM wrong): ADD undoes itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import state_log
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import HOST_V4, OVERRIDES, PLUGINS, STATE, Lab, conf, environment

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

IPAM = {"type": "host-local", "subnet": "10.1.0.0/24"}
WEB = conf("web", IPAM)
MARK = "/run/lab/a-shell-ran"

C1 = '["web","c1","eth0"]'
ENVIRONMENT, IO, INTERNAL, EXHAUSTED, TAKEN, LINK, EXISTS = 4, 5, 100, 101, 102, 104, 107
"""CNI's codes, and this plugin's own from 100 on (plugin/cni/result.py)."""


def but(**changed: Any) -> dict[str, Any]:
    return {**WEB, **changed}


def nothing_happened(lab: Lab) -> None:
    assert lab.left() == {}
    assert lab.links(inside="c1") == {"lo"}
    assert not lab.path(MARK).exists()


def test_an_exhausted_pool_keeps_those_who_have_an_address(lab: Lab, cni: Caller) -> None:
    small = but(ipam={**IPAM, "rangeStart": "10.1.0.7", "rangeEnd": "10.1.0.8"})
    for name in ("a", "b"):
        cni.add(small, name, netns=lab.netns(name))
    before = lab.left()
    cni("ADD", small, "c", netns=lab.netns("c")).refused(EXHAUSTED)
    assert lab.left() == before
    assert lab.links(inside="c") == {"lo"}
    cni.delete(small, "a", netns="/var/run/netns/a")
    assert addresses(cni.add(small, "c", netns="/var/run/netns/c")) == ["10.1.0.7"]


def test_dual_stack_is_all_or_nothing(lab: Lab, cni: Caller) -> None:
    one_v6 = {"subnet": "fd00::/64", "rangeStart": "fd00::7", "rangeEnd": "fd00::7"}
    dual = but(ipam={"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [one_v6]]})
    cni.add(dual, "a", netns=lab.netns("a"))
    before = lab.left()
    cni("ADD", dual, "b", netns=lab.netns("b")).refused(EXHAUSTED)
    assert lab.left() == before


def test_a_requested_address_that_is_taken(lab: Lab, cni: Caller) -> None:
    cni.add(WEB, "a", netns=lab.netns("a"), CNI_ARGS="IP=10.1.0.9")
    before = lab.left()
    cni("ADD", WEB, "b", netns=lab.netns("b"), CNI_ARGS="IP=10.1.0.9").refused(TAKEN)
    assert lab.left() == before
    assert lab.links(inside="b") == {"lo"}


def test_an_address_that_another_network_holds(lab: Lab, cni: Caller) -> None:
    """Networks may share a subnet, but an address belongs to one endpoint of the host."""
    cni.add(WEB, "a", netns=lab.netns("a"), CNI_ARGS="IP=10.1.0.9")
    other = but(name="other")
    before = lab.left()
    cni("ADD", other, "b", netns=lab.netns("b"), CNI_ARGS="IP=10.1.0.9").refused(TAKEN)
    assert lab.left() == before


def test_an_interface_that_exists_stays_as_it_was(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    lab.out("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other", inside="c1")
    cni("ADD", WEB, netns=netns).refused(ENVIRONMENT, LINK, EXISTS)
    assert lab.left() == {}
    assert lab.links(inside="c1") == {"lo", "eth0", "other"}


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
@pytest.mark.parametrize("content", [b"garbage" * 1000, b"calico-rkt-state 1 " + b"\xff" * 5000, b"x"])
def test_a_corrupt_state_file(lab: Lab, cni: Caller, command: str, content: bytes) -> None:
    netns = lab.netns("c1")
    lab.write(STATE, content)
    reply = cni(command, {**WEB, "prevResult": {"ips": []}} if command != "ADD" else WEB, netns=netns)
    reply.refused()
    assert reply.json["code"] != INTERNAL, "an error of its own, not the catch-all"
    lab.path(STATE).unlink()
    nothing_happened(lab)


def _with_result(value: str, result: str) -> str:
    return json.dumps([json.loads(value)[0], result])


@pytest.mark.parametrize("result", ["{", '{"interfaces": [], "ips": 5}'])
def test_a_recorded_result_that_is_damaged_is_its_attachment_s_fault_alone(lab: Lab, cni: Caller, result: str) -> None:
    cni.add(WEB, netns=lab.netns("c1"))
    cni.add(WEB, "c2", netns=lab.netns("c2"))

    def damage() -> None:
        state_log.change(lab.path(STATE), lambda e: e.update({("r", C1): _with_result(e[("r", C1)], result)}))

    damage()
    for command, keys in (("CHECK", {"prevResult": {"cniVersion": "1.0.0"}}), ("ADD", {})):
        error = cni(command, {**WEB, **keys}, netns="/var/run/netns/c1").refused(IO)
        assert "damaged" in error["msg"]
    cni.delete(WEB, netns="/var/run/netns/c1")
    cni.add(WEB, netns="/var/run/netns/c1")
    damage()
    lab.out("ip", "netns", "del", "c1")
    done = lab.run(f"{PLUGINS}/calico", "gc", env=environment())
    assert (done.returncode, done.stdout) == (0, b"freed web c1 eth0: 10.1.0.3\n"), done
    cni.delete(WEB, "c2", netns="/var/run/netns/c2")
    assert lab.left() == {}


def test_gc_frees_by_force_what_is_damaged_once_nothing_of_it_lives(lab: Lab, cni: Caller) -> None:
    """Its container ended without a DEL, so that no other act would ever free its address."""
    (given,) = addresses(cni.add(WEB, netns=lab.netns("c1")))
    cni.add(WEB, "c2", netns=lab.netns("c2"))
    state_log.change(lab.path(STATE), lambda e: e.update({("e", C1): state_log.with_field(e[("e", C1)], 4, "no name")}))

    def gc(*more: str) -> tuple[int, str]:
        done = lab.run(f"{PLUGINS}/calico", "gc", "--attachment", "web/c1/eth0", *more, env=environment())
        return done.returncode, (done.stdout + done.stderr).decode()

    assert "calico-rkt gc --force --attachment web/c1/eth0" in gc()[1]
    assert "leads to its network namespace; nothing was freed" in gc("--force")[1]
    state_log.change(
        lab.path(STATE), lambda e: e.update({("e", C1): state_log.with_field(e[("e", C1)], 1, "/nowhere")})
    )
    ends = [link for link in lab.links() if link.startswith("crk")]
    for end in ends:
        lab.out("ip", "link", "set", end, "name", f"other{ends.index(end)}")
    status, said = gc("--force")
    assert (status, "lives" in said, "nothing was freed" in said) == (1, True, True), said
    assert given in str(lab.left())
    lab.out("ip", "netns", "del", "c1")
    status, said = gc("--force", "--dry-run")
    assert (status, said.splitlines()[0]) == (0, "would free web c1 eth0: its record is damaged")
    assert gc("--force")[0] == 0
    assert '"c1"' not in str(lab.left()).replace("'", '"')
    assert lab.run(f"{PLUGINS}/calico", "status", "--no-agent", env=environment()).stdout.count(b"differs") < 9
    cni.delete(WEB, "c2", netns="/var/run/netns/c2")
    assert lab.left() == {}


def test_a_del_takes_an_attachment_away_whose_record_can_not_be_read(lab: Lab, cni: Caller) -> None:
    cni.add(WEB, netns=lab.netns("c1"))
    (other,) = addresses(cni.add(WEB, "c2", netns=lab.netns("c2")))
    state_log.change(lab.path(STATE), lambda e: e.update({("e", C1): state_log.with_field(e[("e", C1)], 4, "no name")}))
    done = lab.run(f"{PLUGINS}/calico", "gc", "--attachment", "web/c1/eth0", env=environment())
    assert done.returncode == 2
    assert b"is damaged" in done.stderr
    assert b"a DEL takes it away" in done.stderr
    cni.delete(WEB, netns="/var/run/netns/c1")
    assert '"c1"' not in str(lab.left()).replace("'", '"')
    assert lab.run("/bin/busybox", "ping", "-c", "1", "-W", "3", other).returncode == 0
    assert lab.run(f"{PLUGINS}/calico", "status", "--no-agent", env=environment()).returncode == 0
    cni.delete(WEB, "c2", netns="/var/run/netns/c2")
    assert lab.left() == {}


def test_what_is_wrong_with_the_records_of_clusters_stops_no_local_network(lab: Lab, cni: Caller) -> None:
    cni.add(WEB, netns=lab.netns("c1"))
    lab.out("install", "-d", "-m", "700", "/run/calico-rkt/etcd")
    lab.write("/run/calico-rkt/etcd/state.log", "no log")
    cni.delete(WEB, "never", netns="/var/run/netns/c1")
    done = lab.run(f"{PLUGINS}/calico", "status", "--no-agent", env=environment())
    assert done.returncode == 1, done
    assert b"\nweb " in done.stdout
    assert b"warning: the state file /run/calico-rkt/etcd/state.log can't be used" in done.stdout
    cni.delete(WEB, netns="/var/run/netns/c1")
    assert lab.left() == {}


def test_a_state_file_that_is_a_folder(lab: Lab, cni: Caller) -> None:
    lab.path(STATE).mkdir(parents=True)
    reply = cni("ADD", WEB, netns=lab.netns("c1"))
    reply.refused()
    assert reply.json["code"] != INTERNAL, "an error of its own, not the catch-all"
    lab.path(STATE).rmdir()
    nothing_happened(lab)


RULE = "network: web\ningress:\n  - action: Allow\n    "
BROKEN_OVERRIDES = {
    "no YAML": "network: web\ningress: [",
    "an unknown key": "network: web\ningres: []\n",
    "an unknown key in a rule": RULE + "nets: 5\n",
    "a reversed range": RULE + 'protocol: TCP\n    destination: {ports: ["20:10"]}\n',
    "null": "network: web\ningress: null\n",
    "python in YAML": f"!!python/object/apply:os.system ['touch {MARK}']\n",
    "a template": "network: web\ningress:\n  - action: '{{7*7}}'\n",
    "binary": "\x01\x02\x03",
}


@pytest.mark.parametrize("case", BROKEN_OVERRIDES)
def test_a_broken_override_closes_the_network(lab: Lab, cni: Caller, case: str) -> None:
    """Whoever wrote an override wanted other rules than the default: attaching under the default would be silent."""
    lab.override("web", BROKEN_OVERRIDES[case])
    error = cni("ADD", WEB, netns=lab.netns("c1")).refused()
    assert error["code"] != INTERNAL
    assert OVERRIDES in error["msg"] + error.get("details", "")
    nothing_happened(lab)


IPAM_PLUGIN = """#!/bin/sh
cat >/dev/null
echo "$CNI_COMMAND" >>/run/lab/calls
[ "$CNI_COMMAND" != ADD ] || { cat /run/lab/answer; exit "$(cat /run/lab/status)"; }
"""


def odd_ipam(lab: Lab, answer: str, status: int) -> dict[str, Any]:
    """A conf whose IPAM plugin notes its calls and answers ADD like this."""
    lab.write("/run/lab/answer", answer)
    lab.write("/run/lab/status", str(status))
    lab.write("/run/lab/calls", "")
    lab.path(lab.write(f"{PLUGINS}/odd", IPAM_PLUGIN)).chmod(0o755)
    return but(ipam={"type": "odd"})


IPAM_ANSWERS = {
    "nothing": "",
    "no JSON": "10.1.0.5",
    "a list": "[]",
    "no address": '{"cniVersion": "1.0.0", "ips": []}',
    "an address of words": '{"cniVersion": "1.0.0", "ips": [{"address": "banana"}]}',
    "ips that are a string": '{"cniVersion": "1.0.0", "ips": "10.1.0.5/24"}',
    "an address that the host has": f'{{"cniVersion": "1.0.0", "ips": [{{"address": "{HOST_V4}/24"}}]}}',
}


@pytest.mark.parametrize("case", IPAM_ANSWERS)
def test_a_delegated_ipam_that_answers_nonsense_gets_its_del(lab: Lab, cni: Caller, case: str) -> None:
    network = odd_ipam(lab, IPAM_ANSWERS[case], 0)
    error = cni("ADD", network, netns=lab.netns("c1")).refused()
    assert error["code"] != INTERNAL
    assert lab.path("/run/lab/calls").read_text().split() == ["ADD", "DEL"]
    nothing_happened(lab)


def test_a_delegated_ipam_that_fails_is_quoted_and_gets_its_del(lab: Lab, cni: Caller) -> None:
    network = odd_ipam(lab, '{"cniVersion": "1.0.0", "code": 117, "msg": "the pool is on holiday"}', 1)
    error = cni("ADD", network, netns=lab.netns("c1")).refused()
    assert "on holiday" in error["msg"] + error.get("details", "")
    assert lab.path("/run/lab/calls").read_text().split() == ["ADD", "DEL"]
    nothing_happened(lab)


def test_a_delegated_ipam_is_undone_when_a_later_step_fails(lab: Lab, cni: Caller) -> None:
    network = odd_ipam(lab, '{"cniVersion": "1.0.0", "ips": [{"address": "10.8.0.5/24"}]}', 0)
    netns = lab.netns("c1")
    lab.out("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other", inside="c1")
    cni("ADD", network, netns=netns).refused()
    assert lab.path("/run/lab/calls").read_text().split() in ([], ["ADD", "DEL"])
    assert lab.left() == {}
