"""Small worlds for tests: networks from rules, without files."""

from calico_rkt.compiler.conf.netconf import Ipam, NetConf, Range
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
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
