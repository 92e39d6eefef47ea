"""A cluster's confs and its profiles in Calico in; what would change, and the reviewed change itself, out.

The counterpart of publish/local for clusters: profiles of stock Calico and of other people live beside ours there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.felix import Nodes, unfit
from calico_rkt.plugin.enforce.compiled import compile_published, compiles_to
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.publish.changes import (
    ChangedMeanwhileError,
    Files,
    HalfDoneError,
    NetworkState,
    ProfileChange,
    change_to,
    judged_state,
)
from calico_rkt.plugin.store.access import UnreachableError
from calico_rkt.plugin.store.clustered import ClusterStore
from calico_rkt.plugin.store.protocol import Inventory, Profiles


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Side of a Calico cluster; known are the confs of its networks, name is its members' URLs."""

    store: ClusterStore
    known: dict[str, NetConf]
    name: str
    files: Files = field(default_factory=dict)

    @property
    def datastore_type(self) -> str:
        return self.store.datastore

    @property
    def target(self) -> str:
        """What its policy is written in, as the compiler's target."""
        return self.store.target

    @property
    def profiles(self) -> Profiles:
        return self.store.profiles

    def plan(self, wanted: Collection[str] = ()) -> tuple[ProfileChange, ...]:
        """Every network with a conf here whose compiled digest is not the published one."""
        self.store.complete()
        felix = self.store.felix()
        found = (self._compiled(self.known[name], felix) for name in sorted(wanted or self.known))
        return tuple(change for new in found if (change := self.change_to(new)) is not None)

    def _compiled(self, conf: NetConf, felix: Nodes | None) -> Published:
        return compile_published(conf, files=self.files.get(conf.name), felix=felix)

    def change_to(self, new: Published) -> ProfileChange | None:
        """What stands there is shown, whoever wrote it."""
        return change_to(new, self.store.profiles.published, self.store.profiles.stored)

    def apply(self, changes: Sequence[ProfileChange]) -> None:
        """ChangedMeanwhileError when one of the profiles is not as it was shown; HalfDoneError where no answer came."""
        names = ", ".join(c.new.network for c in changes)
        try:
            done = self.store.profiles.swap([(c.new, c.revision) for c in changes])
        except UnreachableError as e:
            words = f"{e.msg}; whether {names} was applied is not known"
            raise HalfDoneError(e.code, words, "; ".join(filter(None, (e.details, "calico-rkt status says it")))) from e
        if not done:
            raise ChangedMeanwhileError(names)

    def states(self) -> tuple[NetworkState, ...]:
        """Every network with a conf here, and every profile of ours in the cluster; endpoints of all nodes count."""
        counts = self.store.profiles.endpoint_counts()
        names = {object_id(n): n for n in self.known}
        felix = self.store.felix()
        ids = sorted({*names, *self.store.profiles.published_ids()})
        return tuple(self._state(i, names.get(i, ""), counts.get(i, 0), felix) for i in ids)

    def _state(self, network_id: str, name: str, endpoints: int, felix: Nodes | None) -> NetworkState:
        try:
            published = self.store.profiles.published(network_id)
        except CniError as e:
            state = "edited" if network_id in self.store.profiles.published_ids() else "not ours"
            return NetworkState(network_id, name, state, endpoints, None, e.msg)
        return judged_state(
            NetworkState(network_id, name, "", endpoints, None),
            published,
            self.known,
            lambda conf: self._compiled(conf, felix),
            lambda conf, there: compiles_to(conf, there, None, self.files.get(conf.name), felix=felix),
        )

    def prune(self, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[CniError, ...]]:
        """Delete profiles of ours that no endpoint of the cluster is under; their ids, and what failed."""
        gone, failed = [], []
        for network_id in self.store.profiles.prunable_ids():
            try:
                if self.store.profiles.delete_unused(network_id, dry_run=dry_run):
                    gone.append(network_id)
            except UnreachableError:
                raise
            except CniError as e:
                failed.append(e)
        return tuple(gone), tuple(failed)

    def finish_releases(self) -> tuple[str, ...]:
        """What was noted to be given back, and is now, in words."""
        done = [
            f"finished the release of {r.key.network} {r.key.container} {r.key.ifname}"
            for r in self.store.finish_releases(every=True)
        ]
        swept = self.store.sweep()
        return (*done, *([f"freed {swept} addresses that no endpoint has"] if swept else ()))

    def waiting(self) -> tuple[str, ...]:
        """What still waits to be given back, in words."""
        return tuple(self.store.waiting())

    def inventory(self) -> Inventory | None:
        return self.store.inventory()

    def check_ready(self) -> None:
        self.store.check_ready()

    def felix(self) -> Nodes | None:
        return self.store.felix()

    def say_flows(self, _changes: Sequence[ProfileChange], *, ending: bool) -> str:  # noqa: ARG002
        """Open flows are Felix's business."""
        return ""

    def end_flows(self, _networks: Collection[str]) -> None:
        """As above."""

    def warnings(self) -> tuple[str, ...]:
        """What of the cluster is not as the confs would have it, and what of ours there can't be read, in words."""
        self.store.endpoints()
        ours = self.store.warnings([self.known[name] for name in sorted(self.known)])
        return (*ours, *self._stopping(), *self.store.damaged)

    def _stopping(self) -> Iterator[str]:
        """Published profiles that would stop some node's Felix; not those that the host's files would publish again."""
        suspects = self.store.suspects()
        felix = self.store.felix() if suspects else None
        if felix is None:
            return
        names = {object_id(n): n for n in self.known}
        for network_id in suspects:
            try:
                published = self.store.profiles.published(network_id)
                problem = next(unfit(verify_calico_v3(published.text), felix), None) if published else None
            except CniError:
                continue  # its state says so
            if problem is None:
                continue
            try:
                self._compiled(self.known[names[network_id]], felix)
            except (KeyError, CniError):
                yield f"profile {network_id}: {problem.message}"
