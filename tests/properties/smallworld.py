"""A small world for the review's properties: who is in it, all its packets, its policies, and their plain meaning.

What is drawn is flat and its first choice is the plainest, so that a failure shrinks to a few rules in seconds.
"""

from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address, ip_network
from itertools import combinations, product

from hypothesis import strategies as st

from calico_rkt.compiler.ir.evaluate import End, Packet
from calico_rkt.compiler.ir.model import Action, Icmp, Match, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.ir.selector_parser import parse_selector
from tests.worlds import conf, plain_verdict, world

NAMES = ("web", "db", "ext")
OTHERS = "other endpoints"
RANGES = {"web": ("10.1.0.0/24", "fd00:1::/64"), "db": ("10.2.0.0/24",), "ext": ()}
"""ext has delegated ipam."""
MOVES = {
    "web": [("10.1.0.0/25", "fd00:1::/64"), ("10.1.0.0/24",), ("10.9.0.0/24",)],
    "db": [("10.2.0.0/25",), ("10.2.0.0/24", "2001:db8::/64"), ()],
    "ext": [("10.7.0.0/24",), ("192.0.2.0/25", "10.1.0.128/25")],
}
"""Other ranges that their confs may have had; some take addresses of another network, or of the outside."""
_NETS = [ip_network(n) for n in ("10.0.0.0/8", "10.1.0.0/25", "10.2.0.0/24", "192.0.2.0/24", "fd00::/8")]
_NETS.append(ip_network("2001:db8::/32"))
PORTS = [PortRange(80, 80), PortRange(1, 1023), PortRange(1024, 65535)]
_SELECTORS = [parse_selector(s) for s in ("has(web)", "has(web) || has(db)", 'role == "x"', "!has(db)", "all()")]
ADDRESSES = {
    "web": ("10.1.0.5", "10.1.0.200", "10.9.0.9", "fd00:1::5"),
    "db": ("10.2.0.5", "10.2.0.127", "192.0.2.7", "2001:db8::7"),
    "ext": ("10.7.0.1", "192.0.2.7", "10.1.0.200", "2001:db8::7"),
    OTHERS: ("10.1.0.5", "192.0.2.7", "fd00:1::5"),
    "outside": ("9.9.9.9", "10.9.0.9", "10.2.0.127", "192.0.2.7", "2001:db8::7"),
    "host": ("9.9.9.9", "192.0.2.7", "2001:db8::7"),
}
"""Those that a party may have, in one or another revision."""
_KINDS = [(6, 80, None), (6, 2000, None), (17, 80, None), (99, 0, None)]
_KINDS += [(1, 0, Icmp(8, 0)), (1, 0, Icmp(9, 1)), (58, 0, Icmp(135, 0)), (58, 0, Icmp(128, 0))]


@dataclass(frozen=True)
class Drawn:
    """A network before it is compiled: its ranges, its lists, endpoint_to_host, and where it is kept."""

    ranges: tuple[str, ...]
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    to_host: ToHost = ToHost.DROP
    store: str = "local"


def pick(*choices):
    return st.sampled_from(choices)


_SEVERAL_NETS = pick((), (), *((n,) for n in _NETS), *combinations(_NETS, 2))
_ONE_SELECTOR = pick(None, None, None, *_SELECTORS)
_SIDES = st.just(Side()) | st.builds(
    Side,
    nets=_SEVERAL_NETS,
    not_nets=pick((), (), (), *((n,) for n in _NETS)),
    selector=_ONE_SELECTOR,
    not_selector=_ONE_SELECTOR,
)
_WHAT = pick(
    *[Match()] * 4,
    *(Match(protocol=p) for p in (6, 17, 1, 58)),
    *(Match(protocol=p, destination=Side(ports=(r,))) for p in (6, 17) for r in PORTS),
    *(Match(protocol=6, destination=Side(ports=both)) for both in combinations(PORTS, 2)),
    *(Match(protocol=p, icmp=Icmp(t)) for p in (1, 58) for t in (8, 128, 135)),
)


def _rule(action, what, source, destination):
    there = replace(destination, ports=what.destination.ports)
    return Rule(action, replace(what, source=source, destination=there))


RULES = st.builds(_rule, pick(Action.ALLOW, Action.ALLOW, Action.DENY, Action.LOG), _WHAT, _SIDES, _SIDES)
LISTS = st.builds(lambda rules, end: (*rules, *end), st.lists(RULES, max_size=2), pick((), (Rule(Action.ALLOW),)))
"""Half of them let through what no rule is about, so that more than a rule or two can be seen to matter."""
_TO_HOST = pick(*ToHost)


