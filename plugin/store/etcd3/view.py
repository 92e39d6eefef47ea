"""What one read transaction tells of a cluster before an ADD: all that it has to decide on, at one revision."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.etcd3 import keys
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.ops import (
    Answer,
    Compare,
    Kv,
    Op,
    get,
    get_prefix,
    same,
    unchanged,
    untouched_since,
)
from calico_rkt.plugin.store.etcd3.resources import Etcd3Pool, read_pool, reserved, resource, section

_MOST_BLOCKS = 20
"""Blocks of a node where the configuration does not say."""
_NOBODY = "-"
"""In the place of a network, endpoint or handle that nothing is asked about."""


@dataclass(frozen=True, slots=True)
class IpamConfig:
    """Calico's IPAM settings; cooldown in seconds."""

    strict: bool = False
    new_blocks: bool = True
    most_blocks: int = _MOST_BLOCKS
    cooldown: int = 0

    @classmethod
    def parse(cls, kv: Kv | None) -> IpamConfig:
        if kv is None:
            return cls()
        try:
            raw = json.loads(kv.value)
            return cls(
                strict=bool(raw.get("strict_affinity")),
                new_blocks=bool(raw.get("auto_allocate_blocks")),
                most_blocks=int(raw.get("maxBlocksPerHost") or _MOST_BLOCKS),
                cooldown=int(raw.get("ipCooldownSeconds") or 0),
            )
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as e:
            raise CniError(Code.DATASTORE, f"Calico's {kv.key} can't be read: {e}") from e


@dataclass(frozen=True, slots=True)
class View:
    """The keys that an ADD depends on; None where one is missing. affinities: this node's, by IP version.

    pools: those that addresses may be taken from come first, since Calico keeps overlapping ones and uses one of them.
    revisions: of every key that was read, 0 of one that is not there; but for the endpoint, its handle and blocks.
    """

    ready: Kv | None
    node: Kv | None
    profile: Kv | None
    endpoint: Kv | None
    handle: Kv | None
    config: IpamConfig
    pools: tuple[Etcd3Pool, ...]
    reserved: tuple[Net, ...]
    affinities: tuple[Kv, ...]
    blocks: dict[Net, Kv | None]
    revision: int
    revisions: Mapping[str, int]

    def check_ready(self) -> None:
        """CniError 11 when the cluster does not want to be written to."""
        refuse_unready(self.ready)

    def check_node(self, name: str) -> None:
        """CniError 11 when Calico does not know this host: addresses are given out to nodes."""
        if self.node is None:
            raise CniError(
                Code.TRY_AGAIN,
                f"Calico has no Node {name!r}",
                "start calico/node on this host, or set nodename to the name that calicoctl get nodes shows",
            )

    def unmoved(self, node: str) -> list[Compare]:
        """Whether the cluster is to this node's ADD what it was; its endpoint and handle are the ADD's own affair.

        A cluster that was put back to what it was before may come to the same revisions with other values. A block says
        in its value when it was written, so where that is the same, the revisions are those of the same history.
        """
        return [
            *(same(kv) for kv in self.blocks.values() if kv is not None),
            *(unchanged(key, revision) for key, revision in self.revisions.items()),
            *(untouched_since(prefix, self.revision) for prefix in _prefixes(node)),
        ]


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be read for an ADD. blocks: that are likely to be needed.

    What asks about no network, or no endpoint, reads keys in their place that are never there.
    """

    node: str
    network_id: str = _NOBODY
    endpoint: str = _NOBODY
    handle_id: str = _NOBODY
    blocks: tuple[Net, ...] = ()

    def read(self, gateway: Gateway) -> View:
        """One read transaction."""
        return self.view(gateway.read(*self.gets()))

    def gets(self) -> tuple[Op, ...]:
        """The operations that read it, at one revision."""
        return (
            *(get(key) for key in self._singles),
            get(keys.ENDPOINTS + self.endpoint),
            get(keys.handle(self.handle_id)),
            *(get_prefix(prefix) for prefix in _prefixes(self.node)),
            *(get(keys.block(net)) for net in self.blocks),
        )

    def view(self, answer: Answer) -> View:
        """What they found."""
        found = answer.found
        ready, its_node, profile, config, wep, handle = (_one(kvs) for kvs in found[:6])
        several = found[6:10]
        pools = [p for kv in several[0] if (p := read_pool(kv.value)) is not None]
        singles = zip(self._singles, (ready, its_node, profile, config), strict=True)
        return View(
            ready=ready,
            node=its_node,
            profile=profile,
            endpoint=wep,
            handle=handle,
            config=IpamConfig.parse(config),
            pools=tuple(sorted(pools, key=lambda p: bool(p.problem))),
            reserved=reserved([kv.value for kv in several[1]]),
            affinities=(*several[2], *several[3]),
            blocks={net: _one(kvs) for net, kvs in zip(self.blocks, found[10:], strict=True)},
            revision=answer.revision,
            revisions={key: kv.revision if kv else 0 for key, kv in singles}
            | {kv.key: kv.revision for kvs in several for kv in kvs},
        )

    @property
    def _singles(self) -> tuple[str, ...]:
        return keys.READY, keys.node(self.node), keys.profile(self.network_id), keys.IPAM_CONFIG


def _prefixes(node: str) -> tuple[str, ...]:
    """What is read whole, whatever is below it."""
    return keys.POOLS, keys.RESERVATIONS, keys.affinities(node, 4), keys.affinities(node, 6)


def refuse_unready(ready: Kv | None) -> None:
    """CniError 11 when the ClusterInformation does not say that the datastore is ready."""
    spec = section(resource(ready.value), "spec") if ready else {}
    if spec.get("datastoreReady") is not True:
        raise CniError(
            Code.TRY_AGAIN,
            "the Calico datastore is not ready",
            "calico/node makes it ready at its first start; calicoctl datastore migrate unlock after a migration",
        )


def _one(kvs: Sequence[Kv]) -> Kv | None:
    return kvs[0] if kvs else None
