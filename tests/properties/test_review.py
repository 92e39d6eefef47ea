"""Scenes, matrices, explanations, diffs and tests beside the plain evaluator over every packet of a small world."""

from ipaddress import ip_network
from itertools import product

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd
from calico_rkt.compiler.ir.evaluate import matches
from calico_rkt.compiler.ir.model import Action, Match, NameRef, Rule, Side
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.packets.ranges import example
from calico_rkt.compiler.packets.simplify import readable
from calico_rkt.compiler.review.diff import diff_worlds
from calico_rkt.compiler.review.expect import outcome
from calico_rkt.compiler.review.explain import cases
from calico_rkt.compiler.review.flows import flow
from calico_rkt.compiler.review.matrix import matrix_of
from calico_rkt.compiler.review.pair import Scene, closed
from calico_rkt.compiler.review.parties import Kind
from tests.properties.smallworld import (
    BEFORE_AND_AFTER,
    NAMES,
    OTHERS,
    PORTS,
    RANGES,
    TODAY,
    Drawn,
    SmallWorld,
    packets,
)
from tests.worlds import within

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
"""Without that which explains a failure: it traces every line, and with it shrinking takes minutes."""
RANK = {False: 0, None: 1, True: 2}
ENDS = st.sampled_from(
    [
        *(ExpectedEnd(word=w) for w in ("any", "outside", "host", "endpoints")),
        ExpectedEnd(networks=(NameRef("web"),)),
        ExpectedEnd(networks=(NameRef("web"), NameRef("db"))),
        ExpectedEnd(net=ip_network("192.0.2.0/24")),
        ExpectedEnd(net=ip_network("10.1.0.0/25")),
    ]
)
WHAT = st.sampled_from(
    [Match(), Match(protocol=6), Match(protocol=6, destination=Side(ports=(PORTS[0],))), Match(protocol=1)]
)
ALL = Expectation("all", ExpectedEnd(word="any"), ExpectedEnd(word="any"), Action.ALLOW)


def pairs(*worlds):
    """The names of the parties of any of them, in pairs that a policy could be asked about."""
    names = dict.fromkeys(p.name for w in worlds for p in w.world.parties)
    return ((a, b) for a, b in product(names, names) if a in NAMES or b in NAMES)


@given(TODAY)
@settings(max_examples=60, phases=PHASES)
def test_the_fate_of_every_packet_is_what_both_lists_say(drawn):
    w = SmallWorld(drawn)
    for view in w.world.views():
        source, destination = view.source.name, view.destination.name
        scene = Scene([view], w.world.own, w.world.known)
        budget = Budget()
        parts = [p for u in scene.universes[0] for p in scene.fates(0, u, budget)]
        for piece, fate in parts:
            one = example(scene.space, piece)
            assert w.exists(source, destination, one), one
            assert w.verdict(source, destination, one) is fate.allowed, one
        allowed = [p for p, fate in parts if fate.allowed is not False]
        if closed(view, w.world.own):
            assert not allowed
            assert not scene.nobody(0)
        flows = [
            flow(scene.space, b, scene.universes[0]) for b in readable(scene.space, allowed, scene.universes[0], budget)
        ]
        for packet in packets(source, destination):
            if w.exists(source, destination, packet):
                passes = w.verdict(source, destination, packet) is not False
                assert sum(within(f, packet) for f in flows) == passes, (source, destination, packet)


@given(TODAY)
@settings(max_examples=60, phases=PHASES)
def test_matrix_and_explain_say_of_every_packet_what_both_lists_say(drawn):
    w = SmallWorld(drawn)
    table = matrix_of(w.world)
    answers = list(cases(w.world, ALL))
    for source, destination in pairs(w):
        cell = table.cells[source, destination]
        mine = [c for c in answers if (c.source, c.destination) == (source, destination)]
        fates = set()
        for packet in packets(source, destination):
            if w.exists(source, destination, packet):
                said = w.verdict(source, destination, packet)
                fates.add(said)
                passes = sum(within(f, packet) for f in cell.flows)
                assert passes == (said is not False), (source, destination, packet)
                left = sum(within(f, packet) for f in cell.left)
                assert left == (said is None), (source, destination, packet)
                if source != "host":  # whom every container has to let in, so that `any` does not mean it
                    told = [c.fate.allowed for c in mine for f in c.flows if within(f, packet)]
                    assert told == [said], (source, destination, packet)
        assert cell.unsure or None not in fates, (source, destination)
        assert not (cell.everything and False in fates), (source, destination)
    for c in answers:
        assert w.verdict(c.source, c.destination, c.example) is c.fate.allowed, c


