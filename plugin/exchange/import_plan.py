"""A bundle and a datastore in; what would be written there, and the writing itself, out.

A profile that is published there with other rules stays, unless told otherwise; a pool that is there always does.
Endpoints are never brought in: a container, its interface and its address are where it runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from calico_rkt.compiler.bundle.resources import Bundle, IPPool
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import ToHost
from calico_rkt.compiler.pipeline import LOCAL, PROFILE, write_proven
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from calico_rkt.compiler.targets.felix import ANY, unfit
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.publish.changes import ProfileChange, in_force
from calico_rkt.plugin.publish.datastores import DatastoreSide


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would do, and in words what it leaves alone. overwritten: networks whose rules would change."""

    changes: tuple[ProfileChange, ...]
    pools: tuple[IPPool, ...]
    notes: tuple[str, ...]
    overwritten: tuple[str, ...]


def plan_import(bundle: Bundle, side: DatastoreSide, source: str) -> ImportPlan:
    """CompileError or CniError for what the datastore can't have; source names where the bundle is from."""
    problems = list(_unfit(bundle, side, source))
    if problems:
        raise CompileError(problems)
    side.check_ready()
    same: list[str] = []
    changes: list[ProfileChange] = []
    for network in bundle.profiles:
        change = side.change_to(Published(network.id, network.name, write_calico_v3(network), digest(network)))
        if change is None:
            same.append(network.name)
        else:
            changes.append(change)
    fresh, words = _pools(bundle, side)
    notes = [*([f"in step already: {', '.join(same)}"] if same else []), *words, *_about_endpoints(bundle)]
    if bundle.passed_over:
        notes.append(f"not brought in, since calico-rkt published none of them: {', '.join(bundle.passed_over)}")
    overwritten = tuple(c.new.network for c in changes if c.old is not None)
    return ImportPlan(tuple(changes), fresh, tuple(notes), overwritten)


def carry_out_import(plan: ImportPlan, side: DatastoreSide) -> None:
    """Make the pools, then publish all profiles at once, and read back that what is there is what was brought.

    ChangedMeanwhileError or CniError 11 where a profile changed since it was shown; pools that were made stay.
    HalfDoneError where the profiles are in force and could not be read back.
    """
    there = side.inventory()
    if there is not None:
        for pool in plan.pools:
            there.create(pool)
    if plan.changes:
        side.apply(plan.changes)
    for change in plan.changes:
        with in_force([change], "; it could not be read back", "calico-rkt status says how it stands"):
            found = side.profiles.published(change.new.network_id)
        if found is None or found.digest != change.new.digest:
            raise CniError(
                Code.TRY_AGAIN, f"the profile of {change.new.network} was changed right after it was brought in"
            )


def _unfit(bundle: Bundle, side: DatastoreSide, source: str) -> Iterable[Diagnostic]:
    """Why the datastore can't have these policies: what its enforcer has no words for."""
    if side.target == PROFILE:
        # The settings of files speak of what apply publishes from them, not of what is brought in.
        nodes = replace(side.felix() or ANY, sure=True)
        for network in bundle.profiles:
            if network.endpoint_to_host is not ToHost.DROP:
                message = f"network {network.name!r} has endpoint_to_host: {network.endpoint_to_host.value}"
                hint = "on a Calico cluster that is Felix's own setting (defaultEndpointToHostAction): apply without it"
                yield error("CR407", message, path=source, hint=hint)
            for d in unfit(network, nodes):
                yield error(d.code, f"network {network.name!r}: {d.message}", path=source, hint=d.hint)
        return
    ids = frozenset((*map(object_id, side.known), *side.profiles.published_ids(), *(n.id for n in bundle.profiles)))
    for network in bundle.profiles:
        try:
            write_proven(network, side.target, ids)
        except CompileError as e:
            yield from (error(d.code, f"network {network.name!r}: {d.message}", path=source) for d in e.diagnostics)


def _pools(bundle: Bundle, side: DatastoreSide) -> tuple[tuple[IPPool, ...], list[str]]:
    there = side.inventory()
    if there is None:
        why = "a network's subnet stands in its conf alone" if side.target == LOCAL else "the first ADD makes them"
        return (), [f"{_count(bundle.pools, 'pool')} not brought in: here {why}"] if bundle.pools else []
    found = [(pool, there.stands_in(pool)) for pool in bundle.pools]
    fresh = tuple(pool for pool, words in found if not words)
    return fresh, [f"IPPool {pool.name} ({pool.cidr}) {words}" for pool, words in found if words]


def _about_endpoints(bundle: Bundle) -> list[str]:
    count = len(bundle.endpoints) + len(bundle.endpoint_names)
    if not count:
        return []
    left = _count(range(count), "endpoint")
    why = "a container's interface and address are where it runs"
    how = "end each under the conf that it was started with, and start it anew under one of this datastore"
    return [f"{left} not brought in: {why}; {how}"]


def _count(things: Iterable[object], word: str) -> str:
    number = len(list(things))
    return f"{number} {word}{'s are' if number > 1 else ' is'}"
