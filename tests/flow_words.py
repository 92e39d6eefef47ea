"""A flow's words in, what they say out: a reader of the grammar in docs/commands.md, by another hand."""

import re
from dataclasses import dataclass
from ipaddress import ip_network

from calico_rkt.compiler.ir.selector_parser import parse_selector

NAMES = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPv6": 58, "SCTP": 132, "UDPLite": 136}
PORTED, ICMP = (6, 17, 132), (1, 58)
_MORE = re.compile(r"(\d+) more\Z")


class CutError(Exception):
    """The words say how many values they leave out; what they are stands in JSON only."""


@dataclass(frozen=True)
class Read:
    """What the words say; each field a predicate of its value, or None."""

    protocols: frozenset | None = None
    ports: frozenset | None = None
    source_ports: frozenset | None = None
    icmp_types: frozenset | None = None
    icmp_codes: frozenset | None = None
    source: tuple | None = None
    destination: tuple | None = None
    source_selector: object = None
    destination_selector: object = None

    def holds(self, packet):
        if self.protocols is not None and packet.protocol not in self.protocols:
            return False
        for said, value in ((self.ports, packet.destination.port), (self.source_ports, packet.source.port)):
            if said is not None and not (packet.protocol in PORTED and value in said):
                return False
        if self.icmp_types is not None and not (packet.icmp and packet.icmp.type in self.icmp_types):
            return False
        if self.icmp_codes is not None and not (packet.icmp and packet.icmp.code in self.icmp_codes):
            return False
        for said, selector, end in (
            (self.source, self.source_selector, packet.source),
            (self.destination, self.destination_selector, packet.destination),
        ):
            if said is not None and not _inside(said, end.address):
                return False
            if selector is not None and (end.labels is None or not selector.matches(end.labels)):
                return False
        return True


def _inside(said, address):
    nets, not_nets = said
    held = not nets or any(address.version == n.version and address in n for n in nets)
    return held and not any(address.version == n.version and address in n for n in not_nets)


def read_flow(text):
    """`WHAT [port NUMBERS] [type NUMBERS] [code NUMBERS] [from port NUMBERS] [from ...] [to ...]` as a Read."""
    found = {}
    words, *ends = _split(text)
    what = re.fullmatch(r"(.+?)(?: port ([^a-z]*(?:any but )?.*?))?(?: type (.*?))?(?: code (.*?))?", words)
    found["protocols"] = _protocols(what[1])
    for name, part, last in (("ports", 2, 65535), ("icmp_types", 3, 255), ("icmp_codes", 4, 255)):
        if what[part] is not None:
            found[name] = _numbers(what[part], last)
    for preposition, said in ends:
        end = {"from": "source", "to": "destination"}[preposition]
        if preposition == "from" and said.startswith("port "):
            name, value = "source_ports", _numbers(said[len("port ") :], 65535)
        elif said.startswith("endpoints with "):
            name, value = f"{end}_selector", parse_selector(said[len("endpoints with ") :])
        else:
            name, value = end, _addresses(said)
        assert name not in found, f"{name} stands twice: {text}"
        found[name] = value
    for name, allowed in (("ports", PORTED), ("source_ports", PORTED), ("icmp_types", ICMP), ("icmp_codes", ICMP)):
        assert name not in found or (found["protocols"] or {0}) <= set(allowed), text
    return Read(**found)


def _split(text):
    """The words before the first ` from ` or ` to `, then each of these with what follows; not inside quotes."""
    cut = re.compile(r""" (from|to) (?=(?:[^"']|"[^"]*"|'[^']*')*\Z)""")
    parts = cut.split(text)
    return [parts[0], *zip(parts[1::2], parts[2::2], strict=True)]


def _list(text):
    """`A`, `A and B`, `A, B and C`."""
    before, _, last = text.rpartition(" and ")
    items = [*before.split(", "), last] if before else [last]
    if _MORE.match(items[-1]):
        raise CutError(text)
    return items


def _numbers(text, last):
    negated = text.startswith("any but ")
    found = set()
    for item in _list(text.removeprefix("any but ")):
        lo, _, hi = item.partition(":")
        assert int(lo) <= int(hi or lo) <= last, text
        fresh = set(range(int(lo), int(hi or lo) + 1))
        assert not found & fresh, f"said twice: {text}"
        found |= fresh
    return frozenset(set(range(last + 1)) - found if negated else found)


def _protocols(text):
    if text == "everything":
        return None
    found = set()
    for item in _list(text.removeprefix("all but ")):
        found.add(NAMES[item] if item in NAMES else int(re.fullmatch(r"protocol (\d+)", item)[1]))
    assert not text.startswith("all but ") or len(found) < 256
    return frozenset(set(range(256)) - found if text.startswith("all but ") else found)


def _addresses(text):
    said, _, less = text.partition("outside ")
    said = said.strip()
    families = {"anywhere": (), "IPv4": ("0.0.0.0/0",), "IPv6": ("::/0",)}
    nets = families[said] if said in families else _list(said)
    assert text != "anywhere", "says nothing"
    return tuple(map(ip_network, nets)), tuple(map(ip_network, _list(less))) if less else ()