@given(BEFORE_AND_AFTER, st.booleans(), st.none() | st.tuples(ENDS, ENDS, WHAT, st.lists(WHAT, max_size=1)))
@settings(max_examples=100, phases=PHASES)
def test_a_diff_holds_exactly_the_packets_whose_fate_changed(drawn, back, agreed):
    old, new = map(SmallWorld, reversed(drawn) if back else drawn)
    excused = [Expectation("e", *agreed[:2], Action.ALLOW, (agreed[2],), tuple(agreed[3]))] if agreed else []
    found = diff_worlds(old.world, new.world, None, excused)
    assert not found.undecided

    def seen(w, owned):
        return w.exists(source, destination, packet, owned) and w.verdict(source, destination, packet)

    for source, destination in pairs(old, new):
        if source == "host":  # it reaches its own containers always, and no policy changes that
            continue
        here = [c for c in found.changes if source in c.sources and destination in c.destinations]
        for packet in packets(source, destination):
            told = [(c.widened, c.before.allowed, c.after.allowed) for c in here if within(c.flow, packet)]
            said, wanted = set(told), set()
            assert len(told) == len(said), "two flows hold the packet"
            # Whoever is outside may have had the address before, too, when it was a network's.
            for widened, mine, other in ((True, new, old), (False, old, new)):
                if not mine.exists(source, destination, packet):
                    said = {s for s in said if s[0] is not widened}  # a flow may name addresses that nobody has
                    continue
                here_, there = seen(mine, owned=True), seen(other, owned=False)
                if RANK[here_] > RANK[there] and not (widened and excuses(excused, source, destination, packet)):
                    wanted.add((True, there, here_) if widened else (False, here_, there))
            assert said == wanted, (source, destination, packet)
    for c in found.changes:
        source, destination, packet = c.sources[0], c.destinations[0], c.example
        assert seen(old, owned=not c.widened) is c.before.allowed
        assert seen(new, owned=c.widened) is c.after.allowed
    assert diff_worlds(old.world, old.world).changes == diff_worlds(new.world, new.world).changes == ()


def excuses(excused, source, destination, packet):
    return any(
        meant(e.source, source, packet.source.address)
        and meant(e.destination, destination, packet.destination.address)
        and any(matches(Rule(Action.ALLOW, m), packet) for m in e.matches)
        and not any(matches(Rule(Action.ALLOW, m), packet) for m in e.exceptions)
        for e in excused
    )


def test_parties_of_the_small_world():
    w = SmallWorld({name: Drawn(RANGES[name]) for name in NAMES})
    assert [p.kind for p in w.world.parties] == [Kind.NETWORK] * 3 + [Kind.OUTSIDE, Kind.HOST]
    assert matches(Rule(Action.ALLOW), packets("web", "db")[0])


def meant(end, party, address):
    """The ends' meaning in docs/overrides.md."""
    if end.networks:
        return party in {n.name for n in end.networks}
    if end.net:
        return party != "host" and address.version == end.net.version and address in end.net
    everybody = {"outside": ["outside"], "host": ["host"], "endpoints": [*NAMES, OTHERS]}
    return end.word == "any" or party in everybody[end.word]


@given(TODAY, ENDS, ENDS, WHAT, st.lists(WHAT, max_size=1), st.sampled_from([Action.ALLOW, Action.DENY]))
@settings(max_examples=120, phases=PHASES)
def test_an_expectation_fails_exactly_where_a_packet_of_its_set_does(drawn, source, destination, what, less, wanted):
    w = SmallWorld(drawn)
    asked = Expectation("e", source, destination, wanted, (what,), tuple(less))

    def spared(party, end):
        """What has to be allowed need not be so to endpoints of networks that are not here."""
        return wanted is Action.ALLOW and (party, end.word) == (OTHERS, "endpoints")

    found, thorough = outcome(w.world, asked), outcome(w.world, asked, all_deciders=True)
    assert (found.verdict, found.problem) == (thorough.verdict, thorough.problem)
    violated = False
    senders = [(OTHERS, n) for n in w.world.networks] if source.word in ("endpoints", "any") else []
    for a, b in sorted({*pairs(w), *(senders if wanted is Action.DENY else [])}):
        if (a == "host" and source.word != "host") or spared(a, source) or spared(b, destination):
            continue
        for p in packets(a, b):
            inside = matches(Rule(wanted, what), p) and not any(matches(Rule(wanted, m), p) for m in less)
            if inside and meant(source, a, p.source.address) and meant(destination, b, p.destination.address):
                bad = w.exists(a, b, p) and w.verdict(a, b, p) is not (wanted is Action.ALLOW)
                violated = violated or bad
    if violated:
        assert found.failure is not None
    if found.failure is not None:
        f = found.failure
        assert not spared(f.source, source)
        assert not spared(f.destination, destination)
        assert w.verdict(f.source, f.destination, f.packet) is f.fate.allowed is not (wanted is Action.ALLOW)
        assert w.exists(f.source, f.destination, f.packet)
        assert meant(source, f.source, f.packet.source.address)
        assert meant(destination, f.destination, f.packet.destination.address)
        assert matches(Rule(wanted, what), f.packet)
        assert not any(matches(Rule(wanted, m), f.packet) for m in less)
