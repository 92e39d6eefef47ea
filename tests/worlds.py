"""Networks from rules, without files, for tests; and the plain meaning of docs/semantics.md, packet by packet."""

from dataclasses import replace

from calico_rkt.compiler.conf.netconf import Ipam, NetConf, Range
from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Icmp, Network, ToHost
from calico_rkt.compiler.review.parties import parties
from calico_rkt.compiler.review.snapshot import World


def conf(name, *subnets, datastore="local"):
    ranges = tuple((Range(s, s[1], s[-2 if s.version == 4 else -1]),) for s in subnets)
    return NetConf(name, "calico", "1.0.0", Ipam("host-local" if ranges else "dhcp", ranges), datastore_type=datastore)


def world(confs, rules, where="here"):
    """confs as made by conf(); rules by network name: (ingress, egress) or (ingress, egress, endpoint_to_host)."""
    networks = {}
    for c in confs:
        ingress, egress, *to_host = rules[c.name]
        networks[c.name] = Network(c.name, object_id(c.name), tuple(ingress), tuple(egress), *to_host)
    ids = frozenset(n.id for n in networks.values())
    by_name = {c.name: c for c in confs}
    return World(where, networks, by_name, (), ids, ids, parties(networks, by_name))


def _essential(packet):
    v6 = packet.source.address.version == 6  # an IPv4 packet, too, may say that it carries protocol 58
    return v6 and packet.protocol == 58 and packet.icmp.type in (130, 131, 132, 133, 135, 136)


def unlabelled(packet, end):
    """The packet as a network meets it whose datastore has not the endpoint at its "source" or "destination"."""
    return replace(packet, **{end: replace(getattr(packet, end), labels=None)})


def plain_verdict(packet, sender, receiver, *, from_host=False, to_host=False, felix=False, apart=False):
    """Whether a packet passes from a network (None: no endpoint sends it) to one, over their whole lists.

    None: left to the host. felix: the last word about what goes to the host is Felix's own setting. apart: the two are
    of two datastores, so that neither's list knows the labels of the other's endpoint.
    """
    if sender is not None:
        if to_host and _essential(packet):
            return True
        if not evaluate(sender.egress, unlabelled(packet, "destination") if apart else packet).allowed:
            return False
        if to_host:
            said = {ToHost.DROP: False, ToHost.RETURN: None, ToHost.ACCEPT: True}
            return None if felix else said[sender.endpoint_to_host]
    if receiver is not None and not from_host:
        return evaluate(receiver.ingress, unlabelled(packet, "source") if apart else packet).allowed
    return True


def within(f, packet):
    """Whether a flow's plain values hold the packet."""

    def holds(ranges, value):
        return ranges is None or any(lo <= value <= hi for lo, hi in ranges)

    def inside(nets, address):
        return any(address.version == n.version and address in n for n in nets)

    def net(said, address):
        return said is None or ((not said.nets or inside(said.nets, address)) and not inside(said.not_nets, address))

    def label(selector, found):
        return selector is None or (found is not None and selector.matches(found))

    icmp = packet.icmp or Icmp(0, 0)
    return (
        holds(f.protocols, packet.protocol)
        and (f.ports is None or (packet.protocol in (6, 17, 132) and holds(f.ports, packet.destination.port)))
        and (f.source_ports is None or (packet.protocol in (6, 17, 132) and holds(f.source_ports, packet.source.port)))
        and (f.icmp_types is None or (packet.protocol in (1, 58) and holds(f.icmp_types, icmp.type)))
        and (f.icmp_codes is None or (packet.protocol in (1, 58) and holds(f.icmp_codes, icmp.code or 0)))
        and net(f.source, packet.source.address)
        and net(f.destination, packet.destination.address)
        and label(f.source_selector, packet.source.labels)
        and label(f.destination_selector, packet.destination.labels)
    )
