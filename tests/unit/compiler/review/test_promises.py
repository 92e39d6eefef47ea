"""Promises about addresses: decided over everybody who can have them."""

import pytest

from calico_rkt.compiler.review.check import check_workspace
from calico_rkt.compiler.workspace.folder import open_folder

CONF = '{"cniVersion": "1.0.0", "name": "%s", "type": "calico", "datastore_type": "%s", "ipam": %s}'
POOL = '{"type": "host-local", "subnet": "%s"}'
OPEN = "network: web\ningress: [{action: Allow, source: {selector: role == 'x'}}]\n"
NEVER = "guardrails: {never: [{name: n, from: {ip: %s}, to: {network: web}}]}\n"


def found(tmp_path, override, guardrail, datastore="etcdv3", ipam=POOL % "10.1.0.0/24"):
    (tmp_path / "profiles").mkdir()
    extra = ', "etcd_endpoints": "http://127.0.0.1:2379"' if datastore == "etcdv3" else ""
    conf = CONF % ("web", datastore, ipam)
    (tmp_path / "web.conf").write_text(conf[:-1] + extra + "}")
    (tmp_path / "profiles" / "web.yaml").write_text(override)
    (tmp_path / "profiles" / "guard.yaml").write_text(guardrail)
    return [d for d in check_workspace(open_folder(tmp_path, {})) if d.code in ("CR810", "CR811", "CR812")]


@pytest.mark.parametrize("ip", ["10.9.9.9", "10.9.0.0/16"])
def test_never_from_an_address_sees_the_endpoints_of_others_in_the_cluster(tmp_path, ip):
    (one,) = found(tmp_path, OPEN, NEVER % ip)
    assert one.code == "CR811"
    assert "from other endpoints to web" in one.message


def test_never_to_an_address_sees_them_too(tmp_path):
    override = "network: web\ningress: []\negress: [{action: Allow, destination: {selector: role == 'x'}}]\n"
    guard = "guardrails: {never: [{name: n, from: {network: web}, to: {ip: 10.9.9.9}}]}\n"
    (one,) = found(tmp_path, override, guard)
    assert "from web to other endpoints" in one.message


def test_an_address_of_a_network_stays_its_own_where_no_rule_tells_others_apart(tmp_path):
    override = "network: web\ningress: [{action: Allow, source: {network: web}}]\n"
    assert not found(tmp_path, override, NEVER % "10.9.9.9", "local")


def test_a_delegated_network_can_have_any_address_that_no_other_owns(tmp_path):
    override = "network: web\ningress: [{action: Allow, source: {network: web}}]\n"
    (one,) = found(tmp_path, override, NEVER % "10.9.9.9", "local", '{"type": "dhcp"}')
    assert "from web to web" in one.message


def test_no_promise_is_broken_by_a_packet_from_an_address_to_itself(tmp_path):
    override = (
        "network: web\ningress:\n"
        "  - {action: Allow, source: {nets: [10.1.0.5/32]}, destination: {nets: [10.1.0.5/32]}}\n"
        "egress: [{action: Allow}]\n"
    )
    guard = "guardrails: {never: [{name: n, from: {network: web}, to: {network: web}}]}\n"
    assert not found(tmp_path, override, guard, "local")


def test_a_promise_about_one_address_and_itself_decides_nothing(tmp_path):
    guard = "guardrails: {never: [{name: n, from: {ip: 10.1.0.5}, to: {ip: 10.1.0.5}}]}\n"
    (one,) = found(tmp_path, "network: web\ningress: [{action: Allow}]\n", guard, "local")
    assert one.code == "CR812"


@pytest.mark.parametrize("what", ["{protocol: any}", "{port: any}", "{protocol: TCP}, {port: any, protocol: any}"])
def test_a_promise_that_excepts_all_of_it_is_told_so(tmp_path, what):
    guard = f"guardrails: {{never: [{{name: n, from: {{network: web}}, to: {{network: web}}, except: [{what}]}}]}}\n"
    (one,) = found(tmp_path, "network: web\ningress: [{action: Allow}]\n", guard, "local")
    assert one.code == "CR812"
    assert one.message.endswith("no packet is in its set: what it excepts is all that it speaks of")


ALLOW_ICMP = "network: web\ningress:\n" + "".join(
    f"  - {{action: Allow, protocol: ICMP, icmp: {{type: {t}}}}}\n" for t in (8, 13, 15, 17)
)


def test_a_promise_about_icmp_is_about_the_types_that_open_a_flow(tmp_path):
    override = (
        ALLOW_ICMP + "tests: [{name: t, from: {outside: true}, to: {network: web}, protocol: ICMP, verdict: Allow}]\n"
    )
    # Nothing else of ICMP is ever sent: whether it were let in is no matter.
    assert [d.code for d in found(tmp_path, override, NEVER % "192.0.2.9", "local")] == ["CR811"]


