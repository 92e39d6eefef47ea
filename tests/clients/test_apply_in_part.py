"""An apply that can't be done everywhere in; which networks were applied, which not, and the exit status, out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.support.commands import states, tool
from tests.clients.support.etcd import Etcd, cluster_conf
from tests.clients.support.etcd_proxy import URL, Proxy
from tests.clients.support.lab import Lab, conf, pool

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.clients,
    pytest.mark.parametrize("lab", ["alone"], indirect=True),  # apply is a process of its own
]

AWAY = "http://127.0.0.1:2999"
RULES = "network: {}\ningress:\n  - {{action: Allow, protocol: TCP, destination: {{ports: [80]}}}}\n  - default\n"


def has(lab: Lab, *confs: dict[str, Any]) -> None:
    """These networks, each with an override."""
    for known in confs:
        lab.write(f"/etc/cni/net.d/{known['name']}.conf", json.dumps(known))
        lab.override(known["name"], RULES.format(known["name"]))


def not_applied(words: bytes) -> list[str]:
    return [line for line in words.decode().splitlines() if line.startswith("calico-rkt: not applied")]


WEB, BACK = conf("web", pool("10.61.0.0/24")), conf("back", pool("10.62.0.0/24"))


def test_a_cluster_that_is_away_keeps_no_other_network_from_it_and_its_own_are_named(lab: Lab) -> None:
    has(lab, WEB, cluster_conf(AWAY, "far"), cluster_conf(AWAY, "farther", "10.2.0.0/16"))
    done = tool(lab, "apply", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (2, b"applied: web")
    assert not_applied(done.stderr) == ["calico-rkt: not applied: far, farther"]
    done = tool(lab, "apply", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (2, b"1 network, nothing to change")
    assert not_applied(done.stderr) == ["calico-rkt: not applied: far, farther"]
    done = tool(lab, "apply", "--yes", "web")
    assert (done.returncode, not_applied(done.stderr)) == (0, [])


def test_one_that_does_not_compile_or_can_not_be_read_leaves_its_neighbours_and_they_are_named(lab: Lab) -> None:
    has(lab, WEB, BACK)
    lab.override("back", "network: back\ningress: [{action: Alow}]\n")
    done = tool(lab, "apply", "--yes")
    assert (done.returncode, not_applied(done.stderr)) == (2, ["calico-rkt: not applied: back, web"])
    lab.override("back", "network: back\n")
    lab.write("/etc/cni/net.d/back.conf", json.dumps(BACK | {"mtu": "a"}))
    done = tool(lab, "apply", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (2, b"applied: web")
    assert not_applied(done.stderr) == ["calico-rkt: not applied: back"]


def test_tests_that_do_not_hold_in_a_cluster_say_that_another_network_was_applied(lab: Lab, etcd: Etcd) -> None:
    has(lab, WEB, cluster_conf(etcd))
    shut = "tests:\n  - {name: shut, from: {network: net1}, to: {network: net1}, verdict: Deny}\n"
    lab.override("net1", RULES.format("net1") + shut)
    done = tool(lab, "apply", "--yes")
    assert b"applied: web" in done.stdout
    assert f"nothing was changed in {etcd.url}. --no-tests".encode() in done.stderr
    assert (done.returncode, not_applied(done.stderr)) == (1, ["calico-rkt: not applied: net1"]), done


def test_where_etcd_does_not_answer_a_write_nobody_claims_what_came_of_it(lab: Lab, etcd: Etcd, proxy: Proxy) -> None:
    del etcd
    has(lab, WEB, cluster_conf(URL))
    proxy.start()
    assert tool(lab, "apply", "--dry-run").returncode == 1
    asked = len(proxy.log())
    assert b"applied: web" in tool(lab, "apply", "--yes", "web").stdout
    proxy.start(f"{asked + 2} after forever")
    done = tool(lab, "apply", "--yes")
    assert proxy.log()[-1] == "write", proxy.log()
    assert (done.returncode, not_applied(done.stderr)) == (2, [])
    assert b"whether net1 was applied is not known" in done.stderr
    assert b"calico-rkt status says it" in done.stderr
    proxy.start()
    assert states(lab)["net1"] == "in step"


GUARD = "guardrails:\n  never:\n    - {name: apart, from: {network: web}, to: {network: net1}, protocol: TCP}\n"
OPENS = """network: {}
ingress:
  - {{action: Allow, protocol: TCP, source: {{nets: [10.61.0.0/24]}}, destination: {{ports: [80]}}}}
  - default
