"""Profiles to publish in, Calico's Profiles created, swapped and deleted out, each compared with what was read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.store.clustered import until_done
from calico_rkt.plugin.store.etcd3 import keys
from calico_rkt.plugin.store.etcd3.gateway import Gateway
from calico_rkt.plugin.store.etcd3.ops import (
    Answer,
    Kv,
    absent,
    delete,
    get,
    get_prefix,
    put,
    unchanged,
    untouched_since,
)
from calico_rkt.plugin.store.etcd3.resources import profile_digest, profile_network, resource, section, texts

_MOST = 100
"""Profiles that one transaction swaps: etcd takes 128 operations."""
_TOO_LARGE = ("request is too large", "larger than max")
_SOME = "name some of them: calico-rkt apply NETWORK..."
_ALL_ENDPOINTS = keys.EVERY_ENDPOINT, keys.HOST_ENDPOINTS


class Etcd3Profiles:
    """The profiles of a cluster. Those that this program published carry their digest; others are never changed."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def published(self, network_id: str) -> Published | None:
        """The profile in force; CniError 106 where it is not one of ours, or was edited."""
        from calico_rkt.plugin.store.etcd3 import profiles

        found = self._one(network_id)
        return profiles.read(network_id, found) if found else None

    def published_ids(self) -> tuple[str, ...]:
        """The ids of all profiles that this program published, sorted, whatever became of them since."""
        found = self._gateway.read(get_prefix(keys.PROFILES)).found[0]
        return tuple(kv.key.removeprefix(keys.PROFILES) for kv in found if profile_digest(kv.value))

    prunable_ids = published_ids

    def stored(self, network_id: str) -> tuple[str, int]:
        """What stands there, edited or not, as calicoctl prints it, and its revision."""
        from calico_rkt.plugin.store.etcd3 import profiles

        found = self._one(network_id)
        return (profiles.as_yaml(found), found.revision) if found else ("", 0)

    def create(self, profile: Published) -> str:
        """Publish a network's first profile; the digest of the one that is there afterwards, "" of a stock one."""
        from calico_rkt.plugin.store.etcd3 import profiles

        key = keys.profile(profile.network_id)
        answer = self._gateway.txn([absent(key)], [put(key, profiles.create(profile, datetime.now(UTC)))], [get(key)])
        if answer.succeeded:
            return profile.digest
        there = answer.found[0][0].value
        check_network(profile.network, there)
        return profile_digest(there)

    def swap(self, changes: Sequence[tuple[Published, int]]) -> bool:
        """Put all these in force at once, where each still has the revision given (0: there is none); or none."""
        from calico_rkt.plugin.store.etcd3 import profiles

        if len(changes) > _MOST:
            raise CniError(
                Code.DATASTORE,
                f"{len(changes)} changed networks are more than one transaction of etcd takes ({_MOST})",
                _SOME,
            )
        places = [keys.profile(new.network_id) for new, _ in changes]
        found = self._gateway.read(*(get(place) for place in places)).found
        now = datetime.now(UTC)
        ops = []
        for (new, revision), place, kvs in zip(changes, places, found, strict=True):
            if (kvs[0].revision if kvs else 0) != revision:
                return False
            ops.append(put(place, profiles.update(new, kvs[0]) if kvs else profiles.create(new, now)))
        compares = [unchanged(place, revision) for place, (_, revision) in zip(places, changes, strict=True)]
        try:
            answer = self._gateway.txn(compares, ops, [get(place) for place in places])
        except CniError as e:
            if len(changes) > 1 and any(words in e.msg for words in _TOO_LARGE):
                raise CniError(e.code, e.msg, f"{len(changes)} changed networks are too much at once: {_SOME}") from e
            raise
        return answer.succeeded or _are_there(answer, [new for new, _ in changes])

    def delete_unused(self, network_id: str, *, dry_run: bool) -> bool:
        """Delete a profile that no endpoint is under, as long as no endpoint is written meanwhile."""
        place = keys.profile(network_id)

        def attempt() -> bool | None:
            answer = self._gateway.read(get(place), *map(get_prefix, _ALL_ENDPOINTS))
            profile, *endpoints = answer.found
            if not profile or any(network_id in _profiles_of(kv) for kvs in endpoints for kv in kvs):
                return False
            compares = [
                unchanged(place, profile[0].revision),
                *(untouched_since(prefix, answer.revision) for prefix in _ALL_ENDPOINTS),
            ]
            return dry_run or self._gateway.txn(compares, [delete(place)]).succeeded or None

        return until_done(attempt, f"to attach than to say that no endpoint is under {network_id}")

    def endpoint_counts(self) -> dict[str, int]:
        """How many endpoints of the whole cluster are under each profile."""
        counts: dict[str, int] = {}
        for kv in chain(*self._gateway.read(*map(get_prefix, _ALL_ENDPOINTS)).found):
            for network_id in _profiles_of(kv):
                counts[network_id] = counts.get(network_id, 0) + 1
        return counts

    def _one(self, network_id: str) -> Kv | None:
        found = self._gateway.read(get(keys.profile(network_id))).found[0]
        return found[0] if found else None


def check_network(network: str, stored: bytes) -> None:
    """CniError 106 where a stored profile is another network's."""
    network_id = object_id(network)
    found = profile_network(network_id, stored)
    if found != network:
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"the profile {network_id!r} in Calico's datastore belongs to network {found!r}, not to {network!r}",
            "give one of them another name",
        )


def _are_there(answer: Answer, wanted: Sequence[Published]) -> bool:
    """Whether what was to be written stands there: a lost answer's transaction had happened."""
    return all(
        kvs and profile_digest(kvs[0].value) == new.digest for kvs, new in zip(answer.found, wanted, strict=True)
    )


def _profiles_of(kv: Kv) -> tuple[str, ...]:
    return texts(section(resource(kv.value), "spec"), "profiles")
