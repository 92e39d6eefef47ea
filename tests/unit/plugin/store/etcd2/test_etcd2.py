"""The 2015 data model without an etcd: names, values, the search for an address, and the order of an apply."""

import json
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest

from calico_rkt.compiler.conf.netconf import Range
from calico_rkt.compiler.ir.canonical import MERGED, digest
from calico_rkt.compiler.ir.model import Action, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import any_of, has
from calico_rkt.compiler.packets.compare import newly_allowed
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link.pair import host_ifname
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.etcd2 import keys, profiles
from calico_rkt.plugin.store.etcd2.hints import Hints
from calico_rkt.plugin.store.etcd2.spans import spans_of
from calico_rkt.plugin.store.etcd2.steps import Step, Swap, decode_steps, encode_steps, ordered
from calico_rkt.plugin.store.etcd2.values import (
    assignment_value,
    endpoint_value,
    holder_words,
    node_of,
    nonce_of,
    profiles_of,
    read_endpoint,
)

KEY = Key("My_Net", "Cont_A", "eth0")
ENDPOINT = Endpoint(
    KEY, "0123456789abcdef", "/run/netns/a", 4, 77, host_ifname(KEY, "cali"), "aa:bb:cc:dd:ee:ff",
    (ip_address("10.1.0.9"), ip_address("fd00::9")),
)  # fmt: skip
TCP_80 = Match(protocol=6, destination=Side(ports=(PortRange(80, 80),)))
ALL, WEB = Rule(Action.ALLOW), Rule(Action.ALLOW, TCP_80)
NO_WEB = (Rule(Action.DENY, TCP_80), ALL)


def net(name, ingress, egress):
    return Network(name, name, tuple(ingress), tuple(egress))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"calico_rkt":' * 100_000])
def test_what_is_nested_too_deep_is_as_what_is_no_json(text):
    assert (nonce_of(text), profiles_of(text), read_endpoint(text, "boot")) == ("", (), None)
    assert decode_steps(text) == ("", ())
    with pytest.raises(CniError) as refused:
        profiles.read("web", text, text, 7)
    assert refused.value.code == 106


@pytest.mark.parametrize(("key", "old", "new"), [(1, "a", "b"), ("/k", 1, "b"), ("/k", None, None), ([], "a", "b")])
def test_steps_that_are_no_texts_are_no_steps(key, old, new):
    assert decode_steps(json.dumps({"node": "n", "steps": [{"key": key, "old": old, "new": new}]})) == ("", ())
    assert decode_steps(encode_steps("n", [Step("/k", None, "b")])) == ("n", (Step("/k", None, "b"),))


def test_a_note_of_more_digits_than_a_number_has_is_none():
    text = profiles.rules_value(net("web", [ALL], [ALL]))
    noted = json.dumps(
        {**json.loads(text), "calico_rkt": {**json.loads(text)["calico_rkt"], "parts": f"{'9' * 5000}|1"}}
    )
    with pytest.raises(CniError) as refused:
        profiles.read("web", '["web"]', noted, 7)
    assert refused.value.code == 106


def test_the_interface_is_named_after_the_endpoint_as_in_2015():
    assert ENDPOINT.host_ifname == f"cali{keys.endpoint_id(KEY)[:11]}"
    assert keys.is_endpoint(keys.endpoint("node1", KEY))
    assert not keys.is_endpoint("/calico/v1/host/node1/config/marker")


def test_an_endpoint_is_read_back_as_it_was_written_and_of_another_boot_has_no_netns():
    text = endpoint_value(ENDPOINT, {4: ip_address("192.0.2.1")}, "boot-1")
    assert read_endpoint(text, "boot-1") == ENDPOINT
    after = read_endpoint(text, "boot-2")
    assert (after.netns_dev, after.netns_inode) == (-1, -1)
    value = json.loads(text)
    assert (value["ipv4_gateway"], value["ipv6_gateway"]) == ("192.0.2.1", None)
    assert json.loads(endpoint_value(ENDPOINT, {}, "b"))["ipv4_gateway"] == "169.254.1.1"


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"calico_rkt": 1}', '{"state": "active"}'])
def test_what_others_wrote_is_nobody_of_ours(text):
    assert read_endpoint(text, "b") is None
    assert nonce_of(text) == node_of(text) == ""
    assert profiles_of(text) == ()
    assert holder_words(text) == "another program"


def test_an_assignment_says_whose_it_is():
    text = assignment_value(ENDPOINT, "node1")
    assert (nonce_of(text), node_of(text)) == (ENDPOINT.nonce, "node1")
    assert "Cont_A" in holder_words(text)


