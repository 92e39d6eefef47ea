"""What is watched in; a table of its own in the kernel, which dies with this process, out.

The table belongs to the netlink socket that made it (nft's flag owner, Linux 5.12): however the process ends, the
kernel takes it away, and until then nobody else can change it. Its rules set `nftrace` on the packets asked about, and
nothing else. Its empty chains are met by what is whole, and by what no other rule has dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from calico_rkt.plugin.enforce.nft import libnftables
from calico_rkt.plugin.enforce.nft.elements import TRACING
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.tracing.asked import Asked

NAME = TRACING
_FIRST, _GATHERED, _EARLY, _LAST = -450, -350, -150, 2147483647
"""Before conntrack and any `raw`; when fragments are one packet again; before any `filter`, when NAT to another
destination is done; after all others."""
_HOOKS = {"prerouting": _FIRST, "forward": _EARLY, "input": _EARLY, "output": _EARLY}
_PASSED = ("input", "postrouting")
REPLY = "reply"
"""The comment of the rules that an answer meets."""
_NEIGHBOURS = "icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 143 } return"
"""What keeps links alive and no policy is about: every interface sends it now and then."""
_RATES = {True: 20, False: 200}
"""Packets a second that are looked at, of flows that stand and of all others: a flood must not fill the socket."""
_MOVED = "inet_service . {kind} . inet_service . {kind} . inet_service"
_KEY = "th sport . {ip} daddr . th dport . ct original {ip} daddr . ct original proto-dst"
_MADE = re.compile(r"(\d+) \. (\S+) \. (\d+) \. (\S+) \. (\d+)")

_TOO_OLD = (
    "this kernel can't tie a table to the process that made it (Linux 5.12 can): a trace that is killed would leave "
    "its rules behind, so none is begun"
)
_BY_HAND = (
    "by hand: nft add table inet look; nft 'add chain inet look pre { type filter hook prerouting priority -450; }'; "
    "nft add rule inet look pre ip saddr ADDRESS meta nftrace set 1; nft monitor trace; nft delete table inet look"
)

Translated = dict[tuple[int, str, int], frozenset[tuple[str, int]]]
"""By source port, destination and its port, as a packet has them now: what it was sent to."""


def is_last(table: str, chain: str) -> bool:
    """Whether a chain is met by what has passed all others."""
    return table == NAME and chain.startswith("last_")


def is_whole(table: str, chain: str) -> bool:
    """Whether a chain is met by whole packets alone, and by each that came in: of fragments what was made of them."""
    return table == NAME and chain == "whole"


def script(asked: Asked) -> str:
    """The table, as nft reads it."""
    return "\n".join(_lines(asked)) + "\n"


def _lines(asked: Asked) -> Iterator[str]:
    yield f"table inet {NAME} {{"
    yield "flags owner;"
    yield "counter sent {}\ncounter skipped {}\ncounter replies {}"
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        yield f"set moved{version} {{ type {_MOVED.format(kind=kind)}; flags dynamic; size 4096; timeout 1h; }}"
    for hook, priority in _HOOKS.items():
        yield f"chain {hook} {{ type filter hook {hook} priority {priority}; policy accept;"
        yield _NEIGHBOURS
        if hook == "prerouting":
            yield from (f'{one}counter name "sent"' for one in asked.from_source())
        if hook == "forward":
            for version, ip in ((4, "ip"), (6, "ip6")):
                yield (
                    f"ct status dnat ct direction original meta nfproto ipv{version} meta l4proto {{ 6, 17, 132 }} "
                    f"update @moved{version} {{ {_KEY.format(ip=ip)} }}"
                )
        for condition in asked.conditions(hook):
            yield from _tracing(condition, hook)
        if hook != "prerouting":
            yield f'ct direction reply counter name "replies" comment "{REPLY}"'
        yield "}"
    yield f"chain whole {{ type filter hook prerouting priority {_GATHERED}; policy accept; }}"
    for hook in _PASSED:
        yield f"chain last_{hook} {{ type filter hook {hook} priority {_LAST}; policy accept; }}"
    yield "}"


def _tracing(condition: str, hook: str) -> Iterator[str]:
    """Too many are counted. One that is traced from an earlier hook on goes on being it."""
    standing = hook != "prerouting"
    for state, is_standing in (
        ("ct state established,related ", True),
        ("ct state != { established, related } ", False),
    ):
        if not standing and is_standing:
            continue
        when = state if standing else ""
        rate = _RATES[is_standing]
        over = f"limit rate over {rate}/second burst {rate} packets"
        yield f'{condition}{when}{over} counter name "skipped" return'
        yield f"{condition}{when}meta nftrace set 1"


class Table:
    """The table while it stands; its end is close(), or that of this process."""

    def __init__(self, asked: Asked) -> None:
        self._held = libnftables.Held()
        try:
            self._held.run(script(asked))
        except libnftables.NftError as e:
            self._held.close()
            if "File exists" in e.details or "not permitted" in e.details or "busy" in e.details:
                raise CniError(
                    Code.TRY_AGAIN,
                    "another calico-rkt trace is watching on this host",
                    "let it end, then run this again",
                ) from e
            if "not supported" in e.details or "Invalid argument" in e.details:
                raise CniError(Code.POLICY, _TOO_OLD, _BY_HAND) from e
            raise

    def close(self) -> None:
        """Take it away."""
        self._held.close()

    def count(self, name: str) -> int:
        """How many packets a counter of it has seen."""
        found = re.search(r"packets (\d+)", self._held.listed(f"list counter inet {NAME} {name}"))
        return int(found[1]) if found else 0

    def translated(self) -> Translated:
        """What destinations were changed on the way."""
        found: dict[tuple[int, str, int], set[tuple[str, int]]] = {}
        for version in (4, 6):
            for sport, now, port, before, its_port in _MADE.findall(
                self._held.listed(f"list set inet {NAME} moved{version}")
            ):
                found.setdefault((int(sport), now, int(port)), set()).add((before, int(its_port)))
        return {key: frozenset(value) for key, value in found.items()}
