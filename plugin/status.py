"""The host's confs in; what becomes of each network, what blocks forwarding and what the agent does, printed, out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from calico_rkt.compiler.cli.document import document
from calico_rkt.compiler.conf import NetConf
from calico_rkt.plugin.agent.summary import METRICS, ask
from calico_rkt.plugin.enforce import table
from calico_rkt.plugin.lifecycle import State
from calico_rkt.plugin.policy import blocked_forwarding
from calico_rkt.plugin.sides import LOCAL, clusters, opened_cluster, opened_local
from calico_rkt.plugin.store.local import folders


def status(known: dict[str, NetConf], *, as_json: bool, with_agent: bool) -> int:
    """Print it; 1 where something is not as it should be, else 0."""
    with opened_local(known) as local:
        found = local.states()
    blocked = blocked_forwarding()
    table_there = table.base_present()
    lost = not table_there and any(s.endpoints for s in found)
    networks = [(local.name, s) for s in found]
    warnings: list[str] = []
    for confs_there in clusters(known):
        with opened_cluster(confs_there) as cluster:
            networks += [(cluster.name, s) for s in cluster.states()]
            warnings += cluster.warnings()
    agent = ask(folders()[0] / METRICS) if with_agent else None
    bad = [s for _, s in networks if s.state in ("edited", "unusable", "stale", "not ours") or s.loaded is False]
    if as_json:
        shown = [dataclasses.asdict(s) | {"datastore": name} for name, s in networks]
        more: dict[str, object] = {"table": table_there, "blocked": list(blocked), "warnings": warnings}
        if with_agent:
            more["agent"] = dataclasses.asdict(agent) if agent else None
        print(document("status", {"networks": shown, **more}), end="")
    else:
        _print_status(networks, blocked, lost=lost)
        for line in warnings:
            print(f"warning: {line}")
        if with_agent:
            print(f"agent: {agent or 'none: each call starts a process of its own (calico-rkt agent)'}")
    return 1 if bad or blocked or lost or warnings else 0


def _print_status(found: Sequence[tuple[str, State]], blocked: tuple[str, ...], *, lost: bool) -> None:
    print(f"{'network':<24} {'profile':<14} {'endpoints':>9}  in the kernel")
    words = {None: "no", True: "yes", False: "another version"}
    for name, s in found:
        where = words[s.loaded] if name == LOCAL else f"Felix, by {name}"
        print(f"{s.network or s.network_id:<24} {s.state:<14} {s.endpoints:>9}  {where}")
        if s.why:
            print(f"    {s.why}")
    if not found:
        print("(no network is published or has a conf here)")
    if lost:
        print("the nftables table inet calico_rkt is not in the kernel: calico-rkt restore")
    for line in blocked:
        print(f"blocked: {line}")
