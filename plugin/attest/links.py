"""Interfaces in; what below and beside netfilter may keep packets of ours from their way, in words, out.

Queueing disciplines with filters, XDP programs, bridges and policy routing are not judged: they are named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

_PLAIN = frozenset(
    {"noqueue", "noop", "pfifo_fast", "pfifo", "bfifo", "fq", "fq_codel", "mq", "sfq", "cake", "tbf", "htb", "codel"}
)
"""Disciplines that only queue, or keep to a rate."""
_OWN_RULES = frozenset({(0, 255), (32766, 254), (32767, 253)})
"""Priority and table of the rules that every host has: local, main, default."""
_FAMILIES = {2: "IPv4", 10: "IPv6"}


def beside(names: Collection[str], uplink: str) -> tuple[str, ...]:
    """names: host ends of ours; nothing where there are none."""
    from pyroute2.iproute.linux import IPRoute  # 0.2 s, and only who attests comes here

    if not names:
        return ()
    with IPRoute() as kernel:
        links = {link["index"]: link for link in kernel.get_links()}
        asked = {i: str(link.get_attr("IFLA_IFNAME")) for i, link in links.items()}
        asked = {i: name for i, name in asked.items() if name in names or name == uplink}
        found = [words for i, name in asked.items() for words in _link(links[i], name, ours=name in names)]
        found += [
            f"{asked[q['index']]} has tc's {q.get_attr('TCA_KIND')}, whose filters may drop packets or change them"
            for q in kernel.get_qdiscs()
            if q["index"] in asked and q.get_attr("TCA_KIND") not in _PLAIN
        ]
        for family, version in _FAMILIES.items():
            found += [words for rule in kernel.get_rules(family=family) for words in _rule(rule, version)]
    return tuple(found)


def _link(link: Any, name: str, *, ours: bool) -> Iterator[str]:  # noqa: ANN401 - pyroute2 has no types
    xdp = link.get_attr("IFLA_XDP")
    if xdp is not None and xdp.get_attr("IFLA_XDP_ATTACHED"):
        yield f"{name} has an XDP program, which may drop packets or change them"
    if ours and link.get_attr("IFLA_MASTER"):
        yield f"{name} is a port of another interface: its packets may pass below netfilter"


def _rule(rule: Any, version: str) -> Iterator[str]:  # noqa: ANN401
    table = rule.get_attr("FRA_TABLE") or rule["table"]
    priority = rule.get_attr("FRA_PRIORITY") or 0
    if (priority, table) not in _OWN_RULES:
        yield f"{version}'s ip rule {priority} (table {table}) may route packets of endpoints by another way"
