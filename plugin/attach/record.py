"""An endpoint in, recorded with its addresses out; what containers that are gone still hold of them is freed first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from calico_rkt.compiler.conf.netconf import Address, Ipam, NetConf
from calico_rkt.plugin.attach.garbage import make_room
from calico_rkt.plugin.enforce.enforcer import Enforcer
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.store.protocol import Store

_ATTEMPTS = 3
"""A requested address may be in the way first, then the pool of another family."""
_GC = "calico-rkt gc frees what containers that are gone have left, and names what it keeps"


def record_endpoint(
    enforcer: Enforcer, store: Store, conf: NetConf, endpoint: Endpoint, ipam: Ipam, requested: Sequence[Address]
) -> Endpoint:
    """What enforcer.add() gives; CniError 101 and 102 only where nothing that is gone stands in the way."""
    for _ in range(_ATTEMPTS):
        try:
            return enforcer.add(conf, endpoint, ipam, requested)
        except CniError as e:
            if e.code == Code.ADDRESS_TAKEN:
                in_the_way = _holding({*endpoint.addresses, *requested})
            elif e.code == Code.POOL_EXHAUSTED:
                in_the_way = _within(ipam)
            else:
                raise
            if not make_room(store, in_the_way):
                raise CniError(e.code, e.msg, "; ".join(filter(None, (e.details, _GC)))) from e
    return enforcer.add(conf, endpoint, ipam, requested)


def _holding(wanted: Collection[Address]) -> Callable[[Endpoint], bool]:
    return lambda other: any(a in wanted for a in other.addresses)


def _within(ipam: Ipam) -> Callable[[Endpoint], bool]:
    """Whatever network it is in: an address has one holder on a host."""
    bounds = [(r.first.version, int(r.first), int(r.last)) for one in ipam.ranges for r in one]
    return lambda other: any(
        version == a.version and first <= int(a) <= last for a in other.addresses for version, first, last in bounds
    )