@st.composite
def networks(draw):
    """All three networks, with their usual ranges."""
    return {name: Drawn(RANGES[name], draw(LISTS), draw(LISTS), draw(_TO_HOST)) for name in NAMES}


@st.composite
def edited(draw, before, mortal=NAMES):
    """What a few edits make of networks, from one rule to a network that is gone."""
    after = dict(before)
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)):
        if name not in after:
            continue
        d = after[name]
        side = draw(pick("ingress", "egress"))
        rules = getattr(d, side)
        at = draw(st.integers(0, len(rules)))
        edit = draw(pick("to_host", "to_host", "add", "drop", "move", "list", "rules", "ranges", "store", "gone"))
        if edit == "to_host":
            after[name] = replace(d, to_host=draw(pick(*(t for t in ToHost if t is not d.to_host))))
        elif edit == "add":
            after[name] = replace(d, **{side: (*rules[:at], draw(RULES), *rules[at:])})
        elif edit == "drop":
            after[name] = replace(d, **{side: (*rules[:at], *rules[at + 1 :])})
        elif edit == "move":
            after[name] = replace(d, **{side: (*rules[at:], *rules[:at])})
        elif edit == "list":
            after[name] = replace(d, **{side: draw(LISTS)})
        elif edit == "rules":
            after[name] = replace(d, ingress=draw(LISTS), egress=draw(LISTS), to_host=draw(_TO_HOST))
        elif edit == "ranges":
            after[name] = replace(d, ranges=draw(pick(*MOVES[name])))
        elif edit == "store":
            after[name] = replace(d, store="etcdv3")
        elif len(after) > 1 and name in mortal:
            del after[name]
    return after


BEFORE_AND_AFTER = networks().flatmap(lambda before: st.tuples(st.just(before), edited(before)))
"""Either may be the older one."""
TODAY = networks().flatmap(lambda before: edited(before, mortal=("ext",)))
"""Where no rule names a network that is gone: its label would be one more that a flow may have to name."""


def _labels(name):
    if name in ("outside", "host"):
        return [None]
    own = {name: ""} if name in NAMES else {}
    return [own, {**own, "role": "x"}]


@cache
def packets(source, destination):
    """Every packet of the small world that the one could send to the other, in any revision."""
    pairs = product(ADDRESSES[source], ADDRESSES[destination], _labels(source), _labels(destination), _KINDS)
    return tuple(
        Packet(End(a, from_, 5000 if port else 0), End(b, to, port), protocol, icmp)
        for a, b, from_, to, (protocol, port, icmp) in ((ip_address(x), ip_address(y), *rest) for x, y, *rest in pairs)
        if a.version == b.version and (protocol, a.version) not in ((1, 6), (58, 4))
    )


class SmallWorld:
    """The World of Drawn networks by name, and beside it the plain meaning of docs/semantics.md, over whole lists."""

    def __init__(self, drawn):
        self.drawn = drawn
        self._nets = {name: [ip_network(n) for n in d.ranges] for name, d in drawn.items()}
        confs = [conf(name, *self._nets[name], datastore=d.store) for name, d in drawn.items()]
        self.world = world(confs, {name: (d.ingress, d.egress, d.to_host) for name, d in drawn.items()})
        self._has = cache(self._asked)

    def _asked(self, party, address, owned):
        holding = {
            name: [n for n in nets if address.version == n.version and address in n]
            for name, nets in self._nets.items()
        }
        if party in NAMES and party not in self.drawn:
            return False
        if party == OTHERS or (party in ("outside", "host") and not owned):
            return True
        if party in NAMES and self._nets[party]:
            # A subnet's own address is nobody's, as is its broadcast.
            return any(address != n[0] and (n.version == 6 or address != n[-1]) for n in holding[party])
        return not any(holding.values())

    def has(self, party, address):
        """Whether the party could have the address."""
        return self._has(party, address, True)

    def exists(self, source, destination, packet, owned=True):
        """Whether there is such a packet between the two. Without owned, the outside and the host have any address."""
        ends = (source, packet.source.address), (destination, packet.destination.address)
        if packet.source.address == packet.destination.address:
            return False  # an address is one endpoint's
        return all(self._has(party, address, owned) for party, address in ends)

    def apart(self, source, destination):
        """Whether they are networks of two datastores."""
        stores = {self.drawn[name].store for name in (source, destination) if name in self.drawn}
        return len(stores) > 1

    def verdict(self, source, destination, packet):
        """None: left to the host."""
        networks = self.world.networks
        felix = source in NAMES and self.drawn[source].store != "local"
        return plain_verdict(
            packet,
            networks.get(source),
            networks.get(destination),
            from_host=source == "host",
            to_host=destination == "host",
            felix=felix,
            apart=self.apart(source, destination),
        )
