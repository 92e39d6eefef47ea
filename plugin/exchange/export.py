"""A datastore in, all of ours in it out as a bundle: profiles whose digests fit, pools, and endpoints."""

from __future__ import annotations

from calico_rkt.compiler.bundle.resources import Bundle, IPPool, WorkloadEndpoint
from calico_rkt.compiler.conf.netconf import Ipam, Net, NetConf
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.publish.datastores import DatastoreSide
from calico_rkt.plugin.publish.local import LOCAL


def export_bundle(side: DatastoreSide, *, endpoints: bool) -> Bundle:
    """CniError 106 names every profile that was edited by hand: what nobody reviewed goes nowhere from here."""
    return Bundle(_profiles(side), bundle_pools(side), _endpoints(side) if endpoints else ())


def _profiles(side: DatastoreSide) -> tuple[Network, ...]:
    found: list[Network] = []
    unfit: list[CniError] = []
    for network_id in side.profiles.published_ids():
        try:
            published = side.profiles.published(network_id)
        except CniError as e:
            unfit.append(e)
            continue
        if published is not None:
            found.append(verify_calico_v3(published.text))
    if unfit:
        words = "\n".join(e.msg for e in unfit)
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"{len(unfit)} published profile{'s are' if len(unfit) > 1 else ' is'} not as it was applied; "
            "nothing is exported",
            f"{words}\ncalico-rkt apply --take-over publishes the reviewed files again",
        )
    return tuple(found)


def bundle_pools(side: DatastoreSide) -> tuple[IPPool, ...]:
    """A cluster's pools that are ours; elsewhere each subnet of the networks here that lies in no other of them."""
    there = side.inventory()
    if there is not None:
        return there.pools()
    from calico_rkt.plugin.store.etcd3.inventory import local_pool

    subnets = _subnets(side)
    outermost = (s for s in subnets if not any(s != o and s.version == o.version and _in(s, o) for o in subnets))
    return tuple(sorted((local_pool(str(s), nat=subnets[s]) for s in outermost), key=lambda p: p.name))


def _subnets(side: DatastoreSide) -> dict[Net, bool]:
    """Each subnet that this host's networks use there, and whether one of them hides its containers behind the host."""
    found = dict.fromkeys(side.store.ranges(), False)
    for conf in side.known.values():
        for r in (r for ranges in conf.ipam.ranges for r in ranges):
            found[r.subnet] = found.get(r.subnet, False) or conf.ip_masq
    for endpoint in side.store.endpoints():
        for net in (n for n in found if endpoint.ip_masq and any(a in n for a in endpoint.addresses)):
            found[net] = True
    return found


def _in(inner: Net, outer: Net) -> bool:
    return inner.network_address in outer and inner.prefixlen >= outer.prefixlen


def _endpoints(side: DatastoreSide) -> tuple[WorkloadEndpoint, ...]:
    if side.name != LOCAL:
        there = side.inventory()
        return there.endpoints() if there is not None else ()
    from calico_rkt.plugin.store.access import node_name
    from calico_rkt.plugin.store.etcd3.inventory import local_document

    node = node_name(NetConf("", "calico", "1.0.0", Ipam("unknown")))
    return tuple(local_document(e, node) for e in side.store.endpoints())
