"""What decides on this host in; how its networks stand, what the kernel lacks and what blocks forwarding, out.

The one finder of it: `calico-rkt status` prints it, `calico-rkt doctor` says what follows and what cures it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.workspace.confs import Unusable
from calico_rkt.plugin.enforce.differences import is_unrecorded, kernel_differences, without_records
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.enforce.other_firewalls.blocked import Finding, findings
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import sysctls
from calico_rkt.plugin.publish.changes import NetworkState
from calico_rkt.plugin.publish.datastores import clusters, opened_cluster, opened_local
from calico_rkt.plugin.publish.host_confs import Decided
from calico_rkt.plugin.publish.unclaimed import unclaimed
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.journal import Journal


@dataclass(frozen=True, slots=True)
class Away:
    """A cluster that can't be asked: the networks whose confs name it, and why."""

    networks: tuple[str, ...]
    error: CniError


@dataclass(frozen=True, slots=True)
class HostState:
    """networks: each with the name of its datastore, `local` for the host's own.

    differs: where the kernel is not as recorded and published. damaged: records that can't be read; sysctls: settings
    that weaken host ends; clusters: what clusters say of themselves; left: what waits to be given back and can't be, or
    is nobody's.
    """

    networks: tuple[tuple[str, NetworkState], ...]
    standing: table.Standing
    differs: tuple[str, ...] = ()
    blocked: tuple[Finding, ...] = ()
    damaged: tuple[str, ...] = ()
    sysctls: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    away: tuple[Away, ...] = ()

    @property
    def has_table(self) -> bool:
        """Whether a whole table of ours is in the kernel."""
        return self.standing in (table.Standing.WHOLE, table.Standing.OLDER)

    @property
    def wrong(self) -> tuple[tuple[str, NetworkState], ...]:
        """The networks that are not as they should be."""
        return tuple((name, s) for name, s in self.networks if s.state in _WRONG or s.loaded is False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What else is to be said, a line each."""
        away = (f"networks {', '.join(a.networks)}: {a.error.msg}" for a in self.away)
        return (*self.damaged, *self.sysctls, *self.clusters, *away, *self.left)


_NETWORK = re.compile(r"\b(?:out|in|host|m4|m6)-([-.a-z0-9]+)|^network (\S+) (?:is closed|keeps)")
"""The network in the name of a chain or a set of ours, and the one that has none of them."""
_WRONG = ("edited", "unusable", "stale", "not ours")


def networks_in(line: str) -> frozenset[str]:
    """The ids of the networks whose chains, sets or elements a line of differs names."""
    return frozenset(a or b for a, b in _NETWORK.findall(line))


def look_at_host(host: Decided) -> HostState:
    """CniError where the host's own records can't be read; a cluster that is away keeps no other from being seen."""
    with opened_local(host.known, host.files) as local:
        local.store.keep_verified()
        networks = [(local.name, s) for s in local.states()]
        differs = kernel_differences(local.store)
        if any(map(is_unrecorded, differs)):
            differs += without_records(local.store)
        damaged = tuple(local.store.damaged)
        loose = sysctls.warnings() if local.store.is_there() and local.store.endpoints() else ()
    said: list[str] = []
    away: list[Away] = []
    for confs_there in clusters(host.known):
        try:
            with opened_cluster(confs_there, host.files) as cluster:
                networks += [(cluster.name, s) for s in cluster.states()]
                said += cluster.warnings()
        except CniError as e:  # the others' state is known all the same
            away.append(Away(tuple(sorted(confs_there)), e))
    return HostState(
        networks=tuple((name, _named(s, host.workspace.unusable)) for name, s in networks),
        standing=table.standing(),
        differs=differs,
        blocked=findings(),
        damaged=damaged,
        sysctls=loose,
        clusters=tuple(said),
        left=(*Journal(folders()[1] / "journal").broken(), *unclaimed(host.known.values())),
        away=tuple(away),
    )


def _named(state: NetworkState, unusable: Sequence[Unusable]) -> NetworkState:
    """A network whose conf is there and can't be used is not one without a conf."""
    bad = next((u for u in unusable if u.name and object_id(u.name) == state.network_id), None)
    return replace(state, state="unusable", why=bad.words) if bad and state.state == "no conf" else state
