"""What a rule says less than it looks, or about nobody: a folder in, findings out."""

import pytest

from calico_rkt.compiler.review.check import check_workspace
from calico_rkt.compiler.workspace.folder import open_folder

CONF = '{"cniVersion": "1.0.0", "name": "%s", "type": "calico", "ipam": {"type": "host-local", "ranges": [%s]}}'
V4, V6 = '[{"subnet": "10.7.0.0/24"}]', '[{"subnet": "fd00:7::/64"}]'
DB = '[{"subnet": "10.8.0.0/24"}]'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "web.conf").write_text(CONF % ("web", V4))
    (tmp_path / "db.conf").write_text(CONF % ("db", DB))
    (tmp_path / "profiles").mkdir()
    return tmp_path


def told(folder, rule="", direction="ingress", **files):
    if rule:
        files["web"] = f"network: web\n{direction}:\n  - {{{rule}}}\n"
    for name, text in files.items():
        (folder / "profiles" / f"{name}.yaml").write_text(text)
    return [(d.code, d.message) for d in check_workspace(open_folder(folder, {})) if d.code.startswith("CR84")]


def codes(*args, **files):
    return [code for code, _ in told(*args, **files)]


@pytest.mark.parametrize(
    "rule, words",
    [
        ("action: Allow, protocol: TCP, source: {nets: [0.0.0.0/0]}", "source is every IPv4 address and no IPv6 one"),
        ("action: Allow, protocol: TCP, source: {nets: [0.0.0.0/1, 128.0.0.0/1]}", "no IPv6 one"),
        ("action: Allow, protocol: TCP, source: {nets: [0.0.0.0/0, '::/0']}", "and ::/0 in source constrains nothing"),
        ("action: Allow, protocol: TCP, ipVersion: 4, source: {nets: [0.0.0.0/0]}", "constrains nothing"),
        ("action: Allow, protocol: ICMP, source: {nets: [0.0.0.0/0]}", "constrains nothing"),
    ],
)  # fmt: skip
def test_every_address_of_a_family_is_told_from_every_address(folder, rule, words):
    assert any(code == "CR843" and words in message for code, message in told(folder, rule))


@pytest.mark.parametrize(
    "rule",
    ["action: Allow, protocol: TCP, source: {nets: [0.0.0.0/0, 'fd00::/8']}",
     "action: Allow, protocol: TCP, source: {nets: [10.0.0.0/8]}"],
)  # fmt: skip
def test_a_net_that_says_something_is_left_alone(folder, rule):
    assert "CR843" not in codes(folder, rule)


def test_a_definition_that_is_every_address_is_seen_where_it_is_used(folder):
    shared = "definitions: {nets: {world: [0.0.0.0/0]}}\n"
    assert codes(folder, "action: Allow, protocol: TCP, source: {nets: [world]}", shared=shared) == ["CR843"]


@pytest.mark.parametrize("end, said", [("ip: 0.0.0.0/0", True), ("ip: '::/0'", True), ("ip: 10.0.0.0/8", False),
                                       ("outside: true", False)])  # fmt: skip
def test_a_promise_about_every_address_of_one_family_is_told(folder, end, said):
    guard = f"guardrails: {{never: [{{name: n, from: {{{end}}}, to: {{network: web}}}}]}}\n"
    rule = "action: Deny, source: {nets: [10.0.0.0/8]}"
    assert ("CR843" in codes(folder, rule, guard=guard)) is said


@pytest.mark.parametrize(
    "rule, said",
    [
        ("action: Allow, source: {notSelector: all()}", True),
        ("action: Allow, source: {notSelector: has(db)}", True),
        ("action: Allow, protocol: TCP, source: {notSelector: all()}", True),
        ("action: Allow, protocol: TCP, source: {notSelector: all()}, destination: {ports: [80]}", False),
        ("action: Allow, source: {notSelector: all(), nets: [192.0.2.0/24]}", False),
        ("action: Allow, source: {notSelector: all(), nets: [0.0.0.0/0]}", True),
        ("action: Allow, source: {notSelector: has(db), network: web}", False),
        ("action: Deny, source: {notSelector: all()}", False),
        ("action: Allow, protocol: ICMP, source: {notSelector: all()}", False),
    ],
)
def test_a_not_selector_alone_lets_the_outside_in(folder, rule, said):
    assert ("CR844" in codes(folder, rule)) is said


