"""All packets of ours that pass a hook in; what each of them, some or none has in a field out.

Where a packet is one, a field has one value. Here it stands for every packet from an endpoint's interface, or to one:
what is known of all of them is their interface's name as far as it is the same, and whose addresses they can have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import collapse_addresses, ip_network
from typing import Any

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.plugin.attest.bare import is_unread
from calico_rkt.plugin.attest.packet import Kind
from calico_rkt.plugin.attest.verdict_maps import is_like
from calico_rkt.plugin.enforce.nft.elements import OURS

_PREFIX = OURS.rstrip("*")


@dataclass(frozen=True)
class Names:
    """The name of an interface of ours, whichever."""

    def among(self, texts: Iterable[str]) -> bool | None:
        """Whether it is one of these names and patterns."""
        found = [self._is(text) for text in texts]
        return True if True in found else None if None in found else False

    def _is(self, text: str) -> bool | None:
        if is_unread(text):
            return None
        if text.endswith("*") and is_like(_PREFIX, text):
            return True
        return None if text.startswith(_PREFIX) else False


@dataclass(frozen=True)
class Addresses:
    """An address of an endpoint, whichever; of one family."""

    held: tuple[Address, ...]

    @cached_property
    def _nets(self) -> list[Net]:
        return [ip_network(a) for a in self.held]

    def among(self, texts: Iterable[str]) -> bool | None:
        """Whether it is in one of these nets, whichever address it is."""
        nets: list[Net] = []
        for text in texts:
            try:
                nets.append(ip_network(text))
            except ValueError:
                return None
        joined = list(collapse_addresses(n for n in nets if n.version == 4))
        joined6 = list(collapse_addresses(n for n in nets if n.version == 6))
        inside = [any(a in n for n in (joined if a.version == 4 else joined6)) for a in self.held]
        return all(inside) if all(inside) or not any(inside) else None


@dataclass(frozen=True)
class Everybody:
    """Every packet from an endpoint (outgoing), or to one, of one family, at one hook. Passes for a Packet in walk.

    own: addresses of the host's that they may have in the place of an endpoint's.
    """

    outgoing: bool
    hook: str
    version: int
    held: tuple[Address, ...]
    kind: Kind = Kind.NEW
    own: tuple[Address, ...] = ()

    def __str__(self) -> str:
        return f"IPv{self.version} packets {'from' if self.outgoing else 'to'} endpoints"

    def known(self, left: Any) -> Names | Addresses | int | None:  # noqa: ANN401 - nft's JSON
        """What they all have in the place that a condition looks at; None where they differ, or it is not known."""
        if not isinstance(left, dict) or len(left) != 1:
            return None
        ((kind, what),) = left.items()
        if kind == "meta":
            key = what.get("key")
            if key in ("iifname", "iif") and self.outgoing:
                return Names()
            if key in ("oifname", "oif") and not self.outgoing and self.hook in ("forward", "output", "postrouting"):
                return Names()
            return {4: 2, 6: 10}[self.version] if key == "nfproto" else None
        own = {"protocol": {4: "ip", 6: "ip6"}[self.version], "field": "saddr" if self.outgoing else "daddr"}
        return Addresses((*self.held, *self.own)) if kind == "payload" and what == own else None

    def never(self, left: Any) -> bool:  # noqa: ANN401
        """Whether none of them has such a field: an address of the other family."""
        if not isinstance(left, dict) or set(left) != {"payload"} or not isinstance(left["payload"], dict):
            return False
        return left["payload"].get("protocol") == {4: "ip6", 6: "ip"}[self.version]
