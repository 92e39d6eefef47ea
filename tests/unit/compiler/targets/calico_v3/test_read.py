import pytest

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.model import Match, PortRange
from calico_rkt.compiler.targets.calico_v3.read import read_calico_v3

HEAD = "apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: web}\n"


def rule(text):
    return read_calico_v3(HEAD + "spec:\n  ingress:\n    - " + text + '\n  labelsToApply: {web: ""}\n').ingress[0]


def test_what_calicoctl_prints_is_read():
    back = read_calico_v3("""\
apiVersion: projectcalico.org/v3
kind: Profile
metadata:
  creationTimestamp: 2026-11-23T23:19:59Z
  name: web
  resourceVersion: "12"
  uid: 14ab2b3b-2001-4829-87d7-5587e8320bc0
spec:
  egress:
  - action: Allow
    destination: {}
    source: {}
  ingress:
  - action: Allow
    destination: {}
    source:
      selector: has(web)
  labelsToApply:
    web: ""
""")
    assert (back.id, back.name, back.labels, back.digest) == ("web", "web", ("web",), "")
    assert str(back.ingress[0].match.source.selector) == "has(web)"
    assert back.egress[0].match == Match()


@pytest.mark.parametrize("spec", ["spec: {}", "spec:", "spec: {ingress: null, egress: []}"])
def test_a_missing_null_or_empty_direction_denies_all(spec):
    back = read_calico_v3(HEAD + spec)
    assert back.ingress == back.egress == ()


def test_an_empty_selector_is_no_constraint():
    assert rule('{action: Allow, source: {selector: ""}}').match == Match()


def test_numbers_may_be_texts_where_calico_takes_them():
    match = rule('{action: Allow, protocol: "6", destination: {ports: ["80", 443, "1:9"]}}').match
    assert match.protocol == 6
    assert match.destination.ports == (PortRange(80, 80), PortRange(443, 443), PortRange(1, 9))


def test_addresses_without_ip_version_are_about_their_own_family_only():
    assert rule("{action: Allow, source: {notNets: [10.0.0.0/8]}}").match.ip_version == 4


@pytest.mark.parametrize(
    "text",
    [
        "{action: Pass}",
        "{action: allow}",
        "{action: {a: b}}",
        "{action: [Allow]}",
        "{acton: Allow}",
        "{}",
        "{action: Allow, action: Deny}",
        "{action: Allow, ipVersion: 5}",
        "{action: Allow, ipVersion: true}",
        "{action: Allow, protocol: tcp}",
        "{action: Allow, protocol: 256}",
        "{action: Allow, protocol: 010}",
        "{action: Allow, destination: {ports: [80]}}",
        "{action: Allow, protocol: UDPLite, destination: {ports: [80]}}",
        "{action: Allow, protocol: TCP, destination: {ports: [http]}}",
        "{action: Allow, protocol: TCP, destination: {ports: ['9:1']}}",
        "{action: Allow, protocol: TCP, destination: {ports: [0]}}",
        "{action: Allow, protocol: TCP, destination: {ports: [true]}}",
        "{action: Allow, source: {nets: [10.0.0.1]}}",
        "{action: Allow, source: {nets: [10.0.0.1/8]}}",
        "{action: Allow, source: {nets: 10.0.0.0/8}}",
        "{action: Allow, source: {notNets: [0.0.0.0/0]}}",
        "{action: Allow, source: {nets: [10.0.0.0/8]}, destination: {nets: ['fd00::/8']}}",
        "{action: Allow, ipVersion: 6, source: {nets: [10.0.0.0/8]}}",
        "{action: Allow, source: {namespaceSelector: all()}}",
        "{action: Allow, source: {selector: 'has('}}",
        "{action: Allow, icmp: {type: 8}}",
        "{action: Allow, protocol: ICMP, icmp: {code: 0}}",
        "{action: Allow, protocol: ICMP, icmp: {type: 255}}",
        "{action: Allow, protocol: ICMP, ipVersion: 6}",
        "{action: Allow, protocol: !!binary 'MQ=='}",
    ],
)
def test_what_calico_refuses_is_refused(text):
    with pytest.raises(CompileError) as caught:
        rule(text)
    assert [d.code for d in caught.value.diagnostics] == ["CR510"]


@pytest.mark.parametrize(
    "text", ["", "[]", "kind: Profile", "a: b: c", HEAD + "spec: {ingress: {}}", HEAD + "status: {}"]
)
def test_what_is_no_profile_is_refused(text):
    with pytest.raises(CompileError):
        read_calico_v3(text)


@pytest.mark.parametrize(
    ("limit", "taken"),
    [("1/1", True), ("10000/10000", True), ("10001/50", False), ("10/99999", False), ("0/5", False), ("010/5", False)],
)
def test_a_log_limit_is_one_that_an_override_can_say(limit, taken):
    head = HEAD.replace("{name: web}", f"{{name: web, annotations: {{calico-rkt.org/log-limit: '{limit}'}}}}")
    text = head + "spec:\n  labelsToApply: {web: ''}\n"
    if taken:
        assert str(read_calico_v3(text).log_limit) == limit
    else:
        with pytest.raises(CompileError, match="log-limit is"):
            read_calico_v3(text)
