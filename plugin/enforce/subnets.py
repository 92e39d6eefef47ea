"""A network's new ranges in; CniError where one covers a net that this host itself is in."""

from __future__ import annotations

from collections.abc import Sequence

from calico_rkt.compiler.conf.netconf import Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link.host_networks import on_link_networks


def refuse_covering(network: str, fresh: Sequence[Range], *, besides: tuple[str, ...] = ()) -> None:
    """Refuse a range that overlaps an on-link route of the host; besides: interfaces whose names begin so don't count.

    Single addresses and routes to them don't count either.
    """
    for net, ifname in on_link_networks() if fresh else ():
        if ifname.startswith(besides):
            continue
        for r in fresh:
            if net.version == r.subnet.version and net.overlaps(r.subnet):
                raise CniError(
                    Code.INVALID_CONF,
                    f"subnet {r.subnet} of network {network!r} covers {net}, which this host has on {ifname}",
                    "choose a subnet that no interface of the host is in",
                )
