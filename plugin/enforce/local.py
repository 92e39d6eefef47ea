"""What stands in the files, the published profiles and the records in; the whole nftables table in force out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.enforce import forget_flows as flows
from calico_rkt.plugin.enforce.compiled import Made, elements_of, in_force
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.enforce.nft.elements import EndpointElements, adding_all, to_host_script
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import host_ends
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.local import LocalStore


@dataclass(frozen=True, slots=True)
class Closed:
    """A network whose endpoints, so many, stay closed: its published profile is missing or unfit, and why."""

    network: str
    endpoints: int
    why: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of a restore: how many endpoints are recorded, and the networks that stay closed."""

    endpoints: int
    closed: tuple[Closed, ...] = ()

    @property
    def cut_off(self) -> int:
        """How many endpoints stay closed."""
        return sum(c.endpoints for c in self.closed)


def members_script(store: LocalStore, network_ids: Collection[str]) -> str:
    """The script that puts every recorded endpoint of these networks in place; a restore may have left them closed."""
    mine = [elements_of(e) for e in store.endpoints() if object_id(e.key.network) in network_ids]
    return adding_all(mine, frozenset(network_ids))


def finish_apply(store: LocalStore) -> None:
    """Complete an apply that was killed between staging its files and renaming them. Under the policy lock."""
    unfinished = store.unfinished()
    if unfinished:
        LOG.warning("an apply was cut short: completing it for %s", ", ".join(unfinished))
        store.commit()
        restore_policy(store)


def policy_script(*made: Made) -> str:
    """The nftables script of networks."""
    from calico_rkt.compiler.targets.nftables.write import join_nftables

    to_host = (to_host_script(one.network.id, one.network.endpoint_to_host) for one in made)
    return join_nftables(one.piece for one in made) + "".join(to_host)


def restore_policy(store: LocalStore, made: Made | None = None) -> Restored:
    """Rebuild the whole table in one transaction, under the policy lock.

    A network whose published profile is missing or unfit is used for nothing: its endpoints stay closed. Where the
    host is open it is closed before anything is read. made: see in_force().
    """
    table.close_first()
    placed, named = list[tuple[str, EndpointElements]](), dict[str, str]()
    for e in store.each():
        placed.append((e.nonce, elements_of(e)))
        named.setdefault(placed[-1][1].network_id, e.key.network)
    ends = ((nonce, end.host_ifname, end.group) for nonce, end in placed)
    for words in host_ends.put_into_groups(ends):  # before a table that goes by groups: a table of before does not
        LOG.error("%s", words)
    scripts, unfit = in_force(store, {*named, *store.published_ids()}, made)
    table.build_table([end for _, end in placed], scripts, store.ranges())
    flows.restore_guards(store)
    for network_id, reason in unfit.items():
        if reason is not None:
            LOG.error("network %s stays closed: %s: %s", network_id, reason.msg, reason.details)
    counts = Counter(end.network_id for _, end in placed)
    return Restored(len(placed), _closed(unfit, named, counts))


def standing_policy(store: LocalStore) -> Restored:
    """The same of a table that stays as it is: networks whose rules of before are still in force are not closed."""
    names = [e.key.network for e in store.each()]
    named = {object_id(name): name for name in reversed(names)}
    _, unfit = in_force(store, named)
    left = {i: why for i, why in unfit.items() if not table.chains_present(i)}
    return Restored(len(names), _closed(left, named, Counter(map(object_id, names))))


def _closed(
    unfit: Mapping[str, CniError | None], named: Mapping[str, str], endpoints: Mapping[str, int]
) -> tuple[Closed, ...]:
    """named: by the network's id its name, where it has endpoints; endpoints: how many."""
    return tuple(
        Closed(named.get(i, i), endpoints.get(i, 0), why.msg if why is not None else "nothing is published for it")
        for i, why in unfit.items()
    )


def bring_to_layout(store: LocalStore) -> None:
    """Rebuild a table of an earlier layout, which this build's scripts don't fit. Under the policy lock."""
    if table.standing() is table.Standing.OLDER:
        LOG.info("the nftables table is of an earlier layout: building it in this build's")
        restore_policy(store)


def restore_closed(store: LocalStore) -> bool:
    """Where somebody closed the host and died, restore everything: nobody else may come to do it. Whether it did."""
    if table.standing() is not table.Standing.CLOSED or not store.is_there():
        return False
    with policy_lock(store.run_dir, meanwhile=table.close_first):
        finish_apply(store)
        if table.standing() is table.Standing.CLOSED:
            restore_policy(store)
    return True


def blocked_forwarding() -> tuple[str, ...]:
    """What in other tables drops forwarded packets of ours, each with the command that mends it."""
    from calico_rkt.plugin.enforce.other_firewalls import blocked

    return tuple(f"{f.what}; {f.mend}" for f in blocked.findings())