def test_a_rule_about_what_opens_no_flow_breaks_no_promise(tmp_path):
    override = "network: web\ningress: [{action: Allow, protocol: ICMP, icmp: {type: 9}}]\n"
    guard = "guardrails: {never: [{name: n, from: {outside: true}, to: {network: web}, protocol: ICMP}]}\n"
    assert not found(tmp_path, override, guard, "local")


@pytest.mark.parametrize("end", ["from", "to"])
def test_a_network_that_nobody_knows_is_told_beside_others_that_are_here(tmp_path, end):
    """What is said of `databse` would be asked of nobody, and the guardrail would hold for ever."""
    ends = {"from": "{network: web}", "to": "{network: web}"} | {end: "{network: [web, databse]}"}
    guard = f"guardrails: {{never: [{{name: n, from: {ends['from']}, to: {ends['to']}}}]}}\n"
    (one,) = found(tmp_path, "network: web\ningress: []\n", guard, "local")
    assert one.code == "CR812"
    assert one.message == "never 'n' is asked in part only: no conf here has the network 'databse'"


def test_a_failure_among_those_that_are_here_counts_more(tmp_path):
    guard = "guardrails: {never: [{name: n, from: {network: [web, databse]}, to: {network: web}}]}\n"
    (one,) = found(tmp_path, "network: web\ningress: [{action: Allow}]\n", guard, "local")
    assert one.code == "CR811"


BY_NET = "network: web\ningress: [{action: Allow, source: {nets: [10.50.0.0/16]}}]\n"
FROM_ENDPOINTS = "guardrails: {%s: [{name: n, from: {%s: true}, to: {network: web}}]}\n"


def test_never_from_endpoints_means_those_of_networks_that_have_no_conf_here(tmp_path):
    """Any of these may have the address that the rule lets in, whether or not another rule has a selector."""
    (one,) = found(tmp_path, BY_NET, FROM_ENDPOINTS % ("never", "endpoints"), "local")
    assert one.code == "CR811"
    assert "10.50.0.1" in one.message
    assert "from other endpoints to web" in one.message
    assert "networks that have no conf here" in one.hint
    assert "network: [" in one.hint
    assert "notSelector: all()" in one.hint


def test_a_test_that_says_deny_means_them_too(tmp_path):
    tests = "tests: [{name: t, from: {endpoints: true}, to: {network: web}, verdict: Deny}]\n"
    (one,) = found(tmp_path, BY_NET + tests, "guardrails: {}\n", "local")
    assert (one.code, "from other endpoints to web" in one.message) == ("CR810", True)


def test_the_ways_out_that_the_message_names_are_some(tmp_path):
    no_endpoint = BY_NET.replace("/16]", "/16], notSelector: all()")
    assert not found(tmp_path, no_endpoint, FROM_ENDPOINTS % ("never", "endpoints"), "local")


def test_named_networks_alone_are_asked_where_they_are_named(tmp_path):
    assert not found(tmp_path, BY_NET, NEVER.replace("ip: %s", "network: web"), "local")


@pytest.mark.parametrize("rules", ["ingress: []\n", "ingress: [{action: Allow, source: {notSelector: all()}}]\n"])
def test_no_word_of_them_where_they_are_kept_out(tmp_path, rules):
    assert not found(tmp_path, "network: web\n" + rules, FROM_ENDPOINTS % ("never", "endpoints"), "local")


def test_who_sends_to_everybody_is_not_told_of_endpoints_whose_own_rules_are_not_here(tmp_path):
    """Egress is open by default, and what networks elsewhere let in is theirs to say."""
    guard = "guardrails: {never: [{name: n, from: {network: web}, to: {endpoints: true}}]}\n"
    assert not found(tmp_path, "network: web\ningress: []\n", guard, "local")


@pytest.mark.parametrize("apart", ["", "  - {action: Allow, source: {notSelector: all()}, protocol: UDP}\n"])
def test_always_from_endpoints_means_the_networks_here(tmp_path, apart):
    """What nobody has need not be let in, also where a rule tells endpoints from the outside."""
    rules = "network: web\ningress:\n  - {action: Allow, source: {network: web}}\n" + apart
    assert not found(tmp_path, rules, FROM_ENDPOINTS % ("always", "endpoints"), "local")


def test_what_never_comes_from_anybody_never_comes_from_an_endpoint(tmp_path):
    """An address of web that a rule lets in, and web itself kept out: who is left is an endpoint of another network."""
    rules = "network: web\ningress:\n  - {action: Deny, source: {network: web}}\n"
    rules += "  - {action: Allow, source: {nets: [10.1.0.0/24]}}\n"
    (one,) = found(tmp_path, rules, FROM_ENDPOINTS % ("never", "any"), "local")
    assert "from other endpoints to web" in one.message


def test_what_comes_from_the_outside_is_told_of_the_outside(tmp_path):
    (one,) = found(tmp_path, BY_NET, FROM_ENDPOINTS % ("never", "any"), "local")
    assert "from outside to web" in one.message