def test_profiles_of_the_oldest_plugins_count():
    assert profiles_of('{"profile_id": "a"}') == ("a",)
    assert profiles_of('{"profile_ids": ["a", "b"]}') == ("a", "b")


def many(name="web"):
    """A network whose rules become several in a model of one address and one tag a rule."""
    nets = tuple(map(ip_network, ("10.0.0.0/8", "192.0.2.0/24")))
    side = Side(nets=nets, selector=any_of([has("db"), has(name)]))
    split = Match(ip_version=4, protocol=6, source=side, destination=Side(nets=nets, ports=(PortRange(80, 90),)))
    one = Rule(Action.ALLOW, Match(ip_version=4, source=Side(nets=nets[:1])))
    other = replace(one, match=replace(one.match, source=Side(nets=nets[1:])))
    return net(name, (one, other, Rule(Action.DENY, split)), (ALL,))


@pytest.mark.parametrize("network", [net("web", (ALL,), ()), net("web", (), ()), many(), replace(many(), form=MERGED)])
def test_a_profile_is_read_back_with_its_own_digest(network):
    rules = profiles.rules_value(network)
    found = profiles.read("web", '["web"]', rules, 7)
    assert found.digest == digest(network)
    assert found.text == write_calico_v3(network)
    assert verify_calico_v3(found.text) == network
    assert found.revision == 7


def changed(value, **more):
    rules = json.loads(value)
    return json.dumps({**rules, **more})


@pytest.mark.parametrize(
    ("tags", "edit"),
    [
        ('["web"]', {"inbound_rules": []}),
        ('["web"]', {"calico_rkt": {"network": "web", "digest": "sha256:0"}}),
        ('["web"]', {"calico_rkt": {}}),
        ('["web"]', {"id": "db"}),
        ('["web", "db"]', {}),
        ("nonsense", {}),
    ],
)
def test_a_profile_that_was_edited_is_used_for_nothing(tags, edit):
    with pytest.raises(CniError) as e:
        profiles.read("web", tags, changed(profiles.rules_value(many()), **edit), 1)
    assert e.value.code == 106


@pytest.mark.parametrize("parts", ["", "1|", "9,9|1", "0,2,8|1", "x|y", "1,1,8|0"])
def test_a_wrong_count_of_parts_is_an_edit(parts):
    rules = json.loads(profiles.rules_value(many()))
    rules["calico_rkt"]["parts"] = parts
    with pytest.raises(CniError):
        profiles.read("web", '["web"]', json.dumps(rules), 1)


RANGE = Range(ip_network("10.1.0.0/29"), ip_address("10.1.0.1"), ip_address("10.1.0.6"), ip_address("10.1.0.1"))
SECOND = Range(ip_network("10.2.0.0/30"), ip_address("10.2.0.1"), ip_address("10.2.0.2"))


def test_a_ring_is_walked_once_without_gateways_and_what_is_excluded():
    spans = spans_of((RANGE, SECOND), [ip_network("10.1.0.4/31")], [ip_address("10.2.0.1")])
    assert spans.size == 8
    assert sorted(map(str, spans.free((), 99))) == ["10.1.0.2", "10.1.0.3", "10.1.0.6", "10.2.0.2"]
    assert list(map(str, spans.free({"10.1.0.2", "10.1.0.6", "10.2.0.2"}, 99))) == ["10.1.0.3"]
    assert str(spans.following(ip_address("10.1.0.3"))) == "10.1.0.6"
    assert str(spans.following(ip_address("10.1.0.6"))) == "10.2.0.2"
    assert str(spans.following(ip_address("10.2.0.2"))) == "10.1.0.2"
    assert spans.following(ip_address("192.0.2.1")) is not None
    assert not spans.holds(ip_address("10.1.0.1"))
    assert set(spans.chance(50)) == set(spans.free((), 99))


def test_a_ring_of_nothing_and_a_huge_one_end():
    all_of_it = spans_of((RANGE,), [ip_network("10.1.0.0/24")], [])
    assert all_of_it.free((), 9) == ()
    assert all_of_it.following(None) is None
    assert list(all_of_it.chance(3)) == []
    six = Range(ip_network("fd00::/64"), ip_address("fd00::1"), ip_address("fd00::ffff:ffff:ffff:ffff"))
    huge = spans_of((six,), [ip_network("fd00::/65")], [])
    assert len(huge.free(set(), 256)) == 256
    assert all(a in ip_network("fd00::8000:0:0:0/65") for a in huge.chance(5))


