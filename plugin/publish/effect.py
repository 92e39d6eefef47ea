"""What is published and what would be in, what that changes for packets out: the diff that `apply` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os.path import realpath

from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.diagnostics import Diagnostic
from calico_rkt.compiler.grammar.expectations import Expectation
from calico_rkt.compiler.grammar.overrides import File
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.pipeline import resolve_network
from calico_rkt.compiler.review.expect import asked, outcome
from calico_rkt.compiler.review.parties import parties
from calico_rkt.compiler.review.promises import problem, promises
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.felix import JUDGED
from calico_rkt.compiler.workspace.host import overrides_of
from calico_rkt.compiler.workspace.policy import parse_files, policy_for
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish.beside import NOBODY, Beside
from calico_rkt.plugin.publish.changes import ProfileChange
from calico_rkt.plugin.store.protocol import Profiles


def worlds(
    store: Profiles,
    known: Mapping[str, NetConf],
    changes: Sequence[ProfileChange],
    kind: str,
    beside: Beside = NOBODY,
) -> tuple[World, World]:
    """The networks as they are published, and as they would be after the changes.

    known are the host's confs, kind is the store's datastore_type: it decides who has the last word at the host.
    beside are the networks of its other datastores, which the changes leave as they are.

    A profile that was edited is as good as none: its chains in force are closed or of an older text. A published
    network without a conf has no addresses of its own. Changes were compiled before, so that compiles here, too.
    """
    live = _live(store)
    files = _files(known)
    after = dict(live)
    for change in changes:
        conf = known[change.new.network]
        after[conf.name], _ = resolve_network(
            conf, policy_for(conf.name, files[realpath(conf.profiles_dir)]), felix=JUDGED
        )
    return _both(("published", live), ("the files", after), known, kind, _all(files), beside)


def worlds_with(
    store: Profiles,
    known: Mapping[str, NetConf],
    changes: Sequence[ProfileChange],
    kind: str,
    beside: Beside = NOBODY,
) -> tuple[World, World]:
    """The same where the changes' texts are what counts, and not the host's files: their tests have to hold still.

    known say the networks' addresses, whichever datastore they are about.
    """
    live = _live(store)
    after = {**live, **{c.new.network: verify_calico_v3(c.new.text) for c in changes}}
    return _both(("published", live), ("what is brought in", after), known, kind, _all(_files(known)), beside)


def broken(world: World) -> tuple[Diagnostic, ...]:
    """The tests and guardrails of the host's files that would not hold, and those that decide nothing."""
    whole = Budget.of_an_answer()
    found = (p for p in promises(world) if not _of_others(world, p.expectation))
    return tuple(d for p in found if (d := problem(p, outcome(world, p.expectation, whole))) is not None)


def _of_others(world: World, e: Expectation) -> bool:
    """Whether it is about networks beside these alone, so that it is asked with their own changes."""
    ends = [{n.name for n in end.networks} for end in (e.source, e.destination)]
    named = set.union(*ends)
    return bool(named & world.beside.keys()) and named <= {*world.networks} and not any(asked(world, e))


def _live(store: Profiles) -> dict[str, Network]:
    live: dict[str, Network] = {}
    for network_id in store.published_ids():
        try:
            published = store.published(network_id)
        except CniError:
            continue
        if published is not None:
            live[published.network] = verify_calico_v3(published.text)
    return live


def _both(
    old: tuple[str, dict[str, Network]],
    new: tuple[str, dict[str, Network]],
    known: Mapping[str, NetConf],
    kind: str,
    files: tuple[File, ...],
    beside: Beside,
) -> tuple[World, World]:
    """The worlds of two states of the store's networks, each by its name; only the new one has promises to keep."""
    return _world(*old, known, kind, beside), _world(*new, known, kind, beside, files)


def _world(
    where: str,
    stored: dict[str, Network],
    known: Mapping[str, NetConf],
    kind: str,
    beside: Beside,
    files: tuple[File, ...] = (),
) -> World:
    # All of them are in one datastore, also those without a conf, or with one that is about another.
    unknown = NetConf("", "calico", "1.0.0", Ipam("unknown"))
    confs = {n: replace(known.get(n, unknown), name=n, datastore_type=kind) for n in stored}
    others = {n: both for n, both in beside.items() if n not in known}
    # Two confs may name one cluster by other members, or ask it as other users: what this one has is in this one.
    apart = {n: not (n in stored and conf.datastore_type == kind) for n, (conf, _) in others.items()}
    networks = {**stored, **{n: network for n, (_, network) in others.items()}}
    confs |= {n: conf for n, (conf, _) in others.items()}
    own = frozenset(n.id for n in networks.values())
    everyone = own | frozenset(map(object_id, known))
    made = parties(networks, confs)
    return World(where, networks, confs, files, own, everyone, made, beside=apart)


def _files(known: Mapping[str, NetConf]) -> dict[str, tuple[File, ...]]:
    """What the host's files say, by their folder: two names of one are one."""
    named = {realpath(c.profiles_dir): c for c in sorted(known.values(), key=lambda c: c.profiles_named)}
    return {folder: parse_files(overrides_of(conf)) for folder, conf in named.items()}


def _all(files: Mapping[str, tuple[File, ...]]) -> tuple[File, ...]:
    return tuple({f.path: f for found in files.values() for f in found}.values())
