"""Any rules as maps of nftables: every packet fares as it does with the rules, and each Log is where it was."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import Action, Network, Rule
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.nftables import plan as planning
from calico_rkt.compiler.targets.nftables import write
from tests.properties.test_targets import packets, rules

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