@pytest.mark.parametrize(
    "direction, rule, code",
    [
        ("ingress", "action: Allow, destination: {nets: [10.9.0.0/24]}", "CR845"),
        ("ingress", "action: Deny, destination: {nets: [10.8.0.0/24]}", "CR845"),
        ("ingress", "action: Allow, destination: {network: db}", "CR845"),
        ("ingress", "action: Allow, source: {network: db, nets: [192.0.2.0/24]}", "CR845"),
        ("ingress", "action: Allow, source: {nets: [10.8.0.7/32]}", None),
        ("ingress", "action: Allow, source: {nets: [10.8.0.0/32]}", "CR845"),
        ("ingress", "action: Allow, source: {nets: [10.7.0.5/32]}, destination: {nets: [10.7.0.5/32]}", "CR845"),
        ("ingress", "action: Allow, source: {nets: [192.0.2.0/24]}", None),
        ("ingress", "action: Allow, destination: {nets: [10.7.0.128/25]}", None),
        ("egress", "action: Deny, source: {nets: [10.9.0.0/24]}", "CR845"),
        ("egress", "action: Deny, destination: {network: db, nets: [10.7.0.0/24]}", "CR845"),
        ("egress", "action: Deny, destination: {nets: [10.8.0.0/24], notSelector: has(db)}", "CR845"),
        ("egress", "action: Deny, destination: {nets: [169.254.169.254/32]}", None),
        ("egress", "action: Allow, ipVersion: 6", "CR846"),
        ("egress", "action: Allow, destination: {nets: ['2001:db8::/32']}", "CR846"),
        ("egress", "action: Allow, protocol: ICMPv6", "CR846"),
        ("egress", "action: Allow, destination: {nets: ['2001:db8::/32', 192.0.2.0/24]}", None),
        ("egress", "action: Log, destination: {nets: ['2001:db8::/32']}", "CR846"),
    ],
)
def test_a_rule_about_nobody_is_told(folder, direction, rule, code):
    found = [c for c in codes(folder, rule, direction) if c in ("CR845", "CR846")]
    # What is denied at the end anyway is told already.
    said = [d.code for d in check_workspace(open_folder(folder, {})) if d.code in ("CR801", "CR802")]
    assert found == ([code] if code and not said else []), said


def test_a_rule_that_names_a_network_of_another_datastore_is_told(folder):
    etcd = '"datastore_type": "etcdv3", "etcd_endpoints": "http://192.0.2.1:2379", "name"'
    for words, said in (("network: db", True), ("network: [db, web]", False), ("notSelector: has(db)", False)):
        rule = f"action: Allow, protocol: TCP, source: {{{words}}}, destination: {{ports: [80]}}"
        (folder / "db.conf").write_text(CONF % ("db", DB))
        assert "CR845" not in codes(folder, rule)
        (folder / "db.conf").write_text((CONF % ("db", DB)).replace('"name"', etcd))
        found = [m for c, m in told(folder, rule) if c == "CR845"]
        assert len(found) == said, found
        assert all("('db' is in another datastore, etcdv3, so only its nets are known here)" in m for m in found)


def test_a_family_that_one_of_the_networks_has_is_needed(folder):
    ingress = "[{action: Deny, protocol: ICMPv6}, {action: Allow}]"
    rules = f"settings: {{default: {{ingress: {ingress}, egress: [{{action: Allow}}]}}}}\n"
    (one,) = [m for c, m in told(folder, settings=rules) if c == "CR846"]
    assert "no endpoint of 'db' has an IPv6 address and no endpoint of 'web' has" in one
    (folder / "db.conf").write_text(CONF % ("db", f"{DB}, {V6}"))
    assert "CR846" not in codes(folder)


def test_an_unused_definition_is_told_and_a_used_one_is_not(folder):
    shared = "definitions: {nets: {a: [192.0.2.0/24], b: [192.0.2.0/25]}, ports: {a: [80], c: [443]}}\n"
    rule = "action: Allow, protocol: TCP, source: {nets: [a]}, destination: {ports: [c]}"
    found = told(folder, rule, shared=shared)
    assert found == [("CR847", "no rule here uses the nets b"), ("CR847", "no rule here uses the ports a")]


def test_a_definition_may_be_used_by_what_can_not_be_read(folder):
    assert not codes(folder, shared="definitions: {ports: {a: [80]}}\n", db="network: db\nwrong: 1\n")
