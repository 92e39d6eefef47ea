"""A condition of a rule, as nft's JSON has it, and a packet in; whether it holds (None: not known) out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.ir.model import ICMP, ICMPV6, SCTP, TCP, UDP
from calico_rkt.compiler.targets.nftables.json_words import value_words
from calico_rkt.plugin.attest.bare import is_unread
from calico_rkt.plugin.attest.everybody import Everybody
from calico_rkt.plugin.attest.packet import Kind, Packet
from calico_rkt.plugin.attest.ruleset import EVERY_KEY, Set
from calico_rkt.plugin.attest.verdict_maps import VerdictMap, in_range, is_like, kind_and_number, range_of

_STATES = {Kind.INVALID: 1, Kind.REPLY: 2, Kind.LATER: 2, Kind.ERROR: 4, Kind.NEW: 8}
_UNTRACKED = 64
NOT_TRACKED = frozenset({*range(130, 138), 143})
"""ICMPv6 that conntrack leaves alone."""
_TRANSPORTS = {"tcp": (TCP,), "udp": (UDP,), "sctp": (SCTP,), "th": (TCP, UDP, SCTP)}
_ICMPS = {"icmp": (4, ICMP), "icmpv6": (6, ICMPV6)}
_NFPROTO = {4: 2, 6: 10}
_ETHERTYPES = {4: (0x0800, 0x0008, "ip"), 6: (0x86DD, 0xDD86, "ip6")}
"""What nft says of `meta protocol`, which it has as the network does: as a number its bytes are the other way round."""
_IS_ETHERTYPE = {"meta": {"key": "protocol"}}
_TRACKED = ("forward", "input", "output", "postrouting")


class _Other:
    """The packet has no such field: a condition on it never holds."""


class _Unknown:
    """Nothing here says what the packet has there."""


_OTHER, _UNKNOWN = _Other(), _Unknown()
Value = int | str | Address | bool | tuple[object, ...] | _Other | _Unknown


def holds(match: Mapping[str, Any], packet: Packet | Everybody, sets: Mapping[str, Set], hook: str) -> bool | None:
    """Whether a packet fulfils a `match`; hook: where it is looked at, before routing no interface to leave by."""
    if match["left"] == _IS_ETHERTYPE:
        return _is_of_family(match["op"], match["right"], packet.version)
    if isinstance(packet, Everybody):
        return _holds_for_all(match, packet, sets)
    value = field(match["left"], packet, hook)
    if isinstance(value, _Other) or (isinstance(value, tuple) and any(isinstance(v, _Other) for v in value)):
        return False
    op, right = match["op"], match["right"]
    if isinstance(value, _Unknown):
        return None
    if isinstance(value, tuple) and any(isinstance(v, _Unknown) for v in value):
        return False if op == "==" and _is_missed(value, right, sets) else None
    if op == "in":
        return _any_bit(value, right)
    if op in ("<", ">", "<=", ">="):
        return _compared(op, value, right)
    found = among(value, right, sets)
    if found is None or op not in ("==", "!="):
        return None
    return found if op == "==" else not found


def _is_of_family(op: str, right: Any, version: int) -> bool | None:  # noqa: ANN401 - nft's JSON
    values = right["set"] if isinstance(right, dict) and set(right) == {"set"} else [right]
    if op not in ("==", "!=") or not all(isinstance(v, int | str) and not str(v).startswith("@") for v in values):
        return None
    return any(v in _ETHERTYPES[version] for v in values) is (op == "==")


def _holds_for_all(match: Mapping[str, Any], packets: Everybody, sets: Mapping[str, Set]) -> bool | None:
    """True or False where it holds for all of them, or for none."""
    left, op, right = match["left"], match["op"], match["right"]
    if packets.never(left):
        return False
    known = packets.known(left)
    if known is None or op not in ("==", "!="):
        return None
    if isinstance(known, int):
        found = among(known, right, sets)
    else:
        texts = _texts(right, sets)
        found = None if texts is None else known.among(texts)
    return found if op == "==" or found is None else not found


def _texts(right: Any, sets: Mapping[str, Set]) -> list[str] | None:  # noqa: ANN401
    """The values on the right of a condition, in words."""
    if isinstance(right, str) and right.startswith("@"):
        return list(sets[right[1:]].elements) if right[1:] in sets else None
    if isinstance(right, dict) and set(right) == {"set"} and isinstance(right["set"], list):
        return [value_words(one) for one in right["set"]]
    return [value_words(right)]


def field(left: Any, packet: Packet, hook: str) -> Value:  # noqa: ANN401 - nft's JSON
    """What the packet has in the place that a condition looks at."""
    if not isinstance(left, dict) or len(left) != 1:
        return _UNKNOWN
    ((kind, what),) = left.items()
    if kind == "concat":
        return tuple(field(part, packet, hook) for part in what)
    if kind == "payload" and isinstance(what, dict) and set(what) == {"protocol", "field"}:
        return _payload(what["protocol"], what["field"], packet)
    if kind == "meta":
        return _meta(what.get("key", ""), packet, hook)
    if kind == "ct" and isinstance(what, dict):
        return _ct(what, packet, hook)
    if left == {"fib": {"result": "oif", "flags": ["saddr"]}}:
        return packet.routed
    return _UNKNOWN


def _meta(key: str, packet: Packet, hook: str) -> Value:
    known: dict[str, Value] = {
        "nfproto": _NFPROTO[packet.version],
        "l4proto": packet.protocol,
    }
    if key == "mark" and packet.mark is not None:
        return packet.mark
    if key in ("iifname", "iif") and hook != "output":
        return packet.iif or ("lo" if hook == "output" else "")
    if key in ("oifname", "oif") and hook in ("forward", "output", "postrouting"):
        return packet.oif
    if key == "iifgroup" and hook != "output" and packet.groups[0] is not None:
        return packet.groups[0]
    if key == "oifgroup" and hook in ("forward", "output", "postrouting") and packet.groups[1] is not None:
        return packet.groups[1]
    return known.get(key, _UNKNOWN)


def _is_untracked(packet: Packet) -> bool:
    """Whether connection tracking leaves a packet alone: ICMPv6 about neighbours and listeners."""
    return packet.protocol == ICMPV6 and packet.icmp is not None and packet.icmp.type in NOT_TRACKED


def rejects(how: Any, packet: Packet | Everybody) -> bool | None:  # noqa: ANN401 - nft's JSON
    """Whether a packet is one that a `reject` answers.

    nft has the kernel ask for the answer's family, or for TCP, and does not list that.
    """
    kind = how.get("type") if isinstance(how, dict) else None
    if isinstance(kind, str) and kind in _ICMPS:
        return packet.version == _ICMPS[kind][0]
    if kind == "tcp reset":
        return None if isinstance(packet, Everybody) else packet.protocol == TCP
    return True


def begins(packet: Packet) -> bool:
    """Whether a packet begins a flow: chains of nat are asked about these alone."""
    return packet.kind is Kind.NEW and not _is_untracked(packet)


def _payload(protocol: str, name: str, packet: Packet) -> Value:
    if protocol in ("ip", "ip6"):
        if packet.version != (4 if protocol == "ip" else 6):
            return _OTHER
        known: dict[str, Value] = {"saddr": packet.source, "daddr": packet.destination}
        if protocol == "ip":
            known["protocol"] = packet.protocol
        return known.get(name, _UNKNOWN)
    if protocol in _TRANSPORTS:
        if packet.protocol not in _TRANSPORTS[protocol]:
            return _OTHER if protocol != "th" else _UNKNOWN
        return {"sport": packet.sport, "dport": packet.dport}.get(name, _UNKNOWN)
    if protocol in _ICMPS:
        if (packet.version, packet.protocol) != _ICMPS[protocol]:
            return _OTHER
        if packet.icmp is None:
            return _UNKNOWN
        return {"type": packet.icmp.type, "code": packet.icmp.code or 0}.get(name, _UNKNOWN)
    return _UNKNOWN


def _ct(what: Mapping[str, Any], packet: Packet, hook: str) -> Value:
    key = what.get("key", "")
    if key == "state" and hook in _TRACKED:
        return _UNTRACKED if _is_untracked(packet) else _STATES[packet.kind]
    address = {"ip saddr": (4, 0), "ip daddr": (4, 1), "ip6 saddr": (6, 0), "ip6 daddr": (6, 1)}.get(key)
    if address is None or hook not in _TRACKED:
        return _UNKNOWN
    version, end = address
    if packet.version != version or packet.kind is Kind.INVALID or _is_untracked(packet):
        return _OTHER  # nft's expression ends the rule where conntrack has no entry, or one of the other family
    flow = packet.flow or (packet.source, packet.destination)
    return flow[end if what.get("dir") == "original" else 1 - end]


def among(value: Value, right: Any, sets: Mapping[str, Set]) -> bool | None:  # noqa: ANN401
    """Whether a value is one of those on the right of a condition."""
    if isinstance(right, str) and right.startswith("@"):
        known = sets.get(right[1:])
        return None if known is None else in_set(value, known)
    if isinstance(right, dict) and set(right) == {"set"} and isinstance(right["set"], list):
        found = [_is(value, one) for one in right["set"]]
        return True if True in found else None if None in found else False
    return _is(value, right)


def in_set(value: Value, known: Set) -> bool | None:
    """Whether a named set holds a value; a set of ranges is looked through."""
    parts = value if isinstance(value, tuple) else (value,)
    if any(isinstance(p, bool) for p in parts):
        return None  # that there is a route is known, not by which interface
    if " . ".join(map(str, parts)) in known.elements or EVERY_KEY in known.elements:
        return True
    if len(parts) > 1:
        return None if known.wide else False
    found = [_is_text(value, text) for text in known.wide]
    return True if True in found else None if None in found else False


def _is_missed(value: tuple[object, ...], right: Any, sets: Mapping[str, Set]) -> bool:  # noqa: ANN401
    """Whether no element of a named set has the parts that are known, whatever the others are."""
    known = sets.get(right[1:]) if isinstance(right, str) and right.startswith("@") else None
    if known is None or known.wide:
        return False
    texts = [None if isinstance(part, _Unknown) else str(part) for part in value]
    keys = (e.split(" . ") for e in known.elements)
    return not any(all(t is None or t == part for t, part in zip(texts, key, strict=False)) for key in keys)


def of_named_map(key: Any, known: Set, packet: Packet | Everybody, hook: str) -> str | None:  # noqa: ANN401
    """The verdict that a map by name has for what a packet has in the key's places: `break` where it has none.

    None where what is asked for is not known.
    """
    if isinstance(packet, Everybody):
        return None
    value = field(key, packet, hook)
    parts = value if isinstance(value, tuple) else (value,)
    if any(isinstance(p, (_Other, _Unknown, bool)) for p in parts):
        return None
    exact = known.elements.get(" . ".join(map(str, parts)))
    if exact is not None:
        return exact
    for text in known.wide:
        texts = text.split(" . ")
        held = [_is_text(p, t) for p, t in zip(parts, texts, strict=False)]  # type: ignore[arg-type]
        if text == EVERY_KEY or False in held:
            continue
        return known.elements[text] if len(texts) == len(parts) and None not in held else None
    return known.elements.get(EVERY_KEY, "break")


def of_map(value: Value, found: VerdictMap) -> str | None:
    """The verdict that a map has for a value; None where it has none, `unknown` where that can't be told."""
    parts = value if isinstance(value, tuple) else (value,)
    if any(isinstance(p, _Other) for p in parts):
        return None
    return found.verdict(parts) or None