def test_hints_are_given_to_one_caller_each_and_survive_damage(tmp_path):
    spans = spans_of((RANGE,), [], [])
    hints = Hints(tmp_path, "10.1.0.0-29")
    hints.took("net1/0", ip_address("10.1.0.3"))
    claimed = [str(hints.claim("net1/0", spans.following)) for _ in range(4)]
    assert claimed == ["10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.2"]
    hints.given_back(ip_address("10.1.0.5"))
    assert hints.one_free() is None
    hints.seen_free([ip_address("10.1.0.4")])
    hints.given_back(ip_address("10.1.0.5"))
    assert [str(hints.one_free()) for _ in range(3)] == ["10.1.0.4", "10.1.0.5", "None"]
    (tmp_path / "10.1.0.0-29.json").write_text("{damaged")
    assert hints.one_free() is None
    assert hints.claim("net1/0", spans.following) is not None


def test_hints_that_can_not_be_kept_are_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    hints = Hints(tmp_path / "file", "pool")
    assert hints.one_free() is None
    hints.took("net1/0", ip_address("10.1.0.3"))


def swap(old, new):
    return Swap(keys.rules(new.id), profiles.rules_value(old) if old else None, old, new)


def policies(steps, olds):
    """What is in force before the first step and after each."""
    now = {keys.rules(n.id): n for n in olds}
    yield dict(now)
    for step in steps:
        value = profiles.read(step.key.split("/")[-2], json.dumps([step.key.split("/")[-2]]), step.new, 1)
        now[step.key] = verify_calico_v3(value.text)
        yield dict(now)


def adds(old, new):
    pairs = ((old.ingress, new.ingress), (old.egress, new.egress))
    return any(newly_allowed(a, b, frozenset()) is not None for a, b in pairs)


@pytest.mark.parametrize("backwards", [False, True])
def test_no_step_of_an_apply_allows_what_neither_the_old_nor_the_new_state_does(backwards):
    olds = [
        net("less", (ALL,), (ALL,)), net("more", (), (WEB,)), net("both", (WEB,), (ALL,)),
        net("mixed", NO_WEB, (WEB,)), net("same", (ALL,), ()),
    ]  # fmt: skip
    news = [
        net("less", (WEB,), NO_WEB), net("more", (WEB,), (ALL,)), net("both", (ALL,), ()),
        net("mixed", (WEB,), NO_WEB), net("same", (ALL,), ()),
    ]  # fmt: skip
    swaps = [swap(o, n) for o, n in zip(olds, news, strict=True) if o != n]
    steps = ordered(swaps[::-1] if backwards else swaps)
    states = list(policies(steps, olds))
    old_of, new_of = ({keys.rules(n.id): n for n in some} for some in (olds, news))
    assert states[-1] == new_of
    under_old = [not any(adds(old_of[k], n) for k, n in state.items()) for state in states]
    under_new = [not any(adds(new_of[k], n) for k, n in state.items()) for state in states]
    assert all(a or b for a, b in zip(under_old, under_new, strict=True))
    assert all(len([k for k in a if a[k] != b[k]]) == 1 for a, b in pairwise(states))


def test_a_single_profile_is_one_write():
    (step,) = ordered([swap(net("mixed", NO_WEB, (WEB,)), net("mixed", (WEB,), NO_WEB))])
    assert step.new == profiles.rules_value(net("mixed", (WEB,), NO_WEB))
    (step,) = ordered([swap(None, net("new", (WEB,), ()))])
    assert step.old is None


def test_a_profile_that_can_not_be_judged_is_closed_before_it_is_replaced():
    unread = Swap(keys.rules("x"), "somebody's own", None, net("x", (WEB,), ()))
    steps = ordered([unread, swap(net("y", (), ()), net("y", (ALL,), ()))])
    assert [s.key for s in steps] == [keys.rules("x"), keys.rules("x"), keys.rules("y")]
    assert json.loads(steps[0].new)["inbound_rules"] == []


def test_noted_steps_are_read_back_and_damage_is_none():
    steps = (Step("/a", None, "1"), Step("/b", "x", "y"))
    assert decode_steps(encode_steps("node1", steps)) == ("node1", steps)
    for text in ("", "{}", '{"node": "n"}', '{"node": "n", "steps": [{}]}', "[]"):
        assert decode_steps(text) == ("", ())


def test_python_etcd_comes_without_dnspython():
    script = "import sys, calico_rkt.plugin.store.etcd2.client; print(any(m[:3] == 'dns' for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
