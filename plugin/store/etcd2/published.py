"""Profiles in, their tags and rules in etcd v2 created, swapped and deleted out, each compared with what was read.

A profile is two keys. The rules decide whether there is one: the tags, which never change, are written before them
and deleted before them, so rules without tags are a prune that was cut short, and an ADD puts the tags back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.access import UnreachableError
from calico_rkt.plugin.store.etcd2 import keys
from calico_rkt.plugin.store.etcd2.client import Client, Etcd2Node
from calico_rkt.plugin.store.etcd2.values import OURS, encode_value, json_object, profiles_of


@dataclass(frozen=True, slots=True)
class Stored:
    """What etcd has of a profile; there is one where it has rules."""

    tags: Etcd2Node | None
    rules: Etcd2Node | None

    @property
    def revision(self) -> int:
        """0 where there is no profile."""
        if self.rules is None:
            return 0
        return max(self.rules.index, self.tags.index if self.tags else 0)

    @property
    def network(self) -> str:
        """The network's own name, as this program noted it; empty in a profile that it never published."""
        return str(_notes(self.rules).get("network", ""))

    @property
    def digest(self) -> str:
        """The digest that the profile claims; empty in one that this program never published."""
        return str(_notes(self.rules).get("digest", ""))


class Etcd2Profiles:
    """The profiles of a cluster of 2015. Those that this program published carry their digest."""

    def __init__(self, client: Client, node: str) -> None:
        self._client, self._node = client, node

    def look(self, network_id: str) -> Stored:
        """Both keys of a profile, in one request."""
        found = {n.key: n for n in self._client.tree(keys.profile(network_id))}
        return Stored(found.get(keys.tags(network_id)), found.get(keys.rules(network_id)))

    def check_network(self, network: str, stored: Stored) -> None:
        """CniError 106 where a stored profile is another network's. Puts the tags of one of ours back."""
        network_id = object_id(network)
        found = stored.network or network_id
        if found != network:
            raise CniError(
                Code.PROFILE_UNUSABLE,
                f"the profile {network_id!r} in Calico's datastore belongs to network {found!r}, not to {network!r}",
                "give one of them another name",
            )
        if stored.tags is None and stored.digest:
            self._client.create(keys.tags(network_id), _tags(network_id))

    def published(self, network_id: str) -> Published | None:
        return _published(network_id, self.look(network_id))

    def published_ids(self) -> tuple[str, ...]:
        return tuple(sorted(i for i, stored in self._all().items() if stored.digest))

    def prunable_ids(self) -> tuple[str, ...]:
        return tuple(sorted(i for i, stored in self._all().items() if stored.digest or _is_begun(i, stored)))

    def _all(self) -> dict[str, Stored]:
        """Everybody's profiles, by their ids."""
        found = {n.key: n for n in self._client.tree(keys.PROFILES)}
        ids = {key.removeprefix(f"{keys.PROFILES}/").partition("/")[0] for key in found}
        return {i: Stored(found.get(keys.tags(i)), found.get(keys.rules(i))) for i in ids}

    def stored(self, network_id: str) -> tuple[str, int]:
        from calico_rkt.plugin.store.etcd2 import profiles

        found = self.look(network_id)
        if found.rules is None:
            return "", 0
        return profiles.as_text(found.tags.value if found.tags else "null", found.rules.value), found.revision

    def create(self, profile: Published) -> str:
        from calico_rkt.plugin.store.etcd2 import profiles

        network_id = profile.network_id
        value = profiles.rules_value(profiles.network_of(profile))
        self._client.create(keys.tags(network_id), _tags(network_id))
        if self._client.create(keys.rules(network_id), value):
            return profile.digest
        there = self.look(network_id)
        self.check_network(profile.network, there)
        return there.digest

    def swap(self, changes: Sequence[tuple[Published, int]]) -> bool:
        """Put all these in force, where each still has the revision given (0: there is none).

        Several are written one after the other, noted before, in the order that steps.ordered() says.
        """
        from calico_rkt.plugin.store.etcd2 import profiles, steps

        self.finish_swap()
        swaps, tags = [], []
        for new, revision in changes:
            found = self.look(new.network_id)
            if found.revision != revision:
                return False
            old = found.rules.value if found.rules else None
            swaps.append(steps.Swap(keys.rules(new.network_id), old, _judged(found), profiles.network_of(new)))
            if found.tags is None or found.tags.value != _tags(new.network_id):
                place = keys.tags(new.network_id)
                tags.append(steps.Step(place, found.tags.value if found.tags else None, _tags(new.network_id)))
        todo = (*tags, *steps.ordered(swaps))
        if len(todo) == 1:
            return steps.carry_out(self._client, todo)
        note = steps.encode_steps(self._node, todo)
        if not self._client.create(keys.APPLY, note):
            return False
        try:
            done = steps.carry_out(self._client, todo)
        except UnreachableError as e:
            raise CniError(e.code, f"{e.msg}; the apply is half done, the next one finishes it", e.details) from e
        self._client.delete_value(keys.APPLY, note)
        return done

    def finish_swap(self) -> str:
        """Do what is left of an apply that was cut short; the node it was cut short on, empty where there is none."""
        from calico_rkt.plugin.store.etcd2 import steps

        note = self._client.get(keys.APPLY)
        if note is None:
            return ""
        node, todo = steps.decode_steps(note.value)
        whole = steps.carry_out(self._client, todo)
        LOG.warning("an apply of %s was cut short: %s", node, "finished" if whole else "somebody wrote in between")
        self._client.delete(note)
        return node

    def half_swapped(self) -> str:
        """The node on which an apply is under way, or was cut short; empty where there is none."""
        from calico_rkt.plugin.store.etcd2 import steps

        note = self._client.get(keys.APPLY)
        return steps.decode_steps(note.value)[0] if note else ""

    def delete_unused(self, network_id: str, *, dry_run: bool) -> bool:
        """Delete a profile that no endpoint is under; one that appeared meanwhile gets its profile back.

        An ADD looks for the profile again after it wrote its endpoint. So either this sees the endpoint, or the ADD
        sees that the profile is gone.
        """
        found = self.look(network_id)
        if not (found.rules or found.tags) or self.endpoint_counts().get(network_id):
            return False
        if dry_run:
            return True
        tagless = found.tags is None or self._client.delete(found.tags)
        deleted = self._client.delete(found.rules) if found.rules else tagless and self.look(network_id).rules is None
        if not deleted or self.endpoint_counts().get(network_id):
            LOG.info("the profile %s is in use or was changed meanwhile: what it lost is put back", network_id)
            for node in (found.tags, found.rules if deleted else None):
                if node is not None:
                    self._client.create(node.key, node.value)
            return False
        self._client.delete_folder(keys.profile(network_id))
        return True

    def endpoint_counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for node in self._client.tree(keys.HOSTS):
            for network_id in profiles_of(node.value) if keys.is_endpoint(node.key) else ():
                counts[network_id] = counts.get(network_id, 0) + 1
        return counts


def _is_begun(network_id: str, stored: Stored) -> bool:
    """Whether there are tags as create() writes them, and nothing that it writes after them."""
    return stored.rules is None and stored.tags is not None and stored.tags.value == _tags(network_id)


def _published(network_id: str, found: Stored) -> Published | None:
    from calico_rkt.plugin.store.etcd2 import profiles

    if found.rules is None:
        return None
    if found.tags is None:
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"the profile {network_id} in Calico's datastore has lost its tags",
            "an ADD to its network puts them back, and so does calico-rkt apply --take-over",
        )
    return profiles.read(network_id, found.tags.value, found.rules.value, found.revision)


def _judged(found: Stored) -> Network | None:
    """The rules in force; None where they can't be told."""
    from calico_rkt.plugin.store.etcd2 import profiles

    try:
        published = _published("" if found.rules is None else found.rules.key.split("/")[-2], found)
    except CniError:
        return None
    return None if published is None else profiles.network_of(published)


def _notes(rules: Etcd2Node | None) -> dict[str, object]:
    ours = json_object(rules.value).get(OURS) if rules else None
    return ours if isinstance(ours, dict) else {}


def _tags(network_id: str) -> str:
    return encode_value([network_id])
