"""The host's confs in; what becomes of each network, what blocks forwarding and what the agent does, printed, out."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from calico_rkt.compiler.cli.formats.findings import in_order, plain
from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.preface import preface, read_values
from calico_rkt.compiler.diagnostics import render
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.workspace.confs import READERS, Unusable, readers
from calico_rkt.compiler.workspace.host import HOST_FOLDERS
from calico_rkt.plugin.agent.summary import METRICS, ask
from calico_rkt.plugin.enforce.differences import differences
from calico_rkt.plugin.enforce.local import blocked_forwarding
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import sysctls
from calico_rkt.plugin.publish.changes import State
from calico_rkt.plugin.publish.datastores import clusters, opened_cluster, opened_local
from calico_rkt.plugin.publish.host_confs import Decided
from calico_rkt.plugin.publish.local import LOCAL
from calico_rkt.plugin.publish.unclaimed import unclaimed
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.journal import Journal


def status(decided: Decided, *, as_json: bool, with_agent: bool) -> int:
    """Print it; 2 where something can't be read, 1 where something is not as it should be, else 0."""
    known, told = decided.known, decided.told()
    warnings: list[str] = []
    away = False
    with opened_local(known, decided.files) as local:
        found = local.states()
        differs = differences(local.store)
        warnings += local.store.damaged
        warnings += sysctls.warnings() if local.store.endpoints() else ()
    blocked = blocked_forwarding()
    standing = table.standing()
    table_there = standing in (table.Standing.WHOLE, table.Standing.OLDER)
    networks = [(local.name, s) for s in found]
    for confs_there in clusters(known):
        try:
            with opened_cluster(confs_there, decided.files) as cluster:
                networks += [(cluster.name, s) for s in cluster.states()]
                warnings += cluster.warnings()
        except CniError as e:  # the others' state is known all the same
            warnings.append(f"networks {', '.join(sorted(confs_there))}: {e.msg}")
            away = True
    warnings += Journal(folders()[1] / "journal").broken()
    warnings += unclaimed(known.values())
    networks = [(name, _named(s, decided.workspace.unusable)) for name, s in networks]
    agent = ask(folders()[0] / METRICS) if with_agent else None
    bad = [s for _, s in networks if s.state in ("edited", "unusable", "stale", "not ours") or s.loaded is False]
    if as_json:
        shown = [dataclasses.asdict(s) | {"datastore": name} for name, s in networks]
        more: dict[str, object] = {"table": table_there, "differences": list(differs)}
        more |= {"blocked": list(blocked), "warnings": warnings}
        if with_agent:
            more["agent"] = dataclasses.asdict(agent) if agent else None
        more["confs"] = _confs(decided)
        more["findings"] = [plain(d) for d in in_order(told)]
        print(document("status", {"networks": shown, **more}, read_values(decided.workspace)), end="")
    else:
        print(preface(decided.workspace), end="")
        for line in _suffixes(decided):
            print(line)
        _print_status(networks, blocked, differs, standing, confs=bool(known or decided.workspace.unusable))
        for line in warnings:
            print(f"warning: {line}")
        if with_agent:
            print(f"agent: {agent or 'none: each call starts a process of its own (calico-rkt agent)'}")
        sys.stdout.flush()
        print(render(told), end="", file=sys.stderr)
    return max(decided.status(), 2 if away else 0, 1 if bad or blocked or differs or warnings else 0)


def _named(state: State, unusable: Sequence[Unusable]) -> State:
    """A network whose conf is there and can't be used is not one without a conf."""
    bad = next((u for u in unusable if u.name and object_id(u.name) == state.network_id), None)
    return dataclasses.replace(state, state="unusable", why=bad.words) if bad and state.state == "no conf" else state


def _confs(decided: Decided) -> list[dict[str, object]]:
    paths = decided.workspace.conf_paths
    return [{"network": name, "path": path, "read_by": readers(path).split(", ")} for name, path in paths.items()]


def _suffixes(decided: Decided) -> list[str]:
    """Who reads the confs that are here, one line a suffix; rkt has a folder of its own."""
    counts = Counter(PurePath(path).suffix for path in decided.workspace.conf_paths.values())
    own = f"rkt (in {HOST_FOLDERS[0]})"
    return [
        f"{counts[suffix]} *{suffix}, read by {who.replace('rkt', own)}"
        for suffix, who in READERS.items()
        if counts[suffix]
    ]


def _print_status(
    found: Sequence[tuple[str, State]],
    blocked: tuple[str, ...],
    differs: tuple[str, ...],
    standing: table.Standing,
    *,
    confs: bool,
) -> None:
    """confs: there are some, though of their networks nothing may be known, where their datastore is away."""
    print(f"{'network':<24} {'profile':<14} {'endpoints':>9}  in the kernel")
    words = {None: _NOT_LOADED.get(standing, "no"), True: "yes", False: "another version"}
    differing = {found for line in differs for found in _NETWORK.findall(line)}
    for name, s in found:
        where = words[s.loaded] if name == LOCAL else f"Felix, by {name}"
        if name == LOCAL and s.network_id in differing:
            where = "differs"
        print(f"{s.network or s.network_id:<24} {s.state:<14} {s.endpoints:>9}  {where}")
        if s.why:
            print(f"    {s.why}")
    if not found and not confs:
        print("(no network is published or has a conf here)")
    for line in differs:
        print(f"differs: {line}")
    if any("calico-rkt gc" not in line for line in differs):
        print(_way_out(standing))
    for line in blocked:
        print(f"blocked: {line}")


_NOT_LOADED = {table.Standing.NEWER: "by a newer build"}


def _way_out(standing: table.Standing) -> str:
    if standing is table.Standing.NEWER:
        return table.NewerTableError().details
    if standing is table.Standing.HELD:
        return table.HeldTableError().details
    return "calico-rkt restore puts right what differs"


_NETWORK = re.compile(r"\b(?:out|in|host|m4|m6)-([-.a-z0-9]+)")
"""The network in the name of a chain or a set of ours."""
