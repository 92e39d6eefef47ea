"""Any rules as maps of nftables: every packet fares as it does with the rules, and each Log is where it was."""

from unittest.mock import patch

from hypothesis import event, given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import Action, Match, Network, Rule, Side
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.nftables import by_ports, write
from calico_rkt.compiler.targets.nftables import plan as planning
from tests.properties.test_targets import NETS, PORTS, SELECTORS, packets, rules

NFT = TARGETS["nftables"]
lists = st.lists(rules(), min_size=3, max_size=12).map(tuple)


@given(found=lists, sent=packets(40))
@settings(max_examples=120)
def test_a_list_written_as_maps_decides_every_packet_alike(found, sent):
    network = Network("web", "web", ingress=found, egress=found[::-1])
    with patch.object(write, "FEW", 1):
        text = write.write_nftables(network)
    assert NFT.differs(network, text) is None
    back = NFT.read(text)
    for packet in sent:
        for meant, said in ((network.ingress, back.ingress), (network.egress, back.egress)):
            assert evaluate(meant, packet).allowed is evaluate(said, packet).allowed
            assert _logged(meant, packet) == _logged(said, packet)


def _logged(found, packet):
    """The protocols of the Logs that a packet comes by; a Log about several peers may be several lines."""
    seen = set()
    for rule in found:
        if rule.action is Action.LOG:
            if evaluate((Rule(Action.ALLOW, rule.match),), packet).allowed:
                seen.add(rule.match.protocol)
        elif evaluate((Rule(Action.ALLOW, rule.match),), packet).allowed:
            break
    return seen


@given(found=lists, data=st.data())
@settings(max_examples=60)
def test_a_plan_with_one_element_of_another_fate_is_refused(found, data):
    """Whatever the planner does wrong, the proof in front of the output sees it."""
    parts = list(planning.plan(found, 1))
    maps = [m for m in parts if not isinstance(m, Rule)]
    if not maps:
        return
    broken = data.draw(st.sampled_from(maps))
    at = data.draw(st.integers(0, len(broken.elements) - 1))
    verdict = {Action.ALLOW: Action.DENY, Action.DENY: Action.ALLOW}
    turned = planning.Element(
        broken.elements[at].values,
        tuple(Rule(verdict[rule.action], rule.match) for rule in broken.elements[at].rules),
    )
    elements = (*broken.elements[:at], turned, *broken.elements[at + 1 :])
    new = planning.Map(broken.version, broken.protocol, broken.source, broken.destination, broken.dimensions, elements)
    network = Network("web", "web", ingress=found)
    with patch.object(write, "planned", lambda rules: [new if p is broken else p for p in parts] if rules else ()):
        text = write.write_nftables(network)
    # Where there are several maps, one may hold what an earlier one has decided.
    assert NFT.differs(network, text) is not None or len(maps) > 1


_MAPPED = rules().filter(planning._mappable)
_ABOUT_PORTS = st.builds(
    lambda action, selector, protocol, found: Rule(
        action, Match(None, protocol, source=Side(selector=selector), destination=Side(ports=found))
    ),
    st.sampled_from([Action.ALLOW, Action.DENY]),
    st.sampled_from([None, *SELECTORS]),
    st.sampled_from([6, 17]),
    st.lists(st.sampled_from(PORTS), min_size=1, max_size=2, unique=True).map(tuple),
)
_NETS = st.sampled_from([4, 6]).flatmap(
    lambda version: st.builds(
        lambda action, source: Rule(action, Match(version, source=Side(nets=(source,)))),
        st.sampled_from([Action.ALLOW, Action.DENY]),
        st.sampled_from(NETS[version]),
    )
)
_INIT = planning._Run.__init__


def _with_room(run, found, **more):
    _INIT(run, found, **more)
    run.count = run.left = 10**6


@given(
    found=st.lists(_ABOUT_PORTS | _NETS | _MAPPED, min_size=3, max_size=14).map(tuple),
    sent=packets(40),
    most=st.integers(1, 4),
    lines=st.sampled_from([0, 1, 5]),
    cuts=st.sampled_from([-1, 0]),
)
@settings(max_examples=120)
def test_a_list_that_is_led_by_ports_decides_every_packet_alike(found, sent, most, lines, cuts):
    """However few are in a class, and whatever of the other rules is asked before one of its lines."""
    network = Network("web", "web", ingress=found, egress=found[::-1])
    with (
        patch.multiple(by_ports, _FEW_CUTS=cuts, _IN_A_CLASS=most, _BETWEEN=lines, _price=lambda _: -1),
        patch.object(planning._Run, "__init__", _with_room),
        patch.object(write, "FEW", 1),
    ):
        text = write.write_nftables(network)
    event(f"led: {' goto ' in text}")
    assert NFT.differs(network, text) is None
    back = NFT.read(text)
    for packet in sent:
        for meant, said in ((network.ingress, back.ingress), (network.egress, back.egress)):
            assert evaluate(meant, packet).allowed is evaluate(said, packet).allowed
