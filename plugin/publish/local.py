"""The host's files and what is published in; what would change, and the reviewed change itself, out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.pipeline import LOCAL as NFTABLES
from calico_rkt.plugin.enforce import forget_flows, local
from calico_rkt.plugin.enforce.compiled import compile_published, compiles_to, made_of, require_own_group
from calico_rkt.plugin.enforce.differences import unrecorded
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link.groups import group_of
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.publish.changes import (
    Files,
    NetworkState,
    ProfileChange,
    change_to,
    in_force,
    judged_state,
)
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.protocol import Profiles

LOCAL = "local"
"""The name of the host's own side."""


@dataclass(frozen=True, slots=True)
class Local:
    """The Side of the host's own datastore; known are the confs of its networks."""

    store: LocalStore
    known: dict[str, NetConf]
    files: Files = field(default_factory=dict)
    name: str = LOCAL
    datastore_type: str = LOCAL

    @property
    def profiles(self) -> Profiles:
        return self.store

    def plan(self, wanted: Collection[str] = ()) -> tuple[ProfileChange, ...]:
        """Every network with a conf here whose compiled digest is not the published one.

        wanted: only these, where any are named; the others count as known to their rules all the same.
        """
        ids = self._known_ids()
        found = (compile_published(self.known[n], ids, self.files.get(n)) for n in sorted(wanted or self.known))
        return tuple(change for new in found if (change := self.change_to(new)) is not None)

    def change_to(self, new: Published) -> ProfileChange | None:
        """What an edited file says is not shown: it may be anything."""
        return change_to(new, self.store.published, lambda _: ("", 0))

    def apply(self, changes: Sequence[ProfileChange]) -> None:
        """Files beside, one swap in nftables, rename. A half-done apply is completed later.

        What is published is in force: a host that is found open or closed is restored. A newer build's table is left
        alone.
        """
        _closed_first()
        self._refuse_clashes(changes)
        self.store.keep_verified()
        made = [made_of(self.store.meant(c.new)) for c in changes]  # what takes long comes before the lock
        ready = local.policy_script(*made)
        with policy_lock(self.store.run_dir, meanwhile=table.close_first):
            self._refuse_changed(changes)
            local.bring_to_layout(self.store)
            self.store.stage({c.new.network_id: c.new.text for c in changes})
            try:
                if table.base_present():
                    table.apply_scripts([ready])
            except CniError:
                self.store.abort()  # nothing of it is in force, and nothing may complete it later
                raise
            with in_force(changes, *_NOT_WRITTEN):
                self.store.commit()
            with in_force(changes, *_NOT_LOOKED_AT):
                self._admit({c.new.network_id for c in changes})
        with in_force(changes, *_NOT_LOOKED_AT):
            local.restore_closed(self.store)

    def _admit(self, network_ids: Collection[str]) -> None:
        """A restore may have left their endpoints closed; where one's element leads elsewhere, all is built anew."""
        if not table.base_present() or not self.store.is_there():
            return
        try:
            table.admit(local.members_script(self.store, network_ids))
        except CniError as e:
            LOG.warning("endpoints of %s: %s: building all of the table", ", ".join(sorted(network_ids)), e.msg)
            local.restore_policy(self.store)

    def _refuse_clashes(self, changes: Sequence[ProfileChange]) -> None:
        """A network that is new here may have no other's device group."""
        of_group: dict[int, list[str]] = {}
        for i in {*self.store.published_ids(), *self._used_ids(), *(c.new.network_id for c in changes)}:
            of_group.setdefault(group_of(i), []).append(i)
        for change in changes:
            if change.old is None and not change.edited:
                require_own_group(change.new.network_id, of_group[group_of(change.new.network_id)])

    def _used_ids(self) -> frozenset[str]:
        return self.store.used_ids() if self.store.is_there() else frozenset()

    def _refuse_changed(self, changes: Sequence[ProfileChange]) -> None:
        """What was shown before the question has to be what is replaced after the answer."""
        for change in changes:
            try:
                now = self.store.published(change.new.network_id)
            except CniError:
                if change.edited:
                    continue
                now = None
                changed = True
            else:
                changed = change.edited or now != change.old
            if changed:
                raise CniError(
                    Code.TRY_AGAIN, f"the published profile of {change.new.network} changed meanwhile; run apply again"
                )

    def put_in_force(self) -> bool:
        """What is published is in force, also where nothing of it changes; whether an open host was restored."""
        _closed_first()
        return local.restore_closed(self.store)

    def finish_apply(self) -> None:
        """Complete an apply that was killed between its steps; nothing where there is none."""
        if self.store.is_staged():
            with policy_lock(self.store.run_dir, meanwhile=table.close_first):
                local.finish_apply(self.store)

    def states(self) -> tuple[NetworkState, ...]:
        """Every network that is published, has a conf here, or has endpoints. Looking makes no state file."""
        counts: dict[str, int] = {}
        names: dict[str, str] = {object_id(n): n for n in self.known}
        for endpoint in self.store.endpoints() if self.store.is_there() else ():
            network_id = object_id(endpoint.key.network)
            names.setdefault(network_id, endpoint.key.network)
            counts[network_id] = counts.get(network_id, 0) + 1
        live = {n.network_id: n.digest for n in table.live_networks()} if table.base_present() else {}
        known_ids = self._known_ids()
        ids = sorted({*names, *self.store.published_ids()})
        return tuple(self._state(i, names.get(i, ""), counts.get(i, 0), live.get(i), known_ids) for i in ids)

    def _state(
        self, network_id: str, name: str, endpoints: int, live: str | None, known_ids: frozenset[str]
    ) -> NetworkState:
        try:
            published = self.store.published(network_id)
        except CniError as e:
            return NetworkState(network_id, name, "edited", endpoints, None if live is None else False, e.msg)
        loaded = None if live is None or published is None else published.digest.endswith(live) and bool(live)
        return judged_state(
            NetworkState(network_id, name, "", endpoints, loaded),
            published,
            self.known,
            lambda conf: compile_published(conf, known_ids, self.files.get(conf.name)),
            lambda conf, there: compiles_to(conf, there, known_ids, self.files.get(conf.name)),
        )

    def prune(self, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[CniError, ...]]:
        """Delete published profiles without endpoints; their ids, and what failed. Looks again before each."""
        gone, failed = [], []
        if words := unrecorded(self.store):
            raise CniError(
                Code.IO, f"which profiles are used is not known: {words}", "put it back, or end the containers"
            )
        with policy_lock(self.store.run_dir):
            if not dry_run:
                local.bring_to_layout(self.store)
            used = self.store.used_ids()
            for network_id in (i for i in self.store.published_ids() if i not in used):
                try:
                    if dry_run or (network_id not in self.store.used_ids() and self._deleted(network_id)):
                        gone.append(network_id)
                except CniError as e:
                    failed.append(CniError(e.code, f"profile {network_id} may be deleted or not: {e.msg}", e.details))
            if not dry_run:
                try:
                    self._drop_guards()
                except CniError as e:  # what has gone is told all the same
                    failed.append(e)
        return tuple(gone), tuple(failed)

    def _drop_guards(self) -> None:
        """Those of networks that have neither a profile nor endpoints any more."""
        kept = self.store.used_ids() | set(self.store.published_ids())
        forget_flows.drop_guards(self.store, [n for n in self.store.unheld.networks() if object_id(n) not in kept])

    def _deleted(self, network_id: str) -> bool:
        """Whether the profile went; it stays where something in the kernel still refers to its chains."""
        if table.base_present() and not table.remove_network(network_id) and table.chains_present(network_id):
            return False
        return self.store.unpublish(network_id)

    def finish_releases(self) -> tuple[str, ...]:
        """Nothing ever is noted to be given back here."""
        return ()

    def waiting(self) -> tuple[str, ...]:
        """See finish_releases()."""
        return ()

    @property
    def target(self) -> str:
        """What enforces its policy, as the compiler's target."""
        return NFTABLES

    def inventory(self) -> None:
        """No pools, and endpoints whose addresses no cluster's IPAM knows."""

    def check_ready(self) -> None:
        """The host's own always is."""

    def felix(self) -> None:
        """No Felix enforces here."""

    def say_flows(self, changes: Sequence[ProfileChange], *, ending: bool) -> str:
        """How many open flows the changes concern; none of them ends by itself."""
        from calico_rkt.plugin.publish import end_flows

        return end_flows.flows_in_words(end_flows.concerned(self.store, changes), ending=ending)

    def end_flows(self, networks: Collection[str]) -> int:
        """End the open flows of these networks' endpoints that the policy in force denies; how many."""
        from calico_rkt.plugin.publish import end_flows

        return end_flows.end_denied(self.store, networks)

    def _known_ids(self) -> frozenset[str]:
        return frozenset({*(object_id(n) for n in (*self.known, *self.files)), *self.store.published_ids()})


_NOT_WRITTEN = (
    ", but its file could not be put in place",
    "calico-rkt restore completes it, and so does the next apply",
)
_NOT_LOOKED_AT = (
    "; what was to be looked at after it could not be",
    "calico-rkt status says how the host stands",
)
"""What did not follow a change that is in force, and what to do then."""


def _closed_first() -> None:
    if table.close_first() is table.Standing.NEWER:
        raise table.NewerTableError
