"""A verdict map that stands in a rule and what a packet has there in; the verdict, if it has one, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from calico_rkt.compiler.targets.nftables.json_words import rule_words, value_words

Range = tuple[int, int, int]
"""Version of the addresses, 0 of numbers; first and last."""


@dataclass(frozen=True)
class VerdictMap:
    """Elements in the order of the listing: of two that cross, and so share packets, the first one decides."""

    elements: tuple[tuple[tuple[Range, ...], str], ...]

    def verdict(self, values: Sequence[object]) -> str:
        """`return` or `goto out-web`; empty where no element holds the values, `unknown` where none can be asked."""
        asked = [kind_and_number(value) for value in values]
        if None in asked:
            return "unknown"
        for ranges, verdict in self.elements:
            if all(one is not None and in_range(found, one) for one, found in zip(asked, ranges, strict=True)):
                return verdict
        return ""


def verdict_map(data: Any) -> VerdictMap | None:  # noqa: ANN401 - nft's JSON
    """The map of a `vmap`; None where it is one by name, or has keys that are no numbers and no addresses."""
    if not isinstance(data, dict) or set(data) != {"set"} or not isinstance(data["set"], list):
        return None
    elements = []
    for found in data["set"]:
        key, verdict = found
        parts = key["concat"] if isinstance(key, dict) and "concat" in key else [key]
        ranges = [range_of(value_words(part)) for part in parts]
        if None in ranges:
            return None
        elements.append((tuple(r for r in ranges if r is not None), " ".join(rule_words([verdict]))))
    return VerdictMap(tuple(elements))


def is_like(name: str, text: str) -> bool:
    """Whether an interface's name is this one, or begins as a pattern does, of which only `*` at the end is one."""
    return name.startswith(text[:-1]) if text.endswith("*") else name == text


def kind_and_number(value: object) -> tuple[int, int] | None:
    """An address with its version, a number with 0; None of what is neither."""
    if isinstance(value, IPv4Address | IPv6Address):
        return value.version, int(value)
    return (0, value) if isinstance(value, int) and not isinstance(value, bool) else None


def in_range(found: Range, one: tuple[int, int]) -> bool:
    """Whether a number or an address, as kind_and_number has it, is in a range of its kind."""
    version, lo, hi = found
    return one[0] == version and lo <= one[1] <= hi


def range_of(text: str) -> Range | None:
    """A number, an address, a CIDR, or all from one to another; None of what is none of these."""
    lo, dash, hi = text.partition("-")
    if lo.isdecimal() and (hi if dash else lo).isdecimal():
        return 0, int(lo), int(hi if dash else lo)
    try:
        if dash:
            first, last = ip_address(lo), ip_address(hi)
            return first.version, int(first), int(last)
        net = ip_network(text)
    except ValueError:
        return None
    return net.version, int(net.network_address), int(net.broadcast_address)
