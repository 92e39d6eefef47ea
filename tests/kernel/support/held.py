"""The kernel's table in; parts of it put in place, and what it lacks of an endpoint, out: for tests alone."""

from __future__ import annotations

from calico_rkt.plugin.enforce.nft import elements, libnftables, table
from calico_rkt.plugin.enforce.nft.base import base_script
from calico_rkt.plugin.enforce.nft.elements import TABLE


def ensure_base(ranges):
    """Put the base in place or mend it; elements and networks' chains stay."""
    libnftables.run_nft(base_script() + elements.ranges_script(ranges))


def load_network(text):
    """Put a network's sets and chains in place, or swap them: what the nftables target wrote, and to_host_script()."""
    libnftables.run_nft(text)


def missing(endpoint):
    """What of an endpoint the kernel lacks or has otherwise, in words; empty when all is as it should be."""
    found = table.standing()
    if found is not table.Standing.WHOLE:
        return [f"the nftables table inet {TABLE} is {found.value}"]
    there = table._present()
    lacks = [f"{name} lacks {e}" for name, e in elements.pairs(endpoint) if (name, e) not in there]
    if not table.chains_present(endpoint.network_id):
        lacks.append(f"network {endpoint.network_id} has no chains")
    return lacks


def live_digest(network_id):
    """The digest that a network's chains carry; None without chains, empty where they carry none."""
    return next((n.digest for n in table.live_networks() if n.network_id == network_id), None)
