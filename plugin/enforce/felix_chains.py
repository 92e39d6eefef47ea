"""IP versions in, those that Calico's Felix does not police in this kernel out: a new endpoint would be open there.

Felix (projectcalico/calico) hooks itself into forwarding in one of these ways, and each is closed for an endpoint
that it does not know yet:
- iptables, in the kernel's nft or its legacy interface: chain FORWARD of the table filter jumps to cali-FORWARD
  (felix/rules/rule_defs.go, setUpIptablesNormal in felix/dataplane/linux/int_dataplane.go); felix-FORWARD in 2015.
- nftables: tables `ip calico` and `ip6 calico`, whose base chain filter-FORWARD jumps to filter-cali-FORWARD
  (felix/nftables/table.go; felix/nftables/table_layer.go puts the table's name before every chain's).
- eBPF: no cali-FORWARD; FORWARD drops what comes from a workload without the mark of Felix's program and jumps to
  cali-to-wl-dispatch, which knows interfaces that have the program (setUpIptablesBPF in int_dataplane.go).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from calico_rkt.plugin.enforce.nft import libnftables
from calico_rkt.plugin.enforce.other_firewalls import blocked

_FAMILIES = {4: "ip", 6: "ip6"}
_LEGACY = {4: ("iptables-legacy", "ip_tables_names"), 6: ("ip6tables-legacy", "ip6_tables_names")}
_FELIX = re.compile(r"(?:filter-)?cali-(?:FORWARD|to-wl-dispatch)\Z|felix-FORWARD\Z")
"""What the forward hook's own chain jumps to."""


def missing(versions: Collection[int]) -> tuple[int, ...]:
    """The IP versions that no chain of Felix is asked about."""
    chains = [o["chain"] for o in libnftables.list_json("list chains") if "chain" in o]
    return tuple(sorted(v for v in set(versions) if not (_in_nft(chains, _FAMILIES[v]) or _in_legacy(v))))


def _in_nft(chains: Iterable[Mapping[str, Any]], family: str) -> bool:
    for chain in chains:
        if chain.get("hook") == "forward" and chain["family"] in (family, "inet"):
            query = f"list chain {chain['family']} {chain['table']} {chain['name']}"
            listed = libnftables.list_json(query, elements=False)
            with libnftables.known_shape(query):
                if any(_FELIX.match(target) for o in listed if "rule" in o for target in _targets(o["rule"]["expr"])):
                    return True
    return False


def _targets(statements: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (s[kind]["target"] for s in statements for kind in ("jump", "goto") if kind in s)


def _in_legacy(version: int) -> bool:
    lines = (line.split() for line in blocked.legacy_rules(*_LEGACY[version]).splitlines())
    return any(w[:2] == ["-A", "FORWARD"] and len(w) > 3 and bool(_FELIX.match(w[-1])) for w in lines)
