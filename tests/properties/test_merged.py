"""Any rules made fewer for Calico: every packet fares as before, whatever labels its ends have; so does every Log."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.ir.canonical import MERGED
from calico_rkt.compiler.ir.evaluate import evaluate, matches
from calico_rkt.compiler.ir.model import Action, Network
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.calico_v3.parts import split
from calico_rkt.compiler.targets.calico_v3.plan import plan
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from tests.properties.test_targets import IDS, NETS, PORTS, packets, rules

V3 = TARGETS["calico-v3"]
PEERS = (None, {}, *({i: ""} for i in IDS), {"a": "", "b": ""}, {"a": "x", "b": "x", "web": "1"}, {"b": ""})


@st.composite
def lists(draw):
    """A few kinds of rules, each again and again with other nets, ports and actions: much of it can be merged."""
    kinds = draw(st.lists(rules(), min_size=1, max_size=4))
    return tuple(_another(draw, draw(st.sampled_from(kinds))) for _ in range(draw(st.integers(3, 14))))


def _another(draw, rule):
    m = rule.match
    if m.source.nets:
        m = replace(m, source=replace(m.source, nets=(draw(st.sampled_from(NETS[m.ip_version])),)))
    if m.destination.ports:
        m = replace(m, destination=replace(m.destination, ports=(draw(st.sampled_from(PORTS)),)))
    action = draw(st.sampled_from([rule.action, rule.action, Action.ALLOW, Action.DENY]))
    return replace(rule, action=action, match=m)


def anybodys(packet, chance):
    """The packet between ends of a cluster: they may carry labels of several networks, and others' values."""
    ends = (replace(end, labels=chance.choice(PEERS)) for end in (packet.source, packet.destination))
    return replace(packet, **dict(zip(("source", "destination"), ends, strict=True)))


def logged(found, packet):
    """Which Logs the packet comes by, by their number in the list."""
    seen, number = [], 0
    for rule in found:
        if rule.action is Action.LOG:
            number += 1
            seen += [number] if matches(rule, packet) else []
        elif matches(rule, packet):
            break
    return seen


@given(found=lists(), sent=packets(40), chance=st.randoms(use_true_random=True))
@settings(max_examples=300)
def test_a_merged_list_decides_and_logs_every_packet_alike(found, sent, chance):
    merged = plan(found).rules
    assert len(merged) <= len(split(found))
    network = Network("web", "web", ingress=found, egress=found[::-1])
    short = replace(network, ingress=merged, egress=plan(found[::-1]).rules, form=MERGED)
    text = write_calico_v3(short)
    assert V3.differs(network, text) is None
    assert verify_calico_v3(text) == short
    back = V3.read(text)
    for packet in (anybodys(p, chance) for p in sent):
        for meant, said in ((network.ingress, back.ingress), (network.egress, back.egress)):
            one, other = evaluate(meant, packet), evaluate(said, packet)
            assert (one.allowed, one.rule is None) == (other.allowed, other.rule is None), packet
            assert logged(meant, packet) == logged(said, packet), packet


@given(found=lists())
@settings(max_examples=100)
def test_every_rule_is_said_or_left_out(found):
    done = plan(found)
    said = {id(r) for merged in done.written for r in merged.of} | {id(out.rule) for out in done.left_out}
    assert said == {id(r) for r in found}
    kept = {id(r) for merged in done.written for r in merged.of}
    assert all(id(r) in kept for out in done.left_out for r in out.by)


@given(found=lists(), data=st.data(), sent=packets(40), chance=st.randoms(use_true_random=True))
@settings(max_examples=150)
def test_a_damaged_plan_that_passes_the_proof_decides_alike(found, data, sent, chance):
    """A rule that is missing, has another action, or stands elsewhere: refused, or no packet fares otherwise."""
    merged = list(plan(found).rules)
    n = data.draw(st.integers(0, len(merged) - 1))
    rule = merged.pop(n)
    how = data.draw(st.sampled_from(["gone", "turned", "moved"]))
    if how == "turned":
        merged.insert(n, replace(rule, action=Action.DENY if rule.action is Action.ALLOW else Action.ALLOW))
    elif how == "moved":
        merged.insert(data.draw(st.integers(0, len(merged))), rule)
    network = Network("web", "web", ingress=found)
    text = write_calico_v3(replace(network, ingress=tuple(merged), form=MERGED))
    if V3.differs(network, text) is None:
        for packet in (anybodys(p, chance) for p in sent):
            one, other = evaluate(found, packet), evaluate(tuple(merged), packet)
            assert (one.allowed, one.rule is None) == (other.allowed, other.rule is None), (how, packet)
