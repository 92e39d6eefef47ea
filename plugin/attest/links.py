"""Interfaces in; what below and beside netfilter may keep packets of ours from their way, in words, out.

Queueing disciplines with filters, XDP programs, bridges and policy routing are not judged: they are named.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from calico_rkt.plugin.link.whole import whole

if TYPE_CHECKING:
    from pyroute2.iproute.linux import IPRoute

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
    try:
        with IPRoute() as kernel:
            return tuple(_beside(kernel, names, uplink))
    except OSError as e:
        if e.errno != errno.EINTR:
            raise
        return (f"{e.strerror}: what may keep packets from their way is not known",)


def _beside(kernel: IPRoute, names: Collection[str], uplink: str) -> Iterator[str]:
    links = {link["index"]: link for link in whole(kernel.get_links)}
    asked = {i: str(link.get_attr("IFLA_IFNAME")) for i, link in links.items()}
    asked = {i: name for i, name in asked.items() if name in names or name == uplink}
    for i, name in asked.items():
        yield from _link(links[i], name, ours=name in names)
    for queue in whole(kernel.get_qdiscs):
        if queue["index"] in asked and queue.get_attr("TCA_KIND") not in _PLAIN:
            kind = queue.get_attr("TCA_KIND")
            yield f"{asked[queue['index']]} has tc's {kind}, whose filters may drop packets or change them"
    for family, version in _FAMILIES.items():
        for rule in whole(partial(kernel.get_rules, family=family)):
            yield from _rule(rule, version)


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
