"""A cluster's FelixConfigurations and Nodes in, the modes in which some Felix may enforce out.

The default configuration, then node.NAME. What Felix takes from its own environment or file beats both, and nobody
sees it here. A node's Felix with bpfEnabled enforces in eBPF; iptablesBackend chooses between iptables' own variants.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calico_rkt.compiler.targets.felix import EBPF, IPTABLES, NFTABLES, Nodes
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.store.access import UnreachableError
from calico_rkt.plugin.store.etcd3 import keys
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.ops import Kv, get, get_prefix
from calico_rkt.plugin.store.etcd3.resources import resource

_OWN = "node."
_AUTO_SINCE = (3, 31)
"""The first Calico that may choose nftables by itself where nothing is configured; before, the default is Disabled."""


def felix_nodes(gateway: Gateway) -> Nodes:
    """The modes over all nodes, with the node that runs nftables mode; not sure where a node's Felix chooses itself."""
    try:
        configs, nodes, ready = gateway.read(
            get_prefix(keys.FELIX), get_prefix(keys.NODES, keys_only=True), get(keys.READY)
        ).found
    except UnreachableError:
        raise
    except CniError as e:  # a user that may read profiles and endpoints only
        return Nodes(why=f"the FelixConfigurations can't be read ({e.msg})", sure=False)
    by_name = {kv.key.removeprefix(keys.FELIX): _spec(kv) for kv in configs}
    names = {kv.key.removeprefix(keys.NODES) for kv in nodes}
    names |= {name.removeprefix(_OWN) for name in by_name if name.startswith(_OWN)}
    version = _version(ready[0]) if ready else None
    found: dict[str, str] = {}
    for name in sorted(names) or [""]:
        mode, why = _mode(by_name, name, version)
        found.setdefault(mode, f"node {name}: {why}" if name else why)
    if NFTABLES in found:
        return Nodes(frozenset(m for m in found if m), found[NFTABLES])
    if "" in found:
        return Nodes(frozenset((*(m for m in found if m), NFTABLES)), found[""], sure=False)
    return Nodes(frozenset(found), "")


def _mode(by_name: Mapping[str, Mapping[str, Any]], node: str, version: tuple[int, int] | None) -> tuple[str, str]:
    """The mode of a node's Felix, "" where it chooses itself, and what says so."""
    bpf, _ = _setting(by_name, node, "bpfenabled")
    if bpf is True:
        return EBPF, ""
    wanted, where = _setting(by_name, node, "nftablesmode")
    if wanted is None:
        if version is not None and version < _AUTO_SINCE:
            return IPTABLES, ""
        return "", "no FelixConfiguration says nftablesMode: Disabled"
    said = f"FelixConfiguration {where} says nftablesMode: {wanted}"
    return {"enabled": NFTABLES, "disabled": IPTABLES}.get(str(wanted).lower(), ""), said


def _setting(by_name: Mapping[str, Mapping[str, Any]], node: str, key: str) -> tuple[object, str]:
    for name in (f"{_OWN}{node}", "default"):
        value = by_name.get(name, {}).get(key)
        if value is not None:
            return value, name
    return None, ""


def _spec(kv: Kv) -> dict[str, Any]:
    """Its fields by their names in small letters, as Calico reads JSON without regard to case."""
    spec = resource(kv.value).get("spec")
    return {str(k).lower(): v for k, v in spec.items()} if isinstance(spec, dict) else {}


def _version(ready: Kv) -> tuple[int, int] | None:
    """Calico's version as it last noted it: v3.30.2 is (3, 30)."""
    said = re.match(r"v?(\d+)\.(\d+)", str(_spec(ready).get("calicoversion", "")))
    return (int(said[1]), int(said[2])) if said else None
