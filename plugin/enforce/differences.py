"""The host's records and published profiles in; where the kernel differs from them, in words, out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.enforce.compiled import elements_of, in_force
from calico_rkt.plugin.enforce.nft import compare, table
from calico_rkt.plugin.enforce.nft.closing import links_are_up
from calico_rkt.plugin.enforce.nft.table import Standing
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import guard, host_ends
from calico_rkt.plugin.model import Endpoint, only_begun
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.store.local import LocalStore, in_order

_PATIENCE = 10.0
_UNFIT = ": its published profile is missing or unfit"
"""How a line about a network ends that no restore puts right."""
_KEEPS = "keeps the rules that are in force until a restore closes it"
_NO_RECORDS = "host ends of ours are up, and the state file that knows them is not there"


def kernel_differences(store: LocalStore) -> tuple[str, ...]:
    """Everything of the table, the host ends, their routes and sysctls that is not as it should be.

    Nobody waits for a look that finds nothing. One that finds something may have met an ADD half way, so it is done
    again under the policy lock.
    """
    if not store.is_there():
        return tuple(filter(None, (unrecorded(store),)))
    found = _found(store)
    if not found:
        return ()
    try:
        with policy_lock(store.run_dir, patience=_PATIENCE, meanwhile=table.close_first):
            return _found(store)
    except CniError as e:
        return (*found, f"(seen while a call may have been at work: {e.msg})")


def unrecorded(store: LocalStore) -> str:
    """In words, where containers of ours run and no record of any is here: what goes by records would cut them off."""
    return _NO_RECORDS if not store.is_there() and links_are_up() else ""


def without_records(store: LocalStore) -> tuple[str, ...]:
    """What can be seen of a table whose endpoints nobody knows: its base, and each network's rules, as published.

    Elements are not looked at, nor a network without chains: whether an endpoint needs them is in the records.
    """
    scripts, _ = in_force(store, store.published_ids())
    wanted = compare.Wanted(scripts, (), (), idle=frozenset(scripts))
    return compare.table_differences(wanted, only=("", *scripts))


def strays(store: LocalStore, endpoints: Iterable[Endpoint]) -> tuple[str, ...]:
    """Host ends of ours that no record knows, in words; none where a record can't be read, which is told itself.

    endpoints: those that the store has just given.
    """
    return () if store.damaged else host_ends.strays(endpoints, store.endpoints)


def is_unfit(line: str) -> bool:
    """Whether a line of differences is about a network whose published profile no restore can use."""
    return line.endswith(_UNFIT)


def is_mendable(line: str) -> bool:
    """Whether a restore puts right what a line of differences is about."""
    others = (_NO_RECORDS, host_ends.STRAY, host_ends.ELSEWHERE)
    return not (is_unfit(line) or is_gone(line) or any(words in line for words in others))


def is_gone(line: str) -> bool:
    """Whether a line is about an endpoint whose host end is not there any more."""
    return "calico-rkt gc" in line


def is_unrecorded(line: str) -> bool:
    """Whether a line says that the records are not there, though containers of ours run."""
    return line == _NO_RECORDS


def kept_running(differs: Iterable[str]) -> tuple[str, ...]:
    """The ids of the networks whose rules of before are in force, which a rebuild would close."""
    return tuple(line.split()[1] for line in differs if line.endswith(_KEEPS + _UNFIT))


def of_host_ends_alone(store: LocalStore, differs: Sequence[str]) -> bool:
    """Whether none of these words is about the table or a route that keeps a range: no rebuild would mend them.

    A rebuild lets no new flow begin meanwhile, and ends to be mended are no reason for that.
    """
    endpoints = store.endpoints()
    ends = (*_words([e for e in endpoints if e.result]), *strays(store, endpoints))
    return frozenset(differs) <= frozenset(ends)


def attachment_differences(store: LocalStore, endpoint: Endpoint) -> tuple[str, ...]:
    """What an attachment rests on: the base, its network's chains, its own elements, its host end and sysctls."""
    network_id = object_id(endpoint.key.network)
    scripts, unfit = in_force(store, [network_id])
    if unfit:
        return (f"network {network_id} has no published profile that is fit for use",)
    wanted = compare.Wanted(scripts, [elements_of(endpoint)], store.ranges())
    return (*compare.table_differences(wanted, only=[network_id]), *_words([endpoint]))


def _found(store: LocalStore) -> tuple[str, ...]:
    subnets = store.subnets()  # first: a range that is not among it belongs to no endpoint that has to be there
    endpoints = store.endpoints()
    if not endpoints and table.standing() is Standing.NONE:
        return ()
    published = frozenset(store.published_ids())
    used = {object_id(e.key.network) for e in endpoints}
    begun = only_begun(endpoints)
    needed = used - {object_id(name) for name in begun}
    scripts, unfit = in_force(store, published | used)
    kept = frozenset(i for i in unfit if i in used and table.chains_present(i))
    settled, others = list[Endpoint](), list[Endpoint]()
    for e in endpoints:
        (settled if e.result and object_id(e.key.network) not in kept else others).append(e)
    wanted = compare.Wanted(
        scripts,
        [elements_of(e) for e in settled],
        in_order(subnets, begun),
        [elements_of(e) for e in others],
        frozenset(published - needed),
        kept,
        in_order(subnets),
    )
    around: list[str] = []

    def look_around() -> None:
        around.extend(_words([e for e in endpoints if e.result]))
        around.extend(strays(store, endpoints))
        around.extend(guard_differences(store))

    unfit_lines = (_unfit(i, kept) for i in unfit if i in needed or i in kept)
    return (*unfit_lines, *compare.table_differences(wanted, meanwhile=look_around), *around)


def _unfit(network_id: str, kept: frozenset[str]) -> str:
    """What has no profile is left as it stands in the kernel, and restored to nothing."""
    stands = _KEEPS if network_id in kept else "is closed"
    return f"network {network_id} {stands}{_UNFIT}"


def _words(settled: Sequence[Endpoint]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words for _, words in host_ends.host_end_differences(settled)))


def guard_differences(store: LocalStore) -> tuple[str, ...]:
    """The routes that keep packets to addresses that nobody has, and that are not there."""
    gone = guard.missing_guards(store.unheld.guards())
    return tuple(f"the host has no unreachable route that keeps {net} for endpoints of ours" for net in gone)