def _is(value: Value, right: Any) -> bool | None:  # noqa: ANN401
    if isinstance(value, tuple):
        parts = right.get("concat") if isinstance(right, dict) else None
        if not isinstance(parts, list) or len(parts) != len(value):
            return None
        found = [_is(v, p) for v, p in zip(value, parts, strict=True)]  # type: ignore[arg-type]
        return False if False in found else None if None in found else True
    if isinstance(right, bool) or isinstance(value, bool):
        return value is right if isinstance(right, bool) and isinstance(value, bool) else None
    return _is_text(value, value_words(right))


def _is_text(value: Value, text: str) -> bool | None:
    if is_unread(text):
        return None
    if isinstance(value, str):
        return is_like(value, text)
    one, found = kind_and_number(value), range_of(text)
    if one is None or found is None or bool(one[0]) is not bool(found[0]):
        return None  # an address and a number can't be compared
    return in_range(found, one)


def _any_bit(value: Value, right: Any) -> bool | None:  # noqa: ANN401
    bits: Sequence[Any] = right if isinstance(right, list) else [right]
    if not isinstance(value, int) or not all(isinstance(b, int) for b in bits):
        return None
    return any(value & b for b in bits)


def _compared(op: str, value: Value, right: Any) -> bool | None:  # noqa: ANN401
    if not isinstance(value, int) or not isinstance(right, int):
        return None
    return {"<": value < right, ">": value > right, "<=": value <= right, ">=": value >= right}[op]