"""


def test_a_promise_between_two_datastores_is_asked_by_check_and_by_each_turn_of_apply(lab: Lab, etcd: Etcd) -> None:
    has(lab, WEB, cluster_conf(etcd))
    opened, shut = OPENS.format("net1"), "network: net1\n"
    egress = "network: web\negress:\n  - {action: Deny, destination: {nets: [10.1.0.0/16]}}\n  - default\n"
    for name, rules in (("guard", GUARD), ("net1", shut), ("web", egress)):
        lab.override(name, rules)
    assert tool(lab, "check").returncode == 0
    assert tool(lab, "apply", "--yes").returncode == 0
    # The cluster's network opens, and this host's own keeps it shut: they stand beside each other.
    lab.override("net1", opened)
    assert tool(lab, "apply", "--yes").returncode == 0
    # Now this host's own opens, too: check says so, and its turn refuses it.
    lab.override("web", "network: web\n")
    check, apply = tool(lab, "check"), tool(lab, "apply", "--yes")
    assert (check.returncode, b"CR811" in check.stdout) == (1, True), check
    assert (apply.returncode, b"CR811" in apply.stdout) == (1, True), apply
    assert b"from web to net1" in apply.stdout
    assert states(lab)["web"] == "stale"
    # Where both change for the better at once, no turn is asked about what the other will have changed.
    lab.override("net1", shut)
    assert tool(lab, "check").returncode == 0
    done = tool(lab, "apply", "--yes")
    assert done.returncode == 0, done
    # And the cluster's turn is asked about what this host's own says.
    lab.override("net1", opened)
    apply = tool(lab, "apply", "--yes", "net1")
    assert (apply.returncode, b"from web to net1" in apply.stdout) == (1, True), apply


def cluster_rules(network: str, *, opened: bool) -> str:
    return OPENS.format(network) if opened else f"network: {network}\n"


def opens_here(lab: Lab) -> None:
    """This host's own network, applied with its way to the cluster's shut, would open it now."""
    lab.override("web", "network: web\negress:\n  - {action: Deny, destination: {nets: [10.0.0.0/14]}}\n  - default\n")
    lab.override("guard", GUARD.replace("to: {network: net1}", "to: {network: [net1, net2]}"))
    assert tool(lab, "apply", "--yes").returncode == 0
    lab.override("web", "network: web\n")


def test_a_cluster_that_is_away_or_has_an_edited_profile_is_named_where_a_promise_is_asked(
    lab: Lab, etcd: Etcd
) -> None:
    has(lab, WEB, cluster_conf(etcd), cluster_conf(etcd, "net2", "10.2.0.0/16"))
    for network in ("net1", "net2"):
        lab.override(network, cluster_rules(network, opened=network == "net2"))
    opens_here(lab)
    lab.override("net2", cluster_rules("net2", opened=False))
    place = "/calico/resources/v3/projectcalico.org/profiles/net1"
    said = etcd.ctl("get", "--print-value-only", place).stdout
    edited = json.loads(said)
    edited["spec"]["egress"] = [{"action": "Deny"}]
    etcd.ctl("put", place, stdin=json.dumps(edited).encode())
    # What can't be read of one says nothing of the other, which is open still.
    apply = tool(lab, "apply", "--yes", "web")
    assert (apply.returncode, b"from web to net2" in apply.stdout) == (1, True), apply
    assert b"what is published of net1 can't be read" in apply.stderr
    # With the cluster away all that is left are its files. That is said, and keeps nobody from an apply here.
    etcd.stop()
    apply = tool(lab, "apply", "--yes", "web")
    assert (apply.returncode, b"what is published of net1, net2 can't be read" in apply.stderr) == (0, True), apply


def test_what_this_host_is_called_is_of_no_use_to_its_own_networks(lab: Lab) -> None:
    has(lab, WEB, {k: v for k, v in cluster_conf(AWAY).items() if k != "nodename"})
    lab.write("/var/lib/calico/nodename", "a/b\n")
    done = tool(lab, "apply", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (2, b"applied: web"), done
    assert not_applied(done.stderr) == ["calico-rkt: not applied: net1"]
    lab.override("web", "network: web\n")
    assert tool(lab, "apply", "--yes", "web").stdout.splitlines()[-1] == b"applied: web"


def test_two_confs_that_name_one_cluster_by_other_words_are_of_one_datastore(lab: Lab, etcd: Etcd) -> None:
    has(lab, cluster_conf(etcd), cluster_conf(etcd.url.replace("127.0.0.1", "localhost"), "net2", "10.2.0.0/16"))
    lab.override("net1", "network: net1\negress: []\n")
    by_name = "{action: Allow, protocol: TCP, source: {network: net1}, destination: {ports: [80]}}"
    lab.override("net2", f"network: net2\ningress:\n  - {by_name}\n  - default\n")
    lab.override("guard", GUARD.replace("network: net1", "network: net2").replace("network: web", "network: net1"))
    assert tool(lab, "apply", "--yes").returncode == 0
    lab.override("net1", "network: net1\n")
    check, apply = tool(lab, "check"), tool(lab, "apply", "--yes", "net1")
    assert (check.returncode, b"CR811" in check.stdout) == (1, True), check
    assert (apply.returncode, b"from net1 to net2" in apply.stdout) == (1, True), apply
